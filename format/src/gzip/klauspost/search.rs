//! [`Search`]: how level 5 finds copies: a table by 4 bytes, a table by 7 bytes that remembers two places.
//!
//! **Invariants.** A copy is at least 4 bytes long and reaches less than 32768 bytes back. What is found depends on the
//! bytes up to the end of the chunk, and on the chunks before.
//!
//! Which of the places wins is as good as random, so it is chosen without branches wherever 16 bytes tell: a branch
//! that the processor did not foresee costs more than all loads together.
//!
//! *Not here:* how tokens are written; the bytes at fixed places (`window`).

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places in a chunk, and tables of its own"
)]

use std::hint::select_unpredictable;

use super::generation::{Rules, Tail};
use super::window::{NEAR, START, WIDE, Window};
use crate::gzip::chunks::Chunk;
use crate::gzip::token::Tokens;

/// No copy begins in so many bytes at the end of a chunk.
const MARGIN: usize = 11;
const LONGEST: usize = 258;
/// Copies from this length on are not improved.
const LONG_ENOUGH: usize = 30;

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

    /// Sets `tokens` to those of a chunk; none at all if it has no copy.
    pub(super) fn run(&mut self, chunk: Chunk<'_>, tokens: &mut Tokens) {
        match self {
            Self::Small(tables) => tables.run(chunk, tokens),
            Self::Large(tables) => tables.run(chunk, tokens),
        }
    }
}

/// Tables of `N` entries, a power of two.
#[derive(Debug, Clone)]
pub(super) struct Tables<const N: usize> {
    window: Window,
    short: Box<[u32; N]>,
    /// The last place, and the one before.
    long: Box<[[u32; 2]; N]>,
    tail: Tail,
    splits_early: bool,
}

/// Bytes that occurred before.
#[derive(Clone, Copy)]
struct Copy {
    at: usize,
    from: usize,
    length: usize,
    /// The first place that was not looked at.
    next: usize,
}

/// A place whose bytes may be those at `at`.
#[derive(Clone, Copy)]
struct Candidate {
    at: usize,
    place: u32,
    is_copy: bool,
}

impl<const N: usize> Tables<N> {
    fn new(rules: Rules) -> Self {
        let window = Window::default();
        Self { window, short: table(0), long: table([0; 2]), tail: rules.tail, splits_early: rules.splits_early }
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

    fn run(&mut self, chunk: Chunk<'_>, tokens: &mut Tokens) {
        tokens.clear();
        self.window.fill(chunk);
        let end = self.window.end();
        let limit = end - MARGIN;
        let (mut next, mut emitted) = (START, START);
        while let Some(found) = self.find(next, emitted, limit) {
            let copy = self.extend_back(self.improve(found, limit), emitted);
            self.window.push_literals(emitted, copy.at - emitted, tokens);
            push_copy(tokens, copy.length, copy.at - copy.from, self.splits_early);
            emitted = copy.at + copy.length;
            next = emitted.max(copy.next + 1);
            if next >= limit {
                break;
            }
            self.learn(next, copy.length);
        }
        if !tokens.is_empty() {
            self.window.push_literals(emitted, end - emitted, tokens);
        }
    }

    /// The next place from `next` on whose bytes are at a place of the tables; the longer there is none, the more
    /// places are left out.
    #[inline(always)]
    fn find(&mut self, next: usize, emitted: usize, limit: usize) -> Option<Copy> {
        let mut next = next;
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 6);
            if next > limit {
                return None;
            }
            let word = self.window.word(at);
            let here = self.window.place(at);
            let short = std::mem::replace(&mut self.short[short_slot::<N>(word)], here);
            let [recent, older] = self.put_long(at, word);
            // What is older is looked at only if what is recent is near.
            let is_near = is_near(here, recent);
            let is_recent = is_near & self.window.has_half(recent, word);
            let is_older = is_near & self.is_copy(here, older, word);
            let is_short = self.is_copy(here, short, word);
            if is_recent | is_older | is_short {
                let recent = Candidate { at, place: recent, is_copy: is_recent };
                let older = Candidate { at, place: older, is_copy: is_older };
                return Some(self.choose(recent, older, short, next));
            }
        }
    }

    /// The longer of the copies that the long table has for a place; if it has none, that of the short one, or a longer
    /// one of the long table at the place after it. Up to 258 bytes are compared for that.
    #[inline(always)]
    fn choose(&mut self, recent: Candidate, older: Candidate, short: u32, next: usize) -> Copy {
        let at = recent.at;
        let word = self.window.word(next);
        let here = self.window.place(next);
        let [recent_after, older_after] = self.put(next, word);
        let is_near = is_near(here, recent_after);
        let is_long = recent.is_copy | older.is_copy;
        let first = Candidate { at, place: select_unpredictable(is_long, recent.place, short), is_copy: !is_long | recent.is_copy };
        let second = Candidate {
            at: select_unpredictable(is_long, at, next),
            place: select_unpredictable(is_long, older.place, recent_after),
            is_copy: select_unpredictable(is_long, older.is_copy, is_near & self.window.has_half(recent_after, word)),
        };
        let third = Candidate { at: next, place: older_after, is_copy: !is_long & is_near & self.is_copy(here, older_after, word) };
        self.longest(first, second, third, next)
    }

    /// The first of three, or the first of the others that is longer.
    #[inline(always)]
    fn longest(&self, first: Candidate, second: Candidate, third: Candidate, next: usize) -> Copy {
        let lengths = [first, second, third].map(|candidate| self.window.common_wide(self.window.index(candidate.place), candidate.at));
        let [one, two, three] = [(lengths[0], first), (lengths[1], second), (lengths[2], third)]
            .map(|(length, candidate)| select_unpredictable(candidate.is_copy, length, 0));
        if (one == WIDE) & ((two == WIDE) | (three == WIDE)) {
            return self.longest_of_long([(first, one), (second, two), (third, three)], next);
        }
        let takes_two = two > one;
        let takes_three = !takes_two & (three > one);
        let at = select_unpredictable(takes_three, third.at, select_unpredictable(takes_two, second.at, first.at));
        let place = select_unpredictable(takes_three, third.place, select_unpredictable(takes_two, second.place, first.place));
        let length = select_unpredictable(takes_three, three, select_unpredictable(takes_two, two, one));
        let from = self.window.index(place);
        let length = if length == WIDE { self.window.common(from, at) } else { length };
        Copy { at, from, length, next }
    }

    /// The same, where 16 bytes do not tell.
    #[cold]
    fn longest_of_long(&self, candidates: [(Candidate, usize); 3], next: usize) -> Copy {
        let copies = candidates.map(|(candidate, length)| {
            let from = self.window.index(candidate.place);
            let length = if length == WIDE { self.window.common(from, candidate.at) } else { length };
            Copy { at: candidate.at, from, length, next }
        });
        let [first, others @ ..] = copies;
        others.into_iter().find(|other| other.length.min(LONGEST) > first.length.min(LONGEST)).unwrap_or(first)
    }

    /// For a copy that is not long, tries the place that the long table has for what follows it.
    #[inline(always)]
    fn improve(&self, found: Copy, limit: usize) -> Copy {
        let after = found.at + found.length;
        let skipped = match self.tail {
            Tail::None => return found,
            Tail::Whole => 0,
            Tail::Skips => 2,
        };
        if found.length >= LONG_ENOUGH || after >= limit {
            return found;
        }
        let [recent, _] = self.long[long_slot::<N>(self.window.word(after))];
        let distance = self.window.place(after).wrapping_sub(recent) as usize;
        let at = found.at + skipped;
        let from = at.wrapping_sub(distance);
        let is_possible = (distance != 0) & (distance < NEAR as usize) & (at >= distance + self.window.lowest());
        let length = select_unpredictable(is_possible, self.window.common_wide(from, at), 0);
        let length = if length == WIDE { self.window.common(from, at) } else { length };
        let is_longer = length > found.length;
        Copy {
            at: select_unpredictable(is_longer, at, found.at),
            from: select_unpredictable(is_longer, from, found.from),
            length: select_unpredictable(is_longer, length, found.length),
            next: found.next,
        }
    }

    /// Takes in equal bytes before a copy that are not emitted yet.
    #[inline(always)]
    fn extend_back(&self, copy: Copy, emitted: usize) -> Copy {
        let most = (copy.at - emitted).min(copy.from - self.window.lowest());
        let more = self.window.common_before(copy.from, copy.at, most);
        Copy { at: copy.at - more, from: copy.from - more, length: copy.length + more, next: copy.next }
    }

    /// Remembers places of a copy of `length` bytes that ends at `next`, and the one before `next`.
    #[inline(always)]
    fn learn(&mut self, next: usize, length: usize) {
        let mut at = next - length + 1;
        if at < next - 1 {
            self.put(at, self.window.word(at));
            self.put_long(at + 1, self.window.word(at + 1));
            self.put_short(at + 2, self.window.word(at + 2));
            at += 4;
            while at < next - 1 {
                self.put_long(at, self.window.word(at));
                self.put_short(at + 1, self.window.word(at + 1));
                at += 3;
            }
        }
        self.put(next - 1, self.window.word(next - 1));
    }

    /// Whether a place of a table is near, and has the 4 bytes that are `here`, the first of `word`.
    #[inline(always)]
    fn is_copy(&self, here: u32, candidate: u32, word: u64) -> bool {
        is_near(here, candidate) & self.window.has_half(candidate, word)
    }

    /// Remembers a place in both tables; answers what the long one had.
    #[inline(always)]
    fn put(&mut self, at: usize, word: u64) -> [u32; 2] {
        self.put_short(at, word);
        self.put_long(at, word)
    }

    #[inline(always)]
    fn put_short(&mut self, at: usize, word: u64) {
        self.short[short_slot::<N>(word)] = self.window.place(at);
    }

    #[inline(always)]
    fn put_long(&mut self, at: usize, word: u64) -> [u32; 2] {
        let long = &mut self.long[long_slot::<N>(word)];
        let before = *long;
        *long = [self.window.place(at), before[0]];
        before
    }
}

fn table<T: Clone, const N: usize>(empty: T) -> Box<[T; N]> {
    vec![empty; N].into_boxed_slice().try_into().ok().expect("N entries were made")
}

#[inline(always)]
fn is_near(here: u32, candidate: u32) -> bool {
    here.wrapping_sub(candidate) < NEAR
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

/// Cuts a copy in parts that a token can say, none of them shorter than 4.
#[inline(always)]
fn push_copy(tokens: &mut Tokens, length: usize, distance: usize, splits_early: bool) {
    let mut rest = length;
    while rest > LONGEST {
        let part = if rest <= LONGEST + 3 || splits_early { LONGEST - 3 } else { LONGEST };
        tokens.push_copy(part, distance);
        rest -= part;
    }
    tokens.push_copy(rest, distance);
}
