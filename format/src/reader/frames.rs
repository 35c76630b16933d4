//! [`Frames`]: decoded frames and verbatim blobs, verified, kept within a budget.
//!
//! **Invariants.** A frame is decompressed only after the SHA-256 of its stored bytes matched the index, and by one
//! thread at a time. Memory: the budget, what callers still hold, and a few buffers that are used again.
//!
//! *Not here:* which frames a blob is made of (`form`).

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::cache::{Cache, Weight};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::frame;
use crate::idle::Idle;
use crate::index::FrameRow;
use crate::layout::{Codec, MAX_FRAME_BYTES, MAX_VERBATIM_BYTES};
use crate::volume::Volume;

/// What an entry of the cache costs beside its bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 256;

/// Verified bytes, held as long as the caller needs them.
#[derive(Clone)]
pub struct Chunk {
    content: Arc<Content>,
    range: Range<usize>,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.content.bytes.get(self.range.clone()).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}

impl Chunk {
    /// The bytes of `content` from `from`, at most `most` of them.
    pub(super) fn of(content: Arc<Content>, from: u64, most: u64) -> Self {
        let whole = content.bytes.len();
        let start = usize::try_from(from).unwrap_or(whole).min(whole);
        let end = usize::try_from(most).unwrap_or(whole).saturating_add(start).min(whole);
        Self { content, range: start..end }
    }

    /// What follows the first `count` bytes.
    pub(super) fn skip(&mut self, count: usize) {
        self.range.start = self.range.start.saturating_add(count).min(self.range.end);
    }
}

/// The bytes of a frame or of a verbatim blob. Its memory goes back to where it came from.
pub(super) struct Content {
    bytes: Vec<u8>,
    idle: Arc<Idle>,
}

impl Content {
    /// How many bytes.
    pub(super) fn len(&self) -> u64 {
        crate::codec::length(&self.bytes)
    }
}

impl Weight for Content {
    fn weight(&self) -> u64 {
        u64::try_from(self.bytes.capacity()).unwrap_or(u64::MAX).saturating_add(ENTRY_OVERHEAD_BYTES)
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.idle.give(std::mem::take(&mut self.bytes));
    }
}

/// Frames and verbatim blobs, by the volume's serial number and the offset in the file.
pub(super) struct Frames {
    cache: Cache<(u64, u64), Content>,
    plain: Arc<Idle>,
    stored: Idle,
}

impl Frames {
    pub(super) fn new(budget_bytes: u64) -> Self {
        Self { cache: Cache::new(budget_bytes), plain: Arc::default(), stored: Idle::default() }
    }

    /// The frame of `row`, if it is at hand.
    pub(super) fn at_hand(&self, volume: &Volume, row: &FrameRow) -> Option<Arc<Content>> {
        self.cache.get((volume.cache().1, row.file_offset))
    }

    /// The plain bytes of the frame of `row`; `prefix` is what its header says of its prefix, and the bytes of that.
    pub(super) fn frame(&self, volume: &Volume, row: &FrameRow, prefix: Option<(&Codec, &[u8])>) -> Result<Arc<Content>> {
        let key = (volume.cache().1, row.file_offset);
        self.cache.get_or_load(key, || self.load(volume, row, prefix).map_err(|error| volume.placed(error.at(row.file_offset))))
    }

    /// Memory for so many bytes, used again where there is some.
    pub(super) fn room(&self, bytes: usize) -> Vec<u8> {
        let mut room = self.plain.take(bytes);
        room.clear();
        room.reserve_exact(bytes);
        room
    }

    /// Bytes that were made here.
    pub(super) fn own(&self, bytes: Vec<u8>) -> Content {
        Content { bytes, idle: Arc::clone(&self.plain) }
    }

    /// The content of a blob that is stored verbatim.
    pub(super) fn verbatim(&self, volume: &Volume, digest: &Digest, bytes: u64, offset: u64) -> Result<Arc<Content>> {
        let placed = |error: Error| volume.placed(error.at(offset));
        self.cache.get_or_load((volume.cache().1, offset), || {
            let wanted = crate::error::cap(bytes, MAX_VERBATIM_BYTES, "blob stored verbatim").map_err(placed)?;
            let content = volume.read_vec(offset, wanted)?;
            if !digest.matches(&content) {
                return Err(placed(Error::damaged("its bytes do not match its digest")));
            }
            Ok(Content { bytes: content, idle: Arc::clone(&self.plain) })
        })
    }

    fn load(&self, volume: &Volume, row: &FrameRow, prefix: Option<(&Codec, &[u8])>) -> Result<Content> {
        let stored_bytes = crate::error::cap(row.stored_bytes.into(), MAX_FRAME_BYTES.saturating_mul(2), "frame")?;
        let plain_bytes = crate::error::cap(row.plain_bytes.into(), MAX_FRAME_BYTES, "frame")?;
        let mut stored = self.stored.take(stored_bytes);
        if stored.len() < stored_bytes {
            stored.resize(stored_bytes, 0);
        }
        let mut content = Content { bytes: self.plain.take(plain_bytes), idle: Arc::clone(&self.plain) };
        let made = fill(volume, row, &mut stored, &mut content.bytes, prefix);
        self.stored.give(stored);
        made.map(|()| content)
    }
}

/// Reads the frame of `row` into the front of `stored`, verifies it, and decompresses it into `plain`.
fn fill(volume: &Volume, row: &FrameRow, stored: &mut [u8], plain: &mut Vec<u8>, prefix: Option<(&Codec, &[u8])>) -> Result<()> {
    let (stored_bytes, plain_bytes) = (usize::try_from(row.stored_bytes), usize::try_from(row.plain_bytes));
    let too_large = |_| Error::new(Kind::Limit, "frame: it does not fit this machine");
    let stored = stored.get_mut(..stored_bytes.map_err(too_large)?).unwrap_or_default();
    volume.read_at(row.file_offset, stored)?;
    let (codec, prefix) = prefix.map_or((&Codec::Zstd, None), |(codec, prefix)| (codec, Some(prefix)));
    if codec.digest(stored) != row.digest {
        return Err(Error::damaged("frame: its SHA-256 is not that of the index"));
    }
    frame::decompress_into(plain, stored, plain_bytes.map_err(too_large)?, prefix)
}
