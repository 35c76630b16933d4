//! How chunks became blocks up to 1.13: in the middle of a piece every symbol has a word, so the next chunk can always
//! go on in the same block.
//!
//! **Invariants.** Symbols that do not occur count once in all sizes of such a block.
//!
//! *Not here:* how it is since 1.14 (`block`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "sizes of one chunk, tables of fixed sizes"
)]

use super::block::{Blocks, Form, Open};
use super::estimate;
use super::generation::Guess;
use crate::gzip::Bits;
use crate::gzip::chunks::Chunk;
use crate::gzip::huffman::{DISTANCES, END, USED_LITERALS};
use crate::gzip::token::{Counts, Token, stored_bits};

impl Blocks {
    /// Writes a chunk by its tokens.
    pub(super) fn filled(&mut self, tokens: &[Token], chunk: Chunk<'_>, is_last: bool, out: &mut Bits) {
        if self.open == Open::Literals {
            self.close(out);
        }
        let mut counts = Counts::of_tokens(tokens);
        let (mut total, mut extent) = (tokens.len(), (USED_LITERALS, DISTANCES));
        if is_last {
            counts.literals[END] = 1;
            extent = counts.extent();
        } else {
            total += fill(&mut counts);
        }
        let form = self.choose_filled(counts, total, extent, chunk.own().len(), out);
        self.write(form, tokens, chunk, is_last, out);
    }

    fn choose_filled(&mut self, mut counts: Counts, tokens: usize, extent: (usize, usize), bytes: usize, out: &mut Bits) -> Form {
        let is_hardly_less = |size: i64| stored_bits(bytes) < size + (size >> 4);
        let guess = estimate::size(self.rules.guess, &counts, tokens);
        counts.have_a_distance();
        let extra = counts.extra_bits();
        if self.open != Open::No {
            let guess = self.open_header_bits + guess;
            let new = guess + (guess >> self.rules.penalty);
            let header = if self.rules.guess == Guess::Ceiling { self.open_header_bits } else { 0 };
            let more = header + self.size_in_open(&counts) + extra;
            if new < more {
                self.close(out);
            }
            if is_hardly_less(new.min(more)) {
                return Form::Stored;
            }
            if self.open != Open::No {
                return Form::More;
            }
        }
        let size = self.plan(&counts, extent) + extra;
        if is_hardly_less(size) { Form::Stored } else { Form::New }
    }
}

/// Counts every symbol at least once; answers how many literals and lengths that adds.
fn fill(counts: &mut Counts) -> usize {
    counts.distances.iter_mut().for_each(|count| *count = (*count).max(1));
    let missing = counts.literals[..USED_LITERALS].iter_mut().filter(|count| **count == 0);
    missing.map(|count| *count = 1).count()
}
