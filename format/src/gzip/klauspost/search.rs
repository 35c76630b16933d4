//! [`Search`]: how level 5 finds copies: a table by 4 bytes, a table by 7 bytes that remembers two places.
//!
//! **Invariants.** A copy is at least 4 bytes long and reaches less than 32768 bytes back. What is found depends on the
//! bytes up to the end of the chunk, and on the chunks before.
//!
//! *Not here:* how tokens are written.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places in a chunk, and tables of its own"
)]

use super::generation::{Rules, Tail};
use crate::gzip::chunks::Chunk;
use crate::gzip::token::Token;

/// Copies come from less than so far back. Places in the tables are more by it, so that 0, for none, is never near.
const NEAR: u32 = 32768;
/// No copy begins in so many bytes at the end of a chunk.
const MARGIN: usize = 11;
const LONGEST: usize = 258;

/// The tables of one stream, of the size that the generation has.
#[derive(Debug, Clone)]
pub(super) enum Search {
    Small(Tables<{ 1 << 15 }>),
    Large(Tables<{ 1 << 16 }>),
}

impl Search {
    /// Empty tables of 2^15 entries, or of 2^16.
    pub(super) fn new(rules: Rules) -> Self {
        if rules.table_bits == 15 { Self::Small(Tables::new(rules)) } else { Self::Large(Tables::new(rules)) }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Small(tables) => tables.clear(),
            Self::Large(tables) => tables.clear(),
        }
    }

    /// All places are now less by `gone`.
    pub(super) fn rebase(&mut self, gone: usize) {
        match self {
            Self::Small(tables) => tables.rebase(gone),
            Self::Large(tables) => tables.rebase(gone),
        }
    }

    /// Adds the tokens of a chunk; none at all if it has no copy.
    pub(super) fn run(&mut self, chunk: Chunk<'_>, tokens: &mut Vec<Token>) {
        match self {
            Self::Small(tables) => tables.run(chunk, tokens),
            Self::Large(tables) => tables.run(chunk, tokens),
        }
    }
}

/// Tables of `N` entries, a power of two.
#[derive(Debug, Clone)]
pub(super) struct Tables<const N: usize> {
    short: Box<[u32; N]>,
    /// The last place, and the one before.
    long: Box<[[u32; 2]; N]>,
    tail: Tail,
    splits_early: bool,
}

/// Bytes that occurred before.
struct Copy {
    at: usize,
    from: usize,
    length: usize,
    /// The first place that was not looked at.
    next: usize,
}

impl<const N: usize> Tables<N> {
    fn new(rules: Rules) -> Self {
        Self { short: table(0), long: table([0; 2]), tail: rules.tail, splits_early: rules.splits_early }
    }

    fn clear(&mut self) {
        self.short.fill(0);
        self.long.fill([0; 2]);
    }

    fn rebase(&mut self, gone: usize) {
        let gone = gone as u32;
        self.short.iter_mut().for_each(|place| *place = place.saturating_sub(gone));
        self.long.iter_mut().flatten().for_each(|place| *place = place.saturating_sub(gone));
    }

    fn run(&mut self, chunk: Chunk<'_>, tokens: &mut Vec<Token>) {
        let data = chunk.bytes;
        let Some(limit) = data.len().checked_sub(MARGIN) else { return };
        let (mut next, mut emitted) = (chunk.start, chunk.start);
        while let Some(found) = self.find(data, next, emitted, limit) {
            let copy = extend_back(data, self.improve(data, found, limit), emitted);
            tokens.extend(data[emitted..copy.at].iter().copied().map(Token::literal));
            push_copy(tokens, copy.length, copy.at - copy.from, self.splits_early);
            emitted = copy.at + copy.length;
            next = emitted.max(copy.next + 1);
            if next >= limit {
                break;
            }
            self.learn(data, next, copy.length);
        }
        if !tokens.is_empty() {
            tokens.extend(data[emitted..].iter().copied().map(Token::literal));
        }
    }

    /// The next place from `next` on whose bytes are at a place of the tables; the longer there is none, the more
    /// places are left out.
    fn find(&mut self, data: &[u8], next: usize, emitted: usize, limit: usize) -> Option<Copy> {
        let mut next = next;
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 6);
            if next > limit {
                return None;
            }
            let word = load(data, at);
            let here = place(at);
            let short = std::mem::replace(&mut self.short[short_slot::<N>(word)], here);
            let long = &mut self.long[long_slot::<N>(word)];
            let [recent, older] = *long;
            *long = [here, recent];
            let found = if here - recent < NEAR {
                let older = is_copy(data, older, at, word).then(|| index(older));
                if is_copy(data, recent, at, word) {
                    Some(self.longer(data, at, index(recent), older))
                } else {
                    older.map(|from| (from, common(data, from, at)))
                }
            } else {
                None
            };
            if let Some((from, length)) = found {
                self.put(next, load(data, next));
                return Some(Copy { at, from, length, next });
            }
            if is_copy(data, short, at, word) {
                return Some(self.or_next(data, at, index(short), next));
            }
        }
    }

    /// The longer of two copies; up to 258 bytes are compared for that.
    fn longer(&self, data: &[u8], at: usize, recent: usize, older: Option<usize>) -> (usize, usize) {
        let length = common(data, recent, at);
        let Some(older) = older else { return (recent, length) };
        let other = common(data, older, at);
        if other.min(LONGEST) > length.min(LONGEST) { (older, other) } else { (recent, length) }
    }

    /// A short copy at `at`, or a longer one of the long table at the next place.
    fn or_next(&mut self, data: &[u8], at: usize, from: usize, next: usize) -> Copy {
        let length = common(data, from, at);
        let word = load(data, next);
        let [recent, older] = self.put(next, word);
        if place(next) - recent < NEAR {
            for candidate in [recent, older] {
                if is_copy(data, candidate, next, word) {
                    let from = index(candidate);
                    let other = common(data, from, next);
                    if other.min(LONGEST) > length.min(LONGEST) {
                        return Copy { at: next, from, length: other, next };
                    }
                }
            }
        }
        Copy { at, from, length, next }
    }

    /// For a copy that is not long, tries the place that the long table has for what follows it.
    fn improve(&self, data: &[u8], found: Copy, limit: usize) -> Copy {
        let after = found.at + found.length;
        let skipped = match self.tail {
            Tail::None => return found,
            Tail::Whole => 0,
            Tail::Skips => 2,
        };
        if found.length >= 30 || after >= limit {
            return found;
        }
        let [recent, _] = self.long[long_slot::<N>(load(data, after))];
        let distance = place(after).wrapping_sub(recent) as usize;
        let at = found.at + skipped;
        if distance == 0 || distance >= NEAR as usize || at < distance {
            return found;
        }
        let length = common(data, at - distance, at);
        if length > found.length { Copy { at, from: at - distance, length, next: found.next } } else { found }
    }

    /// Remembers places of a copy of `length` bytes that ends at `next`, and the one before `next`.
    fn learn(&mut self, data: &[u8], next: usize, length: usize) {
        let mut at = next - length + 1;
        if at < next - 1 {
            self.put(at, load(data, at));
            self.put_long(at + 1, load(data, at + 1));
            self.put_short(at + 2, load(data, at + 2));
            at += 4;
            while at < next - 1 {
                self.put_long(at, load(data, at));
                self.put_short(at + 1, load(data, at + 1));
                at += 3;
            }
        }
        self.put(next - 1, load(data, next - 1));
    }

    /// Remembers a place in both tables; answers what the long one had.
    #[inline(always)]
    fn put(&mut self, at: usize, word: u64) -> [u32; 2] {
        self.put_short(at, word);
        self.put_long(at, word)
    }

    #[inline(always)]
    fn put_short(&mut self, at: usize, word: u64) {
        self.short[short_slot::<N>(word)] = place(at);
    }

    #[inline(always)]
    fn put_long(&mut self, at: usize, word: u64) -> [u32; 2] {
        let long = &mut self.long[long_slot::<N>(word)];
        let before = *long;
        *long = [place(at), before[0]];
        before
    }
}

fn table<T: Clone, const N: usize>(empty: T) -> Box<[T; N]> {
    vec![empty; N].into_boxed_slice().try_into().ok().expect("N entries were made")
}

#[inline(always)]
fn place(at: usize) -> u32 {
    at as u32 + NEAR
}

#[inline(always)]
fn index(place: u32) -> usize {
    (place - NEAR) as usize
}

/// Whether a place of a table is near, and has the 4 bytes that are at `at`, the first of `word`.
#[inline(always)]
fn is_copy(data: &[u8], candidate: u32, at: usize, word: u64) -> bool {
    place(at) - candidate < NEAR && load_half(data, index(candidate)) == word as u32
}

#[inline(always)]
fn load(data: &[u8], at: usize) -> u64 {
    data[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
}

#[inline(always)]
fn load_half(data: &[u8], at: usize) -> u32 {
    data[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
}

/// By the first 4 bytes.
#[inline(always)]
fn short_slot<const N: usize>(word: u64) -> usize {
    ((word as u32).wrapping_mul(2_654_435_761) >> (32 - N.trailing_zeros())) as usize
}

/// By the first 7 bytes.
#[inline(always)]
fn long_slot<const N: usize>(word: u64) -> usize {
    ((word << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - N.trailing_zeros())) as usize
}

/// How many bytes at `from` and at `at`, which is behind it, are equal.
#[inline(always)]
fn common(data: &[u8], from: usize, at: usize) -> usize {
    let right = &data[at..];
    let left = &data[from..from + right.len()];
    let mut equal = 0;
    for (left, right) in left.chunks_exact(8).zip(right.chunks_exact(8)) {
        let different = load(left, 0) ^ load(right, 0);
        if different != 0 {
            return equal + different.trailing_zeros() as usize / 8;
        }
        equal += 8;
    }
    equal + left[equal..].iter().zip(&right[equal..]).take_while(|(left, right)| left == right).count()
}

/// Takes in equal bytes before a copy that are not emitted yet.
fn extend_back(data: &[u8], mut copy: Copy, emitted: usize) -> Copy {
    while copy.from > 0 && copy.at > emitted && data[copy.from - 1] == data[copy.at - 1] {
        copy.from -= 1;
        copy.at -= 1;
        copy.length += 1;
    }
    copy
}

/// Cuts a copy in parts that a token can say, none of them shorter than 4.
fn push_copy(tokens: &mut Vec<Token>, length: usize, distance: usize, splits_early: bool) {
    let mut rest = length;
    while rest > 0 {
        let part = match rest {
            ..=LONGEST => rest,
            259..=261 => LONGEST - 3,
            _ if splits_early => LONGEST - 3,
            _ => LONGEST,
        };
        tokens.push(Token::copy(part, distance));
        rest -= part;
    }
}
