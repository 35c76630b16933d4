//! [`Token`]: a literal byte or a copy, what deflate blocks are made of; [`Tokens`] of a chunk; and [`Counts`], how often
//! symbols occur.
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

/// The lengths from 3 on: symbol and what its extra bits say, as a [`Token`] has them.
const LENGTH_PART: [u32; 256] = length_parts();

const fn length_parts() -> [u32; 256] {
    let mut parts = [0; 256];
    let mut at = 0;
    while at < 256 {
        let symbol = LENGTH_SYMBOL[at] as usize;
        let extra = at as u32 + 3 - LENGTH_BASE[symbol] as u32;
        parts[at] = (FIRST_LENGTH + symbol) as u32 | extra << LENGTH_EXTRA_AT;
        at += 1;
    }
    parts
}

/// A literal byte or a copy, as it is written: the symbol of the byte or the length, what the extra bits of the length
/// say, the symbol of the distance, what its extra bits say. A byte has a distance symbol that takes no bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(u32);

const LENGTH_EXTRA_AT: u32 = 9;
const DISTANCE_AT: u32 = 14;
const DISTANCE_EXTRA_AT: u32 = 19;
/// How many values the fields of symbols have.
const SYMBOLS: usize = 1 << LENGTH_EXTRA_AT;
const DISTANCE_SYMBOLS: usize = 1 << (DISTANCE_EXTRA_AT - DISTANCE_AT);
/// The distance symbol of what has no distance.
const NO_DISTANCE: u32 = DISTANCES as u32;

impl Token {
    /// A byte as it is.
    #[inline(always)]
    pub(super) fn literal(byte: u8) -> Self {
        Self(u32::from(byte) | NO_DISTANCE << DISTANCE_AT)
    }

    /// A copy of `length` bytes, 3 to 258, from `distance` bytes back, 1 to 32768.
    #[inline(always)]
    pub(super) fn copy(length: usize, distance: usize) -> Self {
        debug_assert!((3..=258).contains(&length) && (1..=32768).contains(&distance), "{length} bytes from {distance} back");
        let distance = (distance - 1) & 0x7fff;
        let place = if distance < 256 { distance } else { 256 + (distance >> 7) };
        let symbol = u32::from(DISTANCE_SYMBOL[place]);
        let extra = distance as u32 - u32::from(DISTANCE_BASE[symbol as usize]);
        Self(LENGTH_PART[(length - 3) & 0xff] | symbol << DISTANCE_AT | extra << DISTANCE_EXTRA_AT)
    }

    #[inline(always)]
    fn symbol(self) -> usize {
        self.0 as usize % SYMBOLS
    }

    #[inline(always)]
    fn length_extra(self) -> u64 {
        u64::from(self.0 >> LENGTH_EXTRA_AT) % (1 << (DISTANCE_AT - LENGTH_EXTRA_AT))
    }

    #[inline(always)]
    fn distance_symbol(self) -> usize {
        (self.0 >> DISTANCE_AT) as usize % DISTANCE_SYMBOLS
    }

    #[inline(always)]
    fn distance_extra(self) -> u64 {
        u64::from(self.0 >> DISTANCE_EXTRA_AT)
    }
}

/// The tokens of a chunk of at most 65535 bytes, whose places are sure to be in bounds.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    list: Box<[Token; TOKENS + AHEAD]>,
    count: usize,
}

/// Room for the tokens of a chunk; a power of two.
const TOKENS: usize = 1 << 16;
/// Literals are put so many at a time; those that are none are overwritten.
pub(super) const AHEAD: usize = 8;

impl Default for Tokens {
    fn default() -> Self {
        Self { list: vec![Token(0); TOKENS + AHEAD].into_boxed_slice().try_into().expect("as many were made"), count: 0 }
    }
}

impl std::ops::Deref for Tokens {
    type Target = [Token];

    fn deref(&self) -> &[Token] {
        &self.list[..self.count]
    }
}

impl Tokens {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds the first `count` of these bytes as they are.
    #[inline(always)]
    pub(super) fn push_literals(&mut self, bytes: [u8; AHEAD], count: usize) {
        let at = self.count & (TOKENS - 1);
        for (token, byte) in self.list[at..at + AHEAD].iter_mut().zip(bytes) {
            *token = Token::literal(byte);
        }
        self.count += count;
    }

    /// Adds a copy, as [`Token::copy`] has it.
    #[inline(always)]
    pub(super) fn push_copy(&mut self, length: usize, distance: usize) {
        self.list[self.count & (TOKENS - 1)] = Token::copy(length, distance);
        self.count += 1;
    }
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
        // Two of each: to add to what was added to just now takes the processor longest.
        let (mut symbols, mut distances) = ([[0_u32; SYMBOLS]; 2], [[0_u32; DISTANCE_SYMBOLS]; 2]);
        for pair in tokens.chunks(2) {
            for (turn, token) in pair.iter().enumerate() {
                symbols[turn][token.symbol()] += 1;
                distances[turn][token.distance_symbol()] += 1;
            }
        }
        let literals = std::array::from_fn(|symbol| symbols[0][symbol] + symbols[1][symbol]);
        Self { literals, distances: std::array::from_fn(|symbol| distances[0][symbol] + distances[1][symbol]) }
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

/// A code with the extra bits of its symbols, for all values that the field of a token can have.
struct Words<const N: usize>([Word; N]);

#[derive(Clone, Copy, Default)]
struct Word {
    word: u16,
    bits: u8,
    /// With the extra bits.
    all_bits: u8,
}

impl<const N: usize> Words<N> {
    fn of<const M: usize>(code: &Code<M>, extra_bits: impl Fn(usize) -> u8) -> Self {
        let mut words = [Word::default(); N];
        for (symbol, to) in words.iter_mut().enumerate().take(M) {
            let (word, bits) = code.word(symbol);
            *to = Word { word: word as u16, bits: bits as u8, all_bits: bits as u8 + extra_bits(symbol) };
        }
        Self(words)
    }

    /// The bits of a symbol with its extra bits, and how many.
    #[inline(always)]
    fn of_symbol(&self, symbol: usize, extra: u64) -> (u64, u32) {
        let Word { word, bits, all_bits } = self.0[symbol % N];
        (u64::from(word) | extra << bits, u32::from(all_bits))
    }
}

/// Writes tokens with these codes, which cover them.
pub(super) fn write_tokens(tokens: &[Token], literals: &Code<LITERALS>, distances: &Code<DISTANCES>, out: &mut Bits) {
    let literals: Words<SYMBOLS> = Words::of(literals, |symbol| {
        symbol.checked_sub(FIRST_LENGTH).and_then(|length| LENGTH_EXTRA.get(length)).copied().unwrap_or_default()
    });
    let distances: Words<DISTANCE_SYMBOLS> = Words::of(distances, |symbol| DISTANCE_EXTRA[symbol]);
    let mut packer = out.packer();
    for token in tokens {
        let (length, length_bits) = literals.of_symbol(token.symbol(), token.length_extra());
        let (distance, distance_bits) = distances.of_symbol(token.distance_symbol(), token.distance_extra());
        packer.put(length | distance << length_bits, length_bits + distance_bits);
    }
    packer.finish();
}

/// Writes bytes as literals of this code, which covers them.
pub(super) fn write_literals(bytes: &[u8], code: &Code<LITERALS>, out: &mut Bits) {
    let mut packer = out.packer();
    for group in bytes.chunks(3) {
        let (mut words, mut all_bits) = (0, 0);
        for byte in group {
            let (word, bits) = code.word(usize::from(*byte));
            words |= word << all_bits;
            all_bits += bits;
        }
        packer.put(words, all_bits);
    }
    packer.finish();
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
