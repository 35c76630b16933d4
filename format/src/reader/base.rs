//! [`Base`]: somewhere else to look for what runs refer to and no set at hand gives.
//!
//! **Invariants.** What comes from there is trusted as far as whoever opened the reader trusts it: it has proved the
//! digests of blobs before. Whoever reads a whole blob compares its digest all the same.

use std::sync::Arc;

use super::Inner;
use super::frames::Chunk;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::recipe::Run;

/// What is read of it at once, in bytes.
const READ_BYTES: u64 = 1 << 20;

/// A place with the plain forms of blobs that are in no set at hand.
pub trait Base: Send + Sync {
    /// Fills the beginning of `buffer` with bytes of the plain form of a blob from `offset`, at least one; `None` where they
    /// are not there.
    fn plain_at(&self, blob: &Digest, offset: u64, buffer: &mut [u8]) -> Result<Option<usize>>;
}

impl Inner {
    /// Bytes of a run from the base; `absent` is why no set at hand gives them.
    pub(super) fn in_base(&self, run: &Run, into: u64, most: u64, absent: Error) -> Result<Chunk> {
        let Some(base) = self.base.get() else { return Err(absent) };
        let left = run.bytes.saturating_sub(into).min(most);
        let mut buffer = vec![0; usize::try_from(left.min(READ_BYTES)).unwrap_or_default()];
        match base.plain_at(&run.digest, run.offset.saturating_add(into), &mut buffer)? {
            Some(count @ 1..) => {
                buffer.truncate(count);
                Ok(Chunk::of(Arc::new(self.frames.own(buffer)), 0, left))
            }
            _ => Err(absent),
        }
    }
}
