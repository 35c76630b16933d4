//! What a repair came to.

use std::fmt::Write as _;

use crate::cli::figures::{bytes, count};
use crate::cli::safe::safe;
use crate::workflow::repair::{Answer, FileKind, Lacking, Outcome, SetOutcome};

/// So many ranges are listed; the JSON document and the ticket have all.
const MOST_LISTED: usize = 10;

/// The whole result.
pub(in crate::cli) fn text(outcome: &Outcome) -> String {
    let place = outcome.archive.display().to_string();
    outcome.sets.iter().map(|set| self::set(set, &place)).collect()
}

fn set(set: &SetOutcome, place: &str) -> String {
    let generation = set.generation;
    let mut text = String::new();
    for rebuilt in &set.rebuilt {
        let path = safe(&rebuilt.path.display().to_string());
        let _ = writeln!(text, "set {generation}  {} {}   {}   rebuilt: {path}", kind(rebuilt.kind), rebuilt.number, bytes(rebuilt.bytes));
        if let Some(kept) = &rebuilt.kept {
            let _ = writeln!(text, "  the damaged file is kept: {}", safe(&kept.display().to_string()));
        }
    }
    for failed in &set.failed {
        let _ = writeln!(text, "set {generation}  {} {}   NOT REBUILT\n  {}", kind(failed.kind), failed.number, safe(&failed.why));
    }
    for problem in &set.problems {
        let _ = writeln!(text, "set {generation}  {}", safe(problem));
    }
    if !set.lacking.is_empty() {
        return text + &lacking(set, place);
    }
    if text.is_empty() { format!("set {generation}  whole\n") } else { text }
}

fn lacking(set: &SetOutcome, place: &str) -> String {
    let parity = match set.parity_volumes {
        0 => "there is no parity".to_owned(),
        1 => "1 parity volume is not enough".to_owned(),
        some => format!("{} are not enough", count(some, "parity volume")),
    };
    let generation = set.generation;
    let mut text = format!("set {generation}  CANNOT BE REBUILT HERE: {parity}\n");
    for lacking in set.lacking.iter().take(MOST_LISTED) {
        let _ = writeln!(text, "  bring  {}", range(lacking));
    }
    if set.lacking.len() > MOST_LISTED {
        let _ = writeln!(text, "  and {} more", count(set.lacking.len() - MOST_LISTED, "range"));
    }
    let next = match &set.ticket {
        Some(ticket) => {
            let ticket = safe(&ticket.display().to_string());
            format!("  ticket {ticket}\n  hint:    take it to where the set is whole: `ocm repair --answer {ticket} ARCHIVE OUT`\n")
        }
        None => format!("  hint:    write down what to bring: `ocm repair {} --ticket FILE`\n", safe(place)),
    };
    text + &next
}

/// `volume 2, 4 KiB at 0x1000`
fn range(lacking: &Lacking) -> String {
    let volume = lacking.volume;
    match (lacking.offset, lacking.bytes) {
        _ if lacking.and_after => format!("volume {volume} and all after it"),
        (Some(offset), Some(length)) => format!("volume {volume}, {} at {offset:#x}", bytes(length)),
        (_, Some(length)) => format!("volume {volume}, {}", bytes(length)),
        (_, None) => format!("volume {volume}"),
    }
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Volume => "volume",
        FileKind::Parity => "parity",
        FileKind::Catalogue => "catalogue",
    }
}

/// The patch that was made.
pub(in crate::cli) fn answer(made: &Answer) -> String {
    let path = safe(&made.path.display().to_string());
    let ranges = count(made.ranges, "range");
    format!(
        "{path}   {}   {ranges} of set {}\n  next   on the far side: ocm repair ARCHIVE --with {path}\n",
        bytes(made.bytes),
        made.generation
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::Class;

    fn whole() -> SetOutcome {
        SetOutcome {
            set: "ab".repeat(16),
            generation: 2,
            parity_volumes: 1,
            rebuilt: vec![],
            failed: vec![],
            lacking: vec![],
            ticket: None,
            problems: vec![],
        }
    }

    fn shown(set: SetOutcome) -> (String, Class) {
        let outcome = Outcome { archive: "/d".into(), sets: vec![set] };
        (text(&outcome), outcome.class())
    }

    #[test]
    fn what_is_whole_rebuilt_or_lacking_is_said_and_weighed() {
        assert_eq!(shown(whole()), ("set 2  whole\n".to_owned(), Class::Done));
        let rebuilt = crate::store::archive::repair::Rebuilt {
            kind: FileKind::Volume,
            number: 3,
            path: "/d/a.tar".into(),
            bytes: 2 << 20,
            kept: Some("/d/damaged/a.tar".into()),
        };
        let text = "set 2  volume 3   2 MiB   rebuilt: /d/a.tar\n  the damaged file is kept: /d/damaged/a.tar\n";
        assert_eq!(shown(SetOutcome { rebuilt: vec![rebuilt], ..whole() }), (text.to_owned(), Class::Done));
        let range = |volume, offset, bytes| Lacking { volume, offset, bytes, and_after: false };
        let lacking = vec![range(1, Some(4096), Some(8192)), range(2, None, None), Lacking { and_after: true, ..range(4, None, None) }];
        let text = "set 2  CANNOT BE REBUILT HERE: 1 parity volume is not enough\n  bring  volume 1, 8 KiB at 0x1000\n  bring  volume 2\n  \
                    bring  volume 4 and all after it\n  hint:    write down what to bring: `ocm repair /d --ticket FILE`\n";
        assert_eq!(shown(SetOutcome { lacking, ..whole() }), (text.to_owned(), Class::Needed));
    }
}
