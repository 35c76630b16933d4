//! [`Connection`]: one registry host, and how it is reached, asked and believed.
//!
//! **Invariants.** An answer of any status is an answer ([`Response`]); an error means that there was none. Credentials
//! go to the registry and to the token service that it names, and nowhere else. Nothing is read without a limit, and
//! nothing waits for ever.
//!
//! *Not here:* what is asked: manifests, blobs, tags, uploads (`store::registry`).

mod access;
mod auth;
mod authfile;
mod challenge;
mod credentials;
mod documents;
mod failure;
mod helper;
mod origin;
mod pace;
mod progress;
mod proxy;
mod refusal;
mod request;
mod response;
mod retry;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod trust;
mod verifier;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use reqwest::header::{self, HeaderName, HeaderValue};
pub use reqwest::{Method, StatusCode, Url};

pub use self::access::Access;
pub use self::credentials::Who;
pub use self::documents::Documents;
pub use self::request::{Request, RequestBody};
pub use self::response::Response;

use self::auth::{Auth, Authorization};
use self::challenge::Challenge;
use self::credentials::Credentials;
use self::failure::Failure;
use self::origin::Origin;
use self::pace::{Pace, is_too_much};
use self::proxy::Proxies;
use self::request::{Line, Supply};
use self::response::Context;
pub use self::retry::MAX_LATE;
use self::retry::Retries;
use self::transport::{Order, Transport, describe};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::monitor::{SharedMonitor, Silent};

/// Whether ocm can answer one of the challenges in this value of `WWW-Authenticate`.
#[must_use]
pub fn can_answer(challenge: &[u8]) -> bool {
    Challenge::best(std::iter::once(challenge)).is_some()
}

/// How registries are reached; made once per run.
#[derive(Clone)]
pub struct Options {
    /// The variables that name proxies, certificates, homes and credential files.
    pub environment: Environment,
    /// The file that has the credentials, where the person named one; no other is read then.
    pub authfile: Option<PathBuf>,
    /// Who the person says that they are; it goes before all files.
    pub who: Who,
    /// A directory with authorities `*.crt` and a client certificate `*.cert`, `*.key` for all hosts, as one of `certs.d` is for one.
    pub certs: Option<PathBuf>,
    /// `Some(false)`: any certificate will do, and plain HTTP where there is no TLS. `Some(true)`: TLS even on loopback.
    pub tls_verify: Option<bool>,
    /// How many more attempts a failed request gets.
    pub retry_times: u32,
    /// The wait between attempts; `None` is a wait that grows from half a second, with jitter. A `Retry-After` of the
    /// registry is followed in either case, up to 60 s.
    pub retry_delay: Option<Duration>,
    /// How long nothing may move before a request has failed. Being slow is no failure.
    pub idle_timeout: Duration,
    /// Hears of attempts that are made again.
    pub monitor: SharedMonitor,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            environment: Environment::default(),
            authfile: None,
            who: Who::default(),
            certs: None,
            tls_verify: None,
            retry_times: 3,
            retry_delay: None,
            idle_timeout: Duration::from_secs(60),
            monitor: Arc::new(Silent),
        }
    }
}

/// How often one attempt is sent with yet another authorization.
const MAX_AUTHORIZATIONS: usize = 4;

/// One registry host and how to talk to it. Cheap to clone, shared by all tasks.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    host: String,
    retries: Retries,
    pace: Pace,
    origin: Origin,
    auth: Auth,
    transport: Transport,
}

impl Connection {
    /// A connection to `host`, such as `quay.io` or `localhost:5000`. Nothing is sent yet.
    pub fn new(host: &str, options: &Options) -> Result<Self> {
        let origin = Origin::new(host, options.tls_verify)?;
        let tls = trust::tls(host, &options.environment, options.certs.as_deref(), options.tls_verify != Some(false))?;
        let transport = Transport::new(host, options.idle_timeout, tls, Proxies::new(&options.environment)?)?;
        let credentials = Credentials::load(&options.environment, options.who.clone(), options.authfile.clone())?;
        let monitor = options.monitor.clone();
        let retries = Retries { further: options.retry_times, fixed: options.retry_delay, monitor };
        let auth = Auth::new(host, credentials, retries.clone());
        Ok(Self(Arc::new(Inner { host: host.to_owned(), retries, pace: Pace::new(), origin, auth, transport })))
    }

    /// The host, as it was given.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// How many requests the host has served so far.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.0.pace.served()
    }

    /// Waits until the host bears one more request, as all others do; for who then sends a body that streams.
    pub async fn turn(&self) {
        self.0.pace.place(false).await;
    }

    /// Sends a request, with authentication, retries and redirects. Any HTTP status is an answer; an error means that
    /// there was none, and names the host, what was asked, and how often it was tried.
    pub async fn send(&self, request: Request) -> Result<Response> {
        let Request { line, mut supply } = request;
        let what = self.0.describe(&line);
        let mut attempts = self.0.retries.begin(&what);
        loop {
            let (outcome, served) = self.0.in_turn(&line, &mut supply, attempts.made()).await;
            let (why, asked) = match &outcome {
                Ok(response) if response.is_transient() => (response.status().to_string(), response.wait_asked()),
                Err(Failure::Transient(error)) => (error.to_string(), None),
                _ => return outcome.map_err(Failure::into_error),
            };
            let tries = attempts.made();
            // Where others are served meanwhile, this one is only late.
            let late = matches!(&outcome, Ok(response) if is_too_much(response.status())) && self.0.pace.served() > served;
            if supply.spent() || !attempts.again(&why, asked, late).await {
                return outcome.map_err(|failure| failure.after(tries));
            }
            if let Ok(response) = outcome {
                response.let_go().await;
            }
        }
    }
}

impl Inner {
    /// One attempt when it may go, and how many requests had been served before it.
    async fn in_turn(&self, line: &Line, supply: &mut Supply, tries: u32) -> (Result<Response, Failure>, u64) {
        let served = self.pace.served();
        let _place = self.pace.place(supply.streams()).await;
        let outcome = self.attempt(line, supply, tries).await;
        if let Ok(response) = &outcome {
            self.pace.note(response.status(), response.wait_asked().map(retry::bounded));
        }
        (outcome, served)
    }

    /// One attempt: the request, and again with another authorization as long as the registry asks for one.
    async fn attempt(&self, line: &Line, supply: &mut Supply, tries: u32) -> Result<Response, Failure> {
        let root = self.origin.find(&self.transport).await?;
        let url = Origin::url(root, &line.path).map_err(Failure::Final)?;
        let is_home = url.origin() == root.origin();
        let mut authorization = if is_home { self.authorization(line, root).await? } else { None };
        let mut order = Order { method: line.method.clone(), url, headers: line.headers.clone(), authorization: None, moves: true };
        for _ in 0..MAX_AUTHORIZATIONS {
            order.authorization = authorization.as_ref().and_then(|authorization| authorization.header.clone());
            let answer = self.transport.send(&order, supply).await?;
            let may_ask = is_home && answer.url().origin() == root.origin();
            let again = may_ask && self.auth.refused(&line.access, authorization.as_ref(), answer.status(), answer.headers()).await;
            let response = Response::new(answer, self.context(line, tries, authorization.as_ref()));
            if !again || supply.spent() {
                return Ok(response);
            }
            authorization = self.authorization(line, root).await?;
            if authorization.as_ref().is_none_or(|authorization| authorization.header.is_none()) {
                return Ok(response);
            }
            response.let_go().await;
        }
        Err(Failure::Final(Error::failed(format!("{}: it asks for another authorization each time", describe(&order.method, &order.url)))))
    }

    async fn authorization(&self, line: &Line, root: &Url) -> Result<Option<Authorization>, Failure> {
        self.auth.authorization(&line.access, root, &self.transport).await.map_err(Failure::Final)
    }

    fn context(&self, line: &Line, tries: u32, authorization: Option<&Authorization>) -> Context {
        Context {
            host: self.host.clone(),
            method: line.method.clone(),
            idle_timeout: self.transport.idle_timeout(),
            tries,
            credentials: authorization.and_then(|authorization| authorization.place.clone()),
        }
    }

    /// A request as a person is told of it: without the query, which may hold a secret.
    fn describe(&self, line: &Line) -> String {
        match line.path.parse() {
            Ok(url) => describe(&line.method, &url),
            Err(_) => format!("{} {}{}", line.method, self.host, line.path.split('?').next().unwrap_or_default()),
        }
    }
}
