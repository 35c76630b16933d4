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
use ocm_format::layout::{Id, MAX_DEPTH};
use ocm_format::set::{SetFiles, VolumeEntry};

use super::source::SetFacts;

/// The catalogue of a set: where it is, and what it must tell of.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    set: Id,
    chain: u64,
    files: Vec<PathBuf>,
    volumes: Vec<VolumeEntry>,
}

impl Listed {
    /// What is at hand of a set, if its manifest is.
    pub(super) fn of(set: &SetFiles) -> Option<Self> {
        let manifest = set.manifest.as_ref()?;
        let files = set.catalogues.values().map(|file| file.path.clone()).collect();
        Some(Self { set: manifest.set, chain: manifest.needs.chain, files, volumes: manifest.volumes.clone() })
    }
}

/// What is known of the blobs of a set and of those that it builds on.
pub(super) struct Records {
    /// Nearest first. A set whose catalogue cannot be read may have any blob.
    sets: Vec<(u64, Option<catalogue::Records>)>,
    /// The chain of the first of them.
    chain: u64,
}

impl Records {
    /// Opens the catalogues of a set and of its ancestors, as far as they are among `listed`.
    pub(super) fn open(facts: &SetFacts, listed: &[Listed]) -> Self {
        let chain = facts.manifest.needs.chain;
        let mut sets = Vec::new();
        for id in std::iter::once(facts.manifest.set).chain(facts.manifest.ancestors.iter().map(|ancestor| ancestor.id)) {
            let known = listed.iter().find(|listed| listed.set == id);
            let records = known.and_then(|known| catalogue::Records::open(&known.files, &known.volumes).ok());
            let own = known.map_or(chain, |known| known.chain);
            sets.push((own, records));
            // Nothing of what comes before is needed.
            if known.is_some() && own == 0 {
                break;
            }
        }
        Self { sets, chain }
    }

    /// The record of a blob; `None` where no catalogue at hand has one.
    pub(super) fn blob(&self, digest: &Digest) -> Option<BlobRow> {
        let records = self.sets.iter().filter_map(|(_, records)| records.as_ref());
        records.filter_map(|records| records.blob(digest).ok().flatten()).next()
    }

    /// How deep the prefixes can be of the frames that a blob lies in: a set that builds on a chain of so many others has none that
    /// are deeper.
    pub(super) fn depth(&self, digest: &Digest) -> u8 {
        let may_have =
            |records: &Option<catalogue::Records>| records.as_ref().is_none_or(|records| !matches!(records.blob(digest), Ok(None)));
        let chains = self.sets.iter().filter(|(_, records)| may_have(records)).map(|(chain, _)| *chain);
        let chain = chains.max().unwrap_or(self.chain);
        u8::try_from(chain).unwrap_or(MAX_DEPTH).min(MAX_DEPTH)
    }
}
