//! A power cut at any moment of writing a set: nothing half is ever seen, and going on comes to the same bytes.
//!
//! **Invariants.** The writer is a program of its own under strace, so what is cut is what it really asks of the file system.
//! `OCM_NIGHTLY` tries every moment; otherwise some.
//!
//! *Not here:* what a run of ocm keeps beside the writer (`suite`, `resume`).

mod disk;
mod errors;
mod full;
#[path = "../support/mod.rs"]
mod support;
mod trace;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use ocm_format::set::{self};
use ocm_format::writer::{self, Closing, Fate as Handed, Form, Options, SetWriter};

use self::disk::{Cut, Disk, Fate, Op};
use self::support::{files, head, new_blob, noise};

const CAP: u64 = 64 << 10;
/// The variable that tells the writer under strace where to write.
const FOLDER: &str = "OCM_CRASH_FOLDER";

fn blobs() -> Vec<(Form, Vec<u8>)> {
    let mut blobs = Vec::new();
    for n in 0..5u64 {
        blobs.push((Form::Document, noise(n, 500 + 100 * n as usize)));
        blobs.push((Form::Packed, noise(100 + n, 9_000 * (n as usize + 1))));
    }
    blobs
}

fn options(folder: &Path) -> Options {
    Options { cap: CAP, level: 1, ..support::options(folder) }
}

fn closing(folder: &Path) -> Closing {
    Closing { catalogue: Some(folder.into()), ..support::closing() }
}

/// Writes the set, or goes on with it, or does what is left of it.
fn write(folder: &Path) -> ocm_format::error::Result<()> {
    let found = set::scan(folder)?;
    if let Some(set) = found.sets.iter().find(|set| set.is_complete()) {
        let manifest = set.manifest.clone().expect("a complete set has it");
        writer::complete(manifest, &closing(folder), writer::Seal::None, options(folder), Box::new(|_| Ok(Handed::Kept)))?;
        return Ok(());
    }
    let mut set = SetWriter::create(head(1), options(folder), Box::new(|_| Ok(Handed::Kept)))?;
    for (form, content) in blobs() {
        set.add(new_blob(form, &content), &mut content.as_slice())?;
    }
    set.finish(closing(folder)).map(drop)
}

/// The program under strace: it is this test, run alone.
#[test]
fn writes_a_set_where_it_is_told_to() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write(Path::new(&folder)).expect("written");
    }
}

/// The same, as it is to be run.
fn itself(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "writes_a_set_where_it_is_told_to"]).env(FOLDER, folder);
    command
}

fn traced() -> Option<Vec<Op>> {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "strace is not installed; run `make setup`");
        writeln!(std::io::stderr(), "skipped: strace is not installed (crash)").expect("stderr is open in a test");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    Some(trace::trace(&itself(folder.path()), folder.path()))
}

#[test]
fn after_a_power_cut_nothing_half_is_seen_and_the_next_run_comes_to_the_same_bytes() {
    let Some(ops) = traced() else { return };
    let whole = tempfile::tempdir().expect("a folder");
    write(whole.path()).expect("written");
    let wanted = files(whole.path());
    assert!(wanted.len() > 4 && ops.len() > 60, "{} files, {} operations", wanted.len(), ops.len());
    let nightly = std::env::var_os("OCM_NIGHTLY").is_some();
    let fates = [(Fate::Kept, 1), (Fate::Lost, 1), (Fate::Torn, 3), (Fate::Mixed, 3)];
    let cuts: Vec<(Fate, bool, u64)> =
        fates.iter().flat_map(|(fate, seeds)| (0..*seeds).flat_map(move |seed| [(*fate, false, seed), (*fate, true, seed)])).collect();
    let (mut disk, mut points) = (Disk::default(), 0u64);
    for (at, op) in ops.iter().enumerate() {
        disk.take(op);
        for (way, (fate, old_names, seed)) in cuts.iter().enumerate() {
            if !nightly && !(at * cuts.len() + way).is_multiple_of(17) {
                continue;
            }
            points += 1;
            let cut = Cut { fate: *fate, old_names: *old_names, seed: seed * 7919 + at as u64 };
            comes_to(&disk, cut, &wanted, &format!("after operation {at} of {}, {cut:?}", ops.len()));
        }
    }
    writeln!(std::io::stderr(), "{points} power cuts in {} operations", ops.len()).expect("stderr is open in a test");
}

fn comes_to(disk: &Disk, cut: Cut, wanted: &BTreeMap<String, Vec<u8>>, what: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    disk.after(cut, folder.path());
    for path in set::files(folder.path()).expect("a folder") {
        let name = path.file_name().expect("a name").to_str().expect("text");
        assert!(wanted.get(name).is_some_and(|content| *content == std::fs::read(&path).expect("content")), "{name} is half there {what}");
    }
    write(folder.path()).unwrap_or_else(|error| panic!("{error} {what}"));
    let is = files(folder.path());
    assert!(is.keys().eq(wanted.keys()), "{:?} {what}", is.keys());
    let differ = |(name, content): (&String, &Vec<u8>)| {
        let at = content.iter().zip(&wanted[name]).position(|(is, wanted)| is != wanted);
        (*content != wanted[name]).then(|| format!("{name} has {} bytes, other ones at {at:?}", content.len()))
    };
    let differing: Vec<String> = is.iter().filter_map(differ).collect();
    assert!(differing.is_empty(), "{differing:?} {what}");
}
