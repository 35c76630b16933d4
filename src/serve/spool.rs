//! [`Spool`]: replayed blobs, kept in files without a name, for those who come after the first.
//!
//! **Invariants.** A blob is made once, however many ask for it at once; all of them follow the growing file. What is used is never let
//! go of; else the one that was used longest ago goes first. All copies together stay within the budget; a blob that has no room is not
//! kept. A copy is whole only after its digest matched. What was begun and nobody waits for is given up.
//!
//! *Not here:* who reads (`source`), how a blob is made (`Inside`).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::metrics::Metrics;
use super::source::Origin;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::nameless::nameless;

/// How much is made at a time, in bytes.
const STEP_BYTES: u64 = 1 << 20;

/// Copies of replayed blobs.
pub struct Spool {
    folder: PathBuf,
    budget_bytes: u64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    copies: HashMap<Digest, Arc<Copy>>,
    used_bytes: u64,
    clock: u64,
}

/// A blob in a file, or on its way there.
pub(super) struct Copy {
    digest: Digest,
    size: u64,
    file: File,
    grown: watch::Sender<Grown>,
    used: AtomicU64,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grown {
    /// So many bytes are in the file; never all of them.
    Part(u64),
    /// All of them are, and they are right.
    Whole,
    /// It cannot be made.
    Failed,
}

impl Spool {
    /// A spool of at most `budget_bytes` in `folder`, which is made if it is not there, and must be one that files can be made in.
    pub fn new(folder: &Path, budget_bytes: u64) -> Result<Self> {
        fs::create_dir_all(folder)
            .and_then(|()| nameless(folder))
            .map_err(|error| Error::io(format!("spool {}", folder.display()), &error))?;
        Ok(Self { folder: folder.to_owned(), budget_bytes, table: Mutex::default() })
    }

    /// The copy of a blob, if it is whole.
    pub(super) fn whole(&self, digest: &Digest) -> Option<Arc<Copy>> {
        let mut table = self.table();
        table.touched(digest).filter(|copy| *copy.grown.borrow() == Grown::Whole)
    }

    /// The copy of the blob that `origin` reads, in whatever state; where there is none, one is begun, if there is room for it.
    pub(super) fn join(self: &Arc<Self>, origin: &Origin, metrics: &Arc<Metrics>) -> Option<Arc<Copy>> {
        let mut table = self.table();
        if let Some(copy) = table.touched(&origin.digest) {
            return Some(copy);
        }
        if !table.make_room(origin.size, self.budget_bytes) {
            return None;
        }
        let file = nameless(&self.folder).ok()?;
        let grown = watch::Sender::new(Grown::Part(0));
        let copy = Arc::new(Copy { digest: origin.digest, size: origin.size, file, grown, used: AtomicU64::new(table.clock) });
        table.copies.insert(origin.digest, copy.clone());
        table.used_bytes += origin.size;
        metrics.replays.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(self.clone().make(copy.clone(), origin.clone()));
        Some(copy)
    }

    /// The bytes that all copies take, or will.
    pub(super) fn used_bytes(&self) -> u64 {
        self.table().used_bytes
    }

    /// Fills a copy, as long as somebody waits for it.
    async fn make(self: Arc<Self>, copy: Arc<Copy>, origin: Origin) {
        let mut at = 0;
        while at < copy.size && !self.is_abandoned(&copy) {
            let (read, into) = (origin.clone(), copy.clone());
            let step = move || {
                let pieces = read.gather(at, (at + STEP_BYTES).min(read.size))?;
                into.write(at, &pieces).map(|()| pieces)
            };
            let Ok(pieces) = origin.pace.run(step).await else { break };
            if origin.check(at, &pieces).await.is_err() {
                break;
            }
            at += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
            if at < copy.size {
                copy.grown.send_replace(Grown::Part(at));
            }
        }
        if at < copy.size {
            self.table().remove(&copy);
        }
        copy.grown.send_replace(if at < copy.size { Grown::Failed } else { Grown::Whole });
    }

    /// Whether only the table and its maker know a copy. One that is, is forgotten at once, so that nobody joins it.
    fn is_abandoned(&self, copy: &Arc<Copy>) -> bool {
        let mut table = self.table();
        let abandoned = Arc::strong_count(copy) <= 2;
        if abandoned {
            table.remove(copy);
        }
        abandoned
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The copy of a blob, used now.
    fn touched(&mut self, digest: &Digest) -> Option<Arc<Copy>> {
        self.clock += 1;
        let copy = self.copies.get(digest)?;
        copy.used.store(self.clock, Ordering::Relaxed);
        Some(copy.clone())
    }

    /// Lets go of unused copies, the longest unused first, until there is room for `bytes`; whether there is.
    fn make_room(&mut self, bytes: u64, budget_bytes: u64) -> bool {
        while bytes > budget_bytes.saturating_sub(self.used_bytes) {
            let unused = self.copies.values().filter(|copy| Arc::strong_count(copy) == 1);
            let Some(oldest) = unused.min_by_key(|copy| copy.used.load(Ordering::Relaxed)).cloned() else { return false };
            self.remove(&oldest);
        }
        true
    }

    fn remove(&mut self, copy: &Arc<Copy>) {
        if self.copies.get(&copy.digest).is_some_and(|there| Arc::ptr_eq(there, copy)) {
            self.copies.remove(&copy.digest);
            self.used_bytes -= copy.size;
        }
    }
}

impl Copy {
    /// Waits until the byte at `offset` is there, and answers how many are there in all; `None` if it never will be.
    pub(super) async fn reaches(&self, offset: u64) -> Option<u64> {
        let mut grown = self.grown.subscribe();
        let enough = |grown: &Grown| !matches!(grown, Grown::Part(bytes) if *bytes <= offset);
        match *grown.wait_for(enough).await.ok()? {
            Grown::Part(bytes) => Some(bytes),
            Grown::Whole => Some(self.size),
            Grown::Failed => None,
        }
    }

    /// Bytes that are there.
    pub(super) fn read(&self, offset: u64, bytes: u64) -> Result<Bytes> {
        let mut part = vec![0; usize::try_from(bytes).map_err(|_| Error::failed("a part of the spool is too large"))?];
        self.file.read_exact_at(&mut part, offset).map_err(|error| self.failed(&error))?;
        Ok(part.into())
    }

    /// Writes `pieces` one after the other.
    fn write(&self, offset: u64, pieces: &[Bytes]) -> Result<()> {
        let mut at = offset;
        for piece in pieces {
            self.file.write_all_at(piece, at).map_err(|error| self.failed(&error))?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::io(format!("{} in the spool", self.digest), error)
    }
}
