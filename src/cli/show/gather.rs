//! What a gathering came to.

use std::fmt::Write as _;

use crate::cli::figures::{bytes, count, numbers};
use crate::cli::safe::safe;
use crate::workflow::gather::{Fate, FileKind, Outcome, Standing, VolumeOutcome};

/// The whole result: each volume, then how the sets stand.
pub(in crate::cli) fn text(outcome: &Outcome) -> String {
    let mut text: String = outcome.volumes.iter().map(volume).collect();
    text.extend(outcome.sets.iter().map(standing));
    if !outcome.sets.is_empty() && outcome.sets.iter().all(|set| set.complete) {
        let _ = writeln!(text, "  next   ocm verify {}", safe(&outcome.archive.display().to_string()));
    }
    text
}

fn volume(volume: &VolumeOutcome) -> String {
    let size = bytes(volume.bytes);
    let name = name(volume);
    match &volume.fate {
        Fate::Copied => format!("{name}  {size}  copied, sound\n"),
        Fate::HadAlready => format!("{name}  {size}  here already, sound\n"),
        Fate::ReplacedDamaged => format!("{name}  {size}  copied, sound, in place of a damaged one\n"),
        Fate::Refused { why, hint, .. } => {
            let hint = hint.as_ref().map_or(String::new(), |hint| format!("  hint: {}\n", safe(hint)));
            format!("{name}  NOT TAKEN\n  {}\n{hint}", safe(why))
        }
    }
}

fn name(volume: &VolumeOutcome) -> String {
    let Some(known) = &volume.volume else { return safe(&volume.path.display().to_string()) };
    let kind = match known.kind {
        FileKind::Volume => "volume",
        FileKind::Parity => "parity volume",
        FileKind::Catalogue => "catalogue volume",
    };
    format!("{kind} {} of set {}", known.number, known.generation)
}

fn standing(set: &Standing) -> String {
    let lineage = set.lineage.as_ref().map_or(String::new(), |name| format!(" (\"{}\")", safe(name)));
    let called = format!("set {}{lineage}", set.generation);
    if set.complete {
        return format!("have all of {called}: {}\n", count(set.of, "volume"));
    }
    let least = if set.exact { "" } else { "at least " };
    let of = count(set.of, "volume");
    let missing = match set.missing.as_slice() {
        [] => "its last volume".to_owned(),
        [one] => format!("volume {one}"),
        several => format!("volumes {}", numbers(several)),
    };
    format!("have {} of {least}{of} of {called}\n  bring  {missing}\n", set.have)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::Class;
    use crate::workflow::gather::VolumeName;

    fn outcome(number: u32, fate: Fate) -> VolumeOutcome {
        let kind = if number == 0 { FileKind::Catalogue } else { FileKind::Volume };
        let name = VolumeName { set: "ab".into(), generation: 3, lineage: None, kind, number: number.max(1) };
        VolumeOutcome { path: "/media/a.tar".into(), volume: Some(name), bytes: 4 << 30, fate }
    }

    fn set(have: u32, of: u32, exact: bool, missing: &[u32]) -> Standing {
        let complete = missing.is_empty();
        let lineage = Some("disk".to_owned());
        Standing { set: "ab".into(), generation: 3, lineage, have, of, exact, missing: missing.to_vec(), complete }
    }

    #[test]
    fn each_volume_has_a_line_and_each_set_says_what_is_missing() {
        let refused = Fate::Refused { why: "at 0x40: bad\u{1b}".into(), hint: Some("clean it".into()), class: Class::Damaged };
        let volumes =
            vec![outcome(1, Fate::HadAlready), outcome(2, Fate::Copied), outcome(3, refused.clone()), outcome(4, Fate::ReplacedDamaged)];
        let mut all = Outcome { archive: "/srv/a".into(), volumes, sets: vec![set(3, 5, false, &[3, 5])], copied_bytes: 8 << 30 };
        let expected = "volume 1 of set 3  4 GiB  here already, sound\nvolume 2 of set 3  4 GiB  copied, sound\n\
                        volume 3 of set 3  NOT TAKEN\n  at 0x40: bad\\u{1b}\n  hint: clean it\n\
                        volume 4 of set 3  4 GiB  copied, sound, in place of a damaged one\n\
                        have 3 of at least 5 volumes of set 3 (\"disk\")\n  bring  volumes 3, 5\n";
        assert_eq!(text(&all), expected);
        assert_eq!(all.class(), Class::Damaged);
        all.volumes.truncate(2);
        assert_eq!(all.class(), Class::Needed);
        all.volumes = vec![outcome(0, Fate::Copied)];
        all.sets = vec![set(1, 1, true, &[])];
        let expected =
            "catalogue volume 1 of set 3  4 GiB  copied, sound\nhave all of set 3 (\"disk\"): 1 volume\n  next   ocm verify /srv/a\n";
        assert_eq!(text(&all), expected);
        assert_eq!(all.class(), Class::Done);
        let stranger = VolumeOutcome { volume: None, ..outcome(1, refused) };
        assert!(volume(&stranger).starts_with("/media/a.tar  NOT TAKEN\n"));
    }
}
