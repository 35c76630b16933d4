//! A registry that lies or fails in ways that a real one cannot be brought to; and how ocm takes it.
//!
//! **Invariants.** Each test scripts its own server, and asserts what was asked of it where that matters.
//!
//! *Not here:* what works with a real registry (`tests/suite`).

mod pulling;
mod pushing;
mod referring;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::{HeaderMap, Response, StatusCode};
use futures_util::stream::{self, StreamExt as _};

use super::{Options, Registry};
use crate::image::{Descriptor, Digest, Repository};
use crate::monitor::{Event, Monitor};

/// One request that the server got.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    /// Path and query.
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// `METHOD path`, without the query.
    fn line(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap_or_default())
    }
}

type Reply = Response<HttpBody>;

/// A scripted registry.
struct Server {
    host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// A registry that answers what `script` says, which is given each request and how many came before it.
    async fn start(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, script) = (seen.clone(), Arc::new(script));
        let service = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (log, script) = (log.clone(), script.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.map(|body| body.to_vec()).unwrap_or_default();
                let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
                let one = Seen { method: head.method.to_string(), path, headers: head.headers, body };
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push(one.clone());
                let before = log.len() - 1;
                drop(log);
                script(&one, before)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let host = listener.local_addr().expect("a bound port").to_string();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { host, seen }
    }

    fn repository(&self, path: &str) -> Repository {
        Repository::new(&self.host, path).expect("a repository")
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All requests but the probe of the protocol, as `METHOD path`.
    fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).filter(|line| line != "GET /v2/").collect()
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<HttpBody>) -> Reply {
    let status = StatusCode::from_u16(status).expect("a status");
    let builder = headers.iter().fold(Response::builder().status(status), |builder, (name, value)| builder.header(*name, *value));
    builder.body(body.into()).expect("headers of a test")
}

/// An error as registries write it.
fn refused(status: u16, code: &str) -> Reply {
    reply(status, &[], format!(r#"{{"errors":[{{"code":"{code}","message":"said so"}}]}}"#))
}

/// A body that gives these bytes and then breaks off.
fn broken(bytes: Vec<u8>) -> HttpBody {
    let cut = async {
        // What was not sent by now would go down with the connection.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("cut"))
    };
    HttpBody::from_stream(stream::iter([Ok(bytes)]).chain(stream::once(cut)))
}

/// A body without end.
fn endless() -> HttpBody {
    HttpBody::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 << 10])))
}

/// Registries, tried three more times without waiting.
fn registry() -> Registry {
    Registry::new(options())
}

fn options() -> Options {
    Options { retry_times: 3, retry_delay: Some(Duration::from_millis(1)), ..Options::default() }
}

fn described(content: &[u8]) -> Descriptor {
    Descriptor::new("application/octet-stream", Digest::of(content), content.len() as u64)
}

/// Bytes that differ from place to place.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place * 7 + place / 251) as u8).collect()
}

/// A monitor that keeps what a person would read.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn warnings(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Monitor for Heard {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        }
    }
}
