//! [`Frames`]: decoded frames and verbatim blobs, verified, kept within a budget.
//!
//! **Invariants.** A frame is decompressed only after the SHA-256 of its stored bytes matched the index, and by one
//! thread at a time. Memory: the budget, what callers still hold, and a few buffers that are used again.
//!
//! *Not here:* which frames a blob is made of (`form`).

use std::collections::HashSet;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex};

use crate::cache::{Cache, Weight, lock};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::frame;
use crate::idle::Idle;
use crate::index::FrameRow;
use crate::layout::{Codec, MAX_FRAME_BYTES, MAX_VERBATIM_BYTES};
use crate::volume::Volume;

/// What an entry of the cache costs beside its bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 256;
/// So many frames are known to hold their content as it is.
const MAX_WRAPPED: usize = 1 << 16;
/// The beginning of a frame is decompressed in steps of a block of zstd.
const STEP_BYTES: u64 = 128 << 10;

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
    /// Beginnings of frames of which no more was wanted.
    begun: Cache<(u64, u64), Content>,
    /// Frames that were verified and hold their content as it is.
    wrapped: Mutex<HashSet<(u64, u64)>>,
    plain: Arc<Idle>,
    stored: Idle,
}

impl Frames {
    pub(super) fn new(budget_bytes: u64) -> Self {
        let eighth = budget_bytes / 8;
        let (cache, begun) = (Cache::new(budget_bytes.saturating_sub(eighth)), Cache::new(eighth));
        Self { cache, begun, wrapped: Mutex::default(), plain: Arc::default(), stored: Idle::default() }
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

    /// Bytes of the frame of `row` from `from`, at most `most`, read from where they stand in the file; `None` where they do not stand there
    /// as they are, or where the frame was not verified since the file was written to.
    pub(super) fn as_it_is(&self, volume: &Volume, row: &FrameRow, from: u64, most: u64) -> Result<Option<Chunk>> {
        let known = lock(&self.wrapped).contains(&(volume.cache().1, row.file_offset));
        if !known || !volume.is_as_opened() {
            return Ok(None);
        }
        let (offset, bytes) = frame::in_wrapped(from, row.plain_bytes.into());
        let bytes = crate::error::cap(bytes.min(most), MAX_FRAME_BYTES, "frame")?;
        let mut content = Content { bytes: self.plain.take(bytes), idle: Arc::clone(&self.plain) };
        content.bytes.resize(bytes, 0);
        volume.read_at(row.file_offset.saturating_add(offset), &mut content.bytes)?;
        Ok(Some(Chunk::of(Arc::new(content), 0, most)))
    }

    /// The beginning of the frame of `row`, which has no prefix, up to `end` of its plain bytes or more; `None` where decompressing all of
    /// it is the better bargain: it was begun before, or little of it would be left.
    pub(super) fn beginning(&self, volume: &Volume, row: &FrameRow, end: u64) -> Result<Option<Arc<Content>>> {
        let key = (volume.cache().1, row.file_offset);
        let end = end.div_ceil(STEP_BYTES).saturating_mul(STEP_BYTES);
        if let Some(begun) = self.begun.get(key) {
            return Ok((begun.len() >= end).then_some(begun));
        }
        if end.saturating_add(STEP_BYTES) > row.plain_bytes.into() {
            return Ok(None);
        }
        let load = || self.begin(volume, row, end).map_err(|error| volume.placed(error.at(row.file_offset)));
        let begun = self.begun.get_or_load(key, load)?;
        // Another thread may have begun it with less.
        Ok((begun.len() >= end).then_some(begun))
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
        let plain_bytes = crate::error::cap(row.plain_bytes.into(), MAX_FRAME_BYTES, "frame")?;
        let (codec, prefix) = prefix.map_or((&Codec::Zstd, None), |(codec, prefix)| (codec, Some(prefix)));
        self.make(volume, row, codec, plain_bytes, |stored, plain| frame::decompress_into(plain, stored, plain_bytes, prefix))
    }

    fn begin(&self, volume: &Volume, row: &FrameRow, end: u64) -> Result<Content> {
        let bytes = crate::error::cap(end, MAX_FRAME_BYTES, "frame")?;
        self.make(volume, row, &Codec::Zstd, bytes, |stored, plain| frame::decompress_beginning(plain, stored, bytes))
    }

    fn know_wrapped(&self, key: (u64, u64)) {
        let mut wrapped = lock(&self.wrapped);
        if wrapped.len() >= MAX_WRAPPED {
            wrapped.clear();
        }
        wrapped.insert(key);
    }

    /// Reads the frame of `row`, verifies it, and has `decompress` make `plain_bytes` bytes of it.
    fn make(
        &self,
        volume: &Volume,
        row: &FrameRow,
        codec: &Codec,
        plain_bytes: usize,
        decompress: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<()>,
    ) -> Result<Content> {
        let stored_bytes = crate::error::cap(row.stored_bytes.into(), MAX_FRAME_BYTES.saturating_mul(2), "frame")?;
        let mut buffer = self.stored.take(stored_bytes);
        if buffer.len() < stored_bytes {
            buffer.resize(stored_bytes, 0);
        }
        let mut content = Content { bytes: self.plain.take(plain_bytes), idle: Arc::clone(&self.plain) };
        let stored = buffer.get_mut(..stored_bytes).unwrap_or_default();
        let made = verified(volume, row, codec, stored).and_then(|stored| decompress(stored, &mut content.bytes));
        if made.is_ok() && frame::is_wrapped(stored, usize::try_from(row.plain_bytes).unwrap_or_default()) {
            self.know_wrapped((volume.cache().1, row.file_offset));
        }
        self.stored.give(buffer);
        made.map(|()| content)
    }
}

/// Reads the frame of `row` into `stored`, and verifies it.
fn verified<'s>(volume: &Volume, row: &FrameRow, codec: &Codec, stored: &'s mut [u8]) -> Result<&'s [u8]> {
    volume.read_at(row.file_offset, stored)?;
    if codec.digest(stored) != row.digest {
        return Err(Error::damaged("frame: its SHA-256 is not that of the index"));
    }
    Ok(stored)
}
