//! [`Mending`]: sets to look into whose files come and go: a disk that was pulled and is back, a volume that was copied anew.
//!
//! **Invariants.** Names stay as they were when it was opened. Files are looked at again only after a read failed, at most once in
//! [`PAUSE`]; what is read afterwards is verified afresh. Files that do not make the same sets change nothing.
//!
//! *Not here:* which sets are meant (`meant`).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::meant::Meant;
use crate::error::Result;
use crate::image::inside::{Ailment, Facts, Form, Inside, Lies, Sizes};
use crate::image::{Contents, Descriptor, Digest, Manifest};
use crate::store::archive::source::ArchiveSource;

/// How long files are taken to be as they were.
const PAUSE: Duration = Duration::from_secs(1);

/// Sets whose files are looked at again after a read failed.
pub(super) struct Mending {
    meant: Meant,
    /// As they were opened first.
    first: ArchiveSource,
    now: Mutex<Now>,
}

struct Now {
    source: ArchiveSource,
    files: Vec<Stamp>,
    looked: Instant,
}

/// What tells whether a file is the one that it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    identity: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
}

impl Mending {
    pub(super) fn new(meant: Meant, source: ArchiveSource) -> Self {
        let now = Now { source: source.clone(), files: stamps(&meant).unwrap_or_default(), looked: Instant::now() };
        Self { meant, first: source, now: Mutex::new(now) }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the sets as they are open; where that fails, once more after their files were looked at, if these are other ones.
    fn ask<T>(&self, question: impl Fn(&ArchiveSource) -> Result<T>) -> Result<T> {
        let source = self.now().source.clone();
        question(&source).or_else(|error| self.mended().map_or(Err(error), |mended| question(&mended)))
    }

    /// The sets opened again, if their files changed.
    fn mended(&self) -> Option<ArchiveSource> {
        let mut now = self.now();
        if now.looked.elapsed() < PAUSE {
            return None;
        }
        now.looked = Instant::now();
        let files = stamps(&self.meant).ok().filter(|files| *files != now.files)?;
        let (source, _) = self.meant.source().ok().filter(|(source, _)| self.is_same(source))?;
        (now.source, now.files) = (source.clone(), files);
        Some(source)
    }

    fn is_same(&self, source: &ArchiveSource) -> bool {
        self.first.sets().iter().all(|set| source.sets().iter().any(|there| there.root == set.root))
    }
}

fn stamps(meant: &Meant) -> Result<Vec<Stamp>> {
    let stamp = |path: PathBuf| {
        let metadata: Metadata = std::fs::metadata(&path).ok()?;
        let identity = (metadata.dev(), metadata.ino());
        Some(Stamp { path, identity, bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) })
    };
    Ok(meant.files()?.into_iter().filter_map(stamp).collect())
}

impl Inside for Mending {
    fn place(&self) -> String {
        self.first.place()
    }

    fn contents(&self) -> &Contents {
        self.first.contents()
    }

    fn time(&self) -> u64 {
        self.first.time()
    }

    fn documents(&self) -> Result<Vec<(String, Bytes)>> {
        self.first.documents()
    }

    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.ask(|source| source.manifest(wanted))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Facts>> {
        self.ask(|source| source.blob(digest))
    }

    fn blobs(&self) -> Result<Vec<(Digest, u64)>> {
        self.ask(Inside::blobs)
    }

    fn read(&self, blob: &Digest, form: Form, offset: u64, most: u64) -> Result<Bytes> {
        self.ask(|source| source.read(blob, form, offset, most))
    }

    fn lies(&self, blob: &Digest) -> Result<Vec<Lies>> {
        self.ask(|source| source.lies(blob))
    }

    fn health(&self) -> Vec<Ailment> {
        let source = self.now().source.clone();
        source.health()
    }

    fn sizes(&self) -> Result<Sizes> {
        self.ask(Inside::sizes)
    }
}
