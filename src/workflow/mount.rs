//! [`mount`]: archives as a file system, from the moment that it is there until it is unmounted; and [`unmount`].
//!
//! **Invariants.** Whoever is told that it is ready can read all of it. It is gone from its directory when this ends.
//!
//! *Not here:* the file system itself (`mount`), signals and going to the background (`cli`).

use std::future::Future;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::signing::{self, NamedSet};
use super::{Settings, blocking};
use crate::error::{Error, Result};
use crate::mount::{Options, Showing};
pub use crate::mount::{Trust, unmount};
use crate::store::archive::Meant;

/// What decoded content may take in memory, in bytes.
const CACHE_BYTES: u64 = 16 << 20;

/// What is to be mounted, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// Archive directories or single files, with the generation that alone is meant there; at least one.
    pub places: Vec<(PathBuf, Option<u32>)>,
    /// All sets, not the newest of each lineage alone.
    pub all_sets: bool,
    /// More directories with what these sets build on.
    pub base: Vec<PathBuf>,
    /// The directory to mount on: it is there, and empty.
    pub path: PathBuf,
    /// Let other people look into it too.
    pub allow_other: bool,
    /// Show device nodes and fifos as what they are.
    pub devices: bool,
    /// Show set-id bits.
    pub set_ids: bool,
    /// When the digest of a whole blob is compared.
    pub trust: Trust,
    /// Push pages to the kernel that are likely to be read next.
    pub page_push: bool,
    /// The directory in which layers are decompressed that have to be; by default that for temporary files.
    pub spool: Option<PathBuf>,
    /// How many bytes that may take.
    pub spool_bytes: u64,
}

/// What is mounted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Where.
    pub path: PathBuf,
    /// How many images are shown.
    pub images: usize,
    /// How many sets they are of.
    pub sets: usize,
    /// These sets.
    pub shown: Vec<NamedSet>,
    /// Sets that are passed over because they lack volumes.
    pub passed_over: Vec<String>,
}

/// Mounts what was asked for, tells `ready` of it, and waits until it is unmounted or until `stop` is over, which unmounts it.
pub async fn mount(
    request: Request,
    settings: &Settings,
    ready: impl FnOnce(&Ready) -> Result<()>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let options = options(&request, settings)?;
    let (monitor, admit) = (settings.monitor.clone(), signing::admit(settings));
    let (mounted, ready_now) = blocking(move || {
        let places = request.places.iter().map(|(path, generation)| Ok((whole(path)?, *generation))).collect::<Result<_>>()?;
        let base = request.base.iter().map(|path| whole(path)).collect::<Result<_>>()?;
        let open = Meant { places, all_sets: request.all_sets, base, cache_bytes: CACHE_BYTES, admit }.open()?;
        let mounted = crate::mount::mount(open.inside, &request.path, options, monitor)?;
        let path = mounted.path().to_owned();
        let shown = open.sets.iter().map(NamedSet::of).collect();
        let ready = Ready { path, images: mounted.images(), sets: open.sets.len(), shown, passed_over: open.passed_over };
        Ok((mounted, ready))
    })
    .await?;
    let leave = mounted.leave();
    let told = ready(&ready_now);
    let ended = blocking(move || mounted.wait());
    let stop = async {
        told?;
        stop.await;
        Ok(())
    };
    tokio::select! {
        ended = ended => ended,
        stopped = stop => {
            blocking(move || leave.leave()).await?;
            stopped
        }
    }
}

/// How it is mounted.
fn options(request: &Request, settings: &Settings) -> Result<Options> {
    let temporary = || settings.environment.path("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let showing = Showing {
        devices: request.devices,
        set_ids: request.set_ids,
        trust: request.trust,
        spool: whole(&request.spool.clone().unwrap_or_else(temporary))?,
        spool_bytes: request.spool_bytes,
        owner,
    };
    let directories = request.places.iter().map(|(path, _)| whole(path)).collect::<Result<_>>()?;
    Ok(Options { showing, sources: directories, allow_other: request.allow_other, page_push: request.page_push, threads: settings.threads })
}

/// A path that means the same wherever the process goes.
fn whole(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::io(path.display(), &error))
}
