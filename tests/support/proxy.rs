//! [`Proxy`]: a network that fails on request, in front of a real registry (plain HTTP on both sides).
//!
//! **Invariants.** Bodies stream through; nothing is held but one buffer. Each request has a connection of its own, so
//! that a cut hurts that request alone. Counts are true when the client has its answer.
//!
//! *Not here:* which faults there are (`fault`), how bytes pass (`relay`), registries that lie in ways of their own (the tests that need them).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::relay;

/// What a request is about, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// `/v2/` itself.
    Ping,
    /// A manifest by tag or digest.
    Manifest,
    /// A blob.
    Blob,
    /// Any step of an upload.
    Upload,
    /// The tags of a repository.
    Tags,
    /// The referrers of a manifest.
    Referrers,
    /// Anything else.
    Other,
}

/// A request as a rule sees it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What it is about.
    pub class: Class,
    /// How many requests of the same method and class came before it.
    pub before: usize,
    /// Its header lines, as they came.
    pub headers: Vec<String>,
}

/// What was seen of some requests. Bodies are counted as they are on the wire, also where they were cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many there were.
    pub requests: usize,
    /// Bytes of request bodies.
    pub up_bytes: u64,
    /// Bytes of answer bodies.
    pub down_bytes: u64,
}

type Rule = dyn Fn(&Request) -> Fault + Send + Sync;

/// A running proxy; it ends with the value.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections of a proxy share.
pub(super) struct Shared {
    pub(super) upstream: String,
    rule: Mutex<Arc<Rule>>,
    seen: Mutex<Vec<Arc<Seen>>>,
}

/// One request, and what has passed for it so far.
pub(super) struct Seen {
    request: Request,
    pub(super) up_bytes: AtomicU64,
    pub(super) down_bytes: AtomicU64,
}

impl Proxy {
    /// A proxy before `upstream` (`127.0.0.1:PORT`) that does no harm yet.
    pub fn before(upstream: &str) -> Self {
        Self::with(upstream, |_| Fault::none())
    }

    /// A proxy before `upstream` that asks `rule` about each request.
    pub fn with(upstream: &str, rule: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        let rule = Mutex::new(Arc::new(rule) as Arc<Rule>);
        let shared = Arc::new(Shared { upstream: upstream.to_owned(), rule, seen: Mutex::default() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (stop, stopped) = oneshot::channel();
        let serving = shared.clone();
        let thread = std::thread::spawn(move || serve(listener, serving, stopped));
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on asks this rule.
    pub fn set(&self, rule: impl Fn(&Request) -> Fault + Send + Sync + 'static) {
        *self.shared.rule.lock().expect("no panic while it is held") = Arc::new(rule);
    }

    /// Address and port: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was seen of the requests of this method and class.
    pub fn count(&self, method: &str, class: Class) -> Count {
        self.count_of(|request| request.method == method && request.class == class)
    }

    /// What was seen of all requests.
    pub fn total(&self) -> Count {
        self.count_of(|_| true)
    }

    /// What was seen of the requests that `wanted` picks.
    pub fn count_of(&self, wanted: impl Fn(&Request) -> bool) -> Count {
        let seen = self.shared.seen.lock().expect("no panic while it is held");
        seen.iter().filter(|one| wanted(&one.request)).fold(Count::default(), |sum, one| Count {
            requests: sum.requests + 1,
            up_bytes: sum.up_bytes + one.up_bytes.load(Ordering::SeqCst),
            down_bytes: sum.down_bytes + one.down_bytes.load(Ordering::SeqCst),
        })
    }

    /// Every request in order, as `METHOD path`.
    pub fn log(&self) -> Vec<String> {
        let seen = self.shared.seen.lock().expect("no panic while it is held");
        seen.iter().map(|one| format!("{} {}", one.request.method, one.request.path)).collect()
    }

    /// Forgets what was seen; rules count from the start again.
    pub fn forget(&self) {
        self.shared.seen.lock().expect("no panic while it is held").clear();
    }
}

impl Shared {
    /// Notes a request, and asks the rule what shall become of it.
    pub(super) fn meet(&self, start_line: &str, headers: &[String]) -> (Arc<Seen>, Fault) {
        let mut words = start_line.split(' ');
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let class = Class::of(&path);
        let mut seen = self.seen.lock().expect("no panic while it is held");
        let before = seen.iter().filter(|one| one.request.method == method && one.request.class == class).count();
        let request = Request { method, path, class, before, headers: headers.to_vec() };
        let one = Arc::new(Seen { request, up_bytes: AtomicU64::new(0), down_bytes: AtomicU64::new(0) });
        seen.push(one.clone());
        drop(seen);
        let rule = self.rule.lock().expect("no panic while it is held").clone();
        let fault = rule(&one.request);
        (one, fault)
    }
}

/// Takes in connections until it is stopped.
fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a listening socket");
        let accept = async {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay::connection(client, shared.clone()));
            }
        };
        tokio::select! { () = accept => {}, _ = stopped => {} }
    });
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed already, and the test saw its connection fail.
            let _ = thread.join();
        }
    }
}

impl Class {
    /// The class of a path.
    pub fn of(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["", "v2"] | ["", "v2", ""] => Self::Ping,
            [.., "tags", "list"] => Self::Tags,
            [.., "blobs", "uploads", _] | [.., "blobs", "uploads"] => Self::Upload,
            [.., "manifests", _] => Self::Manifest,
            [.., "blobs", _] => Self::Blob,
            [.., "referrers", _] => Self::Referrers,
            _ => Self::Other,
        }
    }
}
