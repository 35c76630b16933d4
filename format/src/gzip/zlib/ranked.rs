//! [`Ranked`]: what [`Chains`](super::search::Chains) finds, found sooner where chains are long.
//!
//! Each place has a rank, the number of its string among all of the same three-byte hash. So the rule that only so many
//! of these are tried holds without walking them all: once a match of three bytes is in hand, only places that share a
//! hash of four bytes, or of six, are looked at; and none at all if the bytes that a longer match must end with were not
//! seen.
//!
//! **Invariants.** For the lazy parser, same matches as by `Chains`, to the last tie: every string is inserted, in order,
//! when the six bytes of it are there or the input has ended.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "as for `search`: places below 2^16, lengths at most 258, and room in the window for both"
)]

use super::search::{Best, Found, Search, Wanted, common, three_byte_hash};
use super::window::{Bytes, HALF, MAX_DISTANCE, zeroed};

/// Beyond this distance, the lazy parser has no use for a match of three bytes.
pub(crate) const TOO_FAR: usize = 4096;

/// The bytes of a long string.
const LONG: usize = 6;

/// Places by the hashes of three, four and six bytes.
pub(crate) struct Ranked {
    heads: Box<[u16; 1 << 16]>,
    four_heads: Box<[u16; 1 << 16]>,
    long_heads: Box<[u16; 1 << 16]>,
    links: Box<[Link; HALF]>,
    hash_bits: u32,
}

/// What is known of a place: its rank, and the places before it with the same hashes.
#[derive(Debug, Default, Clone, Copy)]
struct Link {
    three: u16,
    rank: u16,
    four: u16,
    long: u16,
}

impl Search for Ranked {
    fn new(hash_bits: u32) -> Self {
        Self { heads: zeroed(), four_heads: zeroed(), long_heads: zeroed(), links: zeroed(), hash_bits }
    }

    #[inline]
    fn insert(&mut self, bytes: &Bytes, at: usize) -> u16 {
        let string = eight(bytes, at);
        let swap = |head: &mut u16| std::mem::replace(head, at as u16);
        let three = swap(&mut self.heads[three_byte_hash(string as u32, self.hash_bits)]);
        let four = swap(&mut self.four_heads[four_byte_hash(string)]);
        let long = swap(&mut self.long_heads[long_hash(string)]);
        let rank = self.links[usize::from(three) % HALF].rank.wrapping_add(1);
        self.links[at % HALF] = Link { three, rank, four, long };
        three
    }

    fn slide(&mut self) {
        let moved = |place: &mut u16| *place = place.saturating_sub(HALF as u16);
        for heads in [&mut self.heads, &mut self.four_heads, &mut self.long_heads] {
            heads.iter_mut().for_each(moved);
        }
        for link in self.links.iter_mut() {
            moved(&mut link.three);
            moved(&mut link.four);
            moved(&mut link.long);
        }
    }

    #[inline]
    fn longest(&self, bytes: &Bytes, at: usize, first: u16, wanted: Wanted) -> Option<Found> {
        let nearest = if wanted.longer_than < 3 { self.nearest(bytes, at, first, wanted.chain) } else { None };
        if nearest.is_some_and(|found| found.length >= wanted.nice) {
            return nearest;
        }
        let longer_than = nearest.map_or(wanted.longer_than.max(3), |found| found.length);
        self.longer(bytes, at, first, Wanted { longer_than, ..wanted }).or(nearest)
    }
}

impl Ranked {
    /// The nearest match of at least three bytes, up to the distance where one of three bytes is of no use.
    #[inline]
    fn nearest(&self, bytes: &Bytes, at: usize, first: u16, chain: u32) -> Option<Found> {
        let limit = at.saturating_sub(TOO_FAR + 1);
        let start = Best::new(bytes, at, 2);
        let (mut place, mut left) = (usize::from(first), chain);
        while place > limit && left > 0 {
            if start.may_be_beaten(bytes, place) {
                return Some(Found { distance: at - place, length: common(bytes, at, place) });
            }
            place = usize::from(self.links[place % HALF].three);
            left -= 1;
        }
        None
    }

    /// The longest match of more than three bytes.
    #[inline]
    fn longer(&self, bytes: &Bytes, at: usize, first: u16, wanted: Wanted) -> Option<Found> {
        let (here, start) = (self.links[at % HALF], Best::new(bytes, at, 2));
        let limit = at.saturating_sub(MAX_DISTANCE);
        let mut best = Best::new(bytes, at, wanted.longer_than);
        let mut is_long = best.length + 1 >= LONG;
        let mut place = usize::from(if is_long { here.long } else { here.four });
        let (mut found, mut is_hopeful) = (None, false);
        // The first candidate of all may be one byte further away than the others.
        while place > limit || (place == limit && place > 0 && place == usize::from(first)) {
            if !is_hopeful && best.length >= LONG && at - place > best.length - LONG {
                if !self.has_seen_end(bytes, at, best.length, limit) {
                    break;
                }
                is_hopeful = true;
            }
            let link = self.links[place % HALF];
            // Ranks can be compared only if it is the same string, not just the same hash of four bytes.
            if u32::from(here.rank.wrapping_sub(link.rank)) > wanted.chain && start.may_be_beaten(bytes, place) {
                break;
            }
            if best.may_be_beaten(bytes, place) {
                let length = common(bytes, at, place);
                if length > best.length {
                    found = Some(Found { distance: at - place, length });
                    if length >= wanted.nice {
                        break;
                    }
                    best = Best::new(bytes, at, length);
                    (is_long, is_hopeful) = (is_long || length >= LONG, false);
                }
            }
            place = usize::from(if is_long { link.long } else { link.four });
        }
        found
    }

    /// Whether the last bytes of a match longer than `length` were seen where it can be. Not known of matches that reach
    /// past `at`, as what lies ahead is not inserted.
    #[inline]
    fn has_seen_end(&self, bytes: &Bytes, at: usize, length: usize, limit: usize) -> bool {
        let end = length + 1 - LONG;
        let last = usize::from(self.long_heads[long_hash(eight(bytes, at + end))]);
        last > 0 && last >= limit + end
    }
}

#[inline]
fn eight(bytes: &Bytes, at: usize) -> u64 {
    let eight = &bytes[at..at + 8];
    u64::from_le_bytes([eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7]])
}

/// Of the four low bytes.
#[inline]
fn four_byte_hash(string: u64) -> usize {
    sixteen_bits(string << 32)
}

/// Of the [`LONG`] low bytes.
#[inline]
fn long_hash(string: u64) -> usize {
    sixteen_bits(string << (64 - 8 * LONG))
}

#[inline]
fn sixteen_bits(string: u64) -> usize {
    (string.wrapping_mul(0x9e37_79b1_85eb_ca87) >> 48) as usize
}
