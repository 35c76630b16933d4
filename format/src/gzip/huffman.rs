//! [`Merge`], [`Code`] and [`Preamble`]: Huffman codes and their headers, as the encoders written in Go make them.
//!
//! **Invariants.** Lengths are those of package-merge with the ties of Go's `compress/flate`; zlib and others choose
//! other lengths of the same total. A preamble counts its bits before it writes them.
//!
//! *Not here:* which symbols a block has, and whether it is worth a code of its own.

#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions, reason = "tables of its own, of fixed sizes")]

use super::Bits;

/// The symbol that ends a block.
pub(super) const END: usize = 256;
/// How many literal and length symbols there are; of these 286 can be used.
pub(super) const LITERALS: usize = 288;
/// How many literal and length symbols can be used.
pub(super) const USED_LITERALS: usize = 286;
/// How many distance symbols there are.
pub(super) const DISTANCES: usize = 30;
/// The longest code of a literal or a distance.
pub(super) const LONGEST: usize = 15;

const LONGEST_OF_LENGTHS: usize = 7;
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const MAX_ITEMS: usize = 2 * LITERALS;

/// Code lengths of least cost under a limit.
#[derive(Debug, Clone)]
pub(super) struct Merge {
    /// Frequency above, symbol in the low 9 bits; ascending.
    leaves: Vec<u32>,
    below: [u32; MAX_ITEMS + 2],
    level: [u32; MAX_ITEMS + 2],
    /// For each level which of its items are leaves.
    is_leaf: [[u64; MAX_ITEMS / 64]; LONGEST],
}

impl Default for Merge {
    fn default() -> Self {
        Self {
            leaves: Vec::with_capacity(LITERALS),
            below: [0; MAX_ITEMS + 2],
            level: [0; MAX_ITEMS + 2],
            is_leaf: [[0; MAX_ITEMS / 64]; LONGEST],
        }
    }
}

impl Merge {
    /// Sets `lengths`, all of it, for symbols that occur `frequencies` times: 0 for those that do not occur, at most
    /// `limit` (15 or less) for the others. There are at most 286 symbols, and all together they occur less than 2^18 times.
    pub(super) fn lengths(&mut self, frequencies: &[u32], limit: usize, lengths: &mut [u8]) {
        lengths.fill(0);
        self.leaves.clear();
        let used = frequencies.iter().enumerate().filter(|(_, count)| **count > 0);
        self.leaves.extend(used.map(|(symbol, count)| count << 9 | symbol as u32));
        if self.leaves.len() <= 2 {
            self.leaves.iter().for_each(|leaf| lengths[symbol(*leaf)] = 1);
            return;
        }
        self.leaves.sort_unstable();
        let levels = limit.min(self.leaves.len() - 1);
        self.merge(levels);
        self.measure(levels, lengths);
    }

    /// Makes the levels: leaves among packages, which are pairs of the level below.
    fn merge(&mut self, levels: usize) {
        let leaves = self.leaves.len();
        let items = 2 * leaves - 2;
        for (item, leaf) in self.below.iter_mut().zip(&self.leaves) {
            *item = leaf >> 9;
        }
        let mut below_items = leaves;
        self.is_leaf[0] = [u64::MAX; MAX_ITEMS / 64];
        self.leaves.push(u32::MAX);
        for level in 1..levels {
            let packages = below_items / 2;
            self.below[2 * packages] = u32::MAX / 2;
            self.below[2 * packages + 1] = u32::MAX / 2;
            below_items = items.min(leaves + packages);
            self.is_leaf[level] = self.merge_level(below_items);
            std::mem::swap(&mut self.below, &mut self.level);
        }
        self.leaves.pop();
    }

    /// Merges the first `items` items of one level; answers which of them are leaves.
    fn merge_level(&mut self, items: usize) -> [u64; MAX_ITEMS / 64] {
        let mut is_leaf = [0; MAX_ITEMS / 64];
        let (mut leaf, mut package) = (0, 0);
        for (at, item) in self.level[..items].iter_mut().enumerate() {
            let weight = self.leaves[leaf] >> 9;
            let pair = self.below[2 * package] + self.below[2 * package + 1];
            let takes_leaf = weight < pair;
            *item = weight.min(pair);
            is_leaf[at / 64] |= u64::from(takes_leaf) << (at % 64);
            leaf += usize::from(takes_leaf);
            package += usize::from(!takes_leaf);
        }
        is_leaf
    }

    /// Counts how often each leaf is in the first items of the uppermost level, through packages.
    fn measure(&self, levels: usize, lengths: &mut [u8]) {
        let mut items = 2 * self.leaves.len() - 2;
        for level in self.is_leaf[..levels].iter().rev() {
            let leaves = ones(level, items);
            self.leaves[..leaves].iter().for_each(|leaf| lengths[symbol(*leaf)] += 1);
            items = 2 * (items - leaves);
        }
    }
}

fn symbol(leaf: u32) -> usize {
    (leaf & 0x1ff) as usize
}

/// How many of the first `bits` bits are set.
fn ones(words: &[u64], bits: usize) -> usize {
    let whole: u32 = words[..bits / 64].iter().map(|word| word.count_ones()).sum();
    let rest = words[bits / 64] & !(u64::MAX << (bits % 64));
    (whole + rest.count_ones()) as usize
}

/// A canonical Huffman code of `N` symbols.
#[derive(Debug, Clone)]
pub(super) struct Code<const N: usize> {
    /// Bits of each symbol, 0 for none.
    pub(super) lengths: [u8; N],
    words: [u16; N],
}

impl<const N: usize> Default for Code<N> {
    fn default() -> Self {
        Self { lengths: [0; N], words: [0; N] }
    }
}

impl<const N: usize> Code<N> {
    /// The code of these lengths.
    pub(super) fn of(lengths: [u8; N]) -> Self {
        let mut code = Self { lengths, words: [0; N] };
        code.assign();
        code
    }

    /// Chooses lengths for the symbols that occur, and their words.
    pub(super) fn build(&mut self, merge: &mut Merge, frequencies: &[u32], limit: usize) {
        merge.lengths(&frequencies[..N.min(USED_LITERALS)], limit, &mut self.lengths);
        self.assign();
    }

    /// Words by RFC 1951, section 3.2.2, first bit lowest.
    fn assign(&mut self) {
        let mut counts = [0_u16; LONGEST + 1];
        self.lengths.iter().for_each(|length| counts[usize::from(*length)] += 1);
        counts[0] = 0;
        let mut next = [0_u16; LONGEST + 1];
        for length in 1..=LONGEST {
            next[length] = (next[length - 1] + counts[length - 1]) << 1;
        }
        for (word, length) in self.words.iter_mut().zip(self.lengths) {
            let free = &mut next[usize::from(length)];
            *word = if length == 0 { 0 } else { free.reverse_bits() >> (16 - u32::from(length)) };
            *free = free.wrapping_add(1);
        }
    }

    /// The bits of a symbol, and how many.
    #[inline(always)]
    pub(super) fn word(&self, symbol: usize) -> (u64, u32) {
        (u64::from(self.words[symbol]), u32::from(self.lengths[symbol]))
    }

    /// Whether each symbol that occurs has a word.
    pub(super) fn covers(&self, frequencies: &[u32]) -> bool {
        self.lengths.iter().zip(frequencies).all(|(length, count)| *length > 0 || *count == 0)
    }

    /// How many bits the symbols take that occur so often.
    pub(super) fn cost_bits(&self, frequencies: &[u32]) -> i64 {
        self.lengths.iter().zip(frequencies).map(|(length, count)| i64::from(*length) * i64::from(*count)).sum()
    }
}

/// The codes of blocks with fixed codes.
pub(super) fn fixed() -> (Code<LITERALS>, Code<DISTANCES>) {
    let mut lengths = [8; LITERALS];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    (Code::of(lengths), Code::of([5; DISTANCES]))
}

/// The header of a dynamic block that is not the last: its type and both codes.
#[derive(Debug, Clone, Default)]
pub(super) struct Preamble {
    /// Symbols of the code of lengths, each with the value of its extra bits.
    symbols: Vec<(u8, u8)>,
    code: Code<19>,
    literals: usize,
    distances: usize,
    lengths: usize,
}

impl Preamble {
    /// Plans the header of these two codes, and answers how many bits it takes.
    pub(super) fn plan(&mut self, merge: &mut Merge, literals: &[u8], distances: &[u8]) -> i64 {
        (self.literals, self.distances) = (literals.len(), distances.len());
        self.collect(literals.iter().chain(distances).copied());
        let mut counts = [0_u32; 19];
        self.symbols.iter().for_each(|(symbol, _)| counts[usize::from(*symbol)] += 1);
        self.code.build(merge, &counts, LONGEST_OF_LENGTHS);
        let unused = ORDER.iter().rev().take_while(|symbol| counts[**symbol] == 0).count();
        self.lengths = (19 - unused).max(4);
        let extra = 2 * counts[16] + 3 * counts[17] + 7 * counts[18];
        17 + 3 * self.lengths as i64 + self.code.cost_bits(&counts) + i64::from(extra)
    }

    fn collect(&mut self, mut lengths: impl Iterator<Item = u8>) {
        self.symbols.clear();
        let mut next = lengths.next();
        while let Some(value) = next {
            let mut run = 1;
            next = lengths.next();
            while next == Some(value) {
                run += 1;
                next = lengths.next();
            }
            if value == 0 { self.zeros(run) } else { self.repeat(value, run) }
        }
    }

    fn repeat(&mut self, value: u8, run: usize) {
        self.symbols.push((value, 0));
        let mut rest = run - 1;
        while rest >= 3 {
            let part = rest.min(6);
            self.symbols.push((16, part as u8 - 3));
            rest -= part;
        }
        self.symbols.extend(std::iter::repeat_n((value, 0), rest));
    }

    fn zeros(&mut self, run: usize) {
        let mut rest = run;
        while rest >= 11 {
            let part = rest.min(138);
            self.symbols.push((18, (part - 11) as u8));
            rest -= part;
        }
        if rest >= 3 {
            self.symbols.push((17, rest as u8 - 3));
            rest = 0;
        }
        self.symbols.extend(std::iter::repeat_n((0, 0), rest));
    }

    /// Writes what was planned.
    pub(super) fn write(&self, out: &mut Bits) {
        out.put(0b100, 3);
        out.put(self.literals as u64 - 257, 5);
        out.put(self.distances as u64 - 1, 5);
        out.put(self.lengths as u64 - 4, 4);
        ORDER[..self.lengths].iter().for_each(|symbol| out.put(u64::from(self.code.lengths[*symbol]), 3));
        for (symbol, extra) in &self.symbols {
            let (word, bits) = self.code.word(usize::from(*symbol));
            out.put(word | u64::from(*extra) << bits, bits + extra_bits(*symbol));
        }
    }
}

fn extra_bits(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Package-merge as it is told: each item is its weight and the leaves in it.
    fn lengths_by_the_book(frequencies: &[u32], limit: usize) -> Vec<u8> {
        let mut leaves: Vec<(u32, Vec<usize>)> = frequencies.iter().enumerate().map(|(symbol, count)| (*count, vec![symbol])).collect();
        leaves.retain(|(count, _)| *count > 0);
        leaves.sort();
        let mut level = leaves.clone();
        for _ in 1..limit.min(leaves.len() - 1) {
            let pairs = level.chunks_exact(2).map(|pair| (pair[0].0 + pair[1].0, [&pair[0].1[..], &pair[1].1].concat()));
            level = pairs.chain(leaves.clone()).collect();
            // Stable: of equals, packages come first.
            level.sort_by_key(|(weight, _)| *weight);
        }
        let mut lengths = vec![0; frequencies.len()];
        level.iter().take(2 * leaves.len() - 2).flat_map(|(_, symbols)| symbols).for_each(|symbol| lengths[*symbol] += 1);
        lengths
    }

    #[test]
    fn symbols_that_are_alone_or_two_have_one_bit() {
        let mut lengths = [9; 4];
        let mut merge = Merge::default();
        for (frequencies, expected) in [([0, 0, 0, 0], [0; 4]), ([0, 7, 0, 0], [0, 1, 0, 0]), ([5, 0, 0, 1], [1, 0, 0, 1])] {
            merge.lengths(&frequencies, LONGEST, &mut lengths);
            assert_eq!(lengths, expected);
        }
    }

    proptest! {
        #[test]
        fn lengths_are_those_of_package_merge(
            exponents in proptest::collection::vec((0..17_u32, 0..4_u32), 3..60),
            limit in 6..=LONGEST,
        ) {
            let frequencies: Vec<u32> = exponents.iter().map(|(exponent, more)| (1 << exponent) / 8 + more).collect();
            prop_assume!(frequencies.iter().filter(|count| **count > 0).count() > 2);
            let mut lengths = vec![0; frequencies.len()];
            Merge::default().lengths(&frequencies, limit, &mut lengths);
            prop_assert_eq!(lengths, lengths_by_the_book(&frequencies, limit));
        }
    }
}
