//! A folder, read in a process of its own: what is said of it, and how much memory that takes. Memory that other tests take at the same
//! time is not counted, and what the decompressor takes is.

#![allow(clippy::print_stdout, reason = "what a process of its own says is read")]

use std::ffi::OsString;
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
/// The test that a process of its own runs, and how it is told the folder.
const WITHIN: (&str, &str) = ("apart::reads_the_folder_that_it_is_told", "OCM_TEST_FOLDER");
/// So much is read of a blob from its beginning, in so many steps: it may claim to be as long as it likes.
const MOST_READ: (usize, usize) = (40 << 20, 500);

/// What came of a folder.
pub(crate) struct Came {
    /// A line for each thing that was said.
    lines: String,
    /// How much more memory was taken at once than before anything was read.
    more_kib: u64,
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
    let came = measured(folder);
    assert!(came.more_kib < MOST_KIB, "{} KiB were taken\n{}", came.more_kib, came.lines);
    came
}

/// The same, whatever memory it takes.
pub(crate) fn measured(folder: &Path) -> Came {
    let program = std::env::current_exe().expect("this program");
    let (test, variable) = WITHIN;
    let ran = Command::new(program).args(["--exact", test, "--nocapture", "--test-threads=1"]).env(variable, folder).output().expect("run");
    let lines = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{}\n{lines}{}", ran.status, String::from_utf8_lossy(&ran.stderr));
    let more = lines.lines().find_map(|line| line.strip_prefix("more: ")?.split(' ').next()?.parse().ok());
    println!(
        "{} {}",
        std::thread::current().name().unwrap_or_default(),
        lines.lines().find(|line| line.starts_with("more: ")).unwrap_or(&lines)
    );
    Came { more_kib: more.expect("it says what it took"), lines }
}

#[test]
fn reads_the_folder_that_it_is_told() {
    let Some(folder) = std::env::var_os(WITHIN.1) else { return };
    let (begin, before) = (Instant::now(), kib("VmRSS:"));
    println!();
    say(&folder);
    println!("more: {} KiB, {} ms", kib("VmHWM:").saturating_sub(before), begin.elapsed().as_millis());
}

fn say(folder: &OsString) {
    let found = scan(Path::new(folder)).expect("a folder");
    found.strangers.iter().for_each(|(_, error)| println!("stranger: {}", line(error)));
    for set in &found.sets {
        let broken = set.broken.iter().map(|file| &file.error);
        broken.chain(&set.problems).for_each(|error| println!("broken: {}", line(error)));
        let report = check_set(set, NORMAL);
        report.damage.iter().take(100).for_each(|damage| println!("check: {}", line(damage)));
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

/// A size that the kernel knows of this process.
fn kib(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a line");
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}
