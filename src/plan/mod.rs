//! [`Plan`]: exactly what must be done so that a destination holds what is wanted, before anything is moved.
//!
//! **Invariants.** The same wanted items, sources and destination give the same plan. A step needs only earlier steps.
//! Blobs come before the manifests that need them, manifests before those that list them or are attached to them, names
//! last. A finished plan, made again, has no steps. One item that cannot be planned does not stop the others.
//!
//! *Not here:* doing it (`transfer`); what a person asked for (`collect`).

pub mod difference;
pub mod holdings;
mod parts;
mod seek;
mod steps;
mod stock;
mod tagged;
mod walk;

use std::fmt;
use std::sync::Arc;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::image::{Blob, Contents, Digest, Item, Manifest, Reference, Repository, Sink, State, Wanted};
use crate::monitor::{Event, SharedMonitor};
use seek::Seek;
use stock::Stock;
pub use tagged::Signed;
use walk::Walked;

/// What must be done, in order.
pub struct Plan {
    items: Vec<Planned>,
    steps: Vec<Step>,
    summary: Summary,
    carried: Vec<Vec<Carried>>,
}

/// A manifest that belongs to an item, as the item is carried.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Its digest.
    pub digest: Digest,
    /// The manifest; absent where the destination has it, so that it was not read.
    pub manifest: Option<Arc<Manifest>>,
}

/// One item of a plan.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What it is, with its attachments and platforms filled in.
    pub item: Item,
    /// How it is called at the destination.
    pub name: Reference,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether its root is signed, where that was looked at.
    pub signed: Option<Signed>,
}

/// What becomes of an item.
#[derive(Debug, Clone)]
pub enum Fate {
    /// Steps of the plan bring it.
    Bring,
    /// The destination has all of it, under its name.
    Already,
    /// It cannot be brought.
    Missing(Error),
}

/// One thing to do.
pub struct Step {
    /// What is done.
    pub work: Work,
    /// The items that need it, by their place in the plan, in order and never none. What is moved counts for the first.
    pub items: Vec<usize>,
    /// The steps that must be settled before, by their place in the plan; all are earlier ones.
    pub after: Vec<usize>,
}

/// What a step does.
pub enum Work {
    /// Brings a blob.
    Blob {
        /// The blob, at its source.
        blob: Box<Blob>,
        /// The repository that it is brought to.
        to: Repository,
        /// The bytes that move; none where the destination has them in another repository by then.
        bytes_to_move: u64,
    },
    /// Brings a manifest or index.
    Manifest {
        /// The manifest.
        manifest: Arc<Manifest>,
        /// The repository that it is brought to.
        to: Repository,
    },
    /// Makes a name visible.
    Name {
        /// The name.
        name: Reference,
        /// What it stands for.
        root: Arc<Manifest>,
    },
}

/// A plan in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Items that steps bring.
    pub images: u64,
    /// Items that are complete at the destination already.
    pub images_there: u64,
    /// Items that cannot be brought.
    pub images_missing: u64,
    /// Blobs to fetch, each counted once.
    pub blobs: u64,
    /// The bytes of the blobs to fetch.
    pub bytes_to_fetch: u64,
    /// Blobs that the destination has already, each counted once.
    pub blobs_there: u64,
    /// The bytes of the blobs that the destination has already.
    pub bytes_there: u64,
    /// Blobs that the destination takes from another of its repositories.
    pub mounts: u64,
    /// Manifests and indexes to bring.
    pub manifests: u64,
    /// The size of the largest blob to fetch.
    pub largest_blob_bytes: u64,
}

impl Plan {
    /// Finds out what must be done so that `sink` holds `wanted`. At most `jobs` questions are asked at once.
    pub async fn make(wanted: Vec<Wanted>, sink: &dyn Sink, jobs: usize, monitor: &SharedMonitor) -> Result<Self> {
        let seek = Seek::new(sink, jobs);
        let mut walks = walk_all(&wanted, &seek, monitor).await;
        let stock = Stock::take(&wanted, &walks, &seek).await;
        stock.fail_unknown(&wanted, &mut walks, &seek);
        let (steps, mut summary) = steps::build(&wanted, &walks, &stock, &seek);
        let carried = walks.iter().map(|walk| walk.as_ref().map(carried).unwrap_or_default()).collect();
        let items: Vec<_> =
            wanted.into_iter().zip(walks).enumerate().map(|(at, (wanted, walk))| planned(at, wanted, walk, &steps)).collect();
        for planned in items.iter().filter(|planned| planned.item.role.is_content()) {
            *match planned.fate {
                Fate::Bring => &mut summary.images,
                Fate::Already => &mut summary.images_there,
                Fate::Missing(_) => &mut summary.images_missing,
            } += 1;
        }
        Ok(Self { items, steps: steps.list, summary, carried })
    }

    /// The items, in the order in which they were wanted.
    #[must_use]
    pub fn items(&self) -> &[Planned] {
        &self.items
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The plan in numbers.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The manifests of each item, in the order of the items; none of one that cannot be brought.
    #[must_use]
    pub fn carried(&self) -> &[Vec<Carried>] {
        &self.carried
    }

    /// What the destination lists when the plan is done.
    #[must_use]
    pub fn contents(&self) -> Contents {
        Contents::new(self.items.iter().map(|planned| planned.item.clone()))
    }

    /// Items and steps, to be carried out.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Planned>, Vec<Step>, Summary) {
        (self.items, self.steps, self.summary)
    }
}

/// Walks every wanted item; the answers stand in the order of the items.
async fn walk_all(wanted: &[Wanted], seek: &Seek<'_>, monitor: &SharedMonitor) -> Vec<Result<Walked>> {
    let one = |(at, wanted)| async move { (at, walk::walk(wanted, seek, monitor).await) }.boxed();
    let mut running = stream::iter(wanted.iter().enumerate()).map(one).buffer_unordered(seek.jobs());
    let mut walks = Vec::with_capacity(wanted.len());
    while let Some(walk) = running.next().await {
        walks.push(walk);
        monitor.event(Event::Counted { what: "planning", done: walks.len() as u64, total: wanted.len() as u64 });
    }
    walks.sort_by_key(|(at, _)| *at);
    walks.into_iter().map(|(_, walk)| walk).collect()
}

fn carried(walked: &Walked) -> Vec<Carried> {
    walked.nodes.iter().map(|node| Carried { digest: node.digest, manifest: node.manifest.clone() }).collect()
}

fn planned(at: usize, wanted: Wanted, walk: Result<Walked>, steps: &steps::Steps) -> Planned {
    let mut item = wanted.item;
    let signed = walk.as_ref().ok().and_then(|walk| walk.signed);
    let fate = match walk {
        Err(error) => {
            item.state = State::Missing(error.to_string());
            Fate::Missing(error)
        }
        Ok(walk) => {
            (item.root, item.platforms) = (Some(walk.root), walk.platforms);
            (item.attached, item.tagged) = (walk.attached, walk.tagged);
            item.state = State::Complete;
            if steps.brings(at) { Fate::Bring } else { Fate::Already }
        }
    };
    Planned { item, name: wanted.name, fate, signed }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob { blob, to, bytes_to_move } => write!(f, "blob {} to {to}, {bytes_to_move} bytes", blob.descriptor().digest),
            Self::Manifest { manifest, to } => write!(f, "manifest {} to {to}", manifest.digest()),
            Self::Name { name, root } => write!(f, "name {name} for {}", root.digest()),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (for {:?}, after {:?})", self.work, self.items, self.after)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("items", &self.items).field("steps", &self.steps).field("summary", &self.summary).finish()
    }
}

#[cfg(test)]
pub(crate) mod lab;
#[cfg(test)]
mod tests;
