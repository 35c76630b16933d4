//! [`Needed`]: what a plan needs of content that sets build on, and where it can be had.
//!
//! **Invariants.** Everything that a plan takes from an archive is known to be at hand, in a set or at the destination, before
//! anything is written there. What the destination has is asked of it once for each blob, in the repositories that are likeliest first.
//!
//! *Not here:* reading it back (`store::archive`), the words for what is missing (`lacking`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::lacking;
use super::origins::Origins;
use super::{ReadBack, Settings};
use crate::error::{Error, Result};
use crate::image::{Blob, Descriptor, Digest, Repository, Sink, Source};
use crate::monitor::Event;
use crate::plan::{Plan, Work};
use crate::store::archive::{ArchiveSource, Base, Lack, Old};
use crate::workflow::blocking;
use crate::workspace::Workspace;

/// The destination, as a place that old blobs may be read from.
pub(super) struct Far<'a> {
    /// To read from it; absent where there is nothing yet, or nothing to be had.
    pub(super) source: Option<Arc<dyn Source>>,
    /// To ask for blobs whose sizes are known: it then takes them over by itself.
    pub(super) sink: &'a dyn Sink,
    /// What a person calls it.
    pub(super) place: String,
    /// Repositories there that earlier runs have pushed to.
    pub(super) known: Vec<Repository>,
}

/// What a plan takes from archives.
pub(super) struct Needed<'a> {
    plan: &'a Plan,
    archives: Vec<FromArchive>,
}

/// What it takes from one of them.
struct FromArchive {
    source: Arc<ArchiveSource>,
    blobs: BTreeMap<Digest, Taken>,
}

/// A blob that is taken.
struct Taken {
    descriptor: Descriptor,
    /// The repositories that it goes to.
    to: Vec<Repository>,
    /// The items that need it.
    items: BTreeSet<usize>,
    lack: Lack,
}

/// A blob that is in no set at hand, and nowhere else.
pub(super) struct Absent {
    /// The blob: one that is wanted, or one that such a blob is made from.
    pub(super) digest: Digest,
    /// The items that need it.
    pub(super) items: BTreeSet<usize>,
}

/// A blob that is looked for at the destination.
struct Sought {
    /// Where it is likeliest to be.
    to: Vec<Repository>,
    items: BTreeSet<usize>,
    /// What is known of it, where it is taken over as it is.
    whole: Option<Descriptor>,
}

impl<'a> Needed<'a> {
    /// Finds out from indexes what the plan takes from archives and what of that is not at hand.
    pub(super) async fn of(plan: &'a Plan, origins: &Origins) -> Result<Self> {
        let mut archives = Vec::new();
        for source in origins.archives() {
            let (blobs, there) = (taken(plan, source), Arc::clone(source));
            let look = move || {
                let one = |(digest, taken): (Digest, Taken)| Ok((digest, Taken { lack: there.lacks(&digest)?, ..taken }));
                blobs.into_iter().map(one).collect::<Result<BTreeMap<_, _>>>()
            };
            archives.push(FromArchive { source: Arc::clone(source), blobs: blocking(look).await? });
        }
        Ok(Self { plan, archives })
    }

    /// Where everything that is lacking can be had, of which the archives know from now on; `None` where nothing is lacking. An
    /// error says what to bring.
    pub(super) async fn find(&self, far: &Far<'_>, settings: &Settings) -> Result<Option<Arc<Base>>> {
        let sought = self.sought();
        if sought.is_empty() {
            return Ok(None);
        }
        let others = self.others(&far.known);
        let look = |(digest, sought): (Digest, Sought)| {
            let others = &others;
            async move {
                let found = far.look(&digest, &sought, others).await?;
                Ok::<_, Error>((digest, sought, found))
            }
        };
        let looks = stream::iter(sought).map(look).buffered(settings.jobs.max(1));
        let all: Vec<(Digest, Sought, Option<Blob>)> = looks.try_collect().await?;
        let (mut whole, mut old, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (digest, sought, found) in all {
            match found {
                Some(blob) if sought.whole.is_some() => whole.push(blob),
                Some(blob) => old.push(blob),
                None => absent.push(Absent { digest, items: sought.items }),
            }
        }
        if !absent.is_empty() {
            let sources: Vec<&ArchiveSource> = self.archives.iter().map(|archive| &*archive.source).collect();
            return Err(lacking::error(&sources, self.plan, &absent, &far.place));
        }
        let base = Arc::new(Base::new(whole, old, &self.old(), &settings.workspace()));
        self.archives.iter().for_each(|archive| archive.source.build_on(&base));
        Ok(Some(base))
    }

    /// Reads every blob that is made of more than its own set, before anything is written.
    pub(super) async fn check(&self, settings: &Settings) -> Result<()> {
        let total: u64 = self.archives.iter().map(|archive| archive.blobs.len() as u64).sum();
        let mut done = 0;
        for archive in &self.archives {
            let check = |(digest, taken): (&Digest, &Taken)| {
                let (source, digest, items) = (Arc::clone(&archive.source), *digest, taken.items.clone());
                async move { blocking(move || source.check_base(&digest)).await.map_err(|error| (error, items)) }
            };
            let checks: Vec<_> = archive.blobs.iter().map(check).collect();
            let mut checks = stream::iter(checks).buffered(settings.jobs.max(1));
            while let Some(checked) = checks.next().await {
                checked.map_err(|(error, items)| lacking::hurt(error, self.plan, &items))?;
                done += 1;
                settings.monitor.event(Event::Counted { what: "checking the base", done, total });
            }
        }
        Ok(())
    }

    /// The blobs to look for, each once, whichever archive lacks it.
    fn sought(&self) -> BTreeMap<Digest, Sought> {
        let mut sought: BTreeMap<Digest, Sought> = BTreeMap::new();
        let blobs = self.archives.iter().flat_map(|archive| archive.blobs.iter().map(move |(digest, taken)| (archive, digest, taken)));
        for (archive, digest, taken) in blobs {
            let (blobs, whole): (Vec<Digest>, _) = match &taken.lack {
                Lack::Nothing => continue,
                Lack::All => (vec![*digest], Some(taken.descriptor.clone())),
                Lack::Old(old) => (old.blobs().copied().collect(), None),
            };
            for digest in blobs {
                let one = sought.entry(digest).or_insert_with(|| Sought { to: Vec::new(), items: BTreeSet::new(), whole: None });
                // Where a receipt said that it is, it will be.
                let held = archive.source.held_at(&digest).filter(|held| taken.to.iter().any(|to| to.registry() == held.registry()));
                one.to.extend(held.into_iter().chain(&taken.to).cloned());
                one.items.extend(&taken.items);
                one.whole = one.whole.take().or_else(|| whole.clone());
            }
        }
        sought
    }

    /// All that is referred to.
    fn old(&self) -> Old {
        let mut all = Old::default();
        for taken in self.archives.iter().flat_map(|archive| archive.blobs.values()) {
            if let Lack::Old(old) = &taken.lack {
                all.merge(old);
            }
        }
        all
    }

    /// The repositories that the plan's images go to, then those that are known of earlier.
    fn others(&self, known: &[Repository]) -> Vec<Repository> {
        let planned = self.plan.items().iter().map(|planned| planned.name.repository());
        let mut seen = BTreeSet::new();
        planned.chain(known).filter(|repository| seen.insert((*repository).clone())).cloned().collect()
    }
}

/// The blobs that a plan takes from an archive.
fn taken(plan: &Plan, archive: &ArchiveSource) -> BTreeMap<Digest, Taken> {
    let place = crate::image::Source::place(archive);
    let mut blobs: BTreeMap<Digest, Taken> = BTreeMap::new();
    for step in plan.steps() {
        let Work::Blob { blob, to, .. } = &step.work else { continue };
        if blob.place() != place {
            continue;
        }
        let descriptor = blob.descriptor().clone();
        let new = || Taken { descriptor, to: Vec::new(), items: BTreeSet::new(), lack: Lack::Nothing };
        let taken = blobs.entry(blob.descriptor().digest).or_insert_with(new);
        taken.to.push(to.clone());
        taken.items.extend(&step.items);
    }
    blobs
}

impl Far<'_> {
    /// Looks for a blob in the repositories that it is likeliest in, then in the others. A repository that does not answer is an error only if no
    /// other has the blob.
    async fn look(&self, digest: &Digest, sought: &Sought, others: &[Repository]) -> Result<Option<Blob>> {
        let Some(source) = &self.source else { return Ok(None) };
        let mut seen = BTreeSet::new();
        let mut failed = Ok(None);
        for repository in sought.to.iter().chain(others).filter(|repository| seen.insert((*repository).clone())) {
            let found = match &sought.whole {
                Some(whole) => self.sink.has(repository, whole).await.map(|has| has.then(|| whole.clone())),
                None => {
                    let size = source.blob_size(repository, digest).await;
                    size.map(|size| size.map(|size| Descriptor::new("", *digest, size)))
                }
            };
            match found {
                Ok(Some(found)) => return Ok(Some(Blob::new(Arc::clone(source), repository.clone(), found))),
                Ok(None) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }
}

/// The repositories that the receipts of a destination name, newest first.
pub(super) fn known(workspace: &Workspace, destination: &str) -> Result<Vec<Repository>> {
    let mut seen = BTreeSet::new();
    let receipts = workspace.receipts(destination)?;
    let named = receipts.into_iter().flat_map(|receipt| receipt.items).map(|item| item.name.repository().clone());
    Ok(named.filter(|repository| seen.insert(repository.clone())).collect())
}

/// What is read back, in numbers.
pub(super) fn summary(base: &Base) -> Option<ReadBack> {
    let back = ReadBack { blobs: base.old_blobs(), bytes: base.old_bytes(), spool_bytes: base.spool_bytes() };
    (back.blobs > 0).then_some(back)
}

/// Reads back what is needed of old blobs.
pub(super) async fn read_back(base: &Base, settings: &Settings) -> Result<()> {
    let total = base.old_blobs();
    let tell = |done| settings.monitor.event(Event::Counted { what: "reading old blobs back", done, total });
    base.read_back(settings.jobs, tell).await
}
