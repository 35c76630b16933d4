//! [`Blocks`]: how chunks become blocks: stored, with fixed codes, with codes of their own, or with those of the chunk before.
//!
//! **Invariants.** A block with codes of its own stays open in the middle of a piece: its end is owed, and the next chunk
//! may go on in it without a header.
//!
//! *Not here:* how tokens are found; how it was before 1.14 (`filled`); chunks without copies (`literal`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "sizes of one chunk, tables of fixed sizes"
)]

use super::estimate;
use super::generation::Rules;
use crate::gzip::Bits;
use crate::gzip::chunks::Chunk;
use crate::gzip::huffman::{Code, DISTANCES, END, LITERALS, LONGEST, Merge, Preamble, USED_LITERALS, fixed};
use crate::gzip::token::{Counts, Token, stored_bits, write_stored, write_tokens};

/// Bits of the end in a block with fixed codes.
const FIXED_END_BITS: i64 = 7;

/// The blocks of one stream.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    pub(super) rules: Rules,
    pub(super) merge: Merge,
    pub(super) preamble: Preamble,
    pub(super) literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
    /// A code that is tried.
    pub(super) spare: Code<LITERALS>,
    fixed: (Code<LITERALS>, Code<DISTANCES>),
    pub(super) open: Open,
    pub(super) open_header_bits: i64,
}

/// Whether the last block still waits for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    No,
    /// It has codes for tokens.
    Tokens,
    /// It has a code for literals only.
    Literals,
}

/// What becomes of the tokens of a chunk.
pub(super) enum Form {
    Stored,
    Fixed,
    /// A block of its own; its codes and header are made.
    New,
    /// More of the block that is open.
    More,
}

impl Blocks {
    /// No block is open.
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            merge: Merge::default(),
            preamble: Preamble::default(),
            literals: Code::default(),
            distances: Code::default(),
            spare: Code::default(),
            fixed: fixed(),
            open: Open::No,
            open_header_bits: 0,
        }
    }

    /// Forgets what is open.
    pub(super) fn clear(&mut self) {
        self.open = Open::No;
    }

    /// Writes the end that is owed.
    pub(super) fn close(&mut self, out: &mut Bits) {
        if self.open != Open::No {
            let (word, bits) = self.literals.word(END);
            out.put(word, bits);
            self.open = Open::No;
        }
    }

    /// Stores a chunk as it is.
    pub(super) fn stored(&mut self, bytes: &[u8], plain_offset: u64, out: &mut Bits) {
        self.close(out);
        out.begin_block(plain_offset);
        write_stored(bytes, out);
    }

    /// Writes a chunk by its tokens.
    pub(super) fn tokens(&mut self, tokens: &[Token], chunk: Chunk<'_>, is_last: bool, out: &mut Bits) {
        if self.rules.fills {
            return self.filled(tokens, chunk, is_last, out);
        }
        let mut counts = Counts::of_tokens(tokens);
        counts.literals[END] = u32::from(is_last);
        if !self.can_go_on(&counts) {
            self.close(out);
        }
        let extent = self.extent(&mut counts, is_last);
        let total = tokens.len() + usize::from(is_last);
        let form = self.choose(counts, total, extent, chunk.own().len(), out);
        self.write(form, tokens, chunk, is_last, out);
    }

    fn can_go_on(&self, counts: &Counts) -> bool {
        self.open == Open::Tokens && self.literals.covers(&counts.literals) && self.distances.covers(&counts.distances)
    }

    /// How many symbols the header of a new block describes; makes the counts fit for that.
    fn extent(&self, counts: &mut Counts, is_last: bool) -> (usize, usize) {
        if self.rules.counts_end {
            counts.literals[END] = 1;
        }
        if !is_last && !self.rules.trims {
            return (USED_LITERALS, DISTANCES);
        }
        counts.have_a_distance();
        counts.extent()
    }

    /// Chooses, and closes what is open if it is of no use.
    fn choose(&mut self, mut counts: Counts, tokens: usize, extent: (usize, usize), bytes: usize, out: &mut Bits) -> Form {
        let (extra, stored) = (counts.extra_bits(), stored_bits(bytes));
        let tries_fixed = tokens < self.rules.fixed_below;
        if self.open != Open::No {
            let size = self.size_of_more(&counts, tokens, out);
            if tries_fixed && self.size_of_fixed(&counts) + extra + FIXED_END_BITS < size {
                return if stored <= size { Form::Stored } else { Form::Fixed };
            }
            if stored <= size {
                return Form::Stored;
            }
            if self.open != Open::No {
                return Form::More;
            }
        }
        counts.literals[END] = 1;
        let size = self.plan(&counts, extent) + extra;
        let fixed = self.size_of_fixed(&counts) + extra;
        if tries_fixed && fixed <= size {
            return if stored <= fixed { Form::Stored } else { Form::Fixed };
        }
        if stored <= size { Form::Stored } else { Form::New }
    }

    /// What the tokens take in the block that is open; or, if that seems less, in a block of their own, and then
    /// nothing is open any more.
    fn size_of_more(&mut self, counts: &Counts, tokens: usize, out: &mut Bits) -> i64 {
        let end = if self.rules.guesses_end { 0 } else { counts.literals[END] as usize };
        let guess = self.open_header_bits + estimate::size(self.rules.guess, counts, tokens - end);
        let new = guess + i64::from(self.literals.lengths[END]) + (guess >> self.rules.penalty);
        let more = self.size_in_open(counts) + counts.extra_bits();
        if new < more {
            self.close(out);
        }
        new.min(more)
    }

    /// What the symbols take with the codes that are in use.
    pub(super) fn size_in_open(&self, counts: &Counts) -> i64 {
        self.literals.cost_bits(&counts.literals) + self.distances.cost_bits(&counts.distances)
    }

    fn size_of_fixed(&self, counts: &Counts) -> i64 {
        3 + self.fixed.0.cost_bits(&counts.literals) + self.fixed.1.cost_bits(&counts.distances)
    }

    /// Makes codes and a header for these symbols; answers what they take.
    pub(super) fn plan(&mut self, counts: &Counts, (literals, distances): (usize, usize)) -> i64 {
        self.literals.build(&mut self.merge, &counts.literals, LONGEST);
        self.distances.build(&mut self.merge, &counts.distances, LONGEST);
        let header = self.preamble.plan(&mut self.merge, &self.literals.lengths[..literals], &self.distances.lengths[..distances]);
        self.open_header_bits = header;
        header + self.size_in_open(counts)
    }

    /// Writes a chunk as it was chosen.
    pub(super) fn write(&mut self, form: Form, tokens: &[Token], chunk: Chunk<'_>, is_last: bool, out: &mut Bits) {
        match form {
            Form::Stored => self.stored(chunk.own(), chunk.plain_offset, out),
            Form::Fixed => self.fixed(tokens, chunk.plain_offset, out),
            Form::More => self.go_on(tokens, is_last, out),
            Form::New => {
                out.begin_block(chunk.plain_offset);
                self.preamble.write(out);
                self.open = Open::Tokens;
                self.go_on(tokens, is_last, out);
            }
        }
    }

    fn go_on(&mut self, tokens: &[Token], is_last: bool, out: &mut Bits) {
        write_tokens(tokens, &self.literals, &self.distances, out);
        if is_last {
            self.close(out);
        }
    }

    fn fixed(&mut self, tokens: &[Token], plain_offset: u64, out: &mut Bits) {
        self.close(out);
        out.begin_block(plain_offset);
        out.put(0b010, 3);
        write_tokens(tokens, &self.fixed.0, &self.fixed.1, out);
        out.put(0, FIXED_END_BITS as u32);
    }
}
