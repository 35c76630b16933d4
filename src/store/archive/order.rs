//! [`nearest_first`]: the order in which sets are asked for a blob.
//!
//! **Invariants.** A set stands before all that it builds on, since what it refers to is looked for behind it. What the chosen sets do not
//! build on comes last: a newer set may have a blob again as a patch of one that a chosen set has, which is not behind it.

use std::cmp::Reverse;
use std::collections::HashMap;

use ocm_format::layout::Id;
use ocm_format::set::SetFiles;

use super::shelf::Shelf;
use super::source::SetFacts;

/// The chosen sets, whose facts these are, and the others of the shelves.
pub(super) fn nearest_first<'a>(chosen: &[&'a SetFiles], facts: &[SetFacts], shelves: &[&'a Shelf]) -> Vec<&'a SetFiles> {
    let heights = heights(facts);
    let others = shelves.iter().flat_map(|shelf| &shelf.found().sets).filter(|set| chosen.iter().all(|chosen| chosen.id() != set.id()));
    let mut all: Vec<&SetFiles> = chosen.iter().copied().chain(others).collect();
    all.sort_by_key(|set| Reverse(heights.get(&set.id()).copied()));
    all
}

/// How many sets each one builds on, of these and of those that they name.
fn heights(facts: &[SetFacts]) -> HashMap<Id, usize> {
    let mut heights = HashMap::new();
    for set in facts.iter().map(|facts| &facts.manifest) {
        let line = std::iter::once(set.set).chain(set.ancestors.iter().map(|ancestor| ancestor.id));
        for (id, height) in line.zip((0..=set.ancestors.len()).rev()) {
            let highest = heights.entry(id).or_insert(height);
            *highest = height.max(*highest);
        }
    }
    heights
}
