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
use super::window::{MIN_PLACE, NEAR, View, WIDE, Window};
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
        let view = self.window.fill(chunk);
        Pass { view, short: &mut self.short, long: &mut self.long, tail: self.tail, splits_early: self.splits_early }.run(tokens);
    }
}

/// One chunk under way. It is one function in the end, so that all of this is in registers.
struct Pass<'a, const N: usize> {
    view: View<'a>,
    short: &'a mut [u32; N],
    long: &'a mut [[u32; 2]; N],
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

impl<const N: usize> Pass<'_, N> {
    #[inline(always)]
    fn run(mut self, tokens: &mut Tokens) {
        let (start, end) = (self.view.start, self.view.end);
        let limit = end - MARGIN;
        let (mut next, mut emitted) = (start, start);
        while let Some(found) = self.find(next, emitted, limit) {
            let copy = self.extend_back(self.improve(found, limit), emitted);
            self.view.push_literals(emitted, copy.at - emitted, tokens);
            push_copy(tokens, copy.length, copy.at - copy.from, self.splits_early);
            emitted = copy.at + copy.length;
            next = emitted.max(copy.next + 1);
            if next >= limit {
                break;
            }
            self.learn(next, copy.length);
        }
        if !tokens.is_empty() {
            self.view.push_literals(emitted, end - emitted, tokens);
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
            let word = self.view.word(at);
            let short = std::mem::replace(&mut self.short[short_slot::<N>(word)], at as u32);
            let [recent, older] = self.put_long(at, word);
            let [not_recent, not_older] = self.misses(at, word, recent, older);
            if (not_recent == 0) | (not_older == 0) {
                self.put(next, self.view.word(next));
                return Some(self.longer(at, (recent as usize, not_recent == 0), (older as usize, not_older == 0), next));
            }
            if self.miss(at, word, short) == 0 {
                return Some(self.or_next(at, short as usize, next));
            }
        }
    }

    /// The longer of two copies, of which there is one at least; up to 258 bytes are compared for that.
    #[inline(always)]
    fn longer(&self, at: usize, (recent, is_recent): (usize, bool), (older, is_older): (usize, bool), next: usize) -> Copy {
        let recent_length = select_unpredictable(is_recent, self.view.common_wide(recent, at), 0);
        let older_length = select_unpredictable(is_older, self.view.common_wide(older, at), 0);
        if (recent_length == WIDE) & (older_length == WIDE) {
            return self.longer_of_long(at, recent, older, next);
        }
        let takes_older = older_length > recent_length;
        let from = select_unpredictable(takes_older, older, recent);
        let length = recent_length.max(older_length);
        let length = if length == WIDE { self.view.common(from, at) } else { length };
        Copy { at, from, length, next }
    }

    #[cold]
    fn longer_of_long(&self, at: usize, recent: usize, older: usize, next: usize) -> Copy {
        let [recent, older] = [recent, older].map(|from| Copy { at, from, length: self.view.common(from, at), next });
        if older.length.min(LONGEST) > recent.length.min(LONGEST) { older } else { recent }
    }

    /// A short copy at `at`, or a longer one of the long table at the next place.
    #[inline(always)]
    fn or_next(&mut self, at: usize, from: usize, next: usize) -> Copy {
        let length = self.view.common_wide(from, at);
        let length = if length == WIDE { self.view.common(from, at) } else { length };
        let short = Copy { at, from, length, next };
        let word = self.view.word(next);
        let [recent, older] = self.put(next, word);
        let [not_recent, not_older] = self.misses(next, word, recent, older);
        if (not_recent == 0) | (not_older == 0) {
            return self.first_longer(short, [(recent, not_recent), (older, not_older)]);
        }
        short
    }

    fn first_longer(&self, short: Copy, candidates: [(u32, u32); 2]) -> Copy {
        let copies = candidates.into_iter().filter(|(_, miss)| *miss == 0).map(|(from, _)| {
            let (at, from) = (short.next, from as usize);
            Copy { at, from, length: self.view.common(from, at), next: short.next }
        });
        copies.into_iter().find(|copy| copy.length.min(LONGEST) > short.length.min(LONGEST)).unwrap_or(short)
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
        let [recent, _] = self.long[long_slot::<N>(self.view.word(after))];
        let distance = after.wrapping_sub(recent as usize);
        let at = found.at + skipped;
        let from = at.wrapping_sub(distance);
        let is_possible = (distance.wrapping_sub(1) < NEAR - 1) & (from >= MIN_PLACE);
        let length = self.view.common_wide(from, at);
        let length = if (length == WIDE) & is_possible { self.view.common(from, at) } else { length };
        let is_longer = is_possible & (length > found.length);
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
        let most = (copy.at - emitted).min(copy.from - MIN_PLACE);
        let more = self.view.common_before(copy.from, copy.at, most);
        Copy { at: copy.at - more, from: copy.from - more, length: copy.length + more, next: copy.next }
    }

    /// Remembers places of a copy of `length` bytes that ends at `next`, and the one before `next`.
    #[inline(always)]
    fn learn(&mut self, next: usize, length: usize) {
        let mut at = next - length + 1;
        if at < next - 1 {
            self.put(at, self.view.word(at));
            self.put_long(at + 1, self.view.word(at + 1));
            self.put_short(at + 2, self.view.word(at + 2));
            at += 4;
            while at < next - 1 {
                self.put_long(at, self.view.word(at));
                self.put_short(at + 1, self.view.word(at + 1));
                at += 3;
            }
        }
        self.put(next - 1, self.view.word(next - 1));
    }

    /// 0 if a place of a table is near, and has the 4 bytes that are at `at`, the first of `word`.
    #[inline(always)]
    fn miss(&self, at: usize, word: u64, candidate: u32) -> u32 {
        far(at, candidate) | (self.view.half(candidate as usize) ^ word as u32)
    }

    /// The same for both places of the long table: what is older counts only if what is recent is near.
    #[inline(always)]
    fn misses(&self, at: usize, word: u64, recent: u32, older: u32) -> [u32; 2] {
        [self.miss(at, word, recent), far(at, recent) | self.miss(at, word, older)]
    }

    /// Remembers a place in both tables; answers what the long one had.
    #[inline(always)]
    fn put(&mut self, at: usize, word: u64) -> [u32; 2] {
        self.put_short(at, word);
        self.put_long(at, word)
    }

    #[inline(always)]
    fn put_short(&mut self, at: usize, word: u64) {
        self.short[short_slot::<N>(word)] = at as u32;
    }

    #[inline(always)]
    fn put_long(&mut self, at: usize, word: u64) -> [u32; 2] {
        let long = &mut self.long[long_slot::<N>(word)];
        let before = *long;
        *long = [at as u32, before[0]];
        before
    }
}

fn table<T: Clone, const N: usize>(empty: T) -> Box<[T; N]> {
    vec![empty; N].into_boxed_slice().try_into().ok().expect("N entries were made")
}

/// 0 if a place is near.
#[inline(always)]
fn far(at: usize, candidate: u32) -> u32 {
    (at as u32).wrapping_sub(candidate) / NEAR as u32
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
