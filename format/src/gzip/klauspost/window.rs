//! [`Window`]: the bytes of a chunk and those that copies may come from, where every load is sure to be in bounds.
//!
//! **Invariants.** A chunk begins at [`START`]; before it are the bytes that were before it in the stream, up to 32768 of
//! them. Places in tables are those of the stream, so they stay right from chunk to chunk.
//!
//! *Not here:* which places are worth a look (`search`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places are masked to be in the window, whose size is fixed"
)]

use crate::gzip::chunks::Chunk;
use crate::gzip::token::Tokens;

/// Copies come from less than so far back. Places in the tables are more by it, so that 0, for none, is never near.
pub(super) const NEAR: u32 = 32768;
/// How many bytes are compared without a branch.
pub(super) const WIDE: usize = 16;
/// So many bytes can be loaded before and behind all others.
const MARGIN: usize = WIDE;
/// Where a chunk begins.
pub(super) const START: usize = MARGIN + NEAR as usize;
/// Enough for a chunk; a power of two.
const PLACES: usize = 1 << 17;

/// A chunk, and what is before it.
#[derive(Debug, Clone)]
pub(super) struct Window {
    bytes: Box<[u8; PLACES + MARGIN]>,
    /// Where the chunk ends.
    end: usize,
    /// Where the first byte of the stream is, or would be.
    lowest: usize,
    /// What places in tables are more than those here.
    shift: u32,
}

impl Default for Window {
    fn default() -> Self {
        let bytes = vec![0; PLACES + MARGIN].into_boxed_slice().try_into().expect("as many were made");
        Self { bytes, end: START, lowest: START, shift: 0 }
    }
}

impl Window {
    /// Takes a chunk, with what is before it.
    pub(super) fn fill(&mut self, chunk: Chunk<'_>) {
        let before = chunk.start.min(NEAR as usize);
        let bytes = &chunk.bytes[chunk.start - before..];
        self.lowest = START - before;
        self.end = self.lowest + bytes.len();
        self.bytes[self.lowest..self.end].copy_from_slice(bytes);
        self.shift = (chunk.start as u32).wrapping_add(NEAR).wrapping_sub(START as u32);
    }

    /// Where the chunk ends.
    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The first place that a copy may come from.
    #[inline(always)]
    pub(super) fn lowest(&self) -> usize {
        self.lowest
    }

    /// What tables have for `at`.
    #[inline(always)]
    pub(super) fn place(&self, at: usize) -> u32 {
        (at as u32).wrapping_add(self.shift)
    }

    /// Where a place of a table is; anywhere if it is not near.
    #[inline(always)]
    pub(super) fn index(&self, place: u32) -> usize {
        place.wrapping_sub(self.shift) as usize
    }

    /// 8 bytes.
    #[inline(always)]
    pub(super) fn word(&self, at: usize) -> u64 {
        let at = at & (PLACES - 1);
        self.bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
    }

    #[inline(always)]
    fn wide(&self, at: usize) -> u128 {
        let at = at & (PLACES - 1);
        self.bytes[at..at + WIDE].try_into().map_or(0, u128::from_le_bytes)
    }

    /// Whether the 4 bytes at a place of a table are the first of `word`.
    #[inline(always)]
    pub(super) fn has_half(&self, place: u32, word: u64) -> bool {
        let at = self.index(place) & (PLACES - 1);
        self.bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes) == word as u32
    }

    /// How many of 16 bytes at `from` and at `at` are equal.
    #[inline(always)]
    pub(super) fn common_wide(&self, from: usize, at: usize) -> usize {
        let different = self.wide(from) ^ self.wide(at);
        (different.trailing_zeros() as usize / 8).min(self.end - at)
    }

    /// How many bytes at `from` and at `at`, which is behind it, are equal up to the end of the chunk.
    pub(super) fn common(&self, from: usize, at: usize) -> usize {
        let most = self.end - at;
        let mut equal = 0;
        while equal < most {
            let different = self.word(from + equal) ^ self.word(at + equal);
            if different != 0 {
                return most.min(equal + different.trailing_zeros() as usize / 8);
            }
            equal += 8;
        }
        most
    }

    /// How many bytes before `from` and before `at` are equal, at most `most`.
    #[inline(always)]
    pub(super) fn common_before(&self, from: usize, at: usize, most: usize) -> usize {
        let different = self.word(from - 8) ^ self.word(at - 8);
        let equal = (different.leading_zeros() as usize / 8).min(most);
        if equal < 8 { equal } else { self.many_before(from, at, most) }
    }

    #[cold]
    fn many_before(&self, from: usize, at: usize, most: usize) -> usize {
        (0..most).take_while(|back| self.bytes[from - back - 1] == self.bytes[at - back - 1]).count()
    }

    /// Adds the literals from `at` on.
    #[inline(always)]
    pub(super) fn push_literals(&self, at: usize, count: usize, tokens: &mut Tokens) {
        let (mut at, mut left) = (at, count);
        while left > WIDE {
            tokens.push_literals(self.wide(at).to_le_bytes(), WIDE);
            at += WIDE;
            left -= WIDE;
        }
        tokens.push_literals(self.wide(at).to_le_bytes(), left);
    }
}
