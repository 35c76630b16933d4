//! [`Seek`]: the questions that a plan asks of sources and of its destination.
//!
//! **Invariants.** No more questions than `jobs` are open at once. A manifest is fetched once, whoever needs it; it has
//! the digest that was asked for.
//!
//! *Not here:* what the answers mean (`walk`, `stock`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::error::{Error, Result};
use crate::image::{Descriptor, Digest, Manifest, Reference, Repository, Sink, Wanted};

/// Asks, a bounded number of questions at once.
pub(super) struct Seek<'a> {
    sink: &'a dyn Sink,
    jobs: usize,
    gate: Semaphore,
    manifests: Mutex<HashMap<Digest, Arc<Manifest>>>,
    /// What tags stand for, by source and name.
    tags: Mutex<HashMap<(usize, Reference), Answer>>,
    /// Repositories of which a person was told that their tags cannot be looked up.
    told: Mutex<HashSet<Repository>>,
}

/// An answer that is waited for by all who ask.
type Answer = Arc<OnceCell<Result<Option<Descriptor>>>>;

impl<'a> Seek<'a> {
    pub(super) fn new(sink: &'a dyn Sink, jobs: usize) -> Self {
        let jobs = jobs.clamp(1, Semaphore::MAX_PERMITS);
        Self { sink, jobs, gate: Semaphore::new(jobs), manifests: Mutex::default(), tags: Mutex::default(), told: Mutex::default() }
    }

    /// How many questions may be open at once.
    pub(super) fn jobs(&self) -> usize {
        self.jobs
    }

    /// Where a blob or manifest goes: its repository, or `None` where what is there for one is there for all.
    pub(super) fn shelf(&self, to: &Repository) -> Option<Repository> {
        (!self.sink.shares_blobs()).then(|| to.clone())
    }

    /// Whether a manifest that gets a name is brought by that.
    pub(super) fn names_bring_manifests(&self) -> bool {
        self.sink.names_bring_manifests()
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
        if let Some(known) = lock(&self.manifests).get(&content.digest) {
            return Ok(Some(known.clone()));
        }
        let Some(manifest) = wanted.source.manifest(wanted.item.origin.repository(), content).await? else { return Ok(None) };
        if manifest.digest() != content.digest {
            let (asked, place, got) = (content.digest, wanted.source.place(), manifest.digest());
            return Err(Error::damaged(format!("manifest {asked} from {place}: what came is {got}")));
        }
        Ok(Some(lock(&self.manifests).entry(content.digest).or_insert_with(|| Arc::new(manifest)).clone()))
    }

    /// What is attached to `subject` at its source.
    pub(super) async fn referrers(&self, wanted: &Wanted, subject: &Digest) -> Result<Vec<Descriptor>> {
        let _turn = self.turn().await;
        wanted.source.referrers(wanted.item.origin.repository(), subject).await
    }

    /// What a tag beside an image stands for at the source of that; asked for once, whoever wants to know.
    pub(super) async fn beside(&self, wanted: &Wanted, tag: &str) -> Result<Option<Descriptor>> {
        let name = wanted.item.origin.repository().tagged(tag)?;
        let answer = lock(&self.tags).entry((Arc::as_ptr(&wanted.source).addr(), name.clone())).or_default().clone();
        let ask = async || {
            let _turn = self.turn().await;
            wanted.source.resolve(&name).await
        };
        answer.get_or_init(ask).await.clone()
    }

    /// Whether nobody was told yet that tags of this repository cannot be looked up.
    pub(super) fn is_news(&self, repository: &Repository) -> bool {
        lock(&self.told).insert(repository.clone())
    }

    /// Waits for a turn to ask. The gate is never closed; were it, asking unbounded is better than not asking.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.gate.acquire().await.ok()
    }
}

/// What a lock holds; every change is one insertion.
fn lock<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
