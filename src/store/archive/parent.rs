//! [`Parent`]: what a new set builds on: what need not be written again.
//!
//! **Invariants.** A set that needs anything earlier has a chain longer by one than that of its parent; a destination counts as
//! one. No chain reaches [`LONGEST_CHAIN`], so the ancestors that a set can need are always among those that it names.
//!
//! *Not here:* which set that is (`workflow`).

use std::collections::{BTreeMap, BTreeSet};

use ocm_format::set::{Ancestor, MAX_ANCESTORS, Needs as FormatNeeds, ParentSet};

use super::holding::{Holding, with_held};
use super::needs::Needs;
use super::source::{ArchiveSource, SetFacts};
use crate::error::{Error, Result};
use crate::image::{Descriptor, Digest, Manifest, Repository};

/// From this length on a chain is worth a warning.
pub const LONG_CHAIN: u64 = 16;
/// A chain of this length is refused.
pub const LONGEST_CHAIN: u64 = 64;

/// What a new set builds on.
pub enum BuildsOn {
    /// An earlier set, the one that the source reads.
    Set(ArchiveSource),
    /// What a destination holds.
    Destination(Holding),
}

/// What the new set builds on, as far as writing it goes.
pub(super) struct Parent {
    /// As SET.json names it.
    pub(super) named: ParentSet,
    /// All that need not be written again.
    pub(super) holds: BTreeSet<Digest>,
    /// It and the sets before it, nearest first; none of a destination.
    pub(super) ancestors: Vec<Ancestor>,
    /// The set itself, where it is one.
    pub(super) source: Option<ArchiveSource>,
    /// Where content lies at a destination.
    repositories: BTreeMap<Digest, Repository>,
    /// What it needs of the sets before it.
    needs: FormatNeeds,
}

impl BuildsOn {
    /// How long the chain of a set is that builds on this and needs anything of it.
    pub fn chain_with(&self) -> Result<u64> {
        match self {
            Self::Set(source) => Ok(facts(source)?.manifest.needs.chain.saturating_add(1)),
            Self::Destination(_) => Ok(1),
        }
    }
}

impl Parent {
    /// What `builds_on` holds.
    pub(super) fn new(builds_on: BuildsOn) -> Result<Self> {
        let chain = builds_on.chain_with()?;
        if chain >= LONGEST_CHAIN {
            return Err(Error::usage(format!("the new set would be number {chain} of a chain in which each needs the ones before it"))
                .hint("write a base with --full, or make one of the chain with `ocm merge`"));
        }
        match builds_on {
            BuildsOn::Set(source) => Self::set(source),
            BuildsOn::Destination(holding) => Ok(Self::destination(&holding)),
        }
    }

    fn set(source: ArchiveSource) -> Result<Self> {
        let facts = facts(&source)?;
        let own = Ancestor { id: facts.manifest.set, root: facts.root, generation: facts.manifest.generation };
        let named = ParentSet::Set { id: own.id, root: own.root, generation: own.generation };
        let ancestors = std::iter::once(own).chain(facts.manifest.ancestors.iter().cloned()).take(MAX_ANCESTORS).collect();
        let all = Needs::of(&facts.contents, |manifest| source.manifest_now(manifest))?;
        let holds = all.blobs.into_keys().chain(all.manifests.iter().map(Manifest::digest)).collect();
        let needs = facts.manifest.needs;
        Ok(Self { named, holds, ancestors, source: Some(source), repositories: BTreeMap::new(), needs })
    }

    /// Manifests are in every set, and nobody has those of a destination at hand: they are brought again.
    fn destination(holding: &Holding) -> Self {
        let named = ParentSet::Receipt { root: holding.root(), destination: Some(holding.receipt().destination.clone()) };
        let repositories: BTreeMap<_, _> =
            holding.receipt().blobs.iter().map(|stored| (stored.digest, stored.repository.clone())).collect();
        let holds = repositories.keys().copied().collect();
        Self { named, holds, ancestors: Vec::new(), source: None, repositories, needs: FormatNeeds::default() }
    }

    /// The chain of the new set: none, unless it needs anything earlier.
    pub(super) fn chain_of_child(&self, needs_any: bool) -> u64 {
        if needs_any { self.needs.chain.saturating_add(1) } else { 0 }
    }

    /// How deep prefixes can be of the frames that its blobs lie in.
    pub(super) fn depth(&self) -> u8 {
        self.needs.depth
    }

    /// The options of the new set, which needs this content of earlier ones.
    pub(super) fn options<'a>(&self, options: &serde_json::Value, needed: impl Iterator<Item = &'a Digest>) -> serde_json::Value {
        with_held(options, &self.repositories, needed)
    }

    /// A manifest of the parent.
    pub(super) fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.source.as_ref().map_or(Ok(None), |source| source.manifest_now(wanted))
    }
}

fn facts(source: &ArchiveSource) -> Result<&SetFacts> {
    source.sets().first().ok_or_else(|| Error::usage("the parent has no set"))
}
