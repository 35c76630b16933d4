//! What a person wants, as one library call each: [`sync`], [`list`], [`inspect`], [`verify`], [`gather`],
//! [`repair`], [`why`], [`diff`], [`receipt`], [`mount`], [`serve`], [`prune`], [`configs`], [`key`].
//!
//! **Invariants.** A workflow composes what stands above it and holds no mechanism of its own. It is handed its
//! surroundings as [`Settings`]; what it found out is its return value, plain data that `cli` prints.
//!
//! *Not here:* the command line, and how results look (`cli`).

pub mod configs;
pub mod diff;
pub mod gather;
pub mod inspect;
pub mod key;
pub mod list;
pub mod mount;
pub mod prune;
pub mod receipt;
pub mod repair;
pub mod serve;
pub mod signing;
pub mod sync;
pub mod verify;
pub mod why;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::signing::{Authority, SecretKey};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::monitor::SharedMonitor;
use crate::store::archive::{LetGo, Shelf};
pub use crate::store::registry::{Redirects, Who};
pub use crate::trust::{Choice as TrustChoice, Trust};
use crate::workspace::Workspace;

/// The surroundings of a run, and what is the same for every verb.
#[derive(Clone)]
pub struct Settings {
    /// The variables of the process.
    pub environment: Environment,
    /// The time of the run, in seconds since 1970.
    pub now: u64,
    /// 16 random bytes, should a lineage begin.
    pub random: [u8; 16],
    /// Where state is kept, if not in the usual place.
    pub workspace: Option<PathBuf>,
    /// How many things are done at once; at least 1.
    pub jobs: usize,
    /// Threads that compress and hash; at least 1.
    pub threads: usize,
    /// How registries are reached that are read from.
    pub src: Reach,
    /// The same for those that are written to.
    pub dest: Reach,
    /// Where content of registries is read that goes by names in others.
    pub redirects: Redirects,
    /// Which images are accepted.
    pub trust: Trust,
    /// What signs the sets and receipts that a run makes.
    pub signer: Option<Arc<SecretKey>>,
    /// Which signatures the sets and receipts must have that it reads.
    pub authority: Authority,
    /// How often a request is made again.
    pub retry_times: u32,
    /// How long is waited before that; `None` grows from attempt to attempt.
    pub retry_delay: Option<Duration>,
    /// How long a step may go without progress.
    pub image_timeout: Option<Duration>,
    /// Where the run tells what it does.
    pub monitor: SharedMonitor,
}

/// How the registries of one side are reached.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Where credentials are, if not in the usual places.
    pub authfile: Option<PathBuf>,
    /// Who the person says that they are.
    pub who: Who,
    /// More certificates.
    pub certs: Option<PathBuf>,
    /// Whether certificates are checked; `None` is yes, with plain HTTP on loopback.
    pub tls_verify: Option<bool>,
}

impl Settings {
    /// The workspace: the one named, else `$XDG_STATE_HOME/ocm`, else `~/.local/state/ocm`, else `./ocm-work`
    /// (semantics C.1).
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        workspace(&self.environment, self.workspace.clone())
    }
}

/// Where state is kept: the place that is `named`, or the usual one.
#[must_use]
pub fn workspace(environment: &Environment, named: Option<PathBuf>) -> PathBuf {
    let state = environment.path("XDG_STATE_HOME").map(|state| state.join("ocm"));
    let home = || environment.path("HOME").map(|home| home.join(".local/state/ocm"));
    named.or(state).or_else(home).unwrap_or_else(|| PathBuf::from("ocm-work"))
}

/// The archive at `path`, with what `workspace` knows of files that were let go there.
pub(crate) fn shelf(path: &Path, workspace: &Workspace) -> Result<Shelf> {
    let released = workspace.released_from(path)?;
    if released.is_empty() {
        return Shelf::open(path);
    }
    let known: Vec<LetGo> = released.iter().map(|released| LetGo { set: released.set.clone(), volumes: released.volumes() }).collect();
    Shelf::open_knowing(path, &known, &Shelf::open(&workspace.catalogues())?)
}

/// An id of a set as people see it: the first eight digits.
#[must_use]
pub fn short_id(id: &str) -> String {
    id.chars().take(8).collect()
}

/// A root as it is printed on a label: the first sixteen hex digits in groups of four.
#[must_use]
pub fn label(root: &crate::image::Digest) -> String {
    let hex = root.hex();
    let groups = hex.as_bytes().chunks(4).take(4).map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join("-")
}

/// Tells blocking work to stop when nobody waits for it any more.
#[derive(Default)]
pub(crate) struct StopOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs blocking work on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::failed(format!("a task of this run ended badly: {error}")))?
}
