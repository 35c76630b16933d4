//! [`Ticket`]: a few lines that name the bytes which a set lacks.
//!
//! **Invariants.** [`Ticket::parse`] takes exactly what [`Ticket::to_text`] makes. Ranges are in order, not empty and apart; the last line
//! is the SHA-256 of those before it, so that a ticket that was retyped or cut is refused.
//!
//! *Not here:* the bytes themselves (`patch`).

use std::ops::Range;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{Id, MAX_VOLUMES, VERSION, check_version};

/// The longest ticket, in bytes.
pub const MAX_TICKET_BYTES: u64 = 16 << 20;
/// The most lines that ask for something.
const MAX_WANTED: usize = 1 << 18;
/// The first line, and the version.
const TITLE: &str = "ocm repair ticket";

/// What a set lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The set.
    pub set: Id,
    /// Its generation, for people.
    pub generation: u32,
    /// Its root, where that is known.
    pub root: Option<Digest>,
    /// What is asked for, in order.
    pub wanted: Vec<Wanted>,
}

/// Bytes that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These bytes of a volume.
    Range {
        /// Its number.
        volume: u32,
        /// Its bytes.
        range: Range<u64>,
    },
    /// All of a volume.
    Whole {
        /// Its number.
        volume: u32,
    },
    /// All volumes from this one to the last, where it is not known which that is.
    From {
        /// The number of the first.
        volume: u32,
    },
}

impl Wanted {
    /// The number of the volume, or of the first.
    #[must_use]
    pub fn volume(&self) -> u32 {
        match self {
            Self::Range { volume, .. } | Self::Whole { volume } | Self::From { volume } => *volume,
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Range { volume, range } => format!("range {volume} {} {}\n", range.start, range.end.saturating_sub(range.start)),
            Self::Whole { volume } => format!("whole {volume}\n"),
            Self::From { volume } => format!("from {volume}\n"),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (kind, volume) = (words.next()?, number(words.next()?)?);
        let volume = u32::try_from(volume).ok().filter(|volume| (1..=MAX_VOLUMES).contains(volume))?;
        let wanted = match kind {
            "range" => {
                let (begin, bytes) = (number(words.next()?)?, number(words.next()?)?);
                let end = begin.checked_add(bytes).filter(|end| bytes > 0 && *end < 1 << 63)?;
                Self::Range { volume, range: begin..end }
            }
            "whole" => Self::Whole { volume },
            "from" => Self::From { volume },
            _ => return None,
        };
        words.next().is_none().then_some(wanted)
    }

    /// Whether this may stand right after `before`.
    fn follows(&self, before: &Self) -> bool {
        match (before, self) {
            (Self::From { .. }, _) => false,
            (Self::Range { volume, range }, Self::Range { volume: next, range: after }) if volume == next => range.end < after.start,
            _ => before.volume() < self.volume(),
        }
    }
}

impl Ticket {
    /// The text of the ticket.
    #[must_use]
    pub fn to_text(&self) -> String {
        let root = self.root.map_or_else(|| "unknown".to_owned(), |root| root.to_string());
        let lines: String = self.wanted.iter().map(Wanted::line).collect();
        let text = format!("{TITLE} {VERSION}\nset {}\ngeneration {}\nroot {root}\n{lines}", self.set, self.generation);
        format!("{text}sum {}\n", Digest::of(text.as_bytes()))
    }

    /// Reads a ticket.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        crate::error::cap(crate::codec::length(bytes), MAX_TICKET_BYTES, "ticket")?;
        let text = std::str::from_utf8(bytes).map_err(|_| Error::damaged("ticket: it is no text"))?;
        let (lines, last) = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n')).ok_or_else(|| wrong(1, "it is cut"))?;
        let covered = text.get(..lines.len().saturating_add(1)).unwrap_or_default();
        let mut lines = lines.split('\n').zip(1u32..);
        let mut field = |name: &str| {
            let (line, at) = lines.next().ok_or_else(|| wrong(1, "it is cut"))?;
            let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
            value.map(|value| (value, at)).ok_or_else(|| wrong(at, &format!("{name:?} is expected here")))
        };
        let (version, at) = field(TITLE)?;
        check_version(number(version).ok_or_else(|| wrong(at, "that is no version"))?, 0, "ticket")?;
        let (set, at) = field("set")?;
        let set = Id::from_str(set).map_err(|error| wrong(at, error.message()))?;
        let (generation, at) = field("generation")?;
        let generation = number(generation).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        let generation = generation.ok_or_else(|| wrong(at, "that is no generation"))?;
        let (root, at) = field("root")?;
        let root = if root == "unknown" { None } else { Some(sha256(root).ok_or_else(|| wrong(at, "that is no root"))?) };
        let wanted = wanted(lines)?;
        let sum = last.strip_prefix("sum ").and_then(sha256).ok_or_else(|| Error::damaged("ticket: its last line is no sum"))?;
        if !sum.matches(covered.as_bytes()) {
            return Err(Error::damaged("ticket: its sum does not match its text; it was changed or cut on its way"));
        }
        Ok(Self { set, generation, root, wanted })
    }
}

fn wanted<'t>(lines: impl Iterator<Item = (&'t str, u32)>) -> Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    for (line, at) in lines {
        let wanted = Wanted::parse(line).ok_or_else(|| wrong(at, "it asks for nothing that is known"))?;
        if all.last().is_some_and(|before| !wanted.follows(before)) {
            return Err(wrong(at, "it is not in order, or overlaps the line before"));
        }
        if all.len() >= MAX_WANTED {
            return Err(wrong(at, &format!("more than {MAX_WANTED} ranges are asked for")));
        }
        all.push(wanted);
    }
    if all.is_empty() { Err(wrong(5, "it asks for nothing")) } else { Ok(all) }
}

/// A number as it is written, without signs and zeros before it.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn sha256(text: &str) -> Option<Digest> {
    Digest::from_str(text).ok().filter(|digest| matches!(digest, Digest::Sha256(_)))
}

fn wrong(line: u32, why: &str) -> Error {
    Error::damaged(format!("ticket, line {line}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn sample() -> Ticket {
        let range = |volume, range| Wanted::Range { volume, range };
        let wanted = vec![range(1, 0..512), range(1, 1024..9000), Wanted::Whole { volume: 3 }, Wanted::From { volume: 9 }];
        Ticket { set: Id([7; 16]), generation: 2, root: Some(Digest::of(b"set")), wanted }
    }

    #[test]
    fn a_ticket_comes_back_and_every_change_is_seen() {
        let text = sample().to_text();
        assert_eq!(Ticket::parse(text.as_bytes()).expect("a ticket"), sample());
        let unknown = Ticket { root: None, ..sample() };
        assert_eq!(Ticket::parse(unknown.to_text().as_bytes()).expect("a ticket"), unknown);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert!(Ticket::parse(&changed).is_err(), "byte {at}");
            assert!(Ticket::parse(&text.as_bytes()[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let text = sample().to_text().replace("ticket 1", "ticket 2");
        let error = Ticket::parse(text.as_bytes()).expect_err("another version");
        assert_eq!(error.kind(), Kind::Version);
        assert_eq!(error.message(), "ticket: it is of format version 2; this program reads version 1");
        let error = Ticket::parse(text.replace("ticket 2", "ticket").as_bytes()).expect_err("no version");
        assert!(error.message().contains(r#""ocm repair ticket" is expected here"#), "{error}");
    }

    #[test]
    fn what_is_not_in_order_is_refused_with_its_line() {
        let range = |volume, range| Wanted::Range { volume, range };
        for wanted in [
            vec![],
            vec![range(1, 0..10), range(1, 10..20)],
            vec![range(2, 0..10), range(1, 0..10)],
            vec![Wanted::Whole { volume: 1 }, range(1, 0..10)],
            vec![Wanted::From { volume: 1 }, Wanted::Whole { volume: 2 }],
            vec![range(0, 0..10)],
            vec![range(1, 5..5)],
            vec![Wanted::Whole { volume: 70_000 }],
        ] {
            let text = Ticket { wanted, ..sample() }.to_text();
            let error = Ticket::parse(text.as_bytes()).expect_err(&text);
            assert!(error.to_string().contains("line "), "{error}");
        }
    }
}
