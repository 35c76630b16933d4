//! [`Seek`]: the questions that a plan asks of sources and of its destination.
//!
//! **Invariants.** No more questions than `jobs` are open at once. A manifest is fetched once, whoever needs it; it has
//! the digest that was asked for.
//!
//! *Not here:* what the answers mean (`walk`, `stock`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Error, Result};
use crate::image::{Descriptor, Digest, Manifest, Reference, Repository, Sink, Wanted};

/// Asks, a bounded number of questions at once.
pub(super) struct Seek<'a> {
    sink: &'a dyn Sink,
    jobs: usize,
    gate: Semaphore,
    manifests: Mutex<HashMap<Digest, Arc<Manifest>>>,
}

impl<'a> Seek<'a> {
    pub(super) fn new(sink: &'a dyn Sink, jobs: usize) -> Self {
        let jobs = jobs.clamp(1, Semaphore::MAX_PERMITS);
        Self { sink, jobs, gate: Semaphore::new(jobs), manifests: Mutex::default() }
    }

    /// How many questions may be open at once.
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    /// Where a blob or manifest goes: its repository, or `None` where what is there for one is there for all.
    pub(super) fn shelf(&self, to: &Repository) -> Option<Repository> {
        (!self.sink.shares_blobs()).then(|| to.clone())
    }

    /// Whether the name stands for `root` at the destination, with all that belongs to it.
    pub(super) async fn stands_for(&self, name: &Reference, root: &Digest) -> Result<bool> {
        let _turn = self.turn().await;
        Ok(self.sink.current(name).await? == Some(*root))
    }

    /// Whether the destination has it.
    pub(super) async fn has(&self, to: &Repository, content: &Descriptor) -> Result<bool> {
        let _turn = self.turn().await;
        self.sink.has(to, content).await
    }

    /// The manifest at its source; `None` where it is not there.
    pub(super) async fn manifest(&self, wanted: &Wanted, content: &Descriptor) -> Result<Option<Arc<Manifest>>> {
        let _turn = self.turn().await;
        if let Some(known) = self.known().get(&content.digest) {
            return Ok(Some(known.clone()));
        }
        let Some(manifest) = wanted.source.manifest(wanted.item.origin.repository(), content).await? else { return Ok(None) };
        if manifest.digest() != content.digest {
            let (asked, place, got) = (content.digest, wanted.source.place(), manifest.digest());
            return Err(Error::damaged(format!("manifest {asked} from {place}: what came is {got}")));
        }
        Ok(Some(self.known().entry(content.digest).or_insert_with(|| Arc::new(manifest)).clone()))
    }

    /// What is attached to `subject` at its source.
    pub(super) async fn referrers(&self, wanted: &Wanted, subject: &Digest) -> Result<Vec<Descriptor>> {
        let _turn = self.turn().await;
        wanted.source.referrers(wanted.item.origin.repository(), subject).await
    }

    /// Waits for a turn to ask. The gate is never closed; were it, asking unbounded is better than not asking.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.gate.acquire().await.ok()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<Manifest>>> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
