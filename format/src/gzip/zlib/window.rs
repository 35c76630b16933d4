//! [`Window`]: the last 32 to 64 KiB of the input, of which some is history and some still waits.
//!
//! **Invariants.** It moves by halves and never forgets less: bytes past the end of the input are those that were there
//! before (zero at first), which GNU gzip's choice of matches depends on.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "at <= end <= 2^16 always, and a slide happens only in the upper half"
)]

use std::fmt::Debug;

use super::symbols::{MAX_MATCH, MIN_MATCH};

/// The size of the history, by which the window moves.
pub(crate) const HALF: usize = 1 << 15;
/// The size of the window.
pub(crate) const SIZE: usize = 2 * HALF;
/// With fewer bytes ahead, an encoder asks for more.
pub(crate) const MIN_AHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
/// How far back matches go.
pub(crate) const MAX_DISTANCE: usize = HALF - MIN_AHEAD;
/// From here on, the window moves before more is read.
pub(crate) const SLIDE_FROM: usize = HALF + MAX_DISTANCE;

/// The window's bytes, with zeros behind so that a comparison may run past its end.
pub(crate) type Bytes = [u8; SIZE + 2 * MIN_AHEAD];

/// The window.
pub(crate) struct Window {
    /// What it holds.
    pub(crate) bytes: Box<Bytes>,
    /// Where the next byte to encode is.
    pub(crate) at: usize,
    /// Where the input ends so far.
    pub(crate) end: usize,
}

impl Window {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { bytes: zeroed(), at: 0, end: 0 }
    }

    /// Copies as much as there is room for; answers how much.
    pub(crate) fn fill(&mut self, plain: &[u8]) -> usize {
        let taken = plain.len().min(SIZE - self.end);
        self.bytes[self.end..self.end + taken].copy_from_slice(&plain[..taken]);
        self.end += taken;
        taken
    }

    /// Whether nothing fits any more.
    pub(crate) fn is_full(&self) -> bool {
        self.end == SIZE
    }

    /// How many bytes wait.
    pub(crate) fn ahead(&self) -> usize {
        self.end - self.at
    }

    /// The first place with too few bytes ahead to decide.
    pub(crate) fn undecided(&self) -> usize {
        self.end.saturating_sub(MIN_AHEAD - 1)
    }

    /// There is no more input: zeroes the two bytes after it, so that no string at the end runs into old bytes.
    pub(crate) fn clear_past_end(&mut self) {
        self.bytes[self.end..self.end + MIN_MATCH - 1].fill(0);
    }

    /// Moves by half.
    pub(crate) fn slide(&mut self) {
        self.bytes.copy_within(HALF..SIZE, 0);
        self.at -= HALF;
        self.end -= HALF;
    }
}

/// An array on the heap, without a copy of it on the stack.
pub(crate) fn zeroed<T: Default + Clone + Debug, const N: usize>() -> Box<[T; N]> {
    vec![T::default(); N].into_boxed_slice().try_into().expect("the vector has the length of the array")
}
