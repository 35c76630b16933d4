//! [`Records`]: what is known of the blobs of a chain of sets where their volumes are elsewhere, from their catalogues.
//!
//! **Invariants.** The depth that is told of a blob is never less than that of the frames that it lies in: what is not known counts as
//! deep as it can be.
//!
//! *Not here:* reading catalogues (`ocm_format::catalogue`).

use std::path::PathBuf;

use ocm_format::catalogue;
use ocm_format::digest::Digest;
use ocm_format::index::BlobRow;
use ocm_format::layout::Id;
use ocm_format::set::{Needs, SetFiles, VolumeEntry};

use super::source::SetFacts;

/// The catalogue of a set: where it is, and what it must tell of.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    set: Id,
    needs: Needs,
    files: Vec<PathBuf>,
    volumes: Vec<VolumeEntry>,
}

impl Listed {
    /// What is at hand of a set, if its manifest is.
    pub(super) fn of(set: &SetFiles) -> Option<Self> {
        let manifest = set.manifest.as_ref()?;
        let files = set.catalogues.values().map(|file| file.path.clone()).collect();
        Some(Self { set: manifest.set, needs: manifest.needs, files, volumes: manifest.volumes.clone() })
    }
}

/// What is known of the blobs of a set and of those that it builds on.
pub(super) struct Records {
    /// Nearest first. A set whose catalogue cannot be read may have any blob.
    sets: Vec<(u8, Option<catalogue::Records>)>,
    /// How deep prefixes can be of all that the first of them leads to.
    deepest: u8,
}

impl Records {
    /// Opens the catalogues of a set and of its ancestors, as far as they are among `listed`.
    pub(super) fn open(facts: &SetFacts, listed: &[Listed]) -> Self {
        let deepest = facts.manifest.needs.depth;
        let mut sets = Vec::new();
        for id in std::iter::once(facts.manifest.set).chain(facts.manifest.ancestors.iter().map(|ancestor| ancestor.id)) {
            let known = listed.iter().find(|listed| listed.set == id);
            let records = known.and_then(|known| catalogue::Records::open(&known.files, &known.volumes).ok());
            let own = known.map_or(deepest, |known| known.needs.depth);
            sets.push((own, records));
            // Nothing of what comes before is needed.
            if known.is_some_and(|known| known.needs.chain == 0) {
                break;
            }
        }
        Self { sets, deepest }
    }

    /// The record of a blob; `None` where no catalogue at hand has one.
    pub(super) fn blob(&self, digest: &Digest) -> Option<BlobRow> {
        let records = self.sets.iter().filter_map(|(_, records)| records.as_ref());
        records.filter_map(|records| records.blob(digest).ok().flatten()).next()
    }

    /// How deep the prefixes can be of the frames that a blob lies in: a set says how deep all are that its blobs lead to.
    pub(super) fn depth(&self, digest: &Digest) -> u8 {
        let may_have =
            |records: &Option<catalogue::Records>| records.as_ref().is_none_or(|records| !matches!(records.blob(digest), Ok(None)));
        let depths = self.sets.iter().filter(|(_, records)| may_have(records)).map(|(depth, _)| *depth);
        depths.max().unwrap_or(self.deepest)
    }
}
