//! [`Lazy`]: levels 4 to 9: chains of places by 4 bytes; a copy is taken if the next byte has no longer one.
//!
//! **Invariants.** 64 KiB of the stream are seen at once, and move on by 32 KiB: just after that, copies from furthest
//! back are not found, which shows in the output.
//!
//! *Not here:* how tokens are written.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places in a window, and tables of its own"
)]

use super::block::Blocks;
use crate::gzip::token::Token;
use crate::gzip::{Anew, Bits};

/// How far back a copy reaches, and by how much the window moves on.
const REACH: usize = 32768;
const WINDOW_BYTES: usize = 2 * REACH;
const HASH_BITS: u32 = 17;
const SHORTEST: usize = 4;
const LONGEST: usize = 258;
/// Copies of 4 bytes come from at most so far back.
const SHORTEST_REACH: usize = 4096;
/// With less bytes in sight than this the window moves on.
const LOOKAHEAD: usize = LONGEST + SHORTEST;
const BLOCK_TOKENS: usize = 1 << 14;
/// When the window begins at this place of the tables, they are made anew, to count on below 2^32.
const REBASE: usize = 1 << 30;

/// How hard a level tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// A copy as long as this is taken without a look at the next byte.
    lazy: usize,
    /// A copy as long as this is not compared with others.
    nice: usize,
    /// So many places are looked at.
    chain: usize,
}

impl Effort {
    /// That of a level from 4 to 9; lower ones count as 4, higher ones as 9.
    pub(super) fn of(level: u8) -> Self {
        let (lazy, nice, chain) = match level {
            ..=4 => (4, 16, 16),
            5 => (16, 32, 32),
            6 => (16, 128, 128),
            7 => (32, 128, 256),
            8 => (128, 258, 1024),
            _ => (258, 258, 4096),
        };
        Self { lazy, nice, chain }
    }
}

/// An encoder of one of the levels 4 to 9.
#[derive(Debug, Clone)]
pub(super) struct Lazy {
    effort: Effort,
    blocks: Blocks,
    tokens: Vec<Token>,
    window: Vec<u8>,
    /// The place of the window's first byte, as the tables have it: not 0, which is none there.
    base: usize,
    /// Where in the stream the window's first byte is.
    base_offset: u64,
    /// Last place of each hash.
    heads: Box<[u32; 1 << HASH_BITS]>,
    /// For each place the one before with the same hash.
    chains: Box<[u32; REACH]>,
    /// The next byte, in the window.
    at: usize,
    /// Whether the byte before is not in the tokens yet.
    is_pending: bool,
    /// The copy at the byte before.
    copy: Copy,
    /// Where the block begins in the window; none if that moved out of it.
    block_start: Option<usize>,
    block_offset: u64,
    /// Where in the window the first block begins that is written; none once it was come to. Below zero if it was missed.
    silent_to: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Copy {
    length: usize,
    distance: usize,
}

const NO_COPY: Copy = Copy { length: SHORTEST - 1, distance: 0 };

impl Lazy {
    pub(super) fn new(effort: Effort, anew: Anew) -> Self {
        Self {
            effort,
            blocks: Blocks::new(),
            tokens: Vec::with_capacity(BLOCK_TOKENS),
            window: Vec::with_capacity(WINDOW_BYTES),
            base: REACH,
            base_offset: anew.from,
            heads: table(),
            chains: table(),
            at: 0,
            is_pending: false,
            copy: NO_COPY,
            block_start: Some(0),
            block_offset: anew.from,
            silent_to: anew.at.checked_sub(anew.from).filter(|bytes| *bytes > 0).map(|bytes| bytes as i64),
        }
    }

    pub(super) fn write(&mut self, mut plain: &[u8], out: &mut Bits) {
        while !plain.is_empty() {
            if self.window.len() == WINDOW_BYTES {
                // There is more, so the window moves on rather than to be read to its end.
                self.run(LOOKAHEAD, out);
                self.shift();
            }
            let (now, later) = plain.split_at(plain.len().min(WINDOW_BYTES - self.window.len()));
            self.window.extend_from_slice(now);
            plain = later;
        }
    }

    /// Writes the rest; answers how many bytes there were in all.
    pub(super) fn finish(&mut self, out: &mut Bits) -> u64 {
        self.run(1, out);
        if self.is_pending {
            self.tokens.push(Token::literal(self.window[self.at - 1]));
            self.is_pending = false;
        }
        if !self.tokens.is_empty() {
            self.end_block(out);
        }
        self.base_offset + self.window.len() as u64
    }

    /// Steps on while there are at least so many bytes to see.
    fn run(&mut self, lookahead: usize, out: &mut Bits) {
        let stop = (self.window.len() + 1).saturating_sub(lookahead);
        if let Some(begin) = self.silent_to.and_then(|begin| usize::try_from(begin).ok()).filter(|begin| *begin < stop) {
            self.begin_anew(begin, out);
        }
        self.advance(stop, out);
    }

    fn advance(&mut self, stop: usize, out: &mut Bits) {
        while self.at < stop {
            self.step(out);
        }
    }

    /// Comes to where the first block begins that is written. If a copy reaches over that place, nothing ever is.
    fn begin_anew(&mut self, begin: usize, out: &mut Bits) {
        self.advance(begin, out);
        if self.at == begin && self.is_pending {
            self.advance(begin + 1, out);
        }
        if self.at - usize::from(self.is_pending) == begin {
            self.tokens.clear();
            self.block_start = Some(begin);
            self.block_offset = self.base_offset + begin as u64;
            self.silent_to = None;
        }
    }

    fn step(&mut self, out: &mut Bits) {
        let before = std::mem::replace(&mut self.copy, NO_COPY);
        if self.at + SHORTEST <= self.window.len() {
            let candidate = self.insert(self.at);
            if before.length < self.effort.lazy {
                self.copy = self.search(candidate, before.length);
            }
        }
        if before.length >= SHORTEST && self.copy.length <= before.length {
            self.take(before, out);
        } else {
            self.wait(out);
        }
    }

    /// Takes the copy that begins at the byte before.
    fn take(&mut self, copy: Copy, out: &mut Bits) {
        self.tokens.push(Token::copy(copy.length, copy.distance));
        let end = self.at + copy.length - 1;
        for at in self.at + 1..end.min(self.window.len() - (SHORTEST - 1)) {
            self.insert(at);
        }
        self.at = end;
        self.is_pending = false;
        self.copy = NO_COPY;
        self.end_full_block(out);
    }

    /// Leaves the next byte for later; the one before is a literal.
    fn wait(&mut self, out: &mut Bits) {
        if self.is_pending {
            self.tokens.push(Token::literal(self.window[self.at - 1]));
            self.end_full_block(out);
        }
        self.at += 1;
        self.is_pending = true;
    }

    /// Remembers a place with 4 bytes in sight; answers which one had the same hash before.
    #[inline(always)]
    fn insert(&mut self, at: usize) -> u32 {
        let word = self.window[at..at + SHORTEST].try_into().map_or(0, u32::from_be_bytes);
        let head = &mut self.heads[(word.wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize];
        let here = (self.base + at) as u32;
        let before = std::mem::replace(head, here);
        self.chains[at % REACH] = before;
        before
    }

    /// The longest copy at the next byte, of the nearest such; it is longer than 3.
    fn search(&self, candidate: u32, length_before: usize) -> Copy {
        let data = &self.window[..];
        let (at, rest) = (self.at, data.len() - self.at);
        let mut found = NO_COPY;
        if rest <= length_before.max(SHORTEST - 1) {
            return found;
        }
        let longest = rest.min(LONGEST);
        let enough = self.effort.nice.min(longest);
        let here = &data[at..at + longest];
        let lowest = self.base.max((self.base + at).saturating_sub(REACH));
        let mut place = candidate as usize;
        // The last bytes of a copy that is longer than the one found: most candidates differ there.
        let mut last = last_bytes(here, found.length);
        for _ in 0..self.effort.chain {
            if place < lowest {
                break;
            }
            let from = place - self.base;
            if last_bytes(data, from + found.length) == last {
                let length = common(&data[from..from + longest], here);
                let distance = at - from;
                if length > found.length && (length > SHORTEST || distance <= SHORTEST_REACH) {
                    found = Copy { length, distance };
                    if length >= enough {
                        break;
                    }
                    last = last_bytes(here, length);
                }
            }
            if at - from == REACH {
                break;
            }
            place = self.chains[from % REACH] as usize;
        }
        found
    }

    fn end_full_block(&mut self, out: &mut Bits) {
        if self.tokens.len() == BLOCK_TOKENS {
            self.end_block(out);
        }
    }

    /// Writes the tokens as a block that ends before the next byte.
    fn end_block(&mut self, out: &mut Bits) {
        let raw = self.block_start.map(|start| &self.window[start..self.at]);
        if self.silent_to.is_none() {
            self.blocks.best(&self.tokens, raw, self.block_offset, out);
        }
        self.tokens.clear();
        self.block_start = Some(self.at);
        self.block_offset = self.base_offset + self.at as u64;
    }

    /// Moves the window on.
    fn shift(&mut self) {
        self.window.copy_within(REACH.., 0);
        self.window.truncate(WINDOW_BYTES - REACH);
        self.at -= REACH;
        self.base += REACH;
        self.base_offset += REACH as u64;
        self.block_start = self.block_start.and_then(|start| start.checked_sub(REACH));
        self.silent_to = self.silent_to.map(|begin| begin - REACH as i64);
        if self.base >= REBASE {
            self.rebase();
        }
    }

    /// Makes places count from the window again.
    fn rebase(&mut self) {
        let gone = (self.base - REACH) as u32;
        self.base = REACH;
        self.heads.iter_mut().chain(self.chains.iter_mut()).for_each(|place| *place = place.saturating_sub(gone));
    }
}

/// Places, none of them known.
fn table<const N: usize>() -> Box<[u32; N]> {
    vec![0; N].into_boxed_slice().try_into().expect("N entries were made")
}

/// The 4 bytes that end with the one at `end`, which is 3 or more.
#[inline(always)]
fn last_bytes(data: &[u8], end: usize) -> u32 {
    let start = end - (SHORTEST - 1);
    data[start..start + SHORTEST].try_into().map_or(0, u32::from_le_bytes)
}

/// How many bytes are equal at the beginning of both, which are equally long.
#[inline(always)]
fn common(left: &[u8], right: &[u8]) -> usize {
    let mut equal = 0;
    for (left, right) in left.chunks_exact(8).zip(right.chunks_exact(8)) {
        let different = word(left) ^ word(right);
        if different != 0 {
            return equal + different.trailing_zeros() as usize / 8;
        }
        equal += 8;
    }
    equal + left[equal..].iter().zip(&right[equal..]).take_while(|(left, right)| left == right).count()
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_made_anew_find_the_same_copies() {
        let plain: Vec<u8> = (0..400_000_u32).map(|at| (at.wrapping_mul(at >> 9) >> 5) as u8 & 0x3f).collect();
        let [fresh, late] = [REACH, REBASE - 3 * REACH].map(|base| {
            let (mut lazy, mut out) = (Lazy::new(Effort::of(6), Anew { from: 0, at: 0 }), Bits::default());
            lazy.base = base;
            lazy.write(&plain, &mut out);
            lazy.finish(&mut out);
            (lazy.base > base, out.take())
        });
        assert_eq!((fresh.0, late.0), (true, false), "only the late tables are made anew");
        assert!(fresh.1 == late.1);
    }
}
