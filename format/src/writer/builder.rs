//! [`Builder`]: turns content into frames, and remembers which chunk lies where.
//!
//! **Invariants.** What it makes depends on the content given, its order and what earlier sets hold alone. Where blobs of this set can be built on, all frames are
//! closed now and then: what was begun after that can be compressed after all that came before. A chunk that is
//! known is never stored again. Content that is compressed already has frames of its own; file contents, skeletons of tars and
//! content with an older version never share one.
//!
//! *Not here:* writing frames (`volume`), and which blob they are of (`set`).

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::sync::Arc;

use super::history::History;
use super::layer::{Cut, Hint, Layer};
use super::place::{Place, Spot, push_spot};
use super::pool::{How, Pool, Promise};
use super::prefix::Prefix;
use crate::chunk::{Chunker, Class, Shape};
use crate::codec::length;
use crate::delta::{Key, key, key_of};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::frame;
use crate::idle::Idle;

/// A frame that is not full is closed once blobs of this many bytes wait for it: they count as stored only then, and
/// would have to be fetched again after an interruption.
const WAIT_BYTES: u64 = 32 << 20;

/// A frame that is being compressed.
#[derive(Debug)]
pub(super) struct FrameJob {
    pub(super) id: u32,
    pub(super) promise: Promise,
    /// Keys of its chunks, and their offsets in it.
    pub(super) chunks: Vec<(Key, u32)>,
}

/// Which frames content goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Content,
    Skeleton,
    /// Content that is compressed after older versions of it.
    Patch,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Content, Self::Skeleton, Self::Patch];
}

#[derive(Default)]
struct OpenFrame {
    id: u32,
    plain: Vec<u8>,
    chunks: Vec<(Key, u32)>,
    /// Where older versions of its content are.
    prefix: Prefix,
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
    open: [Option<OpenFrame>; 3],
    chunks: HashMap<Key, Place>,
    history: History,
    ready: Vec<FrameJob>,
}

impl Builder {
    pub(super) fn new(threads: usize, level: i32, frame_bytes: usize, idle: Arc<Idle>, history: History) -> Self {
        let (pool, open, chunks, ready) = (Pool::new(threads), [None, None, None], HashMap::new(), Vec::new());
        Self { pool, level, frame_bytes, idle, next_id: 0, open, chunks, history, ready }
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
                    let promise = self.pool.begin(id, frame, How::Wrapped(bytes), None)?;
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

    /// Stores content that can be compressed, cut into chunks; says where they lie, and which they are.
    pub(super) fn chunk(
        &mut self,
        digest: &Digest,
        shape: Shape,
        content: &mut dyn Read,
        mut after: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<Cut> {
        let history = self.history.clone();
        let own_blobs = history.own.as_ref().map_or(0, |own| own.with(|table| table.before(digest)));
        let mut layer = Layer::new(&history, own_blobs, shape);
        let mut chunker = Chunker::new(shape);
        let mut buffer = vec![0u8; 256 << 10];
        loop {
            let count = content.read(&mut buffer).map_err(|error| unreadable(digest, &error))?;
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
            layer.look(read);
            chunker.push(read, &mut |class, chunk: &[u8]| self.take_chunk(class, chunk, &mut layer))?;
            after(self)?;
        }
        chunker.finish(&mut |class, chunk: &[u8]| self.take_chunk(class, chunk, &mut layer))?;
        let cut = layer.finish();
        self.end_blob(&cut.spots)?;
        Ok(cut)
    }

    /// A blob with a plain form of so many bytes has ended: closes all frames if that is due. Says which; the blob counts as stored only
    /// with them, so that a run that goes on closes them too.
    pub(super) fn close(&mut self, digest: &Digest, plain_bytes: u64) -> Result<BTreeSet<u32>> {
        let due = self.history.own.as_ref().is_some_and(|own| own.with(|table| table.closes(digest, plain_bytes)));
        if !due {
            return Ok(BTreeSet::new());
        }
        let ids = self.open.iter().flatten().map(|open| open.id).collect();
        self.flush()?;
        Ok(ids)
    }

    /// Where the chunks of a blob lie; `None` where not all of them are known.
    pub(super) fn spots_of(&self, chunks: &[(Key, u64)], plain_bytes: u64) -> Option<Vec<Spot>> {
        let mut spots = Vec::new();
        let ends = chunks.iter().skip(1).map(|(_, offset)| *offset).chain([plain_bytes]);
        for ((key, offset), end) in chunks.iter().zip(ends) {
            let place = self.place_of(key)?;
            push_spot(&mut spots, Spot { place, bytes: u32::try_from(end.checked_sub(*offset)?).ok()? });
        }
        Some(spots)
    }

    /// A blob has ended: a frame that too much waits for is closed. What is counted waits for that frame, so a run that
    /// goes on counts the same.
    fn end_blob(&mut self, spots: &[Spot]) -> Result<()> {
        let bytes = spots.iter().fold(0u64, |sum, spot| sum.saturating_add(spot.bytes.into()));
        for lane in Lane::ALL {
            let Some(open) = self.open_mut(lane) else { continue };
            let waits = |spot: &Spot| matches!(spot.place, Place::Frame { id, .. } if id == open.id);
            if spots.iter().any(waits) {
                open.waiting_bytes = open.waiting_bytes.saturating_add(bytes);
            }
            if open.waiting_bytes >= WAIT_BYTES {
                self.submit(lane)?;
            }
        }
        Ok(())
    }

    fn take_chunk(&mut self, class: Class, chunk: &[u8], layer: &mut Layer<'_>) -> Result<()> {
        for piece in chunk.chunks(self.frame_bytes) {
            let key = key(piece);
            // Also of a chunk that is known: the hints of those after it must be the same in a run that goes on.
            let hint = layer.hint(class);
            let place = match self.place_of(&key) {
                Some(place) => place,
                None => self.append(class, key, piece, hint)?,
            };
            layer.take(key, Spot { place, bytes: small(piece.len())? });
        }
        Ok(())
    }

    /// Where this set or earlier ones have a chunk.
    fn place_of(&self, key: &Key) -> Option<Place> {
        let before = || self.history.earlier.chunks.find(key).map(|(blob, offset)| Place::Before { blob, offset });
        self.chunks.get(key).copied().or_else(before)
    }

    fn append(&mut self, class: Class, key: Key, piece: &[u8], hint: Option<Hint>) -> Result<Place> {
        let (lane, most) = match (class, hint) {
            (Class::Skeleton, _) => (Lane::Skeleton, self.frame_bytes),
            (Class::Content, None) => (Lane::Content, self.frame_bytes),
            (Class::Content, Some(_)) => (Lane::Patch, self.frame_bytes.min(Prefix::MAX_FRAME_BYTES)),
        };
        let is_full = |open: &OpenFrame| open.plain.len().saturating_add(piece.len()) > most || open.prefix.is_full(most);
        if self.open_mut(lane).as_ref().is_some_and(is_full) {
            self.submit(lane)?;
        }
        if self.open_mut(lane).is_none() {
            let id = self.take_id()?;
            let plain = Vec::with_capacity(most);
            *self.open_mut(lane) = Some(OpenFrame { id, plain, ..OpenFrame::default() });
        }
        let open = self.open_mut(lane).as_mut().ok_or_else(|| Error::limit("frame: none is open"))?;
        let place = Place::Frame { id: open.id, offset: small(open.plain.len())? };
        open.chunks.push((key, small(open.plain.len())?));
        open.plain.extend_from_slice(piece);
        if let Some(hint) = hint {
            open.prefix.want(hint, length(piece));
        }
        self.chunks.insert(key, place);
        Ok(place)
    }

    /// Closes the frames that are not full.
    pub(super) fn flush(&mut self) -> Result<()> {
        Lane::ALL.into_iter().try_for_each(|lane| self.submit(lane))
    }

    fn submit(&mut self, lane: Lane) -> Result<()> {
        if let Some(open) = self.open_mut(lane).take() {
            let how = match lane {
                Lane::Content | Lane::Skeleton => How::Level(self.level),
                Lane::Patch => How::After(self.level, open.prefix, self.history.clone()),
            };
            let own = self.history.own.clone();
            own.iter().for_each(|own| own.shelf.announce(open.id));
            let promise = self.pool.begin(open.id, open.plain, how, own)?;
            self.ready.push(FrameJob { id: open.id, promise, chunks: open.chunks });
        }
        Ok(())
    }

    fn open_mut(&mut self, lane: Lane) -> &mut Option<OpenFrame> {
        let [content, skeleton, patch] = &mut self.open;
        match lane {
            Lane::Content => content,
            Lane::Skeleton => skeleton,
            Lane::Patch => patch,
        }
    }

    fn take_id(&mut self) -> Result<u32> {
        let id = self.next_id;
        self.next_id = id.checked_add(1).ok_or_else(|| Error::limit("set: more than 2^32 frames"))?;
        Ok(id)
    }
}

/// A piece of a blob that is stored as it came has no other name than its place in it.
fn piece_key(digest: &Digest, piece: u64) -> Key {
    let mut hasher = Hasher::sha256();
    hasher.update(b"ocm piece\0");
    hasher.update(digest.bytes());
    hasher.update(&piece.to_le_bytes());
    key_of(hasher)
}

fn small(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::limit("frame: more than 4 GiB"))
}

fn unreadable(digest: &Digest, error: &std::io::Error) -> Error {
    Error::new(Kind::Io(error.kind()), format!("blob {digest}: {error}"))
}
