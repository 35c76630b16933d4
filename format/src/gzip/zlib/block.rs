//! [`Block`]: writes what was tallied, stored, with fixed codes or with codes of its own, whichever is shortest.
//!
//! **Invariants.** Sizes are compared in whole bytes, and fixed codes win a tie: that is zlib's and GNU gzip's rule.
//!
//! *Not here:* where blocks end.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "codes index tables of their alphabet, and a block takes far fewer than 2^31 bits"
)]

use super::header::Header;
use super::symbols::{
    DISTANCE_BASE, DISTANCE_EXTRA, DISTANCES, END, FIXED_DISTANCE_BITS, FIXED_LITERAL_BITS, LENGTH_BASE, LENGTH_EXTRA, LITERALS,
    distance_code, length_code,
};
use super::tally::Tally;
use super::trees::{Alphabet, Tree};
use crate::gzip::Bits;

/// The most bytes of a stored block.
pub(crate) const MAX_STORED: usize = 0xffff;

const STORED: u64 = 0;
const FIXED: u64 = 1;
const DYNAMIC: u64 = 2;

const LITERAL_ALPHABET: Alphabet = Alphabet { extra: &LENGTH_EXTRA, extra_from: END + 1, fixed: Some(&FIXED_LITERAL_BITS), max_bits: 15 };
const DISTANCE_ALPHABET: Alphabet = Alphabet { extra: &DISTANCE_EXTRA, extra_from: 0, fixed: Some(&FIXED_DISTANCE_BITS), max_bits: 15 };

static FIXED_LITERALS: [u16; LITERALS] = fixed_literals();
static FIXED_DISTANCES: [u16; DISTANCES] = fixed_distances();

/// What a block is of.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// Its plain bytes; `None` where the window has them no more, and the block cannot be stored.
    pub(crate) plain: Option<&'a [u8]>,
    /// Where in the input it begins.
    pub(crate) plain_offset: u64,
    /// Whether the stream ends with it.
    pub(crate) is_last: bool,
}

impl Block<'_> {
    /// Writes it; pads after the last.
    pub(crate) fn write(self, tally: &Tally, out: &mut Bits) {
        let literals = Tree::build(&tally.literals, &LITERAL_ALPHABET);
        let distances = Tree::build(&tally.distances, &DISTANCE_ALPHABET);
        let header = Header::new(&literals.lengths[..=literals.last], &distances.lengths[..=distances.last]);
        let dynamic = whole_bytes(literals.bits + distances.bits + header.bits);
        let fixed = whole_bytes(literals.fixed_bits + distances.fixed_bits);
        match self.plain {
            Some(plain) if plain.len() as i64 + 4 <= fixed.min(dynamic) => self.write_stored(out),
            _ if fixed <= dynamic => {
                self.begin(FIXED, out);
                write_symbols(tally, &FIXED_CODES, out);
            }
            _ => {
                self.begin(DYNAMIC, out);
                header.write(out);
                write_symbols(tally, &Codes::of(&literals, &distances), out);
            }
        }
        if self.is_last {
            out.pad();
        }
    }

    /// Writes it as it is; it has at most [`MAX_STORED`] bytes.
    pub(crate) fn write_stored(self, out: &mut Bits) {
        let plain = self.plain.unwrap_or_default();
        self.begin(STORED, out);
        out.pad();
        let size = plain.len() as u16;
        out.append(&size.to_le_bytes());
        out.append(&(!size).to_le_bytes());
        out.append(plain);
    }

    /// Writes a block of no bytes with fixed codes, which is 10 bits long.
    pub(crate) fn write_empty_fixed(self, out: &mut Bits) {
        self.begin(FIXED, out);
        out.put(0, u32::from(FIXED_LITERAL_BITS[END]));
    }

    fn begin(self, kind: u64, out: &mut Bits) {
        out.begin_block(self.plain_offset);
        out.put(kind << 1 | u64::from(self.is_last), 3);
    }
}

/// With the three bits of the head.
fn whole_bytes(bits: i64) -> i64 {
    (bits + 3 + 7) >> 3
}

/// The codes of both alphabets and their lengths.
struct Codes<'a> {
    literals: &'a [u16; LITERALS],
    literal_bits: &'a [u8; LITERALS],
    distances: &'a [u16; DISTANCES],
    distance_bits: &'a [u8; DISTANCES],
}

static FIXED_CODES: Codes<'static> = Codes {
    literals: &FIXED_LITERALS,
    literal_bits: &FIXED_LITERAL_BITS,
    distances: &FIXED_DISTANCES,
    distance_bits: &FIXED_DISTANCE_BITS,
};

impl<'a> Codes<'a> {
    fn of(literals: &'a Tree<LITERALS>, distances: &'a Tree<DISTANCES>) -> Self {
        Self { literals: &literals.codes, literal_bits: &literals.lengths, distances: &distances.codes, distance_bits: &distances.lengths }
    }
}

fn write_symbols(tally: &Tally, codes: &Codes<'_>, out: &mut Bits) {
    let mut word = Word { bits: 0, count: 0 };
    for symbol in tally.symbols() {
        if symbol.distance == 0 {
            let at = usize::from(symbol.value);
            word.add(codes.literals[at].into(), codes.literal_bits[at]);
        } else {
            let length = length_code(symbol.value);
            word.add(codes.literals[END + 1 + length].into(), codes.literal_bits[END + 1 + length]);
            word.add((symbol.value - LENGTH_BASE[length]).into(), LENGTH_EXTRA[length]);
            let distance = distance_code(symbol.distance);
            word.add(codes.distances[distance].into(), codes.distance_bits[distance]);
            word.add((symbol.distance - DISTANCE_BASE[distance]).into(), DISTANCE_EXTRA[distance]);
        }
        word.spill(out);
    }
    word.add(codes.literals[END].into(), codes.literal_bits[END]);
    word.spill(out);
    out.put(word.bits, word.count);
}

/// Bits of a few symbols, put together: a symbol takes at most 48, and at most 15 wait before it.
struct Word {
    bits: u64,
    count: u32,
}

impl Word {
    fn add(&mut self, value: u64, bits: u8) {
        self.bits |= value << self.count;
        self.count += u32::from(bits);
    }

    fn spill(&mut self, out: &mut Bits) {
        if self.count >= 16 {
            let count = self.count.min(48);
            out.put(self.bits & ((1 << count) - 1), count);
            self.bits >>= count;
            self.count -= count;
        }
    }
}

const fn fixed_literals() -> [u16; LITERALS] {
    let mut codes = [0; LITERALS];
    let mut symbol = 0;
    while symbol < LITERALS {
        let number = symbol as u16;
        codes[symbol] = match symbol {
            0..144 => (0x30 + number).reverse_bits() >> 8,
            144..256 => (0x190 + number - 144).reverse_bits() >> 7,
            256..280 => (number - 256).reverse_bits() >> 9,
            _ => (0xc0 + number - 280).reverse_bits() >> 8,
        };
        symbol += 1;
    }
    codes
}

const fn fixed_distances() -> [u16; DISTANCES] {
    let mut codes = [0; DISTANCES];
    let mut code = 0;
    while code < DISTANCES {
        codes[code] = (code as u16).reverse_bits() >> 11;
        code += 1;
    }
    codes
}
