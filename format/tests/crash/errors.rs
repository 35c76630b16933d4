//! A file system that answers each call in turn with an error of the medium: the run says so and stops, nothing half is seen, and the next
//! run comes to the same bytes.
//!
//! **Invariants.** The writer is a program of its own, and strace answers in the place of the kernel. Calls count one by one for each thread
//! of it. `OCM_NIGHTLY` tries each; otherwise some.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ocm_format::set;

use super::disk::Op;
use super::{files, itself, traced, write};

/// What a writer asks of a file system.
const CALLS: [&str; 11] =
    ["openat", "read", "pread64", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "mkdir", "unlink"];

/// All that the writer makes below its folder, and the folder.
fn paths(ops: &[Op]) -> BTreeSet<PathBuf> {
    let made = ops.iter().filter_map(|op| match op {
        Op::Folder(path) | Op::Create(path, _) | Op::Rename(_, path) => Some(path.clone()),
        _ => None,
    });
    made.chain([PathBuf::new()]).collect()
}

/// A run whose `nth` call of this name, of those that are about one of these paths, fails by EIO; `None` if there are less of them.
fn run(folder: &Path, paths: &BTreeSet<PathBuf>, call: &str, nth: usize) -> Option<Output> {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "signal=none", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:error=EIO:when={nth}")]);
    for path in paths {
        strace.arg("-P").arg(folder.join(path));
    }
    let writer = itself(folder);
    strace.arg("-o").arg(log.path()).arg(writer.get_program()).args(writer.get_args());
    strace.envs(writer.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().expect("strace runs");
    let answered = std::fs::read_to_string(log.path()).expect("a log").contains("(INJECTED)");
    answered.then_some(output)
}

#[test]
fn an_error_of_the_medium_at_any_call_stops_the_run_and_the_next_one_comes_to_the_same_bytes() {
    let Some(ops) = traced() else { return };
    let whole = tempfile::tempdir().expect("a folder");
    write(whole.path()).expect("written");
    let (wanted, paths) = (files(whole.path()), paths(&ops));
    let step = if std::env::var_os("OCM_NIGHTLY").is_some() { 1 } else { 7 };
    let (mut tried, mut stopped) = (0, BTreeSet::new());
    for call in CALLS {
        for nth in (1..).step_by(step) {
            let folder = tempfile::tempdir().expect("a folder");
            let Some(output) = run(folder.path(), &paths, call, nth) else { break };
            let what = format!("{call} {nth}");
            tried += 1;
            for path in set::files(folder.path()).expect("a folder") {
                let name = path.file_name().expect("a name").to_str().expect("text");
                let is_whole = wanted.get(name).is_some_and(|content| *content == std::fs::read(&path).expect("content"));
                assert!(is_whole, "{name} is half there after {what}");
            }
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
                assert!(said.contains("Input/output error"), "{what}: {said}");
                stopped.insert(call);
            }
            write(folder.path()).unwrap_or_else(|error| panic!("{error} after {what}"));
            assert!(files(folder.path()) == wanted, "other bytes after {what}");
        }
    }
    writeln!(std::io::stderr(), "{tried} calls were answered by EIO; by {stopped:?} the run stopped").expect("stderr is open in a test");
    assert!(tried > 20 && stopped.contains("fdatasync") | stopped.contains("fsync"), "{tried}, {stopped:?}");
}
