//! What changed inside an image.

use std::fmt::Write as _;

use crate::cli::figures::grouped;
use crate::cli::safe::safe;
use crate::image::tree::{Aspect, Change, Changed, Changes};
use crate::workflow::diff::{Found, Inside, Side};

/// So many paths of an image are listed.
const MOST_PATHS: usize = 300;

/// A line for the image, then one for each path that differs, `+`, `-` or `~` as in other programs.
pub(super) fn block(inside: &Inside) -> String {
    let platform = inside.platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
    let (what, paths) = match &inside.found {
        Found::Changes(changes) => (sum(changes), lines(changes)),
        Found::OnlyIn(Side::A) => ("only the first has this platform".to_owned(), String::new()),
        Found::OnlyIn(Side::B) => ("only the second has this platform".to_owned(), String::new()),
        Found::Why(why) => (format!("files could not be compared: {}", safe(why)), String::new()),
    };
    format!("{}   {what}\n{paths}", safe(&format!("{}{platform}", inside.name)))
}

/// `12 added, 3 removed, 40 changed, 1,203 with other times`
fn sum(changes: &Changes) -> String {
    if changes.is_empty() {
        return "the same files".to_owned();
    }
    let numbers =
        [(changes.added, "added"), (changes.removed, "removed"), (changes.changed, "changed"), (changes.times, "with other times")];
    numbers.map(|(number, what)| format!("{} {what}", grouped(number))).join(", ")
}

fn lines(changes: &Changes) -> String {
    let mut text: String = changes.paths.iter().take(MOST_PATHS).map(line).collect();
    let left = (changes.paths.len() as u64 + changes.unlisted).saturating_sub(MOST_PATHS as u64);
    if left > 0 {
        let _ = writeln!(text, "    and {} more; `-o json` lists them", grouped(left));
    }
    text
}

fn line(changed: &Changed) -> String {
    let sign = match changed.change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
    };
    let differs: Vec<&str> = changed.differs.iter().map(|aspect| word(*aspect)).collect();
    format!("  {sign} {}   {}", safe(&changed.path), differs.join(", ")).trim_end().to_owned() + "\n"
}

fn word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Type => "type",
        Aspect::Content => "content",
        Aspect::Target => "target",
        Aspect::Device => "device",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Attributes => "attributes",
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::image::Role;

    pub(in crate::cli) fn inside(platform: Option<&str>, found: Found) -> Inside {
        let platform = platform.map(|text| text.parse().expect("a platform"));
        Inside { name: "a.io/m:1".parse().expect("a name"), role: Role::Image, platform, found }
    }

    /// So many paths, each changed in some way.
    pub(in crate::cli) fn changes(paths: usize) -> Changes {
        let kinds = [(Change::Added, vec![]), (Change::Changed, vec![Aspect::Content, Aspect::Mode]), (Change::Removed, vec![])];
        let path = |(at, (change, differs)): (usize, (Change, Vec<Aspect>))| Changed { path: format!("/p{at}"), change, differs };
        let paths = kinds.into_iter().cycle().take(paths).enumerate().map(path).collect();
        Changes { added: 1, removed: 1, changed: 1, times: 1203, paths, unlisted: 0 }
    }

    #[test]
    fn an_image_is_a_line_of_numbers_and_a_line_for_each_path() {
        for (platform, found, expected) in [
            (
                None,
                Found::Changes(changes(3)),
                "a.io/m:1   1 added, 1 removed, 1 changed, 1,203 with other times\n  + /p0\n  ~ /p1   content, mode\n  - /p2\n",
            ),
            (None, Found::Changes(Changes::default()), "a.io/m:1   the same files\n"),
            (Some("linux/arm64"), Found::OnlyIn(Side::B), "a.io/m:1 (linux/arm64)   only the second has this platform\n"),
            (None, Found::Why("no\ntar".into()), "a.io/m:1   files could not be compared: no\\ntar\n"),
        ] {
            assert_eq!(block(&inside(platform, found)), expected);
        }
    }

    #[test]
    fn of_many_paths_the_first_are_listed_and_the_rest_counted() {
        let many = Changes { unlisted: 2000, ..changes(MOST_PATHS + 5) };
        let text = block(&inside(None, Found::Changes(many)));
        assert_eq!(text.lines().count(), 1 + MOST_PATHS + 1);
        assert!(text.ends_with("    and 2,005 more; `-o json` lists them\n"), "{text}");
    }
}
