//! [`Recalled`]: the plain forms of old blobs that are in no set at hand, read back from a registry for a new set to be written after
//! them.
//!
//! **Invariants.** A blob that is gone or lies costs what could have been taken from it, nothing else. The depth of prefixes that is told
//! is never less than on the far side.
//!
//! *Not here:* where the blobs are (`workflow`), how they are read back (`base::spool`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ocm_format::delta::{Cost, Older, Slice};
use ocm_format::error::{Error as FormatError, Kind};
use ocm_format::layout::MAX_PREFIX_BYTES;
use ocm_format::ranges::Ranges;
use ocm_format::reader::Base as _;

use super::base::Spool;
use crate::error::{Error, Result};
use crate::image::{Blob, Digest, Repository};

/// An old blob that is in no set at hand and that is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The size of its plain form.
    pub plain_bytes: u64,
    /// How deep the prefixes may be of the frames that it lies in on the far side.
    pub depth: u8,
    /// The repositories that the images came from that need it.
    pub repositories: Vec<Repository>,
}

impl OldBlob {
    /// What it takes to read a stretch of it on the far side, by estimate: how many frames is not known here, but more, the deeper they may be.
    pub(super) fn cost(&self) -> Cost {
        let frames = 1 << (4 * u32::from(self.depth).min(8));
        Cost { depth: self.depth, frames, steps: frames * STEPS_PER_FRAME }
    }
}

/// Old blobs that are read back.
pub struct Recalled {
    spool: Spool,
    costs: BTreeMap<Digest, Cost>,
}

impl Recalled {
    /// These blobs, each with where it was found. Their plain forms are kept in a file in `folder` once they were
    /// [fetched](Self::fetch).
    pub fn new<'a>(found: impl IntoIterator<Item = (&'a OldBlob, Blob)>, folder: &Path) -> Self {
        let (mut costs, mut wanted) = (BTreeMap::new(), Vec::new());
        for (old, blob) in found {
            let mut all = Ranges::default();
            all.insert(0..old.plain_bytes);
            costs.insert(old.digest, old.cost());
            wanted.push((blob, all));
        }
        Self { spool: Spool::new(folder, wanted.iter().map(|(blob, all)| (blob.clone(), all))), costs }
    }

    /// How many blobs.
    #[must_use]
    pub fn blobs(&self) -> u64 {
        self.spool.blobs().count() as u64
    }

    /// Their bytes, as they are stored there.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.spool.blobs().fold(0, |sum, blob| sum.saturating_add(blob.descriptor().size))
    }

    /// What their plain forms take while the run goes on, in bytes.
    #[must_use]
    pub fn spool_bytes(&self) -> u64 {
        self.spool.bytes()
    }

    /// Reads them all back, `jobs` at once; `on_done` hears how many are settled. Only an error of the folder is one here.
    pub async fn fetch(&self, jobs: usize, on_done: impl Fn(u64)) -> Result<()> {
        self.spool.fill(jobs, on_done).await
    }

    /// The blobs that could not be read back, and why.
    #[must_use]
    pub fn failed(&self) -> Vec<(Digest, Error)> {
        self.spool.failed()
    }
}

/// How many references lead to a frame on the far side, by estimate.
const STEPS_PER_FRAME: u64 = 16;

/// The plain forms of old blobs, from sets at hand and from elsewhere.
pub(super) struct Both {
    pub(super) sets: Arc<dyn Older>,
    pub(super) recalled: Arc<Recalled>,
}

impl Older for Both {
    fn plain(&self, blob: &Digest, offset: u64, bytes: u64) -> Result<Slice, FormatError> {
        let Some(cost) = self.recalled.costs.get(blob) else { return self.sets.plain(blob, offset, bytes) };
        if bytes > MAX_PREFIX_BYTES {
            return Err(FormatError::new(Kind::Limit, format!("slice of an earlier blob: {bytes} bytes are more than are read at once")));
        }
        let mut slice = vec![0; usize::try_from(bytes).unwrap_or_default()];
        let mut filled = 0;
        while filled < slice.len() {
            // What could not be read back was told when it was tried: for those who read it is not there.
            let read = self.recalled.spool.plain_at(blob, offset.saturating_add(filled as u64), &mut slice[filled..]);
            match read.map_err(|error| FormatError::new(Kind::Missing, error.to_string()))? {
                Some(count @ 1..) => filled += count,
                _ => break,
            }
        }
        slice.truncate(filled);
        Ok(Slice { bytes: slice, cost: *cost })
    }
}
