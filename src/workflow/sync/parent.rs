//! [`Parent`]: what a new set builds on, as a run knows it: a set, or what a destination holds.
//!
//! **Invariants.** A result names what must be there for the set to be used; of a set it says whether any receipt confirms that it
//! arrived (semantics A.5).
//!
//! *Not here:* which one it is (`lineage`), what need not be written again (`store::archive`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Request;
use super::again::MadeFrom;
use crate::error::{Error, Result};
use crate::image::{Contents, Descriptor, Digest, Item, Reference};
use crate::monitor::{Event, Monitor};
use crate::store::archive::{ArchiveSource, BuildsOn, Holding, KnownSet, LONG_CHAIN, SetFacts, Shelf};
use crate::workspace::Workspace;

/// What a new set builds on.
pub(super) enum Parent {
    /// An earlier set, with the source that reads it.
    Set(Box<(SetFacts, ArchiveSource)>),
    /// What a destination holds.
    Destination(Holding),
}

/// What must be there for a set to be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ParentOutcome {
    /// An earlier set.
    Set {
        /// Its generation.
        generation: u32,
        /// Its set id.
        id: String,
        /// Its root.
        root: Digest,
        /// Whether a receipt says that it arrived somewhere.
        confirmed: bool,
    },
    /// What a destination holds.
    Receipt {
        /// The destination.
        destination: String,
        /// The time of its receipt.
        time: String,
        /// The digest of its receipt.
        root: Digest,
    },
}

/// What has been said already, so that a set which says no more is not written.
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// What the parent lists.
    Listed(Contents),
    /// What is visible at the destination, by origin and digest.
    Shown(BTreeSet<(Reference, Digest)>),
}

impl Parent {
    /// The set that one of the shelves knows.
    pub(super) fn open(set: &KnownSet, shelves: &[&Shelf]) -> Result<Self> {
        let source = ArchiveSource::of_known(set, shelves)?;
        let facts = source.sets().first().cloned().ok_or_else(|| Error::usage("the parent has no set"))?;
        Ok(Self::Set(Box::new((facts, source))))
    }

    /// The digest that stands for it.
    pub(super) fn root(&self) -> Digest {
        match self {
            Self::Set(set) => set.0.root,
            Self::Destination(holding) => holding.root(),
        }
    }

    /// The source that reads it, where it is a set.
    pub(super) fn source(&self) -> Option<&ArchiveSource> {
        match self {
            Self::Set(set) => Some(&set.1),
            Self::Destination(_) => None,
        }
    }

    /// What it lists: a destination lists nothing that a set could inherit.
    pub(super) fn contents(&self) -> Option<&Contents> {
        match self {
            Self::Set(set) => Some(&set.0.contents),
            Self::Destination(_) => None,
        }
    }

    /// What it has resolved, where it is a set that lacks something and was made by the same request (semantics A.10).
    pub(super) fn resolved(&self, request: &Request) -> BTreeMap<Reference, Descriptor> {
        let Self::Set(set) = self else { return BTreeMap::new() };
        let (items, options) = (set.0.contents.items(), &set.0.manifest.options);
        let made_from: Vec<MadeFrom> = options.member("from").unwrap_or_default();
        let is_same = made_from.into_iter().map(|from| from.place).eq(request.from.iter().map(ToString::to_string));
        if request.archive.refresh || !is_same || items.iter().all(Item::is_complete) {
            return BTreeMap::new();
        }
        items.iter().filter_map(|item| Some((item.origin.clone(), item.root.clone()?))).collect()
    }

    /// What it has said already.
    pub(super) fn said(&self) -> Said {
        match self {
            Self::Set(set) => Said::Listed(set.0.contents.clone()),
            Self::Destination(holding) => {
                Said::Shown(holding.receipt().items.iter().map(|item| (item.origin.clone(), item.digest)).collect())
            }
        }
    }

    /// As results name it.
    pub(super) fn told(&self, workspace: &Workspace) -> Result<ParentOutcome> {
        Ok(match self {
            Self::Set(set) => {
                let (id, facts) = (set.0.id(), &set.0);
                let receipts = workspace.all_receipts()?;
                let confirmed = receipts.iter().flat_map(|receipt| &receipt.items).any(|item| item.set.as_ref() == Some(&id));
                ParentOutcome::Set { generation: facts.generation(), id, root: facts.root, confirmed }
            }
            Self::Destination(holding) => {
                let receipt = holding.receipt();
                ParentOutcome::Receipt { destination: receipt.destination.clone(), time: receipt.time.clone(), root: holding.root() }
            }
        })
    }

    /// The same, for the writer; a long chain is told.
    pub(super) fn builds_on(self, monitor: &dyn Monitor) -> Result<BuildsOn> {
        let builds_on = match self {
            Self::Set(set) => BuildsOn::Set(set.1),
            Self::Destination(holding) => BuildsOn::Destination(holding),
        };
        let chain = builds_on.chain_with()?;
        if chain >= LONG_CHAIN {
            monitor.event(Event::Warning(&format!(
                "the new set may need a chain of {chain} earlier sets, all of which must be sound: a base ends it, by --full or `ocm merge`"
            )));
        }
        Ok(builds_on)
    }
}

impl Said {
    /// Whether all of this has been said.
    pub(super) fn has(&self, contents: &Contents) -> bool {
        let is_shown = |shown: &BTreeSet<(Reference, Digest)>| {
            contents.content().all(|item| item.digest().is_some_and(|digest| shown.contains(&(item.origin.clone(), digest))))
        };
        match self {
            Self::Nothing => false,
            Self::Listed(listed) => listed.content().eq(contents.content()),
            Self::Shown(shown) => is_shown(shown),
        }
    }
}
