//! [`Header`]: the two codes of a block, themselves run-length and prefix coded (RFC 1951, section 3.2.7).
//!
//! **Invariants.** `bits` is what [`Header::write`] puts, to the bit.
//!
//! *Not here:* the symbols of the block (`block`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "symbols of code lengths are below 19, and there are at most 316 lengths"
)]

use super::trees::{Alphabet, Tree};
use crate::gzip::Bits;

/// Code lengths, and three kinds of repetition.
const SYMBOLS: usize = 19;
/// The order in which the lengths of the code of lengths are written.
const ORDER: [usize; SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const EXTRA: [u8; SYMBOLS] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
const LENGTHS: Alphabet = Alphabet { extra: &EXTRA, extra_from: 0, fixed: None, max_bits: 7 };

const REPEAT: u8 = 16;
const FEW_ZEROS: u8 = 17;
const MANY_ZEROS: u8 = 18;

/// The head of a block of dynamic codes.
pub(crate) struct Header {
    runs: Vec<Run>,
    tree: Tree<SYMBOLS>,
    literals: usize,
    distances: usize,
    shown: usize,
    /// How many bits it takes.
    pub(crate) bits: i64,
}

/// A code length, or a repetition with how often.
#[derive(Clone, Copy)]
struct Run {
    symbol: u8,
    extra: u8,
}

impl Header {
    /// For the lengths of both codes, each up to its last symbol in use.
    pub(crate) fn new(literals: &[u8], distances: &[u8]) -> Self {
        let mut runs = Vec::with_capacity(literals.len() + distances.len());
        gather(literals, &mut runs);
        gather(distances, &mut runs);
        let mut frequencies = [0; SYMBOLS];
        runs.iter().for_each(|run| frequencies[usize::from(run.symbol)] += 1);
        let tree = Tree::build(&frequencies, &LENGTHS);
        let unused = ORDER.iter().rev().take_while(|symbol| tree.lengths[**symbol] == 0).count();
        let shown = (SYMBOLS - unused).max(4);
        let bits = tree.bits + 3 * shown as i64 + 5 + 5 + 4;
        Self { runs, tree, literals: literals.len(), distances: distances.len(), shown, bits }
    }

    /// Appends it.
    pub(crate) fn write(&self, out: &mut Bits) {
        out.put(self.literals as u64 - 257, 5);
        out.put(self.distances as u64 - 1, 5);
        out.put(self.shown as u64 - 4, 4);
        for &symbol in &ORDER[..self.shown] {
            out.put(u64::from(self.tree.lengths[symbol]), 3);
        }
        for run in &self.runs {
            let symbol = usize::from(run.symbol);
            out.put(u64::from(self.tree.codes[symbol]), u32::from(self.tree.lengths[symbol]));
            out.put(u64::from(run.extra), u32::from(EXTRA[symbol]));
        }
    }
}

/// Cuts lengths into runs.
fn gather(lengths: &[u8], runs: &mut Vec<Run>) {
    for same in lengths.chunk_by(|one, other| one == other) {
        match same[0] {
            0 => gather_zeros(same.len(), runs),
            length => gather_equals(length, same.len(), runs),
        }
    }
}

fn gather_zeros(mut left: usize, runs: &mut Vec<Run>) {
    while left > 0 {
        let count = left.min(138);
        left -= count;
        match count {
            0..3 => runs.extend([Run { symbol: 0, extra: 0 }].repeat(count)),
            3..11 => runs.push(Run { symbol: FEW_ZEROS, extra: (count - 3) as u8 }),
            _ => runs.push(Run { symbol: MANY_ZEROS, extra: (count - 11) as u8 }),
        }
    }
}

/// The first 7 of a run are the length and a repetition, or up to 3 times the length; the rest goes by sixes.
fn gather_equals(length: u8, total: usize, runs: &mut Vec<Run>) {
    let plain = Run { symbol: length, extra: 0 };
    let repeat = |count: usize| Run { symbol: REPEAT, extra: (count - 3) as u8 };
    let first = total.min(7);
    match first {
        0..4 => runs.extend([plain].repeat(first)),
        _ => runs.extend([plain, repeat(first - 1)]),
    }
    let mut left = total - first;
    while left > 0 {
        let count = left.min(6);
        left -= count;
        match count {
            0..3 => runs.extend([plain].repeat(count)),
            _ => runs.push(repeat(count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_as_zlib_cuts_them() {
        let cases = [
            (0, 2, vec![(0, 0), (0, 0)]),
            (0, 3, vec![(17, 0)]),
            (0, 11, vec![(18, 0)]),
            (0, 140, vec![(18, 127), (0, 0), (0, 0)]),
            (5, 3, vec![(5, 0), (5, 0), (5, 0)]),
            (5, 4, vec![(5, 0), (16, 0)]),
            (5, 9, vec![(5, 0), (16, 3), (5, 0), (5, 0)]),
            (5, 13, vec![(5, 0), (16, 3), (16, 3)]),
        ];
        for (length, count, wanted) in cases {
            let mut runs = Vec::new();
            gather(&vec![length; count], &mut runs);
            let got: Vec<_> = runs.iter().map(|run| (run.symbol, run.extra)).collect();
            assert_eq!(got, wanted, "{count} times {length}");
        }
    }

    #[test]
    fn the_cost_is_what_is_written() {
        let literals: Vec<u8> = (0..280u32).map(|n| if n % 7 < 4 { 0 } else { (n % 11 + 2) as u8 }).collect();
        let header = Header::new(&literals, &[1, 1]);
        let mut out = Bits::default();
        header.write(&mut out);
        assert_eq!(out.bit_offset() as i64, header.bits);
    }
}
