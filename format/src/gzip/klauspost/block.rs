//! [`Blocks`]: how chunks become blocks: stored, with fixed codes, with codes of their own, or with those of the chunk before.
//!
//! **Invariants.** A block with codes of its own stays open in the middle of a piece: its end is owed, and the next chunk
//! may go on in it without a header.
//!
//! *Not here:* how tokens are found.

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
use crate::gzip::token::{Counts, Token, stored_bits, write_literals, write_stored, write_tokens};

/// Bits of the end in a block with fixed codes.
const FIXED_END_BITS: u64 = 7;

/// The blocks of one stream.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    rules: Rules,
    merge: Merge,
    preamble: Preamble,
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
    /// A code that is tried.
    spare: Code<LITERALS>,
    fixed: (Code<LITERALS>, Code<DISTANCES>),
    open: Open,
    open_header_bits: u64,
}

/// Whether the last block still waits for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    No,
    /// It has codes for tokens.
    Tokens,
    /// It has a code for literals only.
    Literals,
}

/// What becomes of the tokens of a chunk.
enum Form {
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
        let mut counts = Counts::of_tokens(tokens);
        counts.literals[END] = u32::from(is_last);
        if !self.can_go_on(&counts) {
            self.close(out);
        }
        let trims = is_last || self.rules.trims;
        if self.rules.counts_end {
            counts.literals[END] = 1;
        }
        let extent = if trims { counts.extent() } else { (USED_LITERALS, DISTANCES) };
        if trims {
            counts.have_a_distance();
        }
        match self.choose(counts, tokens.len() + usize::from(is_last), extent, chunk.own().len(), out) {
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

    fn can_go_on(&self, counts: &Counts) -> bool {
        self.open == Open::Tokens && self.literals.covers(&counts.literals) && self.distances.covers(&counts.distances)
    }

    /// Chooses, and closes what is open if it is of no use.
    fn choose(&mut self, mut counts: Counts, tokens: usize, extent: (usize, usize), bytes: usize, out: &mut Bits) -> Form {
        let (extra, stored) = (counts.extra_bits(), stored_bits(bytes));
        let tries_fixed = tokens < self.rules.fixed_below;
        if self.open != Open::No {
            let size = self.size_of_more(&counts, tokens, extra, out);
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
        let size = self.plan(&mut counts, extent) + extra;
        let fixed = self.size_of_fixed(&counts) + extra;
        if tries_fixed && fixed <= size {
            return if stored <= fixed { Form::Stored } else { Form::Fixed };
        }
        if stored <= size { Form::Stored } else { Form::New }
    }

    /// What the tokens take in the block that is open; or, if that seems less, in a block of their own, and then
    /// nothing is open any more.
    fn size_of_more(&mut self, counts: &Counts, tokens: usize, extra: u64, out: &mut Bits) -> u64 {
        let guess = self.open_header_bits + estimate::bits(counts, tokens) + extra;
        let new = guess + u64::from(self.literals.lengths[END]) + (guess >> 7);
        let more = self.literals.cost_bits(&counts.literals) + self.distances.cost_bits(&counts.distances) + extra;
        if new < more {
            self.close(out);
        }
        new.min(more)
    }

    fn size_of_fixed(&self, counts: &Counts) -> u64 {
        3 + self.fixed.0.cost_bits(&counts.literals) + self.fixed.1.cost_bits(&counts.distances)
    }

    /// Makes codes and a header for these symbols; answers what they take.
    fn plan(&mut self, counts: &mut Counts, (literals, distances): (usize, usize)) -> u64 {
        counts.literals[END] = 1;
        self.literals.build(&mut self.merge, &counts.literals, LONGEST);
        self.distances.build(&mut self.merge, &counts.distances, LONGEST);
        let header = self.preamble.plan(&mut self.merge, &self.literals.lengths[..literals], &self.distances.lengths[..distances]);
        self.open_header_bits = header;
        header + self.literals.cost_bits(&counts.literals) + self.distances.cost_bits(&counts.distances)
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

    /// Writes a chunk by its bytes alone.
    pub(super) fn literals(&mut self, chunk: Chunk<'_>, is_last: bool, out: &mut Bits) {
        let bytes = chunk.own();
        let counts = Counts::of_bytes(bytes);
        let Some(size) = self.size_of_literals(counts.clone(), bytes.len()) else {
            return self.stored(bytes, chunk.plain_offset, out);
        };
        if self.open != Open::No {
            let covers = self.literals.covers(&counts.literals);
            if !covers || size < self.literals.cost_bits(&counts.literals) {
                self.close(out);
            }
        }
        if self.open == Open::No {
            out.begin_block(chunk.plain_offset);
            std::mem::swap(&mut self.literals, &mut self.spare);
            self.open_header_bits = self.preamble.plan(&mut self.merge, &self.literals.lengths[..=END], &[1]);
            self.preamble.write(out);
            self.open = Open::Literals;
        }
        write_literals(bytes, &self.literals, out);
        if is_last {
            self.close(out);
        }
    }

    /// What the bytes are reckoned to take with a code of their own, which is made; none if they are better stored.
    fn size_of_literals(&mut self, mut counts: Counts, bytes: usize) -> Option<u64> {
        if self.rules.tests_noise && bytes > 1024 && is_noise(&counts.literals[..256], bytes) {
            return None;
        }
        counts.literals[END] = 1;
        self.spare.build(&mut self.merge, &counts.literals, LONGEST);
        let header = if self.open == Open::No { GUESSED_HEADER_BITS } else { self.open_header_bits };
        let size = self.spare.cost_bits(&counts.literals) + header;
        let size = size + (size >> 7);
        (stored_bits(bytes) > size).then_some(size)
    }
}

/// What a header is taken for before there was one.
const GUESSED_HEADER_BITS: u64 = 70 * 8;

/// Whether all bytes occur about as often: the sum of squares is less than that of noise would be about.
#[allow(clippy::cast_precision_loss, reason = "at most 65535")]
fn is_noise(counts: &[u32], bytes: usize) -> bool {
    let (mean, enough) = (bytes as f64 / 256.0, bytes as f64 * 2.0);
    let mut sum = 0.0;
    for count in counts {
        let difference = f64::from(*count) - mean;
        sum += difference * difference;
        if sum > enough {
            break;
        }
    }
    sum < enough
}
