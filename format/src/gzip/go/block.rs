//! [`Blocks`]: how tokens become blocks: stored, with fixed codes, or with codes of their own.
//!
//! **Invariants.** Each block is written whole, with its end, by one call.
//!
//! *Not here:* how tokens are found.

#![allow(clippy::indexing_slicing, reason = "tables of fixed sizes")]
#![allow(clippy::arithmetic_side_effects, reason = "sizes of one block")]

use crate::gzip::Bits;
use crate::gzip::huffman::{Code, DISTANCES, END, LITERALS, LONGEST, Merge, Preamble, fixed};
use crate::gzip::token::{Counts, Token, stored_bits, write_literals, write_stored, write_tokens};

/// How many bytes a stored block holds.
const MAX_STORED_BYTES: usize = 65535;

/// Codes, and what makes them.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    merge: Merge,
    preamble: Preamble,
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
    fixed: (Code<LITERALS>, Code<DISTANCES>),
}

/// What a block with codes of its own takes.
struct Size {
    header: i64,
    symbols: i64,
}

impl Blocks {
    pub(super) fn new() -> Self {
        Self {
            merge: Merge::default(),
            preamble: Preamble::default(),
            literals: Code::default(),
            distances: Code::default(),
            fixed: fixed(),
        }
    }

    /// Writes tokens in the form that takes least, as levels 4 to 9 do. `raw` are the same bytes, if still at hand.
    pub(super) fn best(&mut self, tokens: &[Token], raw: Option<&[u8]>, plain_offset: u64, out: &mut Bits) {
        out.begin_block(plain_offset);
        let counts = counts_with_end(tokens);
        let extra = counts.extra_bits();
        let size = self.plan(&counts);
        let own = size.header + size.symbols + extra;
        let fixed = 3 + self.fixed.0.cost_bits(&counts.literals) + self.fixed.1.cost_bits(&counts.distances) + extra;
        match raw.filter(|raw| raw.len() <= MAX_STORED_BYTES && stored_bits(raw.len()) < own.min(fixed)) {
            Some(raw) => write_stored(raw, out),
            None if own < fixed => self.own(tokens, out),
            None => {
                out.put(0b010, 3);
                write_tokens(tokens, &self.fixed.0, &self.fixed.1, out);
                end(&self.fixed.0, out);
            }
        }
    }

    /// Writes tokens with codes of their own, unless storing takes little more, as level 1 does.
    pub(super) fn quick(&mut self, tokens: &[Token], raw: &[u8], plain_offset: u64, out: &mut Bits) {
        out.begin_block(plain_offset);
        let size = self.plan(&counts_with_end(tokens));
        if is_hardly_less(size, raw) { write_stored(raw, out) } else { self.own(tokens, out) }
    }

    /// Writes bytes as literals, unless storing takes little more.
    pub(super) fn literals(&mut self, raw: &[u8], plain_offset: u64, out: &mut Bits) {
        out.begin_block(plain_offset);
        let mut counts = Counts::of_bytes(raw);
        counts.literals[END] = 1;
        counts.have_a_distance();
        let size = self.plan(&counts);
        if is_hardly_less(size, raw) {
            return write_stored(raw, out);
        }
        self.preamble.write(out);
        write_literals(raw, &self.literals, out);
        end(&self.literals, out);
    }

    /// Stores bytes as they are.
    pub(super) fn stored(raw: &[u8], plain_offset: u64, out: &mut Bits) {
        out.begin_block(plain_offset);
        write_stored(raw, out);
    }

    fn plan(&mut self, counts: &Counts) -> Size {
        self.literals.build(&mut self.merge, &counts.literals, LONGEST);
        self.distances.build(&mut self.merge, &counts.distances, LONGEST);
        let (literals, distances) = counts.extent();
        let header = self.preamble.plan(&mut self.merge, &self.literals.lengths[..literals], &self.distances.lengths[..distances]);
        Size { header, symbols: self.literals.cost_bits(&counts.literals) + self.distances.cost_bits(&counts.distances) }
    }

    fn own(&self, tokens: &[Token], out: &mut Bits) {
        self.preamble.write(out);
        write_tokens(tokens, &self.literals, &self.distances, out);
        end(&self.literals, out);
    }
}

fn counts_with_end(tokens: &[Token]) -> Counts {
    let mut counts = Counts::of_tokens(tokens);
    counts.literals[END] = 1;
    counts.have_a_distance();
    counts
}

/// Whether storing takes at most a 16th more; the bits that follow symbols are left out.
fn is_hardly_less(size: Size, raw: &[u8]) -> bool {
    let size = size.header + size.symbols;
    stored_bits(raw.len()) < size + (size >> 4)
}

fn end(code: &Code<LITERALS>, out: &mut Bits) {
    let (word, bits) = code.word(END);
    out.put(word, bits);
}
