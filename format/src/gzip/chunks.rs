//! [`Chunks`]: the plain bytes of a stream cut in chunks of 65535 bytes, with what came before them.
//!
//! **Invariants.** The 32 KiB before a chunk are there, or all there were. Memory is bounded however much comes.
//!
//! *Not here:* what becomes of a chunk.

#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions, reason = "places in a buffer of its own")]

/// How many bytes all chunks have but the last.
const CHUNK_BYTES: usize = 65535;
/// How far back a copy reaches.
const REACH_BYTES: usize = 32768;
/// How many bytes may be behind the next chunk before the buffer moves on.
const MAX_BEHIND_BYTES: usize = 4 << 20;
/// How many bytes to take at once.
pub(super) const FEED_BYTES: usize = 1 << 20;

/// Chunks of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunks {
    bytes: Vec<u8>,
    start: usize,
    plain_offset: u64,
}

/// The chunks of bytes that are all at hand, behind the first `history_bytes`, which they may copy from; and whether it is
/// the last one.
pub(super) fn of_all(bytes: &[u8], history_bytes: usize) -> impl Iterator<Item = (Chunk<'_>, bool)> {
    (history_bytes..bytes.len()).step_by(CHUNK_BYTES).map(move |start| {
        let end = bytes.len().min(start + CHUNK_BYTES);
        (Chunk { bytes: &bytes[..end], start, plain_offset: (start - history_bytes) as u64 }, end == bytes.len())
    })
}

/// One chunk: a range of the bytes at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// All bytes up to its end.
    pub(super) bytes: &'a [u8],
    /// Where it starts in them.
    pub(super) start: usize,
    /// Where it starts in the stream.
    pub(super) plain_offset: u64,
}

impl<'a> Chunk<'a> {
    /// Its own bytes.
    pub(super) fn own(&self) -> &'a [u8] {
        &self.bytes[self.start..]
    }
}

impl Chunks {
    /// Of a stream from `plain_offset` on, where one of its chunks begins.
    pub(super) fn from_offset(plain_offset: u64) -> Self {
        Self { plain_offset, ..Self::default() }
    }

    /// Takes bytes of the stream, at most [`FEED_BYTES`].
    pub(super) fn feed(&mut self, plain: &[u8]) {
        self.bytes.extend_from_slice(plain);
    }

    /// The next chunk that is sure not to be the last: there is more after it.
    pub(super) fn next(&self) -> Option<Chunk<'_>> {
        (self.bytes.len() - self.start > CHUNK_BYTES).then(|| self.chunk(CHUNK_BYTES))
    }

    /// The last chunk, if anything is left; there is no more after it.
    pub(super) fn last(&self) -> Option<Chunk<'_>> {
        let rest = self.bytes.len() - self.start;
        (rest > 0).then(|| self.chunk(rest))
    }

    fn chunk(&self, bytes: usize) -> Chunk<'_> {
        let end = self.start + bytes;
        Chunk { bytes: &self.bytes[..end], start: self.start, plain_offset: self.plain_offset }
    }

    /// Moves on behind a chunk of so many bytes.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.plain_offset += bytes as u64;
    }

    /// Where the next chunk starts in the stream.
    pub(super) fn plain_offset(&self) -> u64 {
        self.plain_offset
    }

    /// Lets go of bytes that are out of reach, if they are many; answers by how much places in the buffer are now less.
    pub(super) fn slide(&mut self) -> usize {
        if self.start < MAX_BEHIND_BYTES {
            return 0;
        }
        let gone = self.start - REACH_BYTES;
        self.bytes.drain(..gone);
        self.start -= gone;
        gone
    }
}
