//! `blockedImages`: regular expressions for what is not mirrored.
//!
//! **Invariants.** Expressions are not anchored (semantics E.6): `ubi8` stops every name that has it somewhere. Classes such as
//! `\w` are ASCII, as in Go. They are compiled here alone, within bounds of memory.
//!
//! *Not here:* which names are matched; an origin and the name at the destination are (`collect`).

use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::finding::{Findings, quoted};
use super::rules::entries;
use super::wire::{At, wire};
use crate::error::{Error, Result};

/// How much memory compiled expressions may take: one alone, and all together.
const MAX_ONE: usize = 1 << 20;
const MAX_ALL: usize = 32 << 20;
/// How many of them are tried.
const MAX_COUNT: usize = 1000;

wire! {
    /// Images that are not mirrored.
    pub(super) BlockedEntry {
        /// Regular expression, not anchored, for the name where an image comes from or goes to.
        name: String = "name" (required),
    }
}

/// What is not mirrored.
#[derive(Debug, Clone, Default)]
pub struct Blocked {
    set: RegexSet,
}

impl Blocked {
    /// These expressions, in this order.
    pub fn of<'e>(expressions: impl IntoIterator<Item = &'e str>) -> Result<Self> {
        Self::compiled(expressions).map_err(|error| Error::usage(format!("blockedImages: {}", why(&error))))
    }

    fn compiled<'e>(expressions: impl IntoIterator<Item = &'e str>) -> Result<Self, regex::Error> {
        RegexSetBuilder::new(expressions).unicode(false).size_limit(MAX_ALL).build().map(|set| Self { set })
    }

    /// The first expression, in the order of the file, that stops one of these names of an image.
    #[must_use]
    pub fn stops(&self, names: &[&str]) -> Option<&str> {
        let first = names.iter().filter_map(|name| self.set.matches(name.as_bytes()).iter().next()).min()?;
        self.set.patterns().get(first).map(String::as_str)
    }

    /// The expressions as they are written.
    #[must_use]
    pub fn expressions(&self) -> &[String] {
        self.set.patterns()
    }
}

/// Compiles the expressions of a list, those that can be; what is wrong with the others is reported.
pub(super) fn blocked(list: Option<&At<Vec<At<BlockedEntry>>>>, findings: &mut Findings) -> Blocked {
    let names: Vec<&At<String>> =
        entries(list).iter().filter_map(|entry| entry.value.name.as_ref()).filter(|name| !name.value.is_empty()).collect();
    if let Some(first) = names.get(MAX_COUNT) {
        findings.error(first.place, format!("more than {MAX_COUNT} blocked images"));
        return Blocked::default();
    }
    let sound: Vec<&str> = names.into_iter().filter_map(|name| sound(name, findings)).collect();
    let place = list.map(|list| list.key).unwrap_or_default();
    Blocked::compiled(sound).unwrap_or_else(|error| {
        findings.error(place, format!("blockedImages: {}", why(&error)));
        Blocked::default()
    })
}

fn sound<'a>(At { value, place, .. }: &'a At<String>, findings: &mut Findings) -> Option<&'a str> {
    let Err(error) = RegexBuilder::new(value).unicode(false).size_limit(MAX_ONE).build() else { return Some(value) };
    findings.error(*place, format!("blocked image {}: invalid regular expression: {}", quoted(value), why(&error)));
    None
}

/// The cause alone; the expression with its own caret is shown already.
fn why(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
