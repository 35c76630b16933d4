//! What a gathering came to.

use std::fmt::Write as _;

use crate::cli::figures::{bytes, count, numbers};
use crate::cli::safe::safe;
use crate::workflow::gather::{Fate, Outcome, Standing, VolumeName, VolumeOutcome};
use crate::workflow::label;
use crate::workflow::verify::FileKind;

/// The whole result.
pub(in crate::cli) fn text(outcome: &Outcome) -> String {
    let mut text: String = outcome.volumes.iter().map(volume).collect();
    text.extend(outcome.sets.iter().map(standing));
    let archive = safe(&outcome.archive.display().to_string());
    if outcome.sets.iter().any(|set| !set.complete) {
        text += "  next   put in the next medium, and run the same command\n";
    } else if !outcome.sets.is_empty() {
        let _ = writeln!(text, "  next   ocm ls {archive}");
    }
    text
}

/// `set 1  volume 2   700 MiB   copied`
fn volume(outcome: &VolumeOutcome) -> String {
    let name = outcome.volume.as_ref().map_or_else(|| safe(&outcome.path.display().to_string()), name);
    let fate = match &outcome.fate {
        Fate::Copied => "copied".to_owned(),
        Fate::HadAlready => "here already".to_owned(),
        Fate::ReplacedDamaged => "copied, in place of a damaged one".to_owned(),
        Fate::Refused { why, hint, .. } => {
            let hint = hint.as_ref().map_or(String::new(), |hint| format!("\n  hint:    {}", safe(hint)));
            format!("NOT TAKEN\n  {}{hint}", safe(why))
        }
    };
    format!("{name}   {}   {fate}\n", bytes(outcome.bytes))
}

fn name(volume: &VolumeName) -> String {
    let kind = match volume.kind {
        FileKind::Volume => "volume",
        FileKind::Parity => "parity",
        FileKind::Catalogue => "catalogue",
    };
    format!("set {}  {kind} {}", volume.generation, volume.number)
}

/// `set 1 of "disk": have 3 of at least 5, without 4`
fn standing(set: &Standing) -> String {
    let of = set.lineage.as_ref().map_or(String::new(), |lineage| format!(" of \"{}\"", safe(lineage)));
    let head = format!("set {}{of}", set.generation);
    let parents = set.parents_elsewhere.iter().map(|parent| format!("  elsewhere: {}, which it builds on\n", safe(parent)));
    let parents: String = parents.collect();
    if set.complete {
        let root = set.root.as_ref().map_or(String::new(), |root| format!("   root {}", label(root)));
        return format!("{head}: all here, {}{root}\n{parents}", count(set.of, "volume"));
    }
    let least = if set.exact { "" } else { "at least " };
    let without = if set.missing.is_empty() { String::new() } else { format!(", without {}", numbers(&set.missing)) };
    format!("{head}: have {} of {least}{}{without}\n{parents}", set.have, set.of)
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::image::Digest;
    use crate::transfer::Class;

    /// A gathering with every fate of a volume, and sets in every state.
    pub(in crate::cli) fn outcome() -> Outcome {
        let name = |number| VolumeName { set: "00".repeat(16), generation: 1, lineage: None, kind: FileKind::Volume, number };
        let volume = |number, fate| VolumeOutcome { path: "/m/v".into(), volume: Some(name(number)), bytes: 700 << 20, fate };
        let refused = Fate::Refused { why: "at 0x10: \u{1b}".into(), hint: Some("copy it".into()), class: Class::Damaged };
        let set = |have, exact, missing| Standing {
            set: "00".repeat(16),
            generation: 1,
            root: (have == 5).then(|| Digest::of(b"root")),
            lineage: Some("disk".into()),
            have,
            of: 5,
            exact,
            missing,
            complete: have == 5,
            parents_elsewhere: if have == 4 { vec!["set 0 (id ab)".into()] } else { vec![] },
        };
        Outcome {
            archive: "/a".into(),
            volumes: vec![
                volume(1, Fate::Copied),
                volume(2, Fate::HadAlready),
                volume(3, Fate::ReplacedDamaged),
                VolumeOutcome { volume: None, ..volume(4, refused) },
            ],
            sets: vec![set(3, false, vec![4]), set(4, true, vec![4]), set(5, true, vec![])],
            copied_bytes: 1,
        }
    }

    #[test]
    fn what_was_taken_and_what_is_missing_is_told() {
        let label = label(&Digest::of(b"root"));
        let expected = format!(
            "set 1  volume 1   700 MiB   copied\nset 1  volume 2   700 MiB   here already\n\
                        set 1  volume 3   700 MiB   copied, in place of a damaged one\n\
                        /m/v   700 MiB   NOT TAKEN\n  at 0x10: \\u{{1b}}\n  hint:    copy it\n\
                        set 1 of \"disk\": have 3 of at least 5, without 4\nset 1 of \"disk\": have 4 of 5, without 4\n  \
                        elsewhere: set 0 (id ab), which it builds on\n\
                        set 1 of \"disk\": all here, 5 volumes   root {label}\n  next   put in the next medium, and run the same command\n"
        );
        assert_eq!(text(&outcome()), expected);
        let done = Outcome { sets: outcome().sets.split_off(2), volumes: vec![], ..outcome() };
        assert_eq!(text(&done), format!("set 1 of \"disk\": all here, 5 volumes   root {label}\n  next   ocm ls /a\n"));
    }
}
