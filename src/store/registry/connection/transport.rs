//! [`Transport`]: sends one request over the wire and gets one answer.
//!
//! **Invariants.** Content is never decoded: the bytes of an answer are the bytes that were sent. A redirect never leads
//! from https to http, never further than [`MAX_REDIRECTS`], and takes the `Authorization` to no other origin.
//!
//! *Not here:* which requests are made again (`retry`), who is let in (`token`).

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::failure::{self, Failure};
use super::progress::Progress;
use super::proxy::Proxies;
use super::request::Supply;
use crate::error::{Error, Result};
use crate::image::Body;

/// How many redirects one request follows.
pub(super) const MAX_REDIRECTS: usize = 10;

/// How long a connection may take to come up, TLS and proxy included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What may be under way on one HTTP/2 stream and connection, in bytes.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The HTTP client of one connection.
pub(super) struct Transport {
    client: reqwest::Client,
    host: String,
    idle_timeout: Duration,
    proxies: Proxies,
}

/// One request as it goes over the wire, but for its body.
pub(super) struct Order {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// Sent to the origin of `url` alone.
    pub(super) authorization: Option<HeaderValue>,
    /// Whether it follows redirects.
    pub(super) moves: bool,
}

impl Transport {
    /// A client for the registry that a person calls `host`.
    pub(super) fn new(host: &str, idle_timeout: Duration, tls: rustls::ClientConfig, proxies: Proxies) -> Result<Self> {
        let chosen = proxies.clone();
        let client = reqwest::Client::builder()
            .user_agent(concat!("ocm/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .proxy(reqwest::Proxy::custom(move |url| chosen.of(url)))
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .build()
            .map_err(|error| Error::failed(format!("HTTP client for {host}: {}", failure::explain(&error))))?;
        Ok(Self { client, host: host.to_owned(), idle_timeout, proxies })
    }

    /// Sends a request, with its body where it has one, and follows its redirects.
    pub(super) async fn send(&self, order: &Order, supply: &mut Supply) -> Result<reqwest::Response, Failure> {
        let mut url = order.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = order.headers.clone();
            if let Some(authorization) = order.authorization.as_ref().filter(|_| url.origin() == order.url.origin()) {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            let body = supply.make().await?;
            let answer = self.exchange(&order.method, url.clone(), headers, body).await?;
            match redirected(&order.method, &answer, supply.spent()).map_err(Failure::Final)? {
                Some(next) if order.moves => url = next,
                _ => return Ok(answer),
            }
            let_go(answer).await;
        }
        let what = describe(&order.method, &order.url);
        Err(Failure::Final(Error::failed(format!("{what}: it was redirected more than {MAX_REDIRECTS} times"))))
    }

    /// A request, and the proxy that it goes through.
    fn describe(&self, method: &Method, url: &Url) -> String {
        let proxy = self.proxies.of(url);
        let by_way = proxy.map(|proxy| format!(" through the proxy {}", authority(&proxy))).unwrap_or_default();
        format!("{}{by_way}", describe(method, url))
    }

    /// How long nothing may move.
    pub(super) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    async fn exchange(&self, method: &Method, url: Url, mut headers: HeaderMap, body: Option<Body>) -> Result<reqwest::Response, Failure> {
        let what = self.describe(method, &url);
        let progress = Progress::begin();
        match &body {
            Some(body) => drop(headers.insert(CONTENT_LENGTH, body.len().into())),
            None if [Method::POST, Method::PUT, Method::PATCH].contains(method) => drop(headers.insert(CONTENT_LENGTH, 0.into())),
            None => {}
        }
        let mut request = self.client.request(method.clone(), url).headers(headers);
        if let Some(body) = body.filter(|body| body.len() > 0) {
            request = request.body(reqwest::Body::wrap_stream(progress.watch(body)));
        }
        let answer = tokio::select! {
            answer = request.send() => answer,
            () = progress.stands_still(self.idle_timeout) => {
                let seconds = self.idle_timeout.as_secs_f32();
                return Err(Failure::Transient(Error::failed(format!("{what}: nothing moved for {seconds} s"))));
            }
        };
        answer.map_err(|error| match progress.failed() {
            Some(error) => Failure::Final(error),
            None => Failure::of(&error, &what, &self.host),
        })
    }

    /// Asks `url` for anything; any answer will do.
    pub(super) async fn probe(&self, url: Url, limit: Duration) -> Result<StatusCode, Probe> {
        let what = self.describe(&Method::GET, &url);
        match tokio::time::timeout(limit, self.client.get(url).send()).await {
            Ok(Ok(answer)) => Ok(answer.status()),
            Ok(Err(error)) => Err(Probe {
                not_tls: failure::is_not_tls(&error),
                tls: failure::is_tls(&error),
                failure: Failure::of(&error, &what, &self.host),
            }),
            Err(_) => {
                let failure = Failure::Transient(Error::failed(format!("{what}: no answer within {} s", limit.as_secs())));
                Err(Probe { not_tls: false, tls: false, failure })
            }
        }
    }
}

/// Reads a small answer that nobody needs to its end, so that its connection can be used again.
pub(super) async fn let_go(answer: reqwest::Response) {
    const SMALL_BYTES: u64 = 64 << 10;
    if answer.content_length().is_some_and(|length| length <= SMALL_BYTES) {
        let _ = tokio::time::timeout(Duration::from_secs(1), answer.bytes()).await;
    }
}

/// Why a probe had no answer.
pub(super) struct Probe {
    /// The other side answered, and not with TLS.
    pub(super) not_tls: bool,
    /// The other side answered with TLS.
    pub(super) tls: bool,
    /// What to tell.
    pub(super) failure: Failure,
}

/// A request as errors name it: no query and no user, because either may hold a secret.
pub(super) fn describe(method: &Method, url: &Url) -> String {
    format!("{method} {}://{}{}", url.scheme(), authority(url), url.path())
}

fn authority(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// Where an answer sends a request, if it does and the request can go there.
///
/// 301 to 303 move reads only: what a write becomes then differs from server to server.
fn redirected(method: &Method, answer: &reqwest::Response, spent: bool) -> Result<Option<Url>> {
    let reads = *method == Method::GET || *method == Method::HEAD;
    let moves = match answer.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => reads,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => !spent,
        _ => false,
    };
    let Some(location) = answer.headers().get(LOCATION).filter(|_| moves) else {
        return Ok(None);
    };
    let from = answer.url();
    let refused = |why: &str| Error::failed(format!("{}: it was redirected to {why}", describe(method, from)));
    let text = location.to_str().map_err(|_| refused("what is no URL"))?;
    let url = from.join(text).map_err(|_| refused("what is no URL"))?;
    match (from.scheme(), url.scheme()) {
        ("https", "http") => Err(refused(&format!("{}, which is not encrypted", describe(method, &url)))),
        (_, "http" | "https") => Ok(Some(url)),
        (_, other) => Err(refused(&format!("a {other}: URL"))),
    }
}
