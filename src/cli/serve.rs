//! `ocm serve`: an archive as a registry.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::interrupt::stop;
use super::ls::archive;
use super::runner::Runner;
use super::settings::{Means, State, for_clap};
use super::signing::Vouching;
use super::{show, sizes};
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::serve::{Dialect, Request, Tls, mirrors, serve};

/// Serve images of archives as a read-only registry, straight from the volumes
///
/// An image is found under its full name (docker.io/library/nginx), and under the name without host (library/nginx) where no other
/// image has that. It runs until Ctrl-C or SIGTERM, then lets answers that are under way end. /healthz tells whether
/// anything is damaged, /metrics has figures for Prometheus.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm serve /mnt/disk\n  ocm serve --listen 0.0.0.0:5000 --tls-self-signed --htpasswd users /mnt/disk\n  ocm serve --print-mirror-config containers /mnt/disk > /etc/containers/registries.conf.d/ocm.conf"
)]
pub(super) struct Arguments {
    /// Archive directories, the newest set of each lineage; @N for set N
    #[arg(required = true, value_name = "ARCHIVE")]
    archives: Vec<Location>,
    /// Serve all sets that are here; of two images with one name, the newer one
    #[arg(long, env = "OCM_ALL_SETS", value_parser = FalseyValueParser::new())]
    all_sets: bool,
    /// Look here too for content that a delta builds on; repeat for more
    #[arg(long, value_name = "DIR", env = "OCM_BASE")]
    base: Vec<PathBuf>,
    /// Serve new sets too when they appear and are sound
    #[arg(long, env = "OCM_WATCH", value_parser = FalseyValueParser::new())]
    watch: bool,
    /// Print what sends clients here for images of the hosts that these come from, and end
    #[arg(long, value_name = "FOR", env = "OCM_PRINT_MIRROR_CONFIG")]
    print_mirror_config: Option<For>,
    #[command(flatten)]
    door: Door,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    vouching: Vouching,
}

/// Where it can be reached, and by whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
struct Door {
    /// Listen here; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000", env = "OCM_LISTEN")]
    listen: String,
    /// Be called this by clients: HOST or HOST:PORT
    #[arg(long, value_name = "NAME", env = "OCM_PUBLIC_NAME")]
    public_name: Option<String>,
    /// Listen without TLS also where other machines can reach it
    #[arg(long, env = "OCM_PLAIN_HTTP", value_parser = FalseyValueParser::new())]
    plain_http: bool,
    /// Speak TLS with this certificate (PEM, chain after it); read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "OCM_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "OCM_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Speak TLS with a certificate made for this run, and print its fingerprint
    #[arg(long, conflicts_with = "tls_cert", env = "OCM_TLS_SELF_SIGNED", value_parser = FalseyValueParser::new())]
    tls_self_signed: bool,
    /// Let only users of this file in (htpasswd -B: bcrypt)
    #[arg(long, value_name = "FILE", env = "OCM_HTPASSWD")]
    htpasswd: Option<PathBuf>,
    /// Write a line for each request to this file; - for stderr
    #[arg(long, value_name = "FILE", env = "OCM_ACCESS_LOG")]
    access_log: Option<PathBuf>,
}

/// What it may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Means")]
struct Bounds {
    /// Bear so many connections at a time; more of them wait
    #[arg(long, value_name = "N", default_value = "1024", env = "OCM_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_connections: u32,
    /// Keep layers that had to be made again here, default $TMPDIR or /var/tmp
    #[arg(long, value_name = "DIR", env = "OCM_SPOOL")]
    spool: Option<PathBuf>,
    /// Let them take so much there; 0 keeps none
    #[arg(long, value_name = "SIZE", default_value = "2GiB", env = "OCM_SPOOL_SIZE", value_parser = size)]
    spool_size: u64,
}

/// For whom a configuration is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum For {
    /// podman, buildah, skopeo, CRI-O: a file for registries.conf.d
    Containers,
    /// containerd: hosts.toml for each host
    Containerd,
    /// OpenShift: an ImageDigestMirrorSet
    Idms,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let means = Means { workspace: self.state.workspace.clone(), vouching: self.vouching.clone(), ..Means::default() };
        let dialect = self.print_mirror_config.map(Dialect::from);
        let request = self.request()?;
        if let Some(dialect) = dialect {
            let work = async |settings: Settings| mirrors(&request, dialect, &settings).await;
            let text = runner.carry_out(means, false, "run the same command again", work)?;
            runner.console.result(&text)?;
            return Ok(Class::Done);
        }
        raise_handles();
        let ready = |ready: &_| runner.show("ocm.serve.v1", Class::Done, ready, || show::serve::text(ready)).map(|_| ());
        let work = async |settings: Settings| serve(request, &settings, ready, stop()?).await;
        runner.run(means, false, work)?;
        Ok(Class::Done)
    }

    fn request(self) -> Result<Request> {
        let (door, bounds) = (self.door, self.bounds);
        let places = self.archives.into_iter().map(archive).collect::<Result<_>>()?;
        let tls = match (door.tls_cert, door.tls_key) {
            (Some(certificate), Some(key)) => Tls::Files { certificate, key },
            _ if door.tls_self_signed => Tls::SelfSigned,
            _ => Tls::Off,
        };
        Ok(Request {
            places,
            all_sets: self.all_sets,
            base: self.base,
            listen: door.listen,
            public_name: door.public_name,
            plain_http: door.plain_http,
            tls,
            htpasswd: door.htpasswd,
            spool: bounds.spool,
            spool_bytes: bounds.spool_size,
            connections: bounds.max_connections as usize,
            access_log: door.access_log.as_deref().map(log).transpose()?,
            watch: self.watch,
            clock: SystemTime::now,
        })
    }
}

impl From<For> for Dialect {
    fn from(wanted: For) -> Self {
        match wanted {
            For::Containers => Self::Containers,
            For::Containerd => Self::Containerd,
            For::Idms => Self::Idms,
        }
    }
}

fn log(path: &Path) -> Result<Box<dyn Write + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stderr()));
    }
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.map(|file| Box::new(file) as _).map_err(|error| Error::io(format!("access log {}", path.display()), &error))
}

/// Takes as many file handles as the system gives: a connection is one. With fewer, more of them wait.
fn raise_handles() {
    let limit = getrlimit(Resource::Nofile);
    let _fewer = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
}

fn size(text: &str) -> Result<u64, String> {
    for_clap(sizes::parse(text))
}
