//! [`Server`]: connections: how they are taken, spoken over, and ended.
//!
//! **Invariants.** A connection that misbehaves ends alone. When the server is asked to end, no connection is taken any more, answers that
//! are under way have a while to end, and then all is over.
//!
//! *Not here:* what is answered (`service`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::access::AccessLog;
use super::credentials::Credentials;
use super::guarded::Guarded;
use super::limits::Limits;
use super::metrics::Metrics;
use super::pace::Pace;
use super::service::Service;
use super::snapshot::Current;
use super::spool::Spool;
use super::tls::Identity;
use crate::error::{Error, Result};
use crate::monitor::{Event, SharedMonitor};

/// How often certificates are looked at.
const REFRESH: Duration = Duration::from_secs(2);
/// How long is waited when no connection can be taken, as without file handles.
const RECOVERY: Duration = Duration::from_millis(100);

/// How a server is set up.
pub struct Options {
    /// What it bears.
    pub limits: Limits,
    /// What it shows of itself; plain HTTP without.
    pub identity: Option<Arc<Identity>>,
    /// Who is let in; everyone without.
    pub credentials: Option<Credentials>,
    /// Where replayed blobs are kept; nowhere without.
    pub spool: Option<Spool>,
    /// Where requests are written down.
    pub log: Option<AccessLog>,
    /// Where it tells what goes wrong.
    pub monitor: SharedMonitor,
    /// What time it is.
    pub clock: fn() -> SystemTime,
}

/// A registry that listens.
pub struct Server {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    identity: Option<Arc<Identity>>,
    limits: Limits,
    service: Arc<Service>,
}

/// What every connection is handed.
struct Seat {
    service: Arc<Service>,
    limits: Limits,
    ending: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Server {
    /// Listens at `address` for who wants what `current` shows.
    pub async fn listen(address: SocketAddr, current: Arc<Current>, options: Options) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| {
            Error::io(format!("listening at {address}"), &error).hint("name another address or port: --listen 127.0.0.1:0 takes a free one")
        })?;
        let config = options.identity.clone().map(Identity::config).transpose()?;
        let service = Service {
            current,
            pace: Pace::new(options.limits.reads),
            spool: options.spool.map(Arc::new),
            metrics: Arc::new(Metrics::default()),
            credentials: options.credentials,
            log: options.log,
            monitor: options.monitor,
            clock: options.clock,
        };
        let acceptor = config.map(|config| TlsAcceptor::from(Arc::new(config)));
        Ok(Self { listener, acceptor, identity: options.identity, limits: options.limits, service: Arc::new(service) })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::io("the address of the server", &error))
    }

    /// Answers until `stop` is done, and then ends in order.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (end, ending) = watch::channel(false);
        let seats = Arc::new(Semaphore::new(self.limits.connections));
        tokio::select! {
            () = self.take_all(&seats, &ending) => {}
            () = self.refresh() => {}
            () = stop => {}
        }
        drop(self.listener);
        end.send_replace(true);
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        // Those that are not done by then are dropped with the runtime.
        let _late = tokio::time::timeout(self.limits.farewell, seats.acquire_many(all)).await;
    }

    /// Takes connections for ever.
    async fn take_all(&self, seats: &Arc<Semaphore>, ending: &watch::Receiver<bool>) {
        while let Ok(permit) = seats.clone().acquire_owned().await {
            let (stream, peer) = loop {
                match self.listener.accept().await {
                    Ok(taken) => break taken,
                    Err(_) => tokio::time::sleep(RECOVERY).await,
                }
            };
            let seat = Seat { service: self.service.clone(), limits: self.limits, ending: ending.clone(), _permit: permit };
            tokio::spawn(serve(stream, peer, self.acceptor.clone(), seat));
        }
    }

    /// Looks at the certificate files for ever.
    async fn refresh(&self) {
        let Some(identity) = &self.identity else { return std::future::pending().await };
        loop {
            tokio::time::sleep(REFRESH).await;
            let files = identity.clone();
            let monitor = &self.service.monitor;
            match tokio::task::spawn_blocking(move || files.refresh()).await {
                Ok(Ok(true)) => monitor.event(Event::Note(&format!("the certificate was replaced: {}", identity.fingerprint()))),
                Ok(Err(error)) => monitor.event(Event::Warning(&format!("the certificate stays as it was: {error}"))),
                _ => {}
            }
        }
    }
}

/// Speaks over one connection until it ends.
async fn serve(stream: TcpStream, peer: SocketAddr, acceptor: Option<TlsAcceptor>, seat: Seat) {
    let metrics = seat.service.metrics.clone();
    metrics.connections.fetch_add(1, Ordering::Relaxed);
    // Without it answers are slower, no more.
    let _slower = stream.set_nodelay(true);
    match acceptor {
        None => speak(stream, peer, seat).await,
        Some(acceptor) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(seat.limits.handshake, acceptor.accept(stream)).await {
                speak(stream, peer, seat).await;
            }
        }
    }
    metrics.connections.fetch_sub(1, Ordering::Relaxed);
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, mut seat: Seat) {
    let limits = seat.limits;
    let answer = service_fn(|request| {
        let answer = seat.service.clone().answer(peer, request);
        async { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Guarded::new(stream, limits.stall)), answer);
    tokio::pin!(connection);
    let ending = &mut seat.ending;
    // How a connection ends is the client's matter; what it was sent is in the log.
    tokio::select! {
        _ended = connection.as_mut() => return,
        _asked = ending.wait_for(|ending| *ending) => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}
