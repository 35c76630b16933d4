//! What a check found.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::figures::{bytes, count, numbers, rate_of};
use crate::cli::safe::safe;
use crate::transfer::Class;
use crate::workflow::label;
use crate::workflow::signing::Checked;
use crate::workflow::verify::{DamageLine, FileKind, FileVerdict, Outcome, ReceiptVerdict, SetSignatures, SetVerdict, class_of};

/// So many places and images are listed; the JSON document has all.
const MOST_LISTED: usize = 10;

/// The whole result.
pub(in crate::cli) fn text(outcome: &Outcome) -> String {
    let verdict = &outcome.verdict;
    let mut text: String = verdict.sets.iter().map(|set| self::set(set, verdict.quick)).collect();
    text.extend(outcome.signatures.iter().map(signatures));
    text.extend(outcome.receipts.iter().map(receipt));
    for stranger in &verdict.strangers {
        let _ = writeln!(text, "{}   NOT READABLE\n  {}", safe(&stranger.path.display().to_string()), safe(&stranger.why));
    }
    if verdict.quick {
        text += "only headers, footers, indexes and sizes were read\n";
    }
    text
}

fn set(set: &SetVerdict, quick: bool) -> String {
    let mut text: String = set.files.iter().map(|file| self::file(set, file, quick)).collect();
    for damage in set.damage.iter().take(MOST_LISTED) {
        let _ = writeln!(text, "  {}", self::damage(damage));
    }
    let more = set.more_damage.saturating_add(set.damage.len().saturating_sub(MOST_LISTED) as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {} more", count(more, "place"));
    }
    text + &hurt(set) + &repairable(set) + &way_out(set) + &missing(set)
}

/// `set 2  root 73b6-a62d-e597-6827   signature by 0A1B2C3D4E5F6071 (builder): trusted`, and what lacks.
fn signatures(set: &SetSignatures) -> String {
    let mut text = signers(&format!("set {}  root {}", set.set.generation, label(&set.set.root)), &set.signatures);
    if let Some(generation) = set.vouched_for_by {
        let _ = writeln!(text, "  vouched for by set {generation}, which lists this root");
    }
    text + &lacking(&set.lacking)
}

/// `receipt lab.json  docker://registry.lab:5000 at 2026-11-21T10:00:00Z   signature by …`, and what lacks.
fn receipt(receipt: &ReceiptVerdict) -> String {
    let head = format!("receipt {}  {} at {}", receipt.path.display(), receipt.destination, receipt.time);
    signers(&safe(&head), &receipt.signatures) + &lacking(&receipt.lacking)
}

/// `head` with who signed: one on its line, more on lines of their own.
fn signers(head: &str, signatures: &[Checked]) -> String {
    match signatures {
        [] => format!("{head}   not signed\n"),
        [one] => format!("{head}   {}\n", safe(&one.to_string())),
        all => all.iter().fold(format!("{head}\n"), |text, one| format!("{text}  {}\n", safe(&one.to_string()))),
    }
}

fn lacking(lacking: &[String]) -> String {
    lacking.iter().map(|lacking| format!("  LACKS {}\n", safe(lacking))).collect()
}

/// `set 1  volume 1 of 2   1.7 GiB   1.4 GiB/s   sound`
fn file(set: &SetVerdict, file: &FileVerdict, quick: bool) -> String {
    let kind = match file.kind {
        FileKind::Volume => "volume",
        FileKind::Parity => "parity",
        FileKind::Catalogue => "catalogue",
    };
    let of = match (file.kind, set.set.volumes) {
        (FileKind::Volume, Some(all)) => format!(" of {all}"),
        _ => String::new(),
    };
    let rate = match file.milliseconds {
        0 => String::new(),
        // Of what is small, or was hardly read, the rate says nothing.
        _ if quick || file.bytes < 1 << 20 => String::new(),
        spent => format!("   {}", rate_of(file.bytes, Duration::from_millis(spent))),
    };
    let sound = if file.sound { "sound" } else { "DAMAGED" };
    format!("set {}  {kind} {}{of}   {}{rate}   {sound}\n", set.set.generation, file.number, bytes(file.bytes))
}

fn damage(damage: &DamageLine) -> String {
    let name = damage.path.as_ref().map_or(String::new(), |path| format!("{}: ", path.display()));
    let reach = if damage.bytes > 0 { format!(" ({} bytes)", damage.bytes) } else { String::new() };
    safe(&format!("{name}at {:#x}: {}{reach}", damage.offset, damage.what))
}

fn hurt(set: &SetVerdict) -> String {
    let (mut text, hurt) = (String::new(), &set.hurt);
    let sound = set.damage.is_empty() && set.missing_volumes.is_empty();
    let what = if sound { "hurt by what is wrong in an earlier set" } else { "hurts" };
    for hurt in hurt.iter().take(MOST_LISTED) {
        let _ = writeln!(text, "  {what}: {} ({})", safe(&hurt.image.to_string()), hurt.parts.join(", "));
    }
    if hurt.len() > MOST_LISTED {
        let _ = writeln!(text, "  and {} more", count(hurt.len() - MOST_LISTED, "image"));
    }
    text
}

/// Whether what is lost can be made again here, and what is to be brought if not.
fn repairable(set: &SetVerdict) -> String {
    let Some(repair) = &set.repair else { return String::new() };
    let volumes = format!("volume {}", numbers(&repair.volumes));
    let parity = match repair.parity_volumes {
        0 => "no parity".to_owned(),
        some => count(some, "parity volume"),
    };
    let folder = folder(set);
    if repair.here {
        return format!("  can be repaired here: {volumes}, by {parity} · `ocm repair {folder}`\n");
    }
    let all: Option<u64> = repair.lacking.iter().map(|lacking| lacking.bytes).sum();
    let size = all.map_or(String::new(), |all| format!(", {}", bytes(all)));
    let short = if repair.parity_volumes == 0 { parity } else { format!("{parity}, and that is not enough") };
    let ranges = count(repair.lacking.len(), "range");
    format!("  can be repaired here: {short} · copy {volumes} again, or `ocm repair {folder} --ticket FILE` ({ranges}{size})\n")
}

/// Where the files of a set are.
fn folder(set: &SetVerdict) -> String {
    let folder = set.files.iter().find_map(|file| file.path.parent());
    folder.map_or_else(|| "DIR".to_owned(), |folder| safe(&folder.display().to_string()))
}

fn way_out(set: &SetVerdict) -> String {
    if set.repair.is_some() {
        return String::new();
    }
    let is_parity = |damage: &DamageLine| damage.volume.is_some_and(|(kind, _)| kind == FileKind::Parity);
    if !set.damage.is_empty() && set.damage.iter().all(is_parity) && !set.files_alone {
        return format!("  hint:    `ocm repair {}` makes parity volumes again\n", folder(set));
    }
    let mut volumes: Vec<u32> = set.damage.iter().filter_map(|damage| Some(damage.volume?.1)).collect();
    volumes.sort_unstable();
    volumes.dedup();
    match volumes.as_slice() {
        [] => String::new(),
        [one] => format!("  hint:    copy volume {one} again from where the set was written\n"),
        some => format!("  hint:    copy volumes {} again from where the set was written\n", numbers(some)),
    }
}

fn missing(set: &SetVerdict) -> String {
    let mut text = String::new();
    let generation = set.set.generation;
    if !set.missing_volumes.is_empty() {
        let all = set.set.volumes.map_or(String::new(), |all| format!(" of {all}"));
        let _ = writeln!(text, "set {generation}  NOT HERE: volume {}{all}", numbers(&set.missing_volumes));
    }
    if set.last_unknown {
        let _ = writeln!(text, "set {generation}  NOT HERE: its last volume, which says how many there are");
    }
    let released: Vec<u32> = set.set.released.iter().copied().filter(|number| !set.missing_volumes.contains(number)).collect();
    if !released.is_empty() {
        let all = set.set.volumes.map_or(String::new(), |all| format!(" of {all}"));
        let _ = writeln!(text, "set {generation}  released: volume {}{all}, handed on when written", numbers(&released));
    }
    let weight = if set.parents_wanted { "NOT HERE" } else { "elsewhere" };
    for parent in &set.parents_elsewhere {
        let _ = writeln!(text, "set {generation}  {weight}: {}, which it builds on", safe(parent));
    }
    if set.sparse_images > 0 {
        let _ = writeln!(text, "set {generation}  elsewhere: platforms that were left out of {}", count(set.sparse_images, "image"));
    }
    if class_of(set) == Class::Needed && !set.missing_volumes.is_empty() {
        text += "  hint:    bring the volumes; `ocm gather` collects them from several media\n";
    }
    text
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::super::list::tests::set as line;
    use super::*;
    use crate::image::Digest;
    use crate::workflow::list::{FileNote, SetLine};
    use crate::workflow::repair::Lacking;
    use crate::workflow::signing::NamedSet;
    use crate::workflow::verify::{Fault, Hurt, Repairable, Verdict, class};

    fn sound() -> SetVerdict {
        let file =
            FileVerdict { path: "/d/a.tar".into(), kind: FileKind::Volume, number: 1, bytes: 3 << 29, milliseconds: 1000, sound: true };
        SetVerdict {
            set: line(2),
            files_alone: false,
            files: vec![file],
            damage: vec![],
            more_damage: 0,
            hurt: vec![],
            missing_volumes: vec![],
            last_unknown: false,
            parents_elsewhere: vec![],
            parents_wanted: false,
            sparse_images: 0,
            repair: None,
        }
    }

    /// A set with damage.
    pub(in crate::cli) fn damaged() -> SetVerdict {
        let volume = Some((FileKind::Volume, 1));
        let what = "frame: its SHA-256 does not match".to_owned();
        let damage = DamageLine { fault: Fault::Damaged, path: Some("/d/a.tar".into()), volume, offset: 0x2a40, bytes: 12, what };
        let hurt = Hurt { image: "nginx:1".parse().expect("a name"), parts: vec!["layer 4".into()] };
        let files = sound().files.into_iter().map(|file| FileVerdict { sound: false, ..file }).collect();
        SetVerdict { damage: vec![damage], hurt: vec![hurt], files, ..sound() }
    }

    /// What was found of this set alone.
    pub(in crate::cli) fn of(set: SetVerdict) -> Outcome {
        Outcome { verdict: Verdict { sets: vec![set], ..Verdict::default() }, signatures: vec![], receipts: vec![] }
    }

    /// What the signatures of a receipt came to.
    pub(in crate::cli) fn of_receipt() -> ReceiptVerdict {
        let SetSignatures { signatures, lacking, .. } = signed();
        let (path, destination, time) = ("lab.json".into(), "docker://reg:5000".into(), "2026-11-21T10:00:00Z".into());
        ReceiptVerdict { path, destination, time, digest: Digest::of(b"set"), signatures, lacking, class: Class::Damaged }
    }

    /// What the signatures of a set came to: one that is trusted, and one that lacks.
    pub(in crate::cli) fn signed() -> SetSignatures {
        use crate::trust::authority::{Authority, Found, Signable, Subject, Wish};
        use crate::trust::secret::{NewKey, SecretKey};
        let key = SecretKey::new(&NewKey { id: [1; 8], seed: &[1; 32] }).expect("a key");
        let found = |place: &str, bytes: Vec<u8>| [Found { place: place.into(), bytes }];
        let (inside, beside) = (found("v", key.sign(b"set", "c").file().into_bytes()), found("a", b"x".to_vec()));
        let root = Digest::of(b"root");
        let subject = Subject {
            name: "set 2".into(),
            kind: Signable::Set("01"),
            scope: "disk",
            root,
            bytes: b"set",
            inside: &inside,
            beside: &beside,
        };
        let wish = Wish { trust: vec![key.public().to_string()], ..Wish::default() };
        let judged = Authority::load(wish).expect("an authority").judge(&subject);
        let set = NamedSet { lineage: "disk".into(), generation: 2, root };
        let lacking = vec!["1 of 1 key of role auditor (there: 0)".to_owned()];
        SetSignatures { id: "01".into(), set, signatures: judged.signatures, lacking, vouched_for_by: Some(3), class: Class::Damaged }
    }

    #[test]
    fn signatures_are_told_with_what_lacks() {
        let root = label(&Digest::of(b"root"));
        let all = format!(
            "set 2  root {root}\n  signature by 0101010101010101: trusted\n  approval by (not readable): WRONG: it is no signature of minisign: it does not \
             begin with \"untrusted comment: \", in a\n  vouched for by set 3, which lists this root\n  LACKS 1 of 1 key of role auditor (there: 0)\n"
        );
        assert_eq!(signatures(&signed()), all);
        let one = SetSignatures { signatures: signed().signatures[..1].to_vec(), lacking: vec![], vouched_for_by: None, ..signed() };
        assert_eq!(signatures(&one), format!("set 2  root {root}   signature by 0101010101010101: trusted\n"));
        let none = SetSignatures { signatures: vec![], ..one };
        assert_eq!(signatures(&none), format!("set 2  root {root}   not signed\n"));
        let outcome = Outcome { signatures: vec![signed()], ..of(sound()) };
        assert_eq!(class(&outcome), Class::Damaged);
        let one = ReceiptVerdict { signatures: signed().signatures[..1].to_vec(), ..of_receipt() };
        let line = "receipt lab.json  docker://reg:5000 at 2026-11-21T10:00:00Z   signature by 0101010101010101: trusted\n";
        assert_eq!(receipt(&one), format!("{line}  LACKS 1 of 1 key of role auditor (there: 0)\n"));
        let outcome = Outcome { receipts: vec![of_receipt()], ..of(sound()) };
        assert_eq!(class(&outcome), Class::Damaged);
    }

    #[test]
    fn findings_are_shown_and_weighed() {
        let damage = "set 2  volume 1 of 1   1.5 GiB   1.5 GiB/s   DAMAGED\n  /d/a.tar: at 0x2a40: frame: its SHA-256 does not match (12 bytes)\n  \
                      hurts: docker.io/library/nginx:1 (layer 4)\n  hint:    copy volume 1 again from where the set was written\n";
        let lacking = SetVerdict { missing_volumes: vec![2, 3], files: vec![], ..sound() };
        let parents = vec!["set 1 (id ab)".to_owned()];
        let delta = SetVerdict { parents_elsewhere: parents.clone(), files: vec![], sparse_images: 1, ..sound() };
        let let_go = SetVerdict { files: vec![], set: SetLine { released: vec![1], ..line(2) }, ..sound() };
        let counted = SetVerdict { missing_volumes: vec![1], ..let_go.clone() };
        let strict = SetVerdict { parents_elsewhere: parents, files: vec![], parents_wanted: true, ..sound() };
        for (set, expected, weight) in [
            (sound(), "set 2  volume 1 of 1   1.5 GiB   1.5 GiB/s   sound\n", Class::Done),
            (damaged(), damage, Class::Damaged),
            (
                lacking,
                "set 2  NOT HERE: volume 2, 3 of 1\n  hint:    bring the volumes; `ocm gather` collects them from several media\n",
                Class::Needed,
            ),
            (
                delta,
                "set 2  elsewhere: set 1 (id ab), which it builds on\nset 2  elsewhere: platforms that were left out of 1 image\n",
                Class::Done,
            ),
            (let_go, "set 2  released: volume 1 of 1, handed on when written\n", Class::Done),
            (
                counted,
                "set 2  NOT HERE: volume 1 of 1\n  hint:    bring the volumes; `ocm gather` collects them from several media\n",
                Class::Needed,
            ),
            (strict, "set 2  NOT HERE: set 1 (id ab), which it builds on\n", Class::Needed),
        ] {
            let verdict = of(set);
            assert_eq!((text(&verdict).as_str(), class(&verdict)), (expected, weight));
        }
    }

    #[test]
    fn whether_damage_can_be_repaired_here_is_said_and_what_to_bring_if_not() {
        let lacking = |bytes| Lacking { volume: 1, offset: Some(4096), bytes, and_after: false };
        for (here, parity_volumes, lacking, expected) in [
            (true, 2, vec![], "volume 1, by 2 parity volumes · `ocm repair /d`"),
            (false, 0, vec![lacking(Some(1 << 20))], "no parity · copy volume 1 again, or `ocm repair /d --ticket FILE` (1 range, 1 MiB)"),
            (
                false,
                1,
                vec![lacking(None)],
                "1 parity volume, and that is not enough · copy volume 1 again, or `ocm repair /d --ticket FILE` (1 range)",
            ),
        ] {
            let repair = Some(Repairable { here, parity_volumes, volumes: vec![1], lacking });
            let text = text(&of(SetVerdict { repair, ..damaged() }));
            assert!(text.contains(&format!("  can be repaired here: {expected}\n")), "{text}");
            assert!(!text.contains("hint:"), "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_told_to_a_set_is_damage() {
        let mut verdict = of(sound());
        verdict.verdict.strangers = vec![FileNote { path: "x".into(), why: "header".into() }];
        assert!(text(&verdict).ends_with("x   NOT READABLE\n  header\n"));
        assert_eq!(class(&verdict), Class::Damaged);
    }
}
