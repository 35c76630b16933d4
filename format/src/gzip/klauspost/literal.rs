//! How a chunk becomes a block by its bytes alone, without copies.
//!
//! **Invariants.** What a block would take is guessed or counted before; storing wins where it seems to take less.
//!
//! *Not here:* when that is worth a try.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "sizes of one chunk, tables of fixed sizes"
)]

use super::block::{Blocks, Open};
use super::estimate;
use super::generation::LiteralGuess;
use crate::gzip::Bits;
use crate::gzip::chunks::Chunk;
use crate::gzip::huffman::{END, LONGEST};
use crate::gzip::token::{Counts, stored_bits, write_literals};

/// What a header is taken for before there was one.
const GUESSED_HEADER_BITS: i64 = 70 * 8;

/// What is reckoned for a chunk.
struct Sizes {
    /// Of a block, to weigh against storing.
    block: i64,
    /// Of a block of its own, to weigh against going on.
    new: i64,
    /// Of going on in the block that is open.
    more: i64,
}

impl Blocks {
    /// Writes a chunk by its bytes alone.
    pub(super) fn literals(&mut self, chunk: Chunk<'_>, is_last: bool, out: &mut Bits) {
        let bytes = chunk.own();
        let counts = Counts::of_bytes(bytes);
        if self.rules.tests_noise && bytes.len() > 1024 && is_noise(&counts.literals[..256], bytes.len()) {
            return self.stored(bytes, chunk.plain_offset, out);
        }
        let sizes = self.sizes_of_literals(&counts, bytes.len(), is_last);
        if self.prefers_stored(sizes.block, bytes.len()) {
            return self.stored(bytes, chunk.plain_offset, out);
        }
        if self.open != Open::No && sizes.new < sizes.more {
            self.close(out);
        }
        if self.open == Open::No {
            self.begin_literals(counts, is_last);
            out.begin_block(chunk.plain_offset);
            self.preamble.write(out);
        }
        write_literals(bytes, &self.literals, out);
        if is_last {
            self.close(out);
        }
    }

    fn prefers_stored(&self, size: i64, bytes: usize) -> bool {
        match self.rules.literal_guess {
            LiteralGuess::Ceiling => stored_bits(bytes) < size + (size >> 4),
            LiteralGuess::Entropy | LiteralGuess::Spread => stored_bits(bytes) < size,
            LiteralGuess::Exact => stored_bits(bytes) <= size,
        }
    }

    fn sizes_of_literals(&mut self, counts: &Counts, bytes: usize, is_last: bool) -> Sizes {
        let occurring = &counts.literals[..256];
        let missing = if is_last { 0 } else { occurring.iter().filter(|count| **count == 0).count() };
        let header = if self.open == Open::No { GUESSED_HEADER_BITS } else { self.open_header_bits };
        let penalty = self.rules.penalty;
        let with_penalty = |size: i64| size + (size >> penalty);
        let more = self.literals.cost_bits(occurring);
        match self.rules.literal_guess {
            LiteralGuess::Ceiling => {
                let block = estimate::ceiling_of_literals(occurring, bytes, !is_last) + 15;
                let filled = if is_last { more } else { self.literals.cost_bits(&filled(occurring)) };
                Sizes { block, new: with_penalty(block), more: filled + 2 * self.open_header_bits }
            }
            LiteralGuess::Entropy => {
                let guess = estimate::literals(occurring, bytes, 0);
                let block = with_penalty(guess.bits + header + 15);
                let missing_bits = if is_last { 0 } else { guess.missing_bits };
                let filled = if is_last { more } else { self.literals.cost_bits(&filled(occurring)) };
                Sizes { block, new: block + missing_bits, more: filled }
            }
            LiteralGuess::Spread => {
                let guess = estimate::literals(occurring, bytes, missing);
                let block = with_penalty(guess.bits + header + bytes as i64 / 32);
                Sizes { block, new: block, more }
            }
            LiteralGuess::Exact => {
                let block = with_penalty(self.size_of_spare(counts) + header);
                let more = if self.literals.covers(occurring) { more } else { i64::MAX };
                Sizes { block, new: block, more }
            }
        }
    }

    /// Makes a code for these bytes, beside the one that is in use; answers what they take with it.
    fn size_of_spare(&mut self, counts: &Counts) -> i64 {
        let mut counts = counts.clone();
        counts.literals[END] = 1;
        self.spare.build(&mut self.merge, &counts.literals, LONGEST);
        self.spare.cost_bits(&counts.literals)
    }

    /// Makes the code and the header of a new block.
    fn begin_literals(&mut self, mut counts: Counts, is_last: bool) {
        if self.rules.literal_guess == LiteralGuess::Exact {
            std::mem::swap(&mut self.literals, &mut self.spare);
        } else {
            if !is_last {
                counts.literals[..256].iter_mut().for_each(|count| *count = (*count).max(1));
            }
            counts.literals[END] = 1;
            self.literals.build(&mut self.merge, &counts.literals, LONGEST);
        }
        self.open_header_bits = self.preamble.plan(&mut self.merge, &self.literals.lengths[..=END], &[1]);
        self.open = Open::Literals;
    }
}

/// Each byte at least once.
fn filled(counts: &[u32]) -> [u32; 256] {
    std::array::from_fn(|byte| counts[byte].max(1))
}

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
