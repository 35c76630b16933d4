//! [`Tally`]: the symbols of the block that is being gathered, and how often each code occurs in it.
//!
//! **Invariants.** Memory is bounded by the capacity, which the owner asks after each symbol.
//!
//! *Not here:* when a block ends (the dialect's rule), and how it is written (`block`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "codes index tables of their alphabet; counts stay below the capacity, which is at most 32768"
)]

use super::symbols::{DISTANCES, END, LITERALS, distance_code, length_code};

/// What a block holds.
pub(crate) struct Tally {
    symbols: Vec<Symbol>,
    capacity: usize,
    pairs: usize,
    /// How often each literal, the end and each code of a length occurs.
    pub(crate) literals: [u16; LITERALS],
    /// How often each code of a distance occurs.
    pub(crate) distances: [u16; DISTANCES],
}

/// A literal, or a match.
#[derive(Clone, Copy)]
pub(crate) struct Symbol {
    /// How far back the match is; zero for a literal.
    pub(crate) distance: u16,
    /// The byte, or the length of the match − 3.
    pub(crate) value: u8,
}

impl Tally {
    /// One that is full with `capacity` symbols.
    pub(crate) fn new(capacity: usize) -> Self {
        let mut new =
            Self { symbols: Vec::with_capacity(capacity), capacity, pairs: 0, literals: [0; LITERALS], distances: [0; DISTANCES] };
        new.clear();
        new
    }

    /// Empties it for the next block.
    pub(crate) fn clear(&mut self) {
        self.symbols.clear();
        self.pairs = 0;
        self.literals.fill(0);
        self.distances.fill(0);
        self.literals[END] = 1;
    }

    /// Adds a byte as it is.
    pub(crate) fn literal(&mut self, byte: u8) {
        self.symbols.push(Symbol { distance: 0, value: byte });
        self.literals[usize::from(byte)] += 1;
    }

    /// Adds a match of 3 to 258 bytes, 1 to 32768 bytes back.
    pub(crate) fn pair(&mut self, distance: usize, length: usize) {
        let symbol = Symbol { distance: distance as u16, value: (length - 3) as u8 };
        self.symbols.push(symbol);
        self.pairs += 1;
        self.literals[END + 1 + length_code(symbol.value)] += 1;
        self.distances[distance_code(symbol.distance)] += 1;
    }

    /// Whether no symbol fits any more.
    pub(crate) fn is_full(&self) -> bool {
        self.symbols.len() >= self.capacity
    }

    /// The symbols so far.
    pub(crate) fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// How many of them are matches.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs
    }
}
