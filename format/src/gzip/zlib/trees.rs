//! [`Tree`]: prefix codes from frequencies, with the ties and the shortening of over-long codes as zlib settles them.
//!
//! **Invariants.** Every frequency above zero gets a code; there are at least two codes; none is longer than allowed.
//! The cost is known without writing: `bits` here, `fixed_bits` with the fixed code, both with extra bits.
//!
//! *Not here:* writing a code's lengths into a block (`header`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "nodes are below twice the alphabet, frequencies sum up to at most 32768, lengths are at most 15"
)]

/// What kind of symbols a tree is for.
pub(crate) struct Alphabet {
    /// Extra bits of the symbols from `extra_from` on.
    pub(crate) extra: &'static [u8],
    /// The first symbol that may have extra bits.
    pub(crate) extra_from: usize,
    /// Lengths of the fixed code, if there is one.
    pub(crate) fixed: Option<&'static [u8]>,
    /// The longest code allowed.
    pub(crate) max_bits: u8,
}

/// Lengths and codes of an alphabet of `N` symbols.
pub(crate) struct Tree<const N: usize> {
    /// The length of each symbol's code; zero where it has none.
    pub(crate) lengths: [u8; N],
    /// The code of each symbol, first bit lowest.
    pub(crate) codes: [u16; N],
    /// The last symbol that has a code.
    pub(crate) last: usize,
    /// What all symbols take in this code.
    pub(crate) bits: i64,
    /// What all symbols take in the fixed code; zero where there is none.
    pub(crate) fixed_bits: i64,
}

/// The most nodes of a tree: leaves and inner nodes of the largest alphabet.
const MAX_NODES: usize = 2 * super::symbols::LITERALS;
const MAX_BITS: usize = 15;

impl<const N: usize> Tree<N> {
    /// The code for these frequencies.
    pub(crate) fn build(frequencies: &[u16; N], alphabet: &Alphabet) -> Self {
        let mut heap = Heap::new(frequencies);
        let mut tree = Self { lengths: [0; N], codes: [0; N], last: 0, bits: 0, fixed_bits: 0 };
        tree.last = heap.pad(|symbol| {
            tree.bits -= 1;
            tree.fixed_bits -= alphabet.fixed.map_or(0, |fixed| i64::from(fixed[symbol]));
        });
        heap.join(N);
        let counts = tree.measure(&heap, alphabet);
        tree.codes = canonical(&tree.lengths, &counts);
        tree
    }

    /// Settles the lengths, from the root down, and the costs; answers how many codes there are of each length.
    fn measure(&mut self, heap: &Heap, alphabet: &Alphabet) -> [u16; MAX_BITS + 1] {
        let mut depths = [0u8; MAX_NODES];
        let mut counts = [0u16; MAX_BITS + 1];
        let mut too_long = 0i32;
        for &node in heap.joined.iter().rev().skip(1) {
            let node = usize::from(node);
            let wanted = depths[usize::from(heap.parents[node])] + 1;
            let bits = wanted.min(alphabet.max_bits);
            too_long += i32::from(wanted > bits);
            depths[node] = bits;
            if node < N {
                self.lengths[node] = bits;
                counts[usize::from(bits)] += 1;
                self.charge(node, i64::from(heap.weights[node]), alphabet);
            }
        }
        if too_long > 0 {
            self.shorten(heap, &mut counts, too_long, alphabet.max_bits);
        }
        counts
    }

    fn charge(&mut self, symbol: usize, times: i64, alphabet: &Alphabet) {
        let extra = symbol.checked_sub(alphabet.extra_from).map_or(0, |at| alphabet.extra[at]);
        self.bits += times * i64::from(self.lengths[symbol] + extra);
        if let Some(fixed) = alphabet.fixed {
            self.fixed_bits += times * i64::from(fixed[symbol] + extra);
        }
    }

    /// Makes the lengths those of a prefix code again, after `too_long` nodes were cut to `max_bits`: moves a leaf down
    /// for every two that are too many, then hands the lengths out anew, the longest to the rarest.
    fn shorten(&mut self, heap: &Heap, counts: &mut [u16; MAX_BITS + 1], mut too_long: i32, max_bits: u8) {
        let longest = usize::from(max_bits);
        while too_long > 0 {
            let Some(above) = (1..longest).rev().find(|&bits| counts[bits] > 0) else { break };
            counts[above] -= 1;
            counts[above + 1] += 2;
            counts[longest] -= 1;
            too_long -= 2;
        }
        let mut leaves = heap.joined.iter().map(|&node| usize::from(node)).filter(|&node| node < N);
        for bits in (1..=max_bits).rev() {
            for leaf in leaves.by_ref().take(usize::from(counts[usize::from(bits)])) {
                self.bits += (i64::from(bits) - i64::from(self.lengths[leaf])) * i64::from(heap.weights[leaf]);
                self.lengths[leaf] = bits;
            }
        }
    }
}

/// The canonical codes (RFC 1951, section 3.2.2) of these lengths, first bit lowest.
fn canonical<const N: usize>(lengths: &[u8; N], counts: &[u16; MAX_BITS + 1]) -> [u16; N] {
    let mut next = [0u16; MAX_BITS + 2];
    for bits in 1..=MAX_BITS {
        next[bits + 1] = next[bits].wrapping_add(counts[bits]) << 1;
    }
    let mut codes = [0; N];
    for (code, &bits) in codes.iter_mut().zip(lengths).filter(|(_, bits)| **bits > 0) {
        *code = next[usize::from(bits)].reverse_bits() >> (16 - u32::from(bits));
        next[usize::from(bits)] += 1;
    }
    codes
}

/// Nodes by weight; of equal ones the shallower first. The order of equal nodes is what the layout of this heap makes
/// it, so its moves are part of the format that is reproduced.
struct Heap {
    /// Nodes not joined yet; the children of place `n` are at `2n` and `2n + 1`, and place 0 is unused.
    places: Vec<u16>,
    /// Nodes in the order in which they were joined.
    joined: Vec<u16>,
    weights: [u16; MAX_NODES],
    depths: [u8; MAX_NODES],
    parents: [u16; MAX_NODES],
}

impl Heap {
    fn new(frequencies: &[u16]) -> Self {
        let mut weights = [0; MAX_NODES];
        weights[..frequencies.len()].copy_from_slice(frequencies);
        let mut places = vec![0];
        places.extend((0u16..).zip(frequencies).filter(|(_, times)| **times > 0).map(|(symbol, _)| symbol));
        Self { places, joined: Vec::with_capacity(MAX_NODES), weights, depths: [0; MAX_NODES], parents: [0; MAX_NODES] }
    }

    /// Adds symbols of no use until there are two, as decoders want them; answers the last symbol.
    fn pad(&mut self, mut added: impl FnMut(usize)) -> usize {
        while self.places.len() < 3 {
            let symbol = match self.places.get(1) {
                None => 0,
                Some(&only) if only < 2 => only + 1,
                Some(_) => 0,
            };
            self.weights[usize::from(symbol)] = 1;
            self.places.push(symbol);
            added(usize::from(symbol));
        }
        self.places.iter().copied().max().map_or(0, usize::from)
    }

    /// Joins the two lightest nodes until one is left; inner nodes are numbered from `inner` on.
    fn join(&mut self, inner: usize) {
        for place in (1..=self.len() / 2).rev() {
            self.sink(place);
        }
        for node in inner.. {
            let first = self.places.swap_remove(1);
            self.sink(1);
            let second = self.places[1];
            self.joined.extend([first, second]);
            let (first, second) = (usize::from(first), usize::from(second));
            self.weights[node] = self.weights[first].wrapping_add(self.weights[second]);
            self.depths[node] = self.depths[first].max(self.depths[second]) + 1;
            self.parents[first] = node as u16;
            self.parents[second] = node as u16;
            self.places[1] = node as u16;
            self.sink(1);
            if self.len() < 2 {
                break;
            }
        }
        self.joined.push(self.places[1]);
    }

    fn len(&self) -> usize {
        self.places.len() - 1
    }

    /// Moves the node at `place` down until both of its children are heavier.
    fn sink(&mut self, mut place: usize) {
        let node = self.places[place];
        let len = self.len();
        loop {
            let mut child = 2 * place;
            if child > len {
                break;
            }
            if child < len && self.goes_before(self.places[child + 1], self.places[child]) {
                child += 1;
            }
            if self.goes_before(node, self.places[child]) {
                break;
            }
            self.places[place] = self.places[child];
            place = child;
        }
        self.places[place] = node;
    }

    fn goes_before(&self, one: u16, other: u16) -> bool {
        let key = |node: u16| (self.weights[usize::from(node)], self.depths[usize::from(node)]);
        key(one) <= key(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Alphabet = Alphabet { extra: &[0; 19], extra_from: 0, fixed: None, max_bits: 7 };

    fn lengths(frequencies: [u16; 19]) -> [u8; 19] {
        Tree::build(&frequencies, &PLAIN).lengths
    }

    #[test]
    fn an_alphabet_without_use_gets_two_codes() {
        assert_eq!(lengths([0; 19])[..3], [1, 1, 0]);
    }

    #[test]
    fn a_lone_symbol_gets_a_companion_with_a_low_number() {
        let mut lone = [0; 19];
        lone[0] = 9;
        assert_eq!(lengths(lone)[..3], [1, 1, 0]);
        lone = [0; 19];
        lone[1] = 9;
        assert_eq!(lengths(lone)[..3], [0, 1, 1]);
        lone = [0; 19];
        lone[5] = 9;
        assert_eq!(lengths(lone)[..6], [1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn codes_that_would_be_too_long_are_cut_to_a_whole_prefix_code() {
        let mut steep = [0u16; 19];
        for (n, times) in steep.iter_mut().enumerate() {
            *times = 1 << n.min(14);
        }
        let tree = Tree::build(&steep, &PLAIN);
        let room: u32 = tree.lengths.iter().map(|bits| 128 >> bits).sum();
        assert!(tree.lengths.iter().all(|bits| (1..=7).contains(bits)), "{:?}", tree.lengths);
        assert_eq!(room, 128, "{:?}", tree.lengths);
        let cost: i64 = tree.lengths.iter().zip(steep).map(|(bits, times)| i64::from(*bits) * i64::from(times)).sum();
        assert_eq!(tree.bits, cost);
    }
}
