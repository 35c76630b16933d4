//! [`Token`]: a literal byte or a copy, what deflate blocks are made of; and [`Counts`], how often its symbols occur.
//!
//! **Invariants.** A copy is 3 to 258 bytes long and comes from 1 to 32768 bytes back. 258 is always the last length symbol.
//!
//! *Not here:* how tokens are found, and which codes they are written with.

#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions, reason = "tables of its own, of fixed sizes")]

use super::Bits;
use super::huffman::{Code, DISTANCES, END, LITERALS};

const LENGTH_SYMBOLS: usize = 29;
const FIRST_LENGTH: usize = 257;
const LENGTH_EXTRA: [u8; LENGTH_SYMBOLS] = length_extra();
const LENGTH_BASE: [u16; LENGTH_SYMBOLS] = length_base();
/// The symbol of each length, from 3 on.
const LENGTH_SYMBOL: [u8; 256] = length_symbols();
const DISTANCE_EXTRA: [u8; DISTANCES] = distance_extra();
const DISTANCE_BASE: [u16; DISTANCES] = distance_base();
/// The symbol of each distance less 1 below 256; above, of each 128th.
const DISTANCE_SYMBOL: [u8; 512] = distance_symbols();

const fn length_extra() -> [u8; LENGTH_SYMBOLS] {
    let mut extra = [0; LENGTH_SYMBOLS];
    let mut symbol = 8;
    while symbol < LENGTH_SYMBOLS - 1 {
        extra[symbol] = (symbol / 4 - 1) as u8;
        symbol += 1;
    }
    extra
}

const fn length_base() -> [u16; LENGTH_SYMBOLS] {
    let mut base = [3; LENGTH_SYMBOLS];
    let mut symbol = 1;
    while symbol < LENGTH_SYMBOLS - 1 {
        base[symbol] = base[symbol - 1] + (1 << LENGTH_EXTRA[symbol - 1]);
        symbol += 1;
    }
    base[LENGTH_SYMBOLS - 1] = 258;
    base
}

const fn length_symbols() -> [u8; 256] {
    let mut symbols = [0; 256];
    let mut symbol = 0;
    while symbol < LENGTH_SYMBOLS {
        let mut at = LENGTH_BASE[symbol] as usize - 3;
        let end = at + (1 << LENGTH_EXTRA[symbol]);
        while at < end && at < 256 {
            symbols[at] = symbol as u8;
            at += 1;
        }
        symbol += 1;
    }
    symbols
}

const fn distance_extra() -> [u8; DISTANCES] {
    let mut extra = [0; DISTANCES];
    let mut symbol = 4;
    while symbol < DISTANCES {
        extra[symbol] = (symbol / 2 - 1) as u8;
        symbol += 1;
    }
    extra
}

/// Least distance of each symbol, less 1.
const fn distance_base() -> [u16; DISTANCES] {
    let mut base = [0; DISTANCES];
    let mut symbol = 1;
    while symbol < DISTANCES {
        base[symbol] = base[symbol - 1] + (1 << DISTANCE_EXTRA[symbol - 1]);
        symbol += 1;
    }
    base
}

const fn distance_symbols() -> [u8; 512] {
    let mut symbols = [0; 512];
    let mut symbol = 0;
    while symbol < DISTANCES {
        let mut at = DISTANCE_BASE[symbol] as usize;
        let end = at + (1 << DISTANCE_EXTRA[symbol]);
        while at < end {
            if at < 256 {
                symbols[at] = symbol as u8;
                at += 1;
            } else {
                symbols[256 + (at >> 7)] = symbol as u8;
                at += 128;
            }
        }
        symbol += 1;
    }
    symbols
}

/// A literal byte or a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(u32);

impl Token {
    /// A byte as it is.
    pub(super) fn literal(byte: u8) -> Self {
        Self(u32::from(byte))
    }

    /// A copy of `length` bytes, 3 to 258, from `distance` bytes back, 1 to 32768.
    pub(super) fn copy(length: usize, distance: usize) -> Self {
        debug_assert!((3..=258).contains(&length) && (1..=32768).contains(&distance), "{length} bytes from {distance} back");
        Self((length as u32) << 16 | (distance as u32 - 1))
    }

    #[inline(always)]
    fn parts(self) -> Part {
        if self.0 < 256 {
            return Part::Literal(self.0 as usize);
        }
        let (length, distance) = (self.0 >> 16, self.0 & 0x7fff);
        let place = if distance < 256 { distance } else { 256 + (distance >> 7) };
        Part::Copy {
            length: length as u16,
            length_symbol: usize::from(LENGTH_SYMBOL[(length as usize - 3) & 0xff]),
            distance: distance as u16,
            distance_symbol: usize::from(DISTANCE_SYMBOL[place as usize]),
        }
    }
}

enum Part {
    Literal(usize),
    /// The distance is less by 1.
    Copy {
        length: u16,
        length_symbol: usize,
        distance: u16,
        distance_symbol: usize,
    },
}

/// How often each symbol occurs.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// Of literals, the end and lengths.
    pub(super) literals: [u32; LITERALS],
    /// Of distances.
    pub(super) distances: [u32; DISTANCES],
}

impl Default for Counts {
    fn default() -> Self {
        Self { literals: [0; LITERALS], distances: [0; DISTANCES] }
    }
}

impl Counts {
    /// The symbols of these tokens, without an end.
    pub(super) fn of_tokens(tokens: &[Token]) -> Self {
        let mut counts = Self::default();
        for token in tokens {
            match token.parts() {
                Part::Literal(byte) => counts.literals[byte] += 1,
                Part::Copy { length_symbol, distance_symbol, .. } => {
                    counts.literals[FIRST_LENGTH + length_symbol] += 1;
                    counts.distances[distance_symbol] += 1;
                }
            }
        }
        counts
    }

    /// These bytes as literals, without an end.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let mut counts = Self::default();
        let mut odd = [0_u32; 256];
        let mut pairs = bytes.chunks_exact(2);
        for pair in &mut pairs {
            counts.literals[usize::from(pair[0])] += 1;
            odd[usize::from(pair[1])] += 1;
        }
        pairs.remainder().iter().for_each(|byte| odd[usize::from(*byte)] += 1);
        counts.literals.iter_mut().zip(odd).for_each(|(count, more)| *count += more);
        counts
    }

    /// How many copies there are.
    pub(super) fn copies(&self) -> u32 {
        self.literals[FIRST_LENGTH..].iter().sum()
    }

    /// The frequencies of length symbols.
    pub(super) fn lengths(&self) -> &[u32] {
        &self.literals[FIRST_LENGTH..FIRST_LENGTH + LENGTH_SYMBOLS]
    }

    /// How many bits follow the symbols of lengths and distances.
    pub(super) fn extra_bits(&self) -> i64 {
        sum(self.lengths(), &LENGTH_EXTRA) + sum(&self.distances, &DISTANCE_EXTRA)
    }

    /// How many symbols a header must describe: one more than the highest literal or length, and distance, that occurs;
    /// at least 257 and 1.
    pub(super) fn extent(&self) -> (usize, usize) {
        let literals = self.literals.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let distances = self.distances.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        (literals.max(END + 1), distances.max(1))
    }

    /// Where no distance occurs, counts the first once: encoders written in Go never describe a code without words.
    pub(super) fn have_a_distance(&mut self) {
        if self.distances.iter().all(|count| *count == 0) {
            self.distances[0] = 1;
        }
    }
}

fn sum(counts: &[u32], bits: &[u8]) -> i64 {
    counts.iter().zip(bits).map(|(count, bits)| i64::from(*count) * i64::from(*bits)).sum()
}

/// Writes tokens with these codes, which cover them.
pub(super) fn write_tokens(tokens: &[Token], literals: &Code<LITERALS>, distances: &Code<DISTANCES>, out: &mut Bits) {
    let mut packer = Packer::new(out);
    for token in tokens {
        match token.parts() {
            Part::Literal(byte) => packer.put(literals.word(byte)),
            Part::Copy { length, length_symbol, distance, distance_symbol } => {
                let (word, bits) = literals.word(FIRST_LENGTH + length_symbol);
                let extra = u64::from(length - LENGTH_BASE[length_symbol]);
                packer.put((word | extra << bits, bits + u32::from(LENGTH_EXTRA[length_symbol])));
                let (word, bits) = distances.word(distance_symbol);
                let extra = u64::from(distance - DISTANCE_BASE[distance_symbol]);
                packer.put((word | extra << bits, bits + u32::from(DISTANCE_EXTRA[distance_symbol])));
            }
        }
    }
    packer.finish();
}

/// Writes bytes as literals of this code, which covers them.
pub(super) fn write_literals(bytes: &[u8], code: &Code<LITERALS>, out: &mut Bits) {
    let mut packer = Packer::new(out);
    bytes.iter().for_each(|byte| packer.put(code.word(usize::from(*byte))));
    packer.finish();
}

/// Gathers bits, to put many at once.
struct Packer<'a> {
    out: &'a mut Bits,
    word: u64,
    bits: u32,
}

impl<'a> Packer<'a> {
    fn new(out: &'a mut Bits) -> Self {
        Self { out, word: 0, bits: 0 }
    }

    /// Takes at most 28 bits.
    #[inline(always)]
    fn put(&mut self, (word, bits): (u64, u32)) {
        self.word |= word << self.bits;
        self.bits += bits;
        if self.bits >= 32 {
            self.out.put(self.word & 0xffff_ffff, 32);
            self.word >>= 32;
            self.bits -= 32;
        }
    }

    fn finish(self) {
        self.out.put(self.word, self.bits);
    }
}

/// Writes a stored block that is not the last; it takes at most 65535 bytes.
pub(super) fn write_stored(bytes: &[u8], out: &mut Bits) {
    out.put(0, 3);
    let length = bytes.len() as u16;
    out.append(&length.to_le_bytes());
    out.append(&(!length).to_le_bytes());
    out.append(bytes);
}

/// How many bits a stored block of so many bytes takes, as encoders written in Go reckon it.
pub(super) fn stored_bits(bytes: usize) -> i64 {
    8 * (bytes as i64 + 5)
}
