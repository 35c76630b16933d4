//! [`Chains`]: where strings of three bytes were seen in the window, and the longest match among those places.
//!
//! **Invariants.** Places are offsets in the window, 16 bits each; zero means none, so that the first byte of the window
//! is never found. Candidates are tried from the nearest on: of equal matches the nearest is taken.
//!
//! *Not here:* which match is used (`parse`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places are below 2^16, lengths at most 258, and the window has room for both together; \
              the cost of checked forms would show in every byte"
)]

use super::symbols::MAX_MATCH;
use super::window::{Bytes, HALF, MAX_DISTANCE, zeroed};

/// Places by hash, and for each place the one before it with the same hash.
pub(crate) struct Chains {
    heads: Box<[u16; 1 << 16]>,
    before: Box<[u16; HALF]>,
    hash_bits: u32,
}

/// What to look for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Only matches longer than this; from 2 to 257.
    pub(crate) longer_than: usize,
    /// A match of this length ends the search; at most 258.
    pub(crate) nice: usize,
    /// How many candidates are tried; at least one.
    pub(crate) chain: u32,
}

/// A match.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    /// How far back.
    pub(crate) distance: usize,
    /// How long.
    pub(crate) length: usize,
}

/// A way to find matches.
pub(crate) trait Search {
    /// None seen yet; the hash has `hash_bits`, 8 to 16.
    fn new(hash_bits: u32) -> Self;

    /// Remembers the string at `at`, and answers the last place with the same hash.
    fn insert(&mut self, bytes: &Bytes, at: usize) -> u16;

    /// The window moved by half: so do all places, and those that left it are none.
    fn slide(&mut self);

    /// The longest match for the string at `at`, from the candidate `first` on. Bytes beyond the input count too.
    fn longest(&self, bytes: &Bytes, at: usize, first: u16, wanted: Wanted) -> Option<Found>;
}

impl Search for Chains {
    fn new(hash_bits: u32) -> Self {
        Self { heads: zeroed(), before: zeroed(), hash_bits }
    }

    #[inline]
    fn insert(&mut self, bytes: &Bytes, at: usize) -> u16 {
        let head = &mut self.heads[three_byte_hash(u32::from_le_bytes(four(bytes, at)), self.hash_bits)];
        let last = std::mem::replace(head, at as u16);
        self.before[at % HALF] = last;
        last
    }

    fn slide(&mut self) {
        let moved = |place: &mut u16| *place = place.saturating_sub(HALF as u16);
        self.heads.iter_mut().for_each(moved);
        self.before.iter_mut().for_each(moved);
    }

    #[inline]
    fn longest(&self, bytes: &Bytes, at: usize, first: u16, wanted: Wanted) -> Option<Found> {
        let limit = at.saturating_sub(MAX_DISTANCE) as u16;
        let mut best = Best::new(bytes, at, wanted.longer_than);
        let (mut place, mut left) = (first, wanted.chain);
        let mut found = None;
        loop {
            let start = usize::from(place);
            if best.may_be_beaten(bytes, start) {
                let length = common(bytes, at, start);
                if length > best.length {
                    found = Some(Found { distance: at - start, length });
                    if length >= wanted.nice {
                        break;
                    }
                    best = Best::new(bytes, at, length);
                }
            }
            place = self.before[usize::from(place) % HALF];
            left -= 1;
            if place <= limit || left == 0 {
                break;
            }
        }
        found
    }
}

/// The length to beat, and the bytes that a longer match must have at its end.
pub(crate) struct Best {
    /// What a match must be longer than.
    pub(crate) length: usize,
    tail: u32,
    mask: u32,
    offset: usize,
}

impl Best {
    #[inline]
    pub(crate) fn new(bytes: &Bytes, at: usize, length: usize) -> Self {
        let offset = length.saturating_sub(3);
        let mask = if length < 3 { 0x00ff_ffff } else { u32::MAX };
        Self { length, tail: u32::from_le_bytes(four(bytes, at + offset)), mask, offset }
    }

    #[inline]
    pub(crate) fn may_be_beaten(&self, bytes: &Bytes, start: usize) -> bool {
        (u32::from_le_bytes(four(bytes, start + self.offset)) ^ self.tail) & self.mask == 0
    }
}

#[inline]
fn four(bytes: &Bytes, at: usize) -> [u8; 4] {
    let four = &bytes[at..at + 4];
    [four[0], four[1], four[2], four[3]]
}

/// How many bytes are the same at both places, at most 258.
#[inline]
pub(crate) fn common(bytes: &Bytes, one: usize, other: usize) -> usize {
    const ROOM: usize = MAX_MATCH + 6;
    let (one, other) = (&bytes[one..one + ROOM], &bytes[other..other + ROOM]);
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    for (at, (one, other)) in ones.iter().zip(others).enumerate() {
        let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differ != 0 {
            return (8 * at + differ.trailing_zeros() as usize / 8).min(MAX_MATCH);
        }
    }
    MAX_MATCH
}

/// The hash of the three low bytes: as deep as it is told, below 2^16.
#[inline]
pub(crate) fn three_byte_hash(string: u32, hash_bits: u32) -> usize {
    let shift = hash_bits.div_ceil(3);
    let [first, second, third] = [string & 0xff, string >> 8 & 0xff, string >> 16 & 0xff];
    usize::from(((first << shift ^ second) << shift ^ third) as u16) & ((1 << hash_bits) - 1)
}
