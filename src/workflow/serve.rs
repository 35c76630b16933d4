//! [`serve`]: an archive as a registry, for as long as it is wanted.
//!
//! **Invariants.** Nothing is written but the spool and the access log. Who can be reached from other machines speaks TLS, unless plain HTTP
//! was asked for by name.
//!
//! *Not here:* how requests are answered (`serve` of the library), what the options are called (`cli`).

mod watch;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::signing::{self, NamedSet};
use super::{Settings, blocking};
use crate::error::{Error, Result};
use crate::monitor::Event;
pub use crate::serve::Dialect;
use crate::serve::{AccessLog, Credentials, Current, Identity, Limits, Options, Server, Spool, mirror_config};
use crate::store::archive::{Meant, OpenSets};

/// Where replayed blobs are kept if nobody says otherwise: a place for what is large and may go.
const USUAL_SPOOL: &str = "/var/tmp";
/// What decoded frames take in memory.
const CACHE_BYTES: u64 = 32 << 20;

/// What is to be served, and how.
pub struct Request {
    /// Archive directories, with the generation that alone is served there; at least one.
    pub places: Vec<(PathBuf, Option<u32>)>,
    /// All sets, not the newest of each lineage alone.
    pub all_sets: bool,
    /// More directories with what these sets build on.
    pub base: Vec<PathBuf>,
    /// Where to listen: a host or address, and a port; 0 is a free one.
    pub listen: String,
    /// Host and perhaps port by which clients reach it, if that is not where it listens.
    pub public_name: Option<String>,
    /// Whether plain HTTP is wanted also where other machines can reach it.
    pub plain_http: bool,
    /// Whether it speaks TLS, and as who.
    pub tls: Tls,
    /// The file of those who are let in.
    pub htpasswd: Option<PathBuf>,
    /// Where replayed blobs are kept.
    pub spool: Option<PathBuf>,
    /// What they may take in all, in bytes; 0 keeps none.
    pub spool_bytes: u64,
    /// The most connections at a time.
    pub connections: usize,
    /// Where requests are written down.
    pub access_log: Option<Box<dyn Write + Send>>,
    /// Whether new sets are served when they appear.
    pub watch: bool,
    /// What time it is.
    pub clock: fn() -> SystemTime,
}

/// Whether a server speaks TLS, and as who.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    Off,
    /// With the certificate chain and the key in these files.
    Files {
        /// The certificate first, then what signed it.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// With a certificate that is made for this run.
    SelfSigned,
}

/// What is served, when it can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Where.
    pub url: String,
    /// SHA-256 of the certificate, with TLS.
    pub fingerprint: Option<String>,
    /// How many images have a name.
    pub images: usize,
    /// The sets that they are of.
    pub sets: Vec<NamedSet>,
}

/// Serves until `stop` is done. `ready` is told as soon as requests are answered.
pub async fn serve(
    request: Request,
    settings: &Settings,
    ready: impl FnOnce(&Ready) -> Result<()>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let address = address(&request.listen).await?;
    may_listen(&request, address)?;
    let identity = identity(&request, address)?;
    let credentials = request.htpasswd.as_deref().map(credentials).transpose()?;
    let spool = spool(request.spool.as_deref(), request.spool_bytes, settings)?;
    let meant = meant(&request, settings);
    let opened = opened(meant.clone(), settings).await?;
    let watch = request.watch.then(|| watch::Watch::new(meant, &opened, settings));
    let current = Current::new(opened.inside.clone());
    let options = Options {
        limits: Limits::usual(request.connections, settings.threads),
        identity: identity.clone(),
        credentials,
        spool,
        log: request.access_log.map(AccessLog::new),
        monitor: settings.monitor.clone(),
        clock: request.clock,
    };
    let server = Server::listen(address, current.clone(), options).await?;
    let name = request.public_name.map_or_else(|| server.address().map(|address| address.to_string()), Ok)?;
    let scheme = if identity.is_some() { "https" } else { "http" };
    let fingerprint = identity.map(|identity| identity.fingerprint());
    let sets = opened.sets.iter().map(NamedSet::of).collect();
    ready(&Ready { url: format!("{scheme}://{name}"), fingerprint, images: current.images(), sets })?;
    drop(opened);
    tokio::select! {
        () = server.run(stop) => Ok(()),
        () = watch::all(watch, &current) => Ok(()),
    }
}

/// The text that sends clients in this dialect to the server that `request` would start.
pub async fn mirrors(request: &Request, dialect: Dialect, settings: &Settings) -> Result<String> {
    let mirror = match &request.public_name {
        Some(name) => name.clone(),
        None if request.listen.ends_with(":0") => {
            return Err(Error::usage(format!("{}: nobody can be sent to a port that is not known yet", request.listen))
                .hint("name a port, or what clients call it with --public-name"));
        }
        None => request.listen.clone(),
    };
    let hosts = Current::new(opened(meant(request, settings), settings).await?.inside).hosts();
    Ok(mirror_config(dialect, &hosts, &mirror, request.tls != Tls::Off))
}

fn meant(request: &Request, settings: &Settings) -> Meant {
    let (places, base) = (request.places.clone(), request.base.clone());
    Meant { places, all_sets: request.all_sets, base, cache_bytes: CACHE_BYTES, admit: signing::admit(settings) }
}

/// Opens what is meant, and says what is passed over.
async fn opened(meant: Meant, settings: &Settings) -> Result<OpenSets> {
    let opened = blocking(move || meant.open()).await?;
    opened.passed_over.iter().for_each(|text| settings.monitor.event(Event::Warning(text)));
    Ok(opened)
}

async fn address(listen: &str) -> Result<SocketAddr> {
    let wrong = |why: String| Error::usage(format!("listening at {listen:?}: {why}")).hint("write it like 127.0.0.1:5000");
    let mut found = tokio::net::lookup_host(listen).await.map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("it has no address".to_owned()))
}

fn may_listen(request: &Request, address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() || request.plain_http || request.tls != Tls::Off {
        return Ok(());
    }
    Err(Error::usage(format!("listening at {address}: other machines can reach it, and it has no TLS"))
        .note("who is on the way could read passwords and change what is pulled by tag")
        .hint("say --tls-self-signed, or --tls-cert and --tls-key, or --plain-http if that is meant"))
}

fn identity(request: &Request, address: SocketAddr) -> Result<Option<Arc<Identity>>> {
    let identity = match &request.tls {
        Tls::Off => return Ok(None),
        Tls::Files { certificate, key } => Identity::of_files(certificate, key)?,
        Tls::SelfSigned => Identity::self_signed(own_names(request.public_name.as_deref(), address.ip()))?,
    };
    Ok(Some(Arc::new(identity)))
}

/// What a server that listens at `address` may be called.
fn own_names(public_name: Option<&str>, address: IpAddr) -> Vec<String> {
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let mut names = vec!["localhost".to_owned()];
    names.extend(loopback.map(|address| address.to_string()));
    names.extend(Some(address).filter(|address| !address.is_unspecified()).map(|address| address.to_string()));
    names.extend(public_name.map(|name| host(name).to_owned()));
    names.sort_unstable();
    names.dedup();
    names
}

/// The host of `host[:port]`.
fn host(name: &str) -> &str {
    match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => name.rsplit_once(':').map_or(name, |(host, _)| host),
    }
}

fn credentials(file: &Path) -> Result<Credentials> {
    let text = std::fs::read_to_string(file).map_err(|error| Error::io(file.display(), &error))?;
    Credentials::parse(&text, &file.display().to_string())
}

/// The spool. That the usual place cannot be written is news; that the one that was named cannot be, an error.
fn spool(named: Option<&Path>, bytes: u64, settings: &Settings) -> Result<Option<Spool>> {
    if bytes == 0 {
        return Ok(None);
    }
    let usual = || settings.environment.path("TMPDIR").unwrap_or_else(|| USUAL_SPOOL.into());
    match (named, Spool::new(&named.map_or_else(usual, Path::to_owned), bytes)) {
        (_, Ok(spool)) => Ok(Some(spool)),
        (Some(_), Err(error)) => Err(error),
        (None, Err(error)) => {
            settings.monitor.event(Event::Warning(&format!("layers that are made again are not kept: {error}")));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_its_own_has_all_names_of_the_server() {
        let names = own_names(Some("reg.lab:5000"), [10, 0, 0, 1].into());
        assert_eq!(names, ["10.0.0.1", "127.0.0.1", "::1", "localhost", "reg.lab"]);
        assert_eq!(own_names(Some("[fd00::1]:5000"), Ipv4Addr::UNSPECIFIED.into()), ["127.0.0.1", "::1", "fd00::1", "localhost"]);
        assert_eq!(host("reg.lab"), "reg.lab");
    }
}
