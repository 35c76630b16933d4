//! [`Ranges`]: stretches of bytes, merged.
//!
//! **Invariants.** Stretches are in order, none is empty, and no two touch. There are at most `MAX_RANGES`: of more, the
//! closest become one, so that memory is bounded and nothing that was put in is lost.

use std::collections::BTreeMap;
use std::ops::Range;

/// How many stretches are kept apart.
const MAX_RANGES: usize = 1 << 16;

/// Stretches of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Ends by beginnings.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Puts a stretch in.
    pub fn insert(&mut self, range: Range<u64>) {
        self.put(range);
        let mut slack = 512u64;
        while self.ends.len() > MAX_RANGES {
            self.close(slack);
            slack = slack.saturating_mul(2);
        }
    }

    /// Puts all of `other` in.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|range| self.insert(range));
    }

    /// The stretches, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + use<'_> {
        self.ends.iter().map(|(begin, end)| *begin..*end)
    }

    /// How many bytes they are together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.iter().fold(0, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What of a stretch is not in here.
    #[must_use]
    pub(crate) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let (mut gaps, mut at) = (Vec::new(), range.start);
        let before = self.ends.range(..range.start).next_back();
        for (begin, end) in before.into_iter().chain(self.ends.range(range.clone())) {
            if *begin > at {
                gaps.push(at..*begin);
            }
            at = at.max(*end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    fn put(&mut self, range: Range<u64>) {
        let (mut begin, mut end) = (range.start, range.end);
        if begin >= end {
            return;
        }
        if let Some((earlier, its_end)) = self.ends.range(..=begin).next_back().filter(|(_, its_end)| **its_end >= begin) {
            (begin, end) = (*earlier, end.max(*its_end));
        }
        while let Some((next, its_end)) = self.ends.range(begin..=end).next().map(|(next, its_end)| (*next, *its_end)) {
            self.ends.remove(&next);
            end = end.max(its_end);
        }
        self.ends.insert(begin, end);
    }

    /// Closes the gaps that are no longer than `slack`.
    fn close(&mut self, slack: u64) {
        let mut closed: BTreeMap<u64, u64> = BTreeMap::new();
        for (begin, end) in std::mem::take(&mut self.ends) {
            match closed.last_entry() {
                Some(mut last) if begin.saturating_sub(*last.get()) <= slack => drop(last.insert(end)),
                _ => drop(closed.insert(begin, end)),
            }
        }
        self.ends = closed;
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "stretches are what is meant")]
mod tests {
    use super::*;

    fn of(ranges: &[Range<u64>]) -> Ranges {
        let mut all = Ranges::default();
        ranges.iter().for_each(|range| all.insert(range.clone()));
        all
    }

    #[test]
    fn stretches_that_touch_become_one() {
        for (put, kept, bytes) in [
            (&[5..9, 1..3][..], &[1..3, 5..9][..], 6),
            (&[1..3, 5..9, 3..5], &[1..9], 8),
            (&[1..3, 5..9, 2..20], &[1..20], 19),
            (&[5..9, 6..7, 5..9, 3..3], &[5..9], 4),
            (&[10..20, 0..10], &[0..20], 20),
        ] {
            let all = of(put);
            assert_eq!((all.iter().collect::<Vec<_>>().as_slice(), all.bytes()), (kept, bytes), "{put:?}");
        }
    }

    #[test]
    fn gaps_are_what_is_not_in() {
        let all = of(&[10..20, 30..40]);
        for (asked, gaps) in [
            (0..50, &[0..10, 20..30, 40..50][..]),
            (12..18, &[]),
            (10..20, &[]),
            (15..35, &[20..30]),
            (20..30, &[20..30]),
            (40..41, &[40..41]),
        ] {
            assert_eq!(all.gaps(asked.clone()), gaps, "{asked:?}");
        }
    }

    #[test]
    fn of_very_many_the_closest_become_one() {
        let mut all = Ranges::default();
        let far = 1 << 40;
        all.insert(far..far + 1);
        for n in 0..(MAX_RANGES as u64 + 10) {
            all.insert(n * 100..n * 100 + 1);
        }
        assert!(all.ends.len() <= MAX_RANGES);
        assert_eq!(all.iter().last(), Some(far..far + 1));
        assert!((0..MAX_RANGES as u64 + 10).all(|n| all.gaps(n * 100..n * 100 + 1).is_empty()));
    }
}
