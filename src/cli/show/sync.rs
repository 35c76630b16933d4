//! What a sync came to.

use std::fmt::Write as _;

use crate::cli::failure::{Group, groups};
use crate::cli::figures::{bytes, count};
use crate::cli::logs;
use crate::cli::safe::safe;
use crate::image::place::Location;
use crate::transfer::Ending;
use crate::workflow::label;
use crate::workflow::sync::{Count, Depth, GzipShare, Outcome, ParentOutcome, Published, SetOutcome};

/// So many names are listed; of more, the list is in a file.
const MOST_NAMES: usize = 5;

/// The whole result. Long lists are written into the workspace, under the time `now`.
pub(in crate::cli) fn text(outcome: &Outcome, to: &Location, now: u64) -> String {
    let keep = |lines: &[String]| logs::write(&outcome.workspace, "sync", now, lines).ok().map(|path| path.display().to_string());
    let mut text = match outcome.dry_run {
        true => plan(outcome, to),
        false => head(outcome, to),
    };
    text += &failures(&groups(&outcome.report.items), &keep);
    text + &tail(outcome, to)
}

/// What is to be done, and what space it takes.
fn plan(outcome: &Outcome, to: &Location) -> String {
    let (plan, space) = (&outcome.plan, outcome.space.as_ref());
    let mut text = super::plan::line(&outcome.outline()) + "\n";
    if plan.images_there > 0 {
        let _ = writeln!(text, "      {} there already", count(plan.images_there, "image"));
    }
    if let Some(space) = space {
        let _ = writeln!(text, "      space: at most {} here and {} while it runs", bytes(space.set_bytes), bytes(space.running_bytes));
    }
    if let Some(parent) = &outcome.parent {
        let _ = writeln!(text, "      {}: needs {}", delta_on(parent, outcome.depth), needed(parent));
    }
    if let Some(back) = &outcome.read_back {
        let (read, kept, blobs) = (bytes(back.bytes), bytes(back.spool_bytes), count(back.blobs, "old blob"));
        let _ = writeln!(text, "      reads {blobs}, {read}, back from there; space: {kept} in the workspace while it runs");
    }
    if let Some(back) = &outcome.parent_data {
        let (read, kept, blobs) = (bytes(back.bytes), bytes(back.spool_bytes), count(back.blobs, "old blob"));
        let _ = writeln!(
            text,
            "      reads {blobs}, {read}, from the registries of the earlier images; space: {kept} in the workspace while it runs"
        );
    }
    text + &format!("      dry run: nothing was written to {}\n", safe(&to.to_string()))
}

/// The line that says what was made.
fn head(outcome: &Outcome, to: &Location) -> String {
    if let Some(set) = &outcome.set {
        return set_text(set);
    }
    let complete = outcome.report.items.iter().filter(|item| !item.has_failed()).count();
    // A set is written only for something new; elsewhere, what is new was done.
    let done = outcome.report.items.iter().any(|item| matches!(item.ending, Ending::Done { .. }));
    let moved = done && !matches!(to, Location::Archive { .. });
    let all = outcome.report.items.len();
    let to = safe(&to.to_string());
    match (complete, moved) {
        (0, _) if all > 0 => format!("0 of {} to {to}\n", count(all, "image")),
        (_, false) => format!("nothing new: {} there already, in {to}\n", of_all(complete, all)),
        (_, true) => {
            let partial = if complete < all { " · PARTIAL" } else { "" };
            format!("{} to {to} · {} moved{partial}\n", of_all(complete, all), bytes(outcome.report.bytes_moved))
        }
    }
}

/// The set that was written: its size, its label, the files to carry.
fn set_text(set: &SetOutcome) -> String {
    let ratio = match set.blob_bytes {
        0 => String::new(),
        blobs => format!(" ({:.2})", set.stored_bytes as f64 / blobs as f64),
    };
    let parent = set.parent.as_ref().map_or("base".to_owned(), |parent| delta_on(parent, set.depth));
    let partial = if set.items_complete < set.items { " · PARTIAL" } else { "" };
    let mut text = format!(
        "set {} of \"{}\" · {} · {} in {}{ratio} · {} · {parent}{partial}\n",
        set.generation,
        safe(&set.lineage),
        of_all(set.items_complete, set.items),
        bytes(set.blob_bytes),
        bytes(set.stored_bytes),
        count(set.volumes.len(), "volume"),
    );
    let _ = writeln!(text, "  root   {}   ({})", label(&set.root), set.root);
    if let Some(key) = &set.signed_by {
        let _ = writeln!(text, "  signed by {key}");
    }
    if !set.merged_from.is_empty() {
        let _ = writeln!(text, "  merged {} into one base", count(set.merged_from.len(), "set"));
    }
    text += &gzip(&set.gzip);
    let needs = set.parent.as_ref().filter(|_| set.chain > 0).map_or(String::new(), |parent| format!("   needs {}", needed(parent)));
    for (at, volume) in set.volumes.iter().enumerate() {
        let needs = if at == 0 { needs.as_str() } else { "" };
        let released = if volume.released { "   (let go)" } else { "" };
        let _ = writeln!(text, "  carry  {}   {}{released}{needs}", safe(&volume.path.display().to_string()), bytes(volume.bytes));
    }
    for volume in &set.parity {
        let _ = writeln!(text, "  parity {}   {}", safe(&volume.path.display().to_string()), bytes(volume.bytes));
    }
    if !set.parity.is_empty() {
        let (lost, all) = (set.parity.len(), set.parity.len() + set.volumes.len());
        let _ = writeln!(text, "         any {lost} of these {all} files can be lost: `ocm repair` makes them again");
    }
    text
}

/// `delta by patches on set 1`
fn delta_on(parent: &ParentOutcome, deep: Option<Depth>) -> String {
    match parent {
        ParentOutcome::Set { generation, .. } => format!("{} on set {generation}", depth(deep)),
        ParentOutcome::Receipt { destination, .. } => format!("{} on what {} holds", depth(deep), safe(destination)),
    }
}

/// What must be on the far side.
fn needed(parent: &ParentOutcome) -> String {
    match parent {
        ParentOutcome::Set { generation, confirmed, .. } => {
            let unsure = if *confirmed { "" } else { " (no receipt says that it arrived)" };
            format!("set {generation} on the far side, or its blobs in the registry there{unsure}")
        }
        ParentOutcome::Receipt { destination, time, .. } => {
            let day = time.split('T').next().unwrap_or_default();
            format!("what {} held on {}, and no other place has", safe(destination), safe(day))
        }
    }
}

/// A delta by how deep it goes.
pub(in crate::cli) fn depth(depth: Option<Depth>) -> &'static str {
    match depth {
        None | Some(Depth::Blob) => "delta",
        Some(Depth::Chunk) => "delta by chunks",
        Some(Depth::Patch) => "delta by patches",
    }
}

/// Why gzip blobs are larger than they could be; nothing where they are not.
fn gzip(share: &GzipShare) -> String {
    let line = |(reason, kept): (&&str, &Count)| {
        let all = share.total().blobs;
        format!("  gzip   {} of {all} blobs ({}) stored as they came: {reason}\n", kept.blobs, bytes(kept.bytes))
    };
    share.kept.iter().map(line).collect()
}

/// Failed items by cause. `keep` puts a long list away and says where.
fn failures(groups: &[Group<'_>], keep: &dyn Fn(&[String]) -> Option<String>) -> String {
    let mut text = String::new();
    let long: Vec<String> = groups.iter().filter(|group| group.names.len() > MOST_NAMES).flat_map(listed).collect();
    let log = if long.is_empty() { None } else { keep(&long) };
    for group in groups {
        let cause = safe(&group.cause);
        if let [name] = group.names.as_slice() {
            let _ = writeln!(text, "  failed  {}   {cause}", safe(&name.to_string()));
        } else {
            let _ = writeln!(text, "  failed  {}   {cause}", count(group.names.len(), "image"));
            match log.as_ref().filter(|_| group.names.len() > MOST_NAMES) {
                Some(log) => text += &format!("    listed in {}\n", safe(log)),
                None => text.extend(group.names.iter().map(|name| format!("    {}\n", safe(&name.to_string())))),
            }
        }
        text.extend(group.error.notes().iter().map(|note| format!("    {}\n", safe(note))));
        if let Some(hint) = group.error.way_out() {
            let _ = writeln!(text, "    hint: {}", safe(hint));
        }
    }
    text
}

fn listed(group: &Group<'_>) -> Vec<String> {
    group.names.iter().map(|name| format!("{name}   {}", group.cause)).collect()
}

/// The files that tell clusters where the images are, and what no mirror can give.
fn resources(published: &Published) -> String {
    let mut text = String::new();
    for file in &published.files {
        let word = if file.changed { "" } else { "   as it was" };
        let _ = writeln!(text, "  cluster  {}{word}", safe(&file.path.display().to_string()));
    }
    for left in &published.left_out {
        let _ = writeln!(text, "  no mirror for {}: {}", safe(&left.origin.to_string()), safe(&left.why));
    }
    text
}

/// What follows from it: what else there is, and what to do next.
fn tail(outcome: &Outcome, to: &Location) -> String {
    let mut text = String::new();
    let failed = outcome.report.items.iter().filter(|item| item.has_failed()).count();
    let complete = outcome.report.items.len() - failed;
    if failed > 0 && complete > 0 && !outcome.dry_run {
        let others = if complete == 1 { "the other one is complete".into() } else { format!("the other {complete} are complete") };
        let _ = writeln!(text, "  {others}; the same command fills in the rest");
    }
    if let Some(signatures) = &outcome.signatures {
        let counted = [(signatures.signed, "signed"), (signatures.unsigned, "unsigned"), (signatures.unknown, "could not tell")];
        let said: Vec<String> = counted.iter().filter(|(images, _)| *images > 0).map(|(images, word)| format!("{images} {word}")).collect();
        let _ = writeln!(text, "  signatures  {}", said.join(", "));
    }
    for blocked in &outcome.blocked {
        let _ = writeln!(text, "  blocked {}   by {}", safe(&blocked.image.to_string()), safe(&blocked.expression));
    }
    if outcome.set.is_none() {
        text += &super::serve::roots(&outcome.sources);
    }
    for newer in &outcome.newer {
        let _ = writeln!(text, "  newer   {}", safe(newer));
    }
    if let Some(receipt) = &outcome.receipt {
        let signed = if outcome.receipt_signature.is_some() { "   signed" } else { "" };
        let _ = writeln!(text, "  receipt  {}{signed}", safe(&receipt.display().to_string()));
    }
    if let Some(published) = &outcome.published {
        text += &resources(published);
    }
    if outcome.set.is_some() {
        let _ = writeln!(text, "  next   ocm verify {}", safe(&to.to_string()));
    }
    text
}

/// `12 images`, `11 of 12 images`
fn of_all(complete: usize, all: usize) -> String {
    match complete == all {
        true => count(all, "image"),
        false => format!("{complete} of {}", count(all, "image")),
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::failure::tests::failed;
    use crate::error::Error;
    use crate::image::{Digest, Item};
    use crate::plan::Summary;
    use crate::transfer::{self, Class, Report};
    use crate::workflow::sync::{ReadBack, Signatures, Space, VolumeOutcome};

    /// An item that is there.
    pub(in crate::cli) fn done(name: &str, bytes: Option<u64>) -> transfer::Outcome {
        let name: crate::image::Reference = name.parse().expect("a name");
        let ending = bytes.map_or(Ending::Already, |bytes| Ending::Done { bytes });
        transfer::Outcome { item: Item::image(name.clone()), name, ending }
    }

    /// The outcome of a run.
    pub(in crate::cli) fn outcome(items: Vec<transfer::Outcome>) -> Outcome {
        Outcome {
            children: std::collections::BTreeMap::new(),
            plan: Summary { images: 12, blobs: 41, bytes_to_fetch: 1_975_684_956, blobs_there: 3, bytes_there: 7, ..Summary::default() },
            dry_run: false,
            parent: None,
            space: Some(Space { set_bytes: 1 << 30, running_bytes: 310 << 20, about_bytes: 1 << 30, volumes: 1, cap_bytes: 4 << 30 }),
            read_back: None,
            parent_data: None,
            depth: None,
            report: Report { items, bytes_moved: 5 << 20 },
            set: None,
            receipt: None,
            receipt_signature: None,
            sources: vec![],
            signatures: None,
            blocked: vec![],
            published: None,
            lost: vec![],
            newer: vec![],
            workspace: PathBuf::from("/dev/null"),
        }
    }

    /// A set that was written.
    pub(in crate::cli) fn set(complete: usize) -> SetOutcome {
        let root = Digest::of(b"root");
        let volume = VolumeOutcome { number: 1, path: "/mnt/disk/a.tar".into(), bytes: 1 << 30, sha256: root, released: false };
        SetOutcome {
            lineage: "disk".into(),
            id: "00".repeat(16),
            generation: 2,
            root,
            signed_by: Some("0A1B".into()),
            parent: Some(ParentOutcome::Set { generation: 1, id: "01".repeat(16), root, confirmed: true }),
            chain: 1,
            depth: Some(Depth::Patch),
            merged_from: vec![2, 1],
            items_complete: complete,
            items: 2,
            blob_bytes: 2 << 30,
            stored_bytes: 1 << 30,
            gzip: GzipShare::default(),
            volumes: vec![volume],
            parity: vec![],
            catalogue: vec![],
        }
    }

    fn shown(outcome: &Outcome, to: &str) -> String {
        text(outcome, &to.parse().expect("a place"), 0)
    }

    #[test]
    fn a_set_is_told_with_its_label_and_what_to_carry() {
        let two = vec![done("q.io/a:1", Some(5)), done("q.io/b:1", None)];
        let text = shown(&Outcome { set: Some(set(2)), ..outcome(two) }, "/mnt/disk");
        let root = Digest::of(b"root");
        let expected = format!(
            "set 2 of \"disk\" · 2 images · 2 GiB in 1 GiB (0.50) · 1 volume · delta by patches on set 1\n  root   {}   ({root})\n  signed by 0A1B\n  \
             merged 2 sets into one base\n  \
             carry  /mnt/disk/a.tar   1 GiB   needs set 1 on the far side, or its blobs in the registry there\n  \
             next   ocm verify /mnt/disk\n",
            label(&root)
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_must_be_there_is_named_and_whether_a_receipt_says_that_it_is() {
        let (id, root) = ("01".repeat(16), Digest::of(b"root"));
        let unsure = ParentOutcome::Set { generation: 1, id, root, confirmed: false };
        let receipt = ParentOutcome::Receipt { destination: "docker://lab".into(), time: "2026-11-21T10:00:00Z".into(), root };
        for (parent, chain, delta, needs) in [
            (unsure.clone(), 1, "delta on set 1\n", "in the registry there (no receipt says that it arrived)\n"),
            (unsure, 0, "delta on set 1\n", "1 GiB\n"),
            (receipt, 1, "delta on what docker://lab holds\n", "needs what docker://lab held on 2026-11-21, and no other place has\n"),
        ] {
            let set = SetOutcome { parent: Some(parent.clone()), chain, depth: None, ..set(2) };
            let text = shown(&Outcome { set: Some(set), ..outcome(vec![done("q.io/a:1", Some(5))]) }, "d");
            assert!(text.contains(delta) && text.contains(needs), "{text}");
            let plan = shown(&Outcome { dry_run: true, parent: Some(parent), ..outcome(vec![]) }, "d");
            assert!(plan.contains(&delta.replace('\n', ": needs ")), "{plan}");
        }
    }

    #[test]
    fn a_partial_run_names_what_failed_and_ends_with_3() {
        let items = vec![done("q.io/a:1", Some(5)), failed("q.io/gone:1", Error::failed("manifest unknown").hint("look again"))];
        let outcome = outcome(items);
        let expected = "1 of 2 images to docker://r.io/m · 5 MiB moved · PARTIAL\n  failed  q.io/gone:1   manifest unknown\n    \
                        hint: look again\n  the other one is complete; the same command fills in the rest\n";
        assert_eq!(shown(&outcome, "docker://r.io/m"), expected);
        assert_eq!(outcome.class(), Class::Partial);
        let partial = Outcome { set: Some(set(1)), ..outcome };
        assert!(
            shown(&partial, "d").starts_with(
                "set 2 of \"disk\" · 1 of 2 images · 2 GiB in 1 GiB (0.50) · 1 volume · delta by patches on set 1 · PARTIAL\n"
            )
        );
    }

    #[test]
    fn nothing_new_says_so() {
        for (ending, to) in [(None, "docker://r.io"), (None, "/mnt/disk"), (Some(0), "/mnt/disk")] {
            let outcome = outcome(vec![done("q.io/a:1", ending)]);
            assert_eq!(shown(&outcome, to), format!("nothing new: 1 image there already, in {to}\n"));
            assert_eq!(outcome.class(), Class::Done);
        }
    }

    #[test]
    fn a_newer_set_without_its_volumes_ends_with_5() {
        let newer = vec!["set 4 lacks volumes 2, 3".to_owned()];
        let outcome = Outcome { newer, receipt: Some("/w/r.json".into()), ..outcome(vec![done("q.io/a:1", Some(1))]) };
        let expected = "1 image to docker://r.io · 5 MiB moved\n  newer   set 4 lacks volumes 2, 3\n  receipt  /w/r.json\n";
        assert_eq!(shown(&outcome, "docker://r.io"), expected);
        assert_eq!(outcome.class(), Class::Needed);
    }

    #[test]
    fn a_dry_run_shows_the_plan() {
        let outcome = Outcome { dry_run: true, ..outcome(vec![]) };
        let expected = "plan: 12 images, 41 blobs, 1.84 GiB to fetch (3 blobs, 7 B, there already); about 1 GiB to write, 1 volume below 4 GiB\n      \
                        space: at most 1 GiB here and 310 MiB while it runs\n      dry run: nothing was written to d\n";
        assert_eq!(shown(&outcome, "d"), expected);
    }

    #[test]
    fn a_dry_run_tells_what_is_read_back() {
        let back = ReadBack { blobs: 2, bytes: 3 << 20, spool_bytes: 1 << 20 };
        let text = shown(&Outcome { dry_run: true, space: None, read_back: Some(back), ..outcome(vec![]) }, "docker://r.io");
        let expected = "      reads 2 old blobs, 3 MiB, back from there; space: 1 MiB in the workspace while it runs\n      dry run";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_dry_run_tells_what_is_read_for_patches() {
        let back = ReadBack { blobs: 1, bytes: 3 << 20, spool_bytes: 7 << 20 };
        let text = shown(&Outcome { dry_run: true, space: None, parent_data: Some(back), ..outcome(vec![]) }, "/mnt/disk");
        let expected = "      reads 1 old blob, 3 MiB, from the registries of the earlier images; space: 7 MiB in the workspace while it runs\n      dry run";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_is_signed_is_one_line_without_what_there_is_none_of() {
        let signatures = Some(Signatures { signed: 3, unsigned: 0, unknown: 1 });
        let text = shown(&Outcome { signatures, ..outcome(vec![done("q.io/a:1", Some(1))]) }, "docker://reg");
        assert!(text.contains("\n  signatures  3 signed, 1 could not tell\n"), "{text}");
    }

    #[test]
    fn many_failures_of_one_cause_are_one_block_and_a_log() {
        let name = |n: u32| format!("q.io/a{n}:1");
        let few: Vec<_> = (0..2).map(|n| failed(&name(n), Error::failed(format!("{}: 401", name(n))))).collect();
        assert!(shown(&outcome(few), "d").contains("  failed  2 images   IMAGE: 401\n    q.io/a0:1\n    q.io/a1:1\n"));
        let many: Vec<_> = (0..40).map(|n| failed(&name(n), Error::failed(format!("{}: 401", name(n))))).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let text = shown(&Outcome { workspace: folder.path().to_owned(), ..outcome(many) }, "d");
        let log = folder.path().join("logs/sync-19700101T000000Z.log");
        assert_eq!(text, format!("0 of 40 images to d\n  failed  40 images   IMAGE: 401\n    listed in {}\n", log.display()));
        assert_eq!(std::fs::read_to_string(log).expect("a log").lines().count(), 40);
    }
}
