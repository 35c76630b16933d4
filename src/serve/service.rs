//! [`Service`]: what answers requests: who is let in, what is asked for, and who answers it.
//!
//! **Invariants.** Every request gets one answer. Nothing is looked at before its method, its lack of a body and its credentials are in
//! order. What went wrong inside is told to the monitor, not to the client.
//!
//! *Not here:* connections (`server`), the answers themselves (`blobs`, `manifests`, `lists`, `referrers`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::access::{AccessLog, Line};
use super::body::Body;
use super::credentials::Credentials;
use super::metrics::Metrics;
use super::pace::Pace;
use super::refusal::Refusal;
use super::route::Route;
use super::snapshot::Current;
use super::spool::Spool;
use super::tally::Tally;
use super::{blobs, lists, manifests, referrers};
use crate::error::{Error, Result};
use crate::image::inside::Ailment;
use crate::monitor::{Event, SharedMonitor};

/// What answers requests.
pub(super) struct Service {
    pub(super) current: Arc<Current>,
    pub(super) pace: Arc<Pace>,
    pub(super) spool: Option<Arc<Spool>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) credentials: Option<Credentials>,
    pub(super) log: Option<AccessLog>,
    pub(super) monitor: SharedMonitor,
    pub(super) clock: fn() -> SystemTime,
}

/// An answer, or why there is none.
pub(super) type Answer = std::result::Result<Response<Body>, Refusal>;

impl Service {
    /// Answers a request of `peer`. What it is given is never read to its end: a request that looks has no body.
    pub(super) async fn answer<B>(self: Arc<Self>, peer: SocketAddr, request: Request<B>) -> Response<Body> {
        let begun = Instant::now();
        self.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
        let (request, _) = request.into_parts();
        let user = self.user(&request.headers).await;
        let mut tally = Tally::new(self.clone(), line(peer, user.as_deref(), &request), begun);
        let is_head = request.method == Method::HEAD;
        let mut response = match self.choose(user.is_some(), &request).await {
            Ok(response) => response,
            Err(refusal) => refused(&refusal),
        };
        let length = response_length(&response);
        common(response.headers_mut(), request.uri.path(), length);
        tally.status(response.status());
        response.map(|body| {
            let body = if is_head { Body::empty() } else { body };
            tally.expects(body.len());
            body.counted(tally)
        })
    }

    /// Who asks; `None` is nobody who is let in.
    async fn user(&self, headers: &HeaderMap) -> Option<String> {
        match &self.credentials {
            None => Some(String::new()),
            Some(credentials) => credentials.admit(headers.get(header::AUTHORIZATION)).await,
        }
    }

    async fn choose(self: &Arc<Self>, is_admitted: bool, request: &hyper::http::request::Parts) -> Answer {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Refusal::read_only());
        }
        if has_body(&request.headers) {
            return Err(Refusal::with_body());
        }
        let path = request.uri.path();
        if !is_admitted {
            return if path == "/healthz" { Ok(health(&self.ailments().await, false)) } else { Err(Refusal::unauthorized()) };
        }
        let query = request.uri.query();
        let snapshot = self.current.now();
        match Route::of(path)? {
            Route::Ping => Ok(json("{}")),
            Route::Catalog => lists::catalog(&snapshot, path, query),
            Route::Tags(name) => lists::tags(&snapshot, &name, path, query),
            Route::Manifest(name, wanted) => manifests::answer(self, &snapshot, &name, wanted, &request.headers).await,
            Route::Blob(name, digest) => {
                let is_get = request.method == Method::GET;
                blobs::answer(self, &snapshot, &name, digest, &request.headers, is_get).await
            }
            Route::Referrers(name, subject) => referrers::answer(self, &snapshot, &name, subject, path, query).await,
            Route::Health => Ok(health(&self.ailments().await, true)),
            Route::Metrics => Ok(text(StatusCode::OK, self.metrics.text(self.spool.as_ref().map_or(0, |spool| spool.used_bytes())))),
        }
    }

    async fn ailments(&self) -> Vec<Ailment> {
        let snapshot = self.current.now();
        self.pace.run(move || Ok(snapshot.inside.health())).await.unwrap_or_default()
    }

    /// Runs blocking work; what goes wrong is told to the monitor, and to the client without places.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Refusal> {
        self.pace.run(work).await.map_err(|error| self.inside(&error))
    }

    /// The refusal that an error inside means.
    pub(super) fn inside(&self, error: &Error) -> Refusal {
        self.monitor.event(Event::Warning(&error.to_string()));
        Refusal::inside(error)
    }
}

fn line(peer: SocketAddr, user: Option<&str>, request: &hyper::http::request::Parts) -> Line {
    let agent = request.headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    Line {
        peer,
        user: user.unwrap_or_default().to_owned(),
        method: request.method.to_string(),
        target: request.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        agent: agent.unwrap_or_default(),
        status: 0,
        bytes: 0,
        took: Duration::ZERO,
        cut: false,
    }
}

/// Whether a body follows. Both headers at once are how requests are smuggled past a proxy; a request that looks needs neither.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0")
}

/// The answer that a refusal is. Where a body may follow the request, the connection ends with it.
fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = document(refusal.status, "application/json", refusal.document());
    let headers = response.headers_mut();
    match refusal.status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"ocm\""));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        StatusCode::BAD_REQUEST => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

fn response_length(response: &Response<Body>) -> Option<u64> {
    let has_own = response.headers().contains_key(header::CONTENT_LENGTH) || response.status() == StatusCode::NOT_MODIFIED;
    (!has_own).then(|| response.body().len())
}

/// What every answer has.
fn common(headers: &mut HeaderMap, path: &str, length: Option<u64>) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if path.starts_with("/v2") {
        headers.insert(HeaderName::from_static("docker-distribution-api-version"), HeaderValue::from_static("registry/2.0"));
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
}

/// Whether all is well; what is damaged or missing, for those who may know.
fn health(ailments: &[Ailment], detailed: bool) -> Response<Body> {
    let is_damaged = ailments.iter().any(|ailment| ailment.damaged);
    let (status, mut answer) = match is_damaged {
        false => (StatusCode::OK, String::from("ok\n")),
        true => (StatusCode::SERVICE_UNAVAILABLE, String::from("damaged\n")),
    };
    for Ailment { what, why, damaged } in ailments.iter().filter(|_| detailed) {
        let kind = if *damaged { "damaged" } else { "missing" };
        answer += &format!("{kind}: {}: {}\n", what.escape_default(), why.escape_default());
    }
    text(status, answer)
}

/// An answer in JSON.
pub(super) fn json(document_text: impl Into<bytes::Bytes>) -> Response<Body> {
    document(StatusCode::OK, "application/json", document_text)
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    document(status, "text/plain; version=0.0.4; charset=utf-8", text)
}

/// An answer of this status, type and content.
pub(super) fn document(status: StatusCode, kind: &'static str, content: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::bytes(content));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
