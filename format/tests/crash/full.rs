//! A disk that is full after any 4 KiB: the run stops with that, nothing half is seen, and with room it comes to the same bytes.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use ocm_format::error::Kind;
use ocm_format::set;

use super::{files, write};

const PAGE: u64 = 4096;

/// A file system in memory of so many bytes; `None` where nobody may mount.
struct Small(tempfile::TempDir);

impl Small {
    fn new(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn grow(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=64m"]).arg(self.path()).status().expect("mount");
        assert!(status.success());
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // What cannot be unmounted goes with the machine of the test.
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

#[test]
fn a_disk_that_is_full_at_any_place_stops_the_run_and_with_room_it_comes_to_the_same_bytes() {
    let whole = tempfile::tempdir().expect("a folder");
    write(whole.path()).expect("written");
    let wanted = files(whole.path());
    let all: u64 = wanted.values().map(|content| content.len() as u64).sum();
    let (mut full, mut pages) = (0, 2);
    // Until it fits: the journal and the parts of the catalogue take room too.
    loop {
        let Some(disk) = Small::new(pages * PAGE) else {
            writeln!(std::io::stderr(), "skipped: mounting needs root").expect("stderr is open in a test");
            return;
        };
        let ended = write(disk.path());
        for path in set::files(disk.path()).expect("a folder") {
            let name = path.file_name().expect("a name").to_str().expect("text").to_owned();
            assert!(wanted.get(&name).is_some_and(|content| *content == std::fs::read(&path).expect("content")), "{name}, {pages} pages");
        }
        let Err(error) = ended else { break };
        assert_eq!(error.kind(), Kind::Io(std::io::ErrorKind::StorageFull), "{pages} pages: {error}");
        disk.grow();
        write(disk.path()).unwrap_or_else(|error| panic!("{pages} pages: {error}"));
        assert!(files(disk.path()) == wanted, "other bytes, after {pages} pages");
        (full, pages) = (full + 1, pages + 1);
    }
    assert!(full * PAGE >= all, "{full} places in {all} bytes");
}
