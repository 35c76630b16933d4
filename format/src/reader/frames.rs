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
/// So many frames are remembered that a few bytes were wanted of.
const MAX_BEGUN: usize = 1 << 10;
/// How much of a frame is hashed at once.
const PIECE_BYTES: usize = 64 << 10;
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

    /// Fills `room` with bytes from `from`.
    pub(super) fn copy_to(&self, from: u64, room: &mut [u8]) -> Result<()> {
        let rest = usize::try_from(from).ok().and_then(|from| self.bytes.get(from..)).unwrap_or_default();
        let bytes = rest.get(..room.len()).ok_or_else(|| Error::damaged("frame: it is shorter than the index says"))?;
        room.copy_from_slice(bytes);
        Ok(())
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
    /// Frames that a few bytes were wanted of.
    begun: Mutex<Known>,
    /// Frames that were verified and hold their content as it is.
    wrapped: Mutex<Known>,
    plain: Arc<Idle>,
    stored: Idle,
}

impl Frames {
    pub(super) fn new(budget_bytes: u64) -> Self {
        let (begun, wrapped) = (Known::new(MAX_BEGUN), Known::new(MAX_WRAPPED));
        Self { cache: Cache::new(budget_bytes), begun, wrapped, plain: Arc::default(), stored: Idle::default() }
    }

    /// The plain bytes of the frame of `row`; `prefix` is what its header says of its prefix, and the bytes of that.
    pub(super) fn frame(&self, volume: &Volume, row: &FrameRow, prefix: Option<(&Codec, &[u8])>) -> Result<Arc<Content>> {
        let key = (volume.cache().1, row.file_offset);
        self.cache.get_or_load(key, || self.load(volume, row, prefix).map_err(|error| volume.placed(error.at(row.file_offset))))
    }

    /// Bytes of the frame of `row` from `from`, at most `most`, read from where they stand in the file; `None` where they do not stand there
    /// as they are, or where the frame was not verified since the file was written to.
    pub(super) fn as_it_is(&self, volume: &Volume, row: &FrameRow, from: u64, most: u64) -> Result<Option<Chunk>> {
        let known = lock(&self.wrapped).frames.contains(&(volume.cache().1, row.file_offset));
        if !known || !volume.is_as_opened() {
            return Ok(None);
        }
        let (offset, bytes) = frame::in_wrapped(from, row.plain_bytes.into());
        let bytes = crate::error::cap(bytes.min(most), MAX_FRAME_BYTES, "frame")?;
        let mut content = self.own(self.plain.take(bytes));
        content.bytes.resize(bytes, 0);
        volume.read_at(row.file_offset.saturating_add(offset), &mut content.bytes)?;
        Ok(Some(Chunk::of(Arc::new(content), 0, most)))
    }

    /// A few bytes of the frame of `row`, which has no prefix; only what is before them is decompressed too. `None` where decompressing all
    /// of it is the better bargain: it is at hand, somebody read in it lately, or little of it would be left.
    pub(super) fn a_few(&self, volume: &Volume, row: &FrameRow, wanted: Range<u64>) -> Result<Option<Chunk>> {
        let end = wanted.end.div_ceil(STEP_BYTES).saturating_mul(STEP_BYTES);
        let key = (volume.cache().1, row.file_offset);
        if end.saturating_add(STEP_BYTES) > row.plain_bytes.into() || self.cache.get(key).is_some() || !lock(&self.begun).turn(key) {
            return Ok(None);
        }
        let placed = |error: Error| volume.placed(error.at(row.file_offset));
        let bytes = |count: u64| crate::error::cap(count, MAX_FRAME_BYTES, "frame").map_err(placed);
        // Of the size of a whole frame, as those are that wait.
        let mut room = self.plain.take(bytes(row.plain_bytes.into())?);
        let (start, end) = (bytes(wanted.start)?, bytes(wanted.end)?);
        if room.len() < end {
            room.resize(end, 0);
        }
        let made = self.make(volume, row, &Codec::Zstd, |stored| {
            frame::decompress_beginning(room.get_mut(..end).unwrap_or_default(), stored)?;
            Ok(room.get(start..end).unwrap_or_default().to_vec())
        });
        self.plain.give(room);
        let few = made.map_err(placed)?;
        Ok(Some(Chunk::of(Arc::new(self.own(few)), 0, u64::MAX)))
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
        let mut content = self.own(self.plain.take(plain_bytes));
        self.make(volume, row, codec, |stored| frame::decompress_into(&mut content.bytes, stored, plain_bytes, prefix))?;
        Ok(content)
    }

    /// Reads the frame of `row`, verifies it, and has `decompress` make something of it.
    fn make<T>(&self, volume: &Volume, row: &FrameRow, codec: &Codec, decompress: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let stored_bytes = crate::error::cap(row.stored_bytes.into(), MAX_FRAME_BYTES.saturating_mul(2), "frame")?;
        let mut buffer = self.stored.take(stored_bytes);
        if buffer.len() < stored_bytes {
            buffer.resize(stored_bytes, 0);
        }
        let stored = buffer.get_mut(..stored_bytes).unwrap_or_default();
        let made = verified(volume, row, codec, stored).and_then(decompress);
        if made.is_ok() && frame::is_wrapped(stored, usize::try_from(row.plain_bytes).unwrap_or_default()) {
            lock(&self.wrapped).add((volume.cache().1, row.file_offset));
        }
        self.stored.give(buffer);
        made
    }
}

/// Frames that something is known of, as many as there is room for.
struct Known {
    frames: HashSet<(u64, u64)>,
    most: usize,
}

impl Known {
    fn new(most: usize) -> Mutex<Self> {
        Mutex::new(Self { frames: HashSet::new(), most })
    }

    fn add(&mut self, key: (u64, u64)) {
        if self.frames.len() >= self.most {
            self.frames.clear();
        }
        self.frames.insert(key);
    }

    /// Adds one, or takes it out where it is known; whether it was added.
    fn turn(&mut self, key: (u64, u64)) -> bool {
        let added = !self.frames.remove(&key);
        if added {
            self.add(key);
        }
        added
    }
}

/// Reads the frame of `row` into `stored`, and verifies it: a piece is hashed while the disk brings the next one.
fn verified<'s>(volume: &Volume, row: &FrameRow, codec: &Codec, stored: &'s mut [u8]) -> Result<&'s [u8]> {
    volume.will_read(row.file_offset, stored.len());
    let (mut hasher, mut at) = (codec.hasher(), row.file_offset);
    for piece in stored.chunks_mut(PIECE_BYTES) {
        volume.read_at(at, piece)?;
        hasher.update(piece);
        at = at.saturating_add(crate::codec::length(piece));
    }
    if hasher.finish() != row.digest {
        return Err(Error::damaged("frame: its SHA-256 is not that of the index"));
    }
    Ok(stored)
}
