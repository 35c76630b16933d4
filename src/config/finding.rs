//! [`Finding`]: what is wrong in a configuration file, where, and what to write instead.
//!
//! **Invariants.** Every finding has a place. What it quotes of the file is short, whatever the file holds, and there
//! are never more than [`MAX_FINDINGS`] of them.
//!
//! *Not here:* which rules there are (beside what they are about), colours and streams (`cli`).

use serde::Serialize;

use super::source::{Place, Source};
use crate::error::Error;

/// How many findings of one file are kept; who has more has another kind of file.
pub const MAX_FINDINGS: usize = 100;

/// The longest piece of a line that is shown, and of a text that is quoted, in characters.
const MAX_SHOWN: usize = 120;
const MAX_QUOTED: usize = 60;

/// Whether a file with it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is; a person should know.
    Warning,
    /// It is not.
    Error,
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Whether the file is used all the same.
    pub severity: Severity,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What: object and cause.
    pub what: String,
    /// What to write instead, where that is known; it stands below the caret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// The findings of one file while it is read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    /// Whether what was said last is in the list.
    kept: bool,
}

impl Findings {
    /// Adds an error.
    pub(super) fn error(&mut self, place: Place, what: impl Into<String>) -> &mut Self {
        self.add(Severity::Error, place, what.into())
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, place: Place, what: impl Into<String>) -> &mut Self {
        self.add(Severity::Warning, place, what.into())
    }

    /// Says what to write instead of what was added last.
    pub(super) fn help(&mut self, help: impl Into<String>) {
        if let Some(last) = self.list.last_mut().filter(|_| self.kept) {
            last.help = Some(help.into()).filter(|help| !help.is_empty());
        }
    }

    /// All of them in the order of the file; `strict` makes errors of warnings.
    pub(super) fn finish(mut self, strict: bool) -> Vec<Finding> {
        for finding in self.list.iter_mut().filter(|_| strict) {
            finding.severity = Severity::Error;
        }
        self.list.sort_by_key(|finding| finding.place);
        self.list
    }

    fn add(&mut self, severity: Severity, place: Place, what: String) -> &mut Self {
        // An error is never left out in favour of a warning: it decides whether the file is used.
        self.kept = self.list.len() < MAX_FINDINGS || severity == Severity::Error && !self.has_errors();
        if self.kept {
            self.list.push(Finding { severity, place, what, help: None });
        }
        self
    }

    fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }
}

impl Finding {
    /// `FILE:LINE:COLUMN: what`
    #[must_use]
    pub fn line(&self, source: &Source) -> String {
        format!("{}: {}", source.at(self.place), self.what)
    }

    /// The line of the file, and below it a caret with what to write instead.
    #[must_use]
    pub fn excerpt(&self, source: &Source) -> Vec<String> {
        let number = self.place.line.to_string();
        let gutter = " ".repeat(number.len());
        let (line, before) = window(source.line(self.place.line).unwrap_or_default(), self.place.column);
        let rest = line.chars().count().saturating_sub(before).max(1);
        let carets = "^".repeat(self.place.width.clamp(1, rest));
        let below = format!("{gutter} | {}{carets} {}", " ".repeat(before), self.help.as_deref().unwrap_or_default());
        vec![format!("{gutter} |"), format!("{number} | {line}"), below.trim_end().to_owned()]
    }

    /// The finding as an error of its own.
    #[must_use]
    pub fn to_error(&self, source: &Source) -> Error {
        self.excerpt(source).into_iter().fold(Error::usage(self.line(source)), Error::note)
    }
}

/// The part of a line around `column` that is shown, and how many characters of it stand before that.
fn window(line: &str, column: usize) -> (String, usize) {
    let before = column.saturating_sub(1);
    let skipped = if before < MAX_SHOWN / 2 { 0 } else { before - MAX_SHOWN / 4 };
    let shown: String = line.chars().skip(skipped).take(MAX_SHOWN).map(|c| if c == '\t' { ' ' } else { c }).collect();
    (shown.trim_end().to_owned(), before - skipped)
}

/// `text` in quotation marks, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: usize, column: usize, width: usize, help: Option<&str>) -> Finding {
        let place = Place { line, column, width };
        Finding { severity: Severity::Error, place, what: "x".into(), help: help.map(str::to_owned) }
    }

    #[test]
    fn the_caret_stands_below_what_is_wrong() {
        let source = Source::new("f.yaml", b"a: 1\n\tb: 2\n".to_vec()).expect("text");
        let found = finding(2, 2, 1, Some("write c"));
        assert_eq!(found.line(&source), "f.yaml:2:2: x");
        assert_eq!(found.excerpt(&source), ["  |", "2 |  b: 2", "  |  ^ write c"]);
        assert_eq!(finding(9, 1, 3, None).excerpt(&source), ["  |", "9 | ", "  | ^"]);
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}here{}", "x".repeat(10_000), "y".repeat(10_000));
        let source = Source::new("f", text.into_bytes()).expect("text");
        let shown = finding(1, 10_001, 4, None).excerpt(&source);
        assert!(shown.iter().all(|line| line.len() < 140), "{shown:?}");
        let at = shown[2].find('^').expect("a caret");
        assert_eq!(&shown[1][at..at + 5], "herey");
    }

    #[test]
    fn many_warnings_do_not_hide_that_there_is_an_error() {
        let mut findings = Findings::default();
        for line in 1..=2 * MAX_FINDINGS {
            findings.warning(Place { line, ..Place::default() }, "w");
        }
        findings.error(Place::default(), "e");
        findings.error(Place::default(), "f").help("h");
        let list = findings.finish(false);
        assert_eq!((list.len(), list[0].what.as_str(), &list[0].help), (MAX_FINDINGS + 1, "e", &None));
    }
}
