//! [`SmallDisk`] and [`ReadOnly`]: disks that are full soon, and such that cannot be written to.
//!
//! **Invariants.** They take the rights of root: whoever makes one asks [`can_mount`] first. They are gone when their value is dropped.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::tools::run;

/// Whether anything can be mounted here; says so if not.
pub fn can_mount() -> bool {
    let can = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !can {
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        // Written past the capture of the harness, which only holds back what `print!` and `eprint!` say.
        writeln!(std::io::stderr(), "skipped: nothing can be mounted here ({test})").expect("stderr is open in a test");
    }
    can
}

/// A disk in memory that has so much room.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// A disk of a size as `mount` takes it, such as `128k`.
    pub fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path()));
        Self(folder)
    }

    pub fn path(&self) -> String {
        self.0.path().display().to_string()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        undo(self.0.path());
    }
}

/// A folder that nobody can write to, not even root.
pub struct ReadOnly(String);

impl ReadOnly {
    pub fn new(folder: &str) -> Self {
        run(Command::new("mount").args(["--bind", folder, folder]));
        run(Command::new("mount").args(["-o", "remount,bind,ro", folder]));
        Self(folder.to_owned())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        undo(Path::new(&self.0));
    }
}

pub(super) fn undo(path: &Path) {
    let _gone = Command::new("umount").arg("-l").arg(path).status();
}
