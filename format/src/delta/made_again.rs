//! Making the chunk index of a set again, from its data.

use super::chunks::{Blob, Chunks};
use super::{Gathered, Key, Older, Unread, key};
use crate::chunk::{Chunker, Class, Shape};
use crate::error::{Error, Result};

/// Plain bytes that are read at a time.
const STEP_BYTES: u64 = 1 << 20;

impl Chunks {
    /// The chunk index of these blobs, whose plain forms are read from `older`; in about `memory_bytes`. Of blobs that cannot be
    /// read to their ends it knows the beginnings; it is told how many those are.
    #[must_use]
    pub fn of(blobs: impl IntoIterator<Item = Blob>, older: &dyn Older, memory_bytes: u64) -> (Self, Unread) {
        let (mut gathered, mut unread) = (Gathered::new(memory_bytes), Unread::default());
        for blob in blobs {
            let mut chunks = Vec::new();
            if let Err(error) = cut(&blob, older, &mut chunks) {
                unread.count(error);
            }
            gathered.add(blob, chunks);
        }
        (gathered.finish(), unread)
    }
}

fn cut(blob: &Blob, older: &dyn Older, chunks: &mut Vec<(Key, u64)>) -> Result<()> {
    let (mut cut_at, mut at) = (0u64, 0u64);
    let mut take = |_: Class, chunk: &[u8]| -> Result<()> {
        chunks.push((key(chunk), cut_at));
        cut_at = cut_at.saturating_add(crate::codec::length(chunk));
        Ok(())
    };
    let mut chunker = Chunker::new(Shape::Tar);
    while at < blob.plain_bytes {
        let slice = older.plain(&blob.digest, at, STEP_BYTES.min(blob.plain_bytes.saturating_sub(at)))?;
        if slice.bytes.is_empty() {
            return Err(Error::damaged(format!("blob {}: its plain form ends at {at} of {}", blob.digest, blob.plain_bytes)));
        }
        at = at.saturating_add(crate::codec::length(&slice.bytes));
        chunker.push(&slice.bytes, &mut take)?;
    }
    chunker.finish(&mut take)
}
