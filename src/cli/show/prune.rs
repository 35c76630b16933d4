//! What a pruning came to.

use std::fmt::Write as _;

use crate::cli::figures::{bytes, count};
use crate::cli::safe::safe;
use crate::workflow::prune::{OldSet, Outcome};

/// The whole result.
pub(in crate::cli) fn text(outcome: &Outcome) -> String {
    let word = if outcome.dry_run { "would go" } else { "removed" };
    let mut text: String = outcome.removed.iter().map(|set| line(set, word)).collect();
    text.extend(outcome.kept.iter().map(|set| line(set, "kept")));
    let freed: u64 = outcome.removed.iter().map(|set| set.bytes).sum();
    let workspace = safe(&outcome.workspace.display().to_string());
    let verb = if outcome.dry_run { "would be removed from" } else { "removed from" };
    let _ = writeln!(text, "{}, {}, {verb} {workspace}", count(outcome.removed.len(), "set"), bytes(freed));
    text
}

/// `set 1 of "disk"   1.7 GiB   removed`
fn line(set: &OldSet, word: &str) -> String {
    let unsure = if set.confirmed { "" } else { "   (no receipt says that it arrived)" };
    format!("set {} of \"{}\"   {}   {word}{unsure}\n", set.generation, safe(&set.lineage), bytes(set.bytes))
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;

    /// One set that went, and one that stays.
    pub(in crate::cli) fn outcome() -> Outcome {
        let set = |generation, confirmed| OldSet {
            lineage: "disk".into(),
            generation,
            id: "01".repeat(16),
            path: format!("w/sets/{generation}").into(),
            bytes: 3 << 20,
            confirmed,
        };
        Outcome { removed: vec![set(1, true)], kept: vec![set(2, false)], dry_run: false, workspace: "w".into() }
    }

    #[test]
    fn what_went_and_what_stays_is_told() {
        let expected = "set 1 of \"disk\"   3 MiB   removed\nset 2 of \"disk\"   3 MiB   kept   (no receipt says that it arrived)\n1 set, 3 MiB, removed from w\n";
        assert_eq!(text(&outcome()), expected);
        let dry = text(&Outcome { dry_run: true, ..outcome() });
        assert!(dry.contains("would go\n") && dry.ends_with("1 set, 3 MiB, would be removed from w\n"), "{dry}");
    }
}
