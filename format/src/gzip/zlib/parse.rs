//! [`Parser`]: cuts the input into literals and matches, and those into blocks.
//!
//! **Invariants.** Nothing is decided with fewer than 262 bytes ahead before the input ends, and the window is full before
//! anything is decided: so the cuts of the input never show. Memory is bounded: window, chains and one block's symbols.
//!
//! *Not here:* what sets zlib and GNU gzip apart, which is a [`Dialect`].

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places in the window keep to its invariant, at <= end; a match never reaches past the end"
)]

use super::block::Block;
use super::level::Level;
use super::ranked::{Ranked, TOO_FAR};
use super::search::{Chains, Found, Search, Wanted};
use super::symbols::MIN_MATCH;
use super::tally::Tally;
use super::window::{HALF, MAX_DISTANCE, SLIDE_FROM, Window};
use crate::gzip::{Bits, Deflate};

/// In the place of a match that there is not.
const NO_MATCH: Found = Found { distance: 0, length: MIN_MATCH - 1 };

/// What sets one deflate of this family apart from another.
pub(crate) trait Dialect {
    /// The last place in the window that matches are looked for.
    const LAST_SEARCHED: usize;
    /// Whether a match up to the end of the input ends the search.
    const STOPS_AT_END: bool;

    /// Whether the window still moves after the end of the input was seen.
    const SLIDES_LATE: bool;

    /// Whether the block ends after the symbol just tallied, at most `spanned` bytes after its start.
    fn ends_block(&self, tally: &Tally, spanned: i64) -> bool;
}

/// One stream of matches and literals.
struct Parser<D, S> {
    dialect: D,
    level: Level,
    window: Window,
    chains: S,
    tally: Tally,
    /// How many bytes of history are not in the chains yet, for want of the bytes after them.
    unchained: usize,
    /// Where in the window the block starts; below zero once its start was forgotten.
    block_start: i64,
    /// Where in the input the block starts.
    block_offset: u64,
    /// The match at the byte before, which a longer one may replace.
    held: Found,
    /// Whether the byte before is not tallied yet.
    holds_byte: bool,
    /// Where in the window the first block begins that is written; none once it was come to. Below zero if it was missed.
    silent_to: Option<i64>,
}

/// A parser at its start; block and hash sizes are `symbols` and `hash_bits` (8 to 16).
pub(crate) struct Start<'a, D> {
    /// Whose deflate it is.
    pub(crate) dialect: D,
    /// How hard it looks for matches.
    pub(crate) level: Level,
    /// The bits of the hash of three bytes.
    pub(crate) hash_bits: u32,
    /// The most symbols of a block.
    pub(crate) symbols: usize,
    /// What matches may reach into; the last 32 KiB count.
    pub(crate) history: &'a [u8],
    /// Where in the whole input this begins.
    pub(crate) offset: u64,
    /// Where in the whole input the first block begins that is written: what is before it only makes up the state.
    pub(crate) silent_to: u64,
}

impl<D: Dialect + Send + 'static> Start<'_, D> {
    /// The parser with the search that suits its level.
    pub(crate) fn parser(self) -> Box<dyn Stream> {
        if self.level.is_ranked { Box::new(Parser::<D, Ranked>::new(self)) } else { Box::new(Parser::<D, Chains>::new(self)) }
    }
}

/// A stream that can also be cut.
pub(crate) trait Stream: Deflate {
    /// Appends all blocks of the input, of which there is to be no more, without ending the stream; answers where in
    /// the input they end.
    fn flush(&mut self, out: &mut Bits) -> u64;
}

impl<D: Dialect + Send, S: Search + Send> Deflate for Parser<D, S> {
    fn write(&mut self, mut plain: &[u8], out: &mut Bits) {
        while !plain.is_empty() {
            plain = &plain[self.window.fill(plain)..];
            if self.window.is_full() {
                self.parse(self.window.undecided(), out);
                self.slide();
            }
        }
    }

    fn finish(&mut self, out: &mut Bits) {
        self.parse_rest(out);
        self.end_block(true, out);
    }
}

impl<D: Dialect + Send, S: Search + Send> Stream for Parser<D, S> {
    fn flush(&mut self, out: &mut Bits) -> u64 {
        self.parse_rest(out);
        if !self.tally.symbols().is_empty() {
            self.end_block(false, out);
        }
        self.block_offset
    }
}

impl<D: Dialect, S: Search> Parser<D, S> {
    fn new(start: Start<'_, D>) -> Self {
        let kept = start.history.len().min(HALF);
        let mut window = Window::new();
        window.fill(&start.history[start.history.len() - kept..]);
        window.at = kept;
        Self {
            dialect: start.dialect,
            level: start.level,
            window,
            chains: S::new(start.hash_bits),
            tally: Tally::new(start.symbols),
            unchained: kept,
            block_start: kept as i64,
            block_offset: start.offset,
            held: NO_MATCH,
            holds_byte: false,
            silent_to: start.silent_to.checked_sub(start.offset).filter(|bytes| *bytes > 0).map(|bytes| (kept as u64 + bytes) as i64),
        }
    }

    fn parse_rest(&mut self, out: &mut Bits) {
        self.parse(self.window.undecided(), out);
        if D::SLIDES_LATE {
            self.parse(self.window.end.min(SLIDE_FROM), out);
        }
        if self.window.at >= SLIDE_FROM {
            self.slide();
        }
        self.window.clear_past_end();
        self.parse(self.window.end, out);
        if std::mem::take(&mut self.holds_byte) {
            self.tally.literal(self.window.bytes[self.window.at - 1]);
        }
    }

    fn parse(&mut self, stop: usize, out: &mut Bits) {
        let unchained = std::mem::take(&mut self.unchained);
        self.remember(0, unchained);
        if let Some(begin) = self.silent_to.and_then(|begin| usize::try_from(begin).ok()).filter(|begin| *begin < stop) {
            self.begin_anew(begin, out);
        }
        self.advance(stop, out);
    }

    fn advance(&mut self, stop: usize, out: &mut Bits) {
        if self.level.is_lazy {
            self.parse_lazy(stop, out);
        } else {
            self.parse_greedy(stop, out);
        }
    }

    /// Comes to where the first block begins that is written. If a match reaches over that place, nothing ever is.
    fn begin_anew(&mut self, begin: usize, out: &mut Bits) {
        self.advance(begin, out);
        if self.window.at == begin && self.holds_byte {
            self.advance(begin + 1, out);
        }
        if self.window.at - usize::from(self.holds_byte) == begin {
            self.tally.clear();
            self.block_offset += (begin as i64 - self.block_start) as u64;
            self.block_start = begin as i64;
            self.silent_to = None;
        }
    }

    /// Takes each match as it is found.
    fn parse_greedy(&mut self, stop: usize, out: &mut Bits) {
        while self.window.at < stop {
            let at = self.window.at;
            let first = self.chains.insert(&self.window.bytes, at);
            let found = self.search(first, MIN_MATCH - 1);
            let taken = if found.length >= MIN_MATCH {
                self.tally.pair(found.distance, found.length);
                if found.length <= self.level.lazy {
                    self.remember(at + 1, at + found.length);
                }
                found.length
            } else {
                self.tally.literal(self.window.bytes[at]);
                1
            };
            let ends = self.ends_block();
            self.window.at += taken;
            if ends {
                self.end_block(false, out);
            }
        }
    }

    /// Takes a match only if there is no longer one at the next byte.
    fn parse_lazy(&mut self, stop: usize, out: &mut Bits) {
        while self.window.at < stop {
            let at = self.window.at;
            let first = self.chains.insert(&self.window.bytes, at);
            let held = self.held;
            self.held = if held.length < self.level.lazy { self.search(first, held.length) } else { NO_MATCH };
            if self.held.length == MIN_MATCH && self.held.distance > TOO_FAR {
                self.held = NO_MATCH;
            }
            if held.length >= MIN_MATCH && self.held.length <= held.length {
                self.take_held(held, out);
            } else {
                if self.holds_byte {
                    self.tally.literal(self.window.bytes[at - 1]);
                    if self.ends_block() {
                        self.end_block(false, out);
                    }
                }
                self.holds_byte = true;
                self.window.at += 1;
            }
        }
    }

    /// Tallies the match that began at the byte before.
    fn take_held(&mut self, held: Found, out: &mut Bits) {
        self.tally.pair(held.distance, held.length);
        let ends = self.ends_block();
        let at = self.window.at;
        self.remember(at + 1, at + held.length - 1);
        self.window.at += held.length - 1;
        self.held = NO_MATCH;
        self.holds_byte = false;
        if ends {
            self.end_block(false, out);
        }
    }

    /// The best match at this place that is longer than `length`, from the candidate `first` on.
    #[inline]
    fn search(&self, first: u16, length: usize) -> Found {
        let (at, ahead) = (self.window.at, self.window.ahead());
        let is_near = first != 0 && at - usize::from(first) <= MAX_DISTANCE;
        if !is_near || ahead < MIN_MATCH || at > D::LAST_SEARCHED {
            return NO_MATCH;
        }
        let nice = if D::STOPS_AT_END { self.level.nice.min(ahead) } else { self.level.nice };
        let chain = if length >= self.level.good { self.level.chain / 4 } else { self.level.chain };
        let found = self.chains.longest(&self.window.bytes, at, first, Wanted { longer_than: length, nice, chain });
        found.map_or(NO_MATCH, |found| Found { length: found.length.min(ahead), ..found })
    }

    fn remember(&mut self, from: usize, to: usize) {
        for place in from..to {
            self.chains.insert(&self.window.bytes, place);
        }
    }

    fn ends_block(&self) -> bool {
        self.dialect.ends_block(&self.tally, self.window.at as i64 - self.block_start)
    }

    fn end_block(&mut self, is_last: bool, out: &mut Bits) {
        let plain = usize::try_from(self.block_start).ok().map(|start| &self.window.bytes[start..self.window.at]);
        if self.silent_to.is_none() {
            Block { plain, plain_offset: self.block_offset, is_last }.write(&self.tally, out);
        }
        self.tally.clear();
        self.block_offset += (self.window.at as i64 - self.block_start) as u64;
        self.block_start = self.window.at as i64;
    }

    fn slide(&mut self) {
        debug_assert!(self.window.at >= SLIDE_FROM, "the window moves at {}", self.window.at);
        self.window.slide();
        self.chains.slide();
        self.block_start -= HALF as i64;
        self.silent_to = self.silent_to.map(|begin| begin - HALF as i64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Zlib;
    use super::*;

    fn deflate<S: Search + Send>(level: u8, plain: &[u8]) -> Vec<u8> {
        let start =
            Start { dialect: Zlib, level: Level::new(level), hash_bits: 15, symbols: 16_383, history: &[], offset: 0, silent_to: 0 };
        let (mut parser, mut out) = (Parser::<Zlib, S>::new(start), Bits::default());
        parser.write(plain, &mut out);
        parser.finish(&mut out);
        out.take()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn ranks_find_what_chains_find(
            words in proptest::collection::vec(proptest::collection::vec(0..4u8, 1..40), 1..40),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8000),
            level in 4..10u8,
        ) {
            let plain: Vec<u8> = order.iter().flat_map(|index| index.get(&words)).copied().collect();
            prop_assert!(deflate::<Ranked>(level, &plain) == deflate::<Chains>(level, &plain), "level {}", level);
        }
    }
}
