//! What one place has and another has not.

use std::fmt::Write as _;

use super::changes;
use super::list::short;
use crate::cli::figures::{bytes, count};
use crate::cli::safe::safe;
use crate::cli::table::Table;
use crate::workflow::diff::{Amount, Compared};

/// So many images that could not be compared are listed.
const MOST_UNKNOWN: usize = 5;

/// A line for each image that differs, `+`, `-` or `~` as in other programs, then the numbers.
pub(in crate::cli) fn text(compared: &Compared) -> String {
    let difference = &compared.difference;
    let mut table = Table::default();
    for image in &difference.added {
        table.row([format!("+ {}", image.name), short(&image.digest)]);
    }
    for image in &difference.removed {
        table.row([format!("- {}", image.name), short(&image.digest)]);
    }
    for image in &difference.moved {
        table.row([format!("~ {}", image.name), format!("{} -> {}", short(&image.from), short(&image.to))]);
    }
    let mut text = table.lines("");
    compared.files.iter().flatten().for_each(|inside| text.push_str(&changes::block(inside)));
    let (added, removed, moved) = (difference.added.len(), difference.removed.len(), difference.moved.len());
    let _ = writeln!(text, "images   {added} added, {removed} removed, {moved} moved, {} the same", difference.same);
    let amount = |of: &Amount| format!("{}, {}", count(of.blobs, "blob"), bytes(of.bytes));
    let _ = writeln!(text, "only in {}   {}", safe(&compared.b), amount(&difference.blobs_added));
    let _ = writeln!(text, "only in {}   {}", safe(&compared.a), amount(&difference.blobs_removed));
    if !difference.unknown.is_empty() {
        let _ = writeln!(text, "{} could not be compared", count(difference.unknown.len(), "image"));
    }
    for unknown in difference.unknown.iter().take(MOST_UNKNOWN) {
        let _ = writeln!(text, "  {} in {}   {}", safe(&unknown.name.to_string()), safe(&unknown.place), safe(&unknown.why));
    }
    text
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::image::{Digest, Role};
    use crate::workflow::diff::{Difference, Moved, Named, Unknown};

    /// Two places that differ in everything.
    pub(in crate::cli) fn compared() -> Compared {
        let named = |name: &str| Named { name: name.parse().expect("a name"), role: Role::Image, digest: Digest::of(name.as_bytes()) };
        let moved =
            Moved { name: "a.io/m:1".parse().expect("a name"), role: Role::Image, from: Digest::of(b"from"), to: Digest::of(b"to") };
        let unknown = Unknown { place: "x".into(), name: "a.io/u:1".parse().expect("a name"), why: "gone".into() };
        let difference = Difference {
            added: vec![named("a.io/long:1")],
            removed: vec![named("a.io/r:1")],
            moved: vec![moved],
            same: 4,
            blobs_added: Amount { blobs: 3, bytes: 2 << 20 },
            blobs_removed: Amount { blobs: 1, bytes: 7 },
            unknown: vec![unknown],
        };
        Compared { a: "x".into(), b: "oci:y".into(), difference, files: None }
    }

    #[test]
    fn what_differs_is_a_line_each_and_then_the_numbers() {
        let digest = |text: &str| Digest::of(text.as_bytes()).short();
        let expected = format!(
            "+ a.io/long:1   sha256:{}\n- a.io/r:1      sha256:{}\n~ a.io/m:1      sha256:{} -> sha256:{}\n\
             images   1 added, 1 removed, 1 moved, 4 the same\nonly in oci:y   3 blobs, 2 MiB\nonly in x   1 blob, 7 B\n\
             1 image could not be compared\n  a.io/u:1 in x   gone\n",
            digest("a.io/long:1"),
            digest("a.io/r:1"),
            digest("from"),
            digest("to"),
        );
        assert_eq!(text(&compared()), expected);
    }
}
