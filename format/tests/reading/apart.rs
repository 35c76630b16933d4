//! A folder, read in a process of its own: what is said of it, and how much memory that takes. Memory that other tests take at the same
//! time is not counted, and what the decompressor takes is.

#![allow(clippy::print_stdout, reason = "what a process of its own says is read")]

use std::fmt::Display;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ocm_format::digest::Digest;
use ocm_format::error::Result;
use ocm_format::reader::{Options, Reader};
use ocm_format::salvage::salvage;
use ocm_format::set::{SetFiles, scan};
use ocm_format::volume::Volume;

use crate::made::{NORMAL, check_set};

/// More memory than this is not taken, whatever an archive says.
const MOST_KIB: u64 = 64 << 10;
/// The test that a process of its own runs.
const WITHIN: &str = "apart::reads_the_folder_that_it_is_told";
/// How it is told the folder, and that it is to be opened and no more.
const FOLDER: &str = "OCM_TEST_FOLDER";
const OPEN: &str = "OCM_TEST_OPEN";
/// So much is read of a blob from its beginning, in so many steps: it may claim to be as long as it likes.
const MOST_READ: (usize, usize) = (40 << 20, 500);

/// What came of a folder.
pub(crate) struct Came {
    /// A line for each thing that was said.
    lines: String,
    /// How many bytes were read.
    pub(crate) read_bytes: u64,
}

impl Came {
    /// Fails unless some line begins with `what` and goes on to say `why`.
    #[track_caller]
    pub(crate) fn says(&self, what: &str, why: &str) -> &Self {
        let said = self.lines.lines().any(|line| line.starts_with(what) && line.contains(why));
        assert!(said, "{what}: … {why} …\n{}", self.lines);
        self
    }

    /// Fails if some line begins with `what`.
    #[track_caller]
    pub(crate) fn is_silent(&self, what: &str) -> &Self {
        assert!(!self.lines.lines().any(|line| line.starts_with(what)), "{what}\n{}", self.lines);
        self
    }
}

/// Scans, checks, reads and salvages `folder`. Fails where that ends in a panic, or takes more memory than an archive may take.
#[track_caller]
pub(crate) fn apart(folder: &Path) -> Came {
    within(folder, &[(FOLDER, folder)])
}

/// Opens `folder`, and no more. Fails as [`apart`] does.
#[track_caller]
pub(crate) fn opened(folder: &Path) -> Came {
    within(folder, &[(FOLDER, folder), (OPEN, folder)])
}

fn within(folder: &Path, variables: &[(&str, &Path)]) -> Came {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", WITHIN, "--nocapture", "--test-threads=1"]).envs(variables.iter().copied()).current_dir(folder);
    let ran = command.output().expect("it runs");
    let lines = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{}\n{lines}{}", ran.status, String::from_utf8_lossy(&ran.stderr));
    let took = lines.lines().find(|line| line.starts_with("took: ")).expect("it says what it took");
    println!("{} {took}", std::thread::current().name().unwrap_or_default());
    let numbers: Vec<u64> = took.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] < MOST_KIB, "{} KiB were taken\n{lines}", numbers[0]);
    Came { lines, read_bytes: numbers[1] }
}

#[test]
fn reads_the_folder_that_it_is_told() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (begin, before) = (Instant::now(), (kib("VmRSS:"), read_bytes()));
    println!();
    match std::env::var_os(OPEN) {
        Some(_) => open(Path::new(&folder)),
        None => say(Path::new(&folder)),
    }
    let (kib, bytes) = (kib("VmHWM:").saturating_sub(before.0), read_bytes() - before.1);
    println!("took: {kib} KiB, {bytes} bytes, {} ms", begin.elapsed().as_millis());
}

/// Opens what there is, and looks one blob up.
fn open(folder: &Path) {
    for set in &scan(folder).expect("a folder").sets {
        let reader = Reader::open([set], OPTIONS);
        assert!(reader.blob(&Digest::of(b"no blob of it")).expect("an answer").is_none());
        println!("complete: {}: {} volumes", set.is_complete(), set.volumes.len());
    }
}

fn say(folder: &Path) {
    let found = scan(folder).expect("a folder");
    found.strangers.iter().for_each(|(_, error)| println!("stranger: {}", line(error)));
    for set in &found.sets {
        let broken = set.broken.iter().map(|file| &file.error);
        broken.chain(&set.problems).for_each(|error| println!("broken: {}", line(error)));
        let report = check_set(set, NORMAL);
        let last = report.damage.len().saturating_sub(100);
        report
            .damage
            .iter()
            .enumerate()
            .filter(|(at, _)| *at < 100 || *at >= last)
            .for_each(|(_, damage)| println!("check: {}", line(damage)));
        let blobs = blobs(set);
        each("read", &Reader::open([set], OPTIONS), &blobs);
        let scratch = tempfile::tempdir().expect("a folder");
        let salvaged = salvage([set], scratch.path(), OPTIONS).expect("no failure of the disk");
        salvaged.lost.iter().for_each(|error| println!("lost: {}", line(error)));
        println!("notes: {}", salvaged.notes.len());
        each("salvaged", &salvaged.reader, &blobs);
    }
}

const OPTIONS: Options = Options { cache_bytes: 4 << 20, index_cache_bytes: 4 << 20 };

fn line(said: impl Display) -> String {
    said.to_string().replace(char::is_control, "?")
}

/// Some of the blobs of a set.
fn blobs(set: &SetFiles) -> Vec<Digest> {
    let volumes = set.volumes.values().filter_map(|file| Volume::open(&file.path).ok());
    volumes.flat_map(|volume| volume.blobs().take(100).filter_map(|row| Some(row.ok()?.digest)).collect::<Vec<_>>()).collect()
}

fn each(what: &str, reader: &Reader, blobs: &[Digest]) {
    for digest in blobs {
        match read(reader, digest) {
            Ok(true) => println!("{what}: {digest}: all of it"),
            Ok(false) => println!("{what}: {digest}: as much as was wanted"),
            Err(error) => println!("{what}: {digest}: {}", line(error)),
        }
    }
}

/// Reads a blob from its beginning, in its middle and at its end; says whether it was all of it.
fn read(reader: &Reader, digest: &Digest) -> Result<bool> {
    let bytes = reader.blob(digest)?.map_or(0, |blob| blob.bytes);
    let mut buffer = [0; 4096];
    for offset in [bytes / 2, bytes.saturating_sub(1)] {
        reader.read_at(digest, offset, &mut buffer)?;
    }
    let (mut stream, mut read) = (reader.stream(digest)?, (0, 0));
    while let Some(chunk) = stream.next_chunk()? {
        read = (read.0 + chunk.len(), read.1 + 1);
        if read.0 > MOST_READ.0 || read.1 > MOST_READ.1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many bytes this process has read so far.
fn read_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("what this process read");
    io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok()).expect("a number")
}

/// A size that the kernel knows of this process.
fn kib(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a line");
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}
