//! [`Builder`]: turns content into frames, and remembers which chunk lies where.
//!
//! **Invariants.** What it makes depends on the content given and its order alone. A chunk that is known is never stored
//! again. Content that is compressed already has frames of its own; file contents and skeletons of tars never share one.
//!
//! *Not here:* writing frames (`volume`), and which blob they are of (`set`).

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use super::pool::{How, Pool, Promise};
use crate::chunk::{Chunker, Class, Shape};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::frame;
use crate::idle::Idle;
use crate::recipe::{Part, Range};

/// A frame that is not full is closed once blobs of this many bytes wait for it: they count as stored only then, and
/// would have to be fetched again after an interruption.
const WAIT_BYTES: u64 = 32 << 20;

/// How a chunk is known again.
pub(super) type Key = [u8; 32];

/// Where bytes are, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a frame that this run makes.
    Frame { id: u32, offset: u32 },
    /// In a stream already.
    Stream { volume: u32, offset: u64 },
}

/// Some bytes of a blob: where, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) bytes: u32,
}

/// A frame that is being compressed.
#[derive(Debug)]
pub(super) struct FrameJob {
    pub(super) id: u32,
    pub(super) promise: Promise,
    /// Keys of its chunks, and their offsets in it.
    pub(super) chunks: Vec<(Key, u32)>,
}

#[derive(Default)]
struct OpenFrame {
    id: u32,
    plain: Vec<u8>,
    chunks: Vec<(Key, u32)>,
    /// The bytes of all blobs that have ended and wait for it.
    waiting_bytes: u64,
}

/// What turns content into frames.
pub(super) struct Builder {
    pool: Pool,
    level: i32,
    frame_bytes: usize,
    /// Where frames of content that is compressed already are read to.
    idle: Arc<Idle>,
    next_id: u32,
    open: [Option<OpenFrame>; 2],
    chunks: HashMap<Key, Place>,
    ready: Vec<FrameJob>,
}

impl Builder {
    pub(super) fn new(threads: usize, level: i32, frame_bytes: usize, idle: Arc<Idle>) -> Self {
        let open = [None, None];
        Self { pool: Pool::new(threads), level, frame_bytes, idle, next_id: 0, open, chunks: HashMap::new(), ready: Vec::new() }
    }

    /// A chunk that an earlier run has stored.
    pub(super) fn remember(&mut self, key: Key, place: Place) {
        self.chunks.insert(key, place);
    }

    /// The frames that are full since the last call, in order.
    pub(super) fn take_ready(&mut self) -> Vec<FrameJob> {
        std::mem::take(&mut self.ready)
    }

    /// Stores content that is compressed already: `content` is the whole blob `digest`.
    pub(super) fn wrap(
        &mut self,
        digest: &Digest,
        content: &mut dyn Read,
        mut after: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<Vec<Spot>> {
        let mut spots = Vec::new();
        for piece in 0u64.. {
            let mut frame = self.idle.take(frame::wrapped_bytes(self.frame_bytes));
            let bytes = frame::wrap(content, small(self.frame_bytes)?, &mut frame).map_err(|error| unreadable(digest, &error))?;
            if bytes == 0 {
                break;
            }
            let key = piece_key(digest, piece);
            let place = match self.chunks.get(&key) {
                Some(place) => *place,
                None => {
                    let id = self.take_id()?;
                    let promise = self.pool.begin(frame, How::Wrapped(bytes))?;
                    self.ready.push(FrameJob { id, promise, chunks: vec![(key, 0)] });
                    self.chunks.insert(key, Place::Frame { id, offset: 0 });
                    Place::Frame { id, offset: 0 }
                }
            };
            spots.push(Spot { place, bytes });
            after(self)?;
        }
        Ok(spots)
    }

    /// Stores content that can be compressed, cut into chunks.
    pub(super) fn chunk(
        &mut self,
        digest: &Digest,
        shape: Shape,
        content: &mut dyn Read,
        mut after: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<Vec<Spot>> {
        let mut spots = Vec::new();
        let mut chunker = Chunker::new(shape);
        let mut buffer = vec![0u8; 256 << 10];
        loop {
            let count = content.read(&mut buffer).map_err(|error| unreadable(digest, &error))?;
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
            chunker.push(read, &mut |class, chunk: &[u8]| self.take_chunk(class, chunk, &mut spots))?;
            after(self)?;
        }
        chunker.finish(&mut |class, chunk: &[u8]| self.take_chunk(class, chunk, &mut spots))?;
        self.end_blob(&spots)?;
        Ok(spots)
    }

    /// A blob has ended: a frame that too much waits for is closed. What is counted waits for that frame, so a run that
    /// goes on counts the same.
    fn end_blob(&mut self, spots: &[Spot]) -> Result<()> {
        let bytes = spots.iter().fold(0u64, |sum, spot| sum.saturating_add(spot.bytes.into()));
        for class in [Class::Content, Class::Skeleton] {
            let Some(open) = self.open_mut(class) else { continue };
            let waits = |spot: &Spot| matches!(spot.place, Place::Frame { id, .. } if id == open.id);
            if spots.iter().any(waits) {
                open.waiting_bytes = open.waiting_bytes.saturating_add(bytes);
            }
            if open.waiting_bytes >= WAIT_BYTES {
                self.submit(class)?;
            }
        }
        Ok(())
    }

    fn take_chunk(&mut self, class: Class, chunk: &[u8], spots: &mut Vec<Spot>) -> Result<()> {
        for piece in chunk.chunks(self.frame_bytes) {
            let key = chunk_key(piece);
            let place = match self.chunks.get(&key) {
                Some(place) => *place,
                None => self.append(class, key, piece)?,
            };
            push_spot(spots, Spot { place, bytes: small(piece.len())? });
        }
        Ok(())
    }

    fn append(&mut self, class: Class, key: Key, piece: &[u8]) -> Result<Place> {
        let full = |open: &OpenFrame| open.plain.len().saturating_add(piece.len()) > self.frame_bytes;
        if self.open(class).as_ref().is_some_and(full) {
            self.submit(class)?;
        }
        if self.open(class).is_none() {
            let id = self.take_id()?;
            let plain = Vec::with_capacity(self.frame_bytes);
            *self.open_mut(class) = Some(OpenFrame { id, plain, ..OpenFrame::default() });
        }
        let open = self.open_mut(class).as_mut().ok_or_else(|| Error::limit("frame: none is open"))?;
        let place = Place::Frame { id: open.id, offset: small(open.plain.len())? };
        open.chunks.push((key, small(open.plain.len())?));
        open.plain.extend_from_slice(piece);
        self.chunks.insert(key, place);
        Ok(place)
    }

    /// Closes the frames that are not full.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.submit(Class::Content)?;
        self.submit(Class::Skeleton)
    }

    fn submit(&mut self, class: Class) -> Result<()> {
        if let Some(open) = self.open_mut(class).take() {
            let promise = self.pool.begin(open.plain, How::Level(self.level))?;
            self.ready.push(FrameJob { id: open.id, promise, chunks: open.chunks });
        }
        Ok(())
    }

    fn open(&self, class: Class) -> &Option<OpenFrame> {
        let [content, skeleton] = &self.open;
        if class == Class::Content { content } else { skeleton }
    }

    fn open_mut(&mut self, class: Class) -> &mut Option<OpenFrame> {
        let [content, skeleton] = &mut self.open;
        if class == Class::Content { content } else { skeleton }
    }

    fn take_id(&mut self) -> Result<u32> {
        let id = self.next_id;
        self.next_id = id.checked_add(1).ok_or_else(|| Error::limit("set: more than 2^32 frames"))?;
        Ok(id)
    }
}

/// Which stretch of the streams each frame of this run became.
#[derive(Default)]
pub(super) struct Placed(Vec<Option<(u32, u64)>>);

impl Placed {
    /// Frame `id` begins at `offset` in the stream of `volume`.
    pub(super) fn put(&mut self, id: u32, volume: u32, offset: u64) {
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        if self.0.len() <= at {
            self.0.resize(at.saturating_add(1), None);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = Some((volume, offset));
        }
    }

    /// The frames among `spots` that have no place yet.
    pub(super) fn missing(&self, spots: &[Spot]) -> std::collections::BTreeSet<u32> {
        spots
            .iter()
            .filter_map(|spot| match spot.place {
                Place::Frame { id, .. } if self.get(id).is_none() => Some(id),
                _ => None,
            })
            .collect()
    }

    fn get(&self, id: u32) -> Option<(u32, u64)> {
        self.0.get(usize::try_from(id).ok()?).copied().flatten()
    }

    /// The parts that spots became; all of their frames have a place.
    pub(super) fn parts(&self, spots: &[Spot]) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for spot in spots {
            let (volume, offset) = match spot.place {
                Place::Stream { volume, offset } => (volume, offset),
                Place::Frame { id, offset } => {
                    let (volume, start) = self.get(id).ok_or_else(|| Error::new(Kind::Usage, "a frame was not written"))?;
                    (volume, start.saturating_add(offset.into()))
                }
            };
            Part::join(&mut parts, Part::Range(Range { volume, offset, bytes: spot.bytes.into() }));
        }
        Ok(parts)
    }
}

/// Appends a spot; one that goes on where the last one ends becomes one with it.
fn push_spot(spots: &mut Vec<Spot>, next: Spot) {
    if let (Some(last), Place::Frame { id, offset }) = (spots.last_mut(), next.place)
        && let Place::Frame { id: last_id, offset: last_offset } = last.place
        && id == last_id
        && last_offset.checked_add(last.bytes) == Some(offset)
        && let Some(bytes) = last.bytes.checked_add(next.bytes)
    {
        last.bytes = bytes;
        return;
    }
    spots.push(next);
}

fn chunk_key(chunk: &[u8]) -> Key {
    hash(|hasher| hasher.update(chunk))
}

/// A piece of a blob that is stored as it came has no other name than its place in it.
fn piece_key(digest: &Digest, piece: u64) -> Key {
    hash(|hasher| {
        hasher.update(b"ocm piece\0");
        hasher.update(digest.bytes());
        hasher.update(&piece.to_le_bytes());
    })
}

fn hash(feed: impl FnOnce(&mut Hasher)) -> Key {
    let mut hasher = Hasher::sha256();
    feed(&mut hasher);
    hasher.finish().bytes().first_chunk().copied().unwrap_or_default()
}

fn small(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::limit("frame: more than 4 GiB"))
}

fn unreadable(digest: &Digest, error: &std::io::Error) -> Error {
    Error::new(Kind::Io(error.kind()), format!("blob {digest}: {error}"))
}
