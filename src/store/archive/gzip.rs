//! [`GzipShare`]: what became of the gzip blobs of a run.
//!
//! **Invariants.** Each gzip blob that the run wrote is counted once: replayed, or kept for a reason.

use std::collections::BTreeMap;

use ocm_format::gzip::Verdict;
use serde::Serialize;

/// How many gzip blobs are stored by their plain form, and why the others are not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GzipShare {
    /// Stored by the plain form, from which the blob is made again.
    pub replayed: Count,
    /// Stored as they came, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<&'static str, Count>,
}

/// Some blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// How many.
    pub blobs: u64,
    /// The sum of their sizes, in bytes.
    pub bytes: u64,
}

impl GzipShare {
    /// Counts a blob of `bytes` bytes.
    pub(super) fn count(&mut self, bytes: u64, verdict: &Verdict) {
        let count = match verdict {
            Verdict::Replay(_) => &mut self.replayed,
            Verdict::Keep(reason) => self.kept.entry(reason.text()).or_default(),
        };
        count.blobs += 1;
        count.bytes += bytes;
    }

    /// All gzip blobs.
    #[must_use]
    pub fn total(&self) -> Count {
        self.kept.values().fold(self.replayed, |sum, one| Count { blobs: sum.blobs + one.blobs, bytes: sum.bytes + one.bytes })
    }
}
