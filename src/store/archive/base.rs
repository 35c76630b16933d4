//! [`Base`]: content that sets build on and that is in no set at hand, from another place.
//!
//! **Invariants.** What is lacking is told before it is looked for ([`Lack`]). A base holds sources and repositories, not a store:
//! whoever puts it together knows where they lead.
//!
//! *Not here:* where old blobs are looked for (`workflow`), how they are read back (`spool`).

mod spool;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ocm_format::ranges::Ranges;

use crate::error::Result;
use crate::image::{Blob, Digest};
pub(super) use spool::Spool;

/// What of a blob is in no set at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// Nothing: it is all here.
    Nothing,
    /// All of it.
    All,
    /// What it refers to.
    Old(Old),
}

/// Stretches of the plain forms of old blobs, by blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Old(BTreeMap<Digest, Ranges>);

impl Old {
    pub(super) fn of(stretches: BTreeMap<Digest, Ranges>) -> Self {
        Self(stretches)
    }

    /// The blobs, in order.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        self.0.keys()
    }

    /// How many plain bytes of them are meant.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.values().fold(0, |sum, ranges| sum.saturating_add(ranges.bytes()))
    }

    /// Takes in what `other` means.
    pub fn merge(&mut self, other: &Self) {
        for (digest, ranges) in &other.0 {
            self.0.entry(*digest).or_default().merge(ranges);
        }
    }
}

/// Where content that sets build on can be had.
pub struct Base {
    /// Blobs that are taken over as they are.
    whole: BTreeMap<Digest, Blob>,
    spool: Arc<Spool>,
}

impl Base {
    /// `whole` blobs are read where they are; of the plain forms of `old` ones, what `wanted` says is kept in a file in
    /// `folder` once it was [read back](Self::read_back). Both are looked up by digest.
    pub fn new(whole: impl IntoIterator<Item = Blob>, old: impl IntoIterator<Item = Blob>, wanted: &Old, folder: &Path) -> Self {
        let whole = whole.into_iter().map(|blob| (blob.descriptor().digest, blob)).collect();
        let wanted = old.into_iter().filter_map(|blob| wanted.0.get(&blob.descriptor().digest).map(|ranges| (blob, ranges)));
        Self { whole, spool: Arc::new(Spool::new(folder, wanted)) }
    }

    /// How many old blobs are read back.
    #[must_use]
    pub fn old_blobs(&self) -> u64 {
        self.spool.blobs().count() as u64
    }

    /// The bytes of the old blobs that are read back, as they are stored there.
    #[must_use]
    pub fn old_bytes(&self) -> u64 {
        self.spool.blobs().fold(0, |sum, blob| sum.saturating_add(blob.descriptor().size))
    }

    /// What is kept of them while the run goes on, in bytes.
    #[must_use]
    pub fn spool_bytes(&self) -> u64 {
        self.spool.bytes()
    }

    /// Reads back what is wanted of all old blobs, `jobs` at once; `on_done` hears how many are settled. A blob that cannot be
    /// read back is an error for those that need it, when they do; only an error of the folder is one here.
    pub async fn read_back(&self, jobs: usize, on_done: impl Fn(u64)) -> Result<()> {
        self.spool.fill(jobs, on_done).await
    }

    /// The old blobs that could not be read back, and why.
    #[must_use]
    pub fn failed(&self) -> Vec<(Digest, crate::error::Error)> {
        self.spool.failed()
    }

    pub(super) fn whole(&self, digest: &Digest) -> Option<&Blob> {
        self.whole.get(digest)
    }

    pub(super) fn spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool)
    }
}
