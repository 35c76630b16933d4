//! [`Window`]: the bytes of a chunk and those that copies may come from, where every load is sure to be in bounds.
//!
//! **Invariants.** Each byte lies at its place, modulo the size of the window; a place is that in the stream, and
//! [`MIN_PLACE`] more. So places in tables stay right from chunk to chunk, and 0, for none, is never near. Before a chunk
//! are the 32768 bytes before it, or all there were.
//!
//! *Not here:* which places are worth a look (`search`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places are taken modulo the size of the window"
)]

use crate::gzip::chunks::Chunk;
use crate::gzip::token::{AHEAD, Tokens};

/// Copies come from less than so far back.
pub(super) const NEAR: usize = 32768;
/// The place of the first byte.
pub(super) const MIN_PLACE: usize = NEAR;
/// How many bytes are compared without a branch.
pub(super) const WIDE: usize = 16;
/// Enough for a chunk and what is before it; a power of two.
const BYTES: usize = 1 << 17;

/// A ring. What it begins with stands behind its end once more, so that every place has [`WIDE`] bytes.
#[derive(Debug, Clone)]
pub(super) struct Window(Box<[u8; BYTES + WIDE]>);

/// A chunk in a window.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    bytes: &'a [u8; BYTES + WIDE],
    /// The place where the chunk begins.
    pub(super) start: usize,
    /// The place where it ends.
    pub(super) end: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self(vec![0; BYTES + WIDE].into_boxed_slice().try_into().expect("as many were made"))
    }
}

impl Window {
    /// Takes a chunk, with what is before it.
    pub(super) fn fill(&mut self, chunk: Chunk<'_>) -> View<'_> {
        let from = chunk.start.saturating_sub(NEAR);
        let mut at = (from + MIN_PLACE) % BYTES;
        let mut rest = &chunk.bytes[from..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BYTES - at));
            self.0[at..at + now.len()].copy_from_slice(now);
            (at, rest) = (0, later);
        }
        self.0.copy_within(..WIDE, BYTES);
        View { bytes: &self.0, start: chunk.start + MIN_PLACE, end: chunk.bytes.len() + MIN_PLACE }
    }
}

impl View<'_> {
    /// 4 bytes.
    #[inline(always)]
    pub(super) fn half(self, at: usize) -> u32 {
        let at = at % BYTES;
        self.bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
    }

    /// 8 bytes.
    #[inline(always)]
    pub(super) fn word(self, at: usize) -> u64 {
        let at = at % BYTES;
        self.bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
    }

    /// 16 bytes, the first 8 first.
    #[inline(always)]
    fn wide(self, at: usize) -> [u64; 2] {
        let at = at % BYTES;
        [at, at + 8].map(|at| self.bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes))
    }

    /// How many of 16 bytes at `from` and at `at` are equal.
    #[inline(always)]
    pub(super) fn common_wide(self, from: usize, at: usize) -> usize {
        let ([a, b], [c, d]) = (self.wide(from), self.wide(at));
        let (low, high) = (a ^ c, b ^ d);
        let (bits, different) = if low == 0 { (64, high) } else { (0, low) };
        ((bits + different.trailing_zeros()) as usize / 8).min(self.end - at)
    }

    /// How many bytes at `from` and at `at`, which is behind it, are equal up to the end of the chunk.
    pub(super) fn common(self, from: usize, at: usize) -> usize {
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
    pub(super) fn common_before(self, from: usize, at: usize, most: usize) -> usize {
        let different = self.word(from - 8) ^ self.word(at - 8);
        let equal = (different.leading_zeros() as usize / 8).min(most);
        if equal < 8 { equal } else { self.many_before(from, at, most) }
    }

    #[cold]
    fn many_before(self, from: usize, at: usize, most: usize) -> usize {
        (0..most).take_while(|back| self.bytes[(from - back - 1) % BYTES] == self.bytes[(at - back - 1) % BYTES]).count()
    }

    /// Adds the literals from `at` on.
    #[inline(always)]
    pub(super) fn push_literals(self, at: usize, count: usize, tokens: &mut Tokens) {
        let (mut at, mut left) = (at, count);
        while left > AHEAD {
            tokens.push_literals(self.word(at).to_le_bytes(), AHEAD);
            at += AHEAD;
            left -= AHEAD;
        }
        tokens.push_literals(self.word(at).to_le_bytes(), left);
    }
}
