//! [`Parent`]: what a new set builds on: what need not be written again.
//!
//! *Not here:* which set that is (`workflow`).

use std::collections::BTreeSet;

use ocm_format::set::{Ancestor, MAX_ANCESTORS};

use super::needs::Needs;
use super::source::{ArchiveSource, SetFacts};
use crate::error::{Error, Result};
use crate::image::{Digest, Manifest};

/// The set that the new one builds on.
pub(super) struct Parent {
    /// The set itself.
    pub(super) source: ArchiveSource,
    /// All that need not be written again.
    pub(super) holds: BTreeSet<Digest>,
    /// It and the sets before it, nearest first.
    pub(super) ancestors: Vec<Ancestor>,
    /// The longest chain of sets that it needs.
    pub(super) chain: u64,
}

impl Parent {
    /// The set that `source` reads.
    pub(super) fn new(source: ArchiveSource) -> Result<Self> {
        let facts = facts(&source)?;
        let own = Ancestor { id: facts.manifest.set, root: facts.root, generation: facts.manifest.generation };
        let ancestors: Vec<Ancestor> = std::iter::once(own).chain(facts.manifest.ancestors.iter().cloned()).collect();
        if ancestors.len() > MAX_ANCESTORS {
            return Err(Error::usage(format!("a chain of {} sets is the longest that there can be", MAX_ANCESTORS))
                .hint("write a base with --full"));
        }
        let needs = Needs::of(&facts.contents, |manifest| source.manifest_now(manifest))?;
        let holds = needs.blobs.into_keys().chain(needs.manifests.iter().map(Manifest::digest)).collect();
        let chain = facts.manifest.needs.chain;
        Ok(Self { source, holds, ancestors, chain })
    }
}

fn facts(source: &ArchiveSource) -> Result<&SetFacts> {
    source.sets().first().ok_or_else(|| Error::usage("the parent has no set"))
}
