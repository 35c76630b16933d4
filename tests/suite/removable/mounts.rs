//! [`Mount`]: file systems of a test: a disc, a stick, a disk of a few kilobytes.
//!
//! **Invariants.** It is unmounted when its value is dropped. Where nothing can be mounted, the test says so and is skipped.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system.
pub(super) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// A folder seen at another place, where it cannot be written.
    pub(super) fn read_only(folder: &Path, at: &Path) -> Option<Self> {
        let mount = Self::new(at, &["--bind".as_ref(), folder.as_os_str()])?;
        mount.again("remount,bind,ro");
        Some(mount)
    }

    /// A disk in memory of this size.
    pub(super) fn memory(at: &Path, size: &str) -> Option<Self> {
        Self::new(at, &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), format!("size={size}").as_ref(), "tmpfs".as_ref()])
    }

    /// The image of a disc.
    pub(super) fn image(image: &Path, at: &Path) -> Option<Self> {
        Self::new(at, &["-o".as_ref(), "loop,ro".as_ref(), image.as_os_str()])
    }

    /// The image of a stick.
    pub(super) fn writable_image(image: &Path, at: &Path) -> Option<Self> {
        Self::new(at, &["-o".as_ref(), "loop".as_ref(), image.as_os_str()])
    }

    /// Where it is seen.
    pub(super) fn path(&self) -> &Path {
        &self.at
    }

    /// Gives a disk in memory another size.
    pub(super) fn resize(&self, size: &str) {
        self.again(&format!("remount,size={size}"));
    }

    fn again(&self, options: &str) {
        let done = Command::new("mount").args(["-o", options]).arg(&self.at).status().expect("mount runs");
        assert!(done.success(), "mount -o {options}: {done}");
    }

    fn new(at: &Path, arguments: &[&std::ffi::OsStr]) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let done = Command::new("mount").args(arguments).arg(at).output();
        if done.as_ref().is_ok_and(|done| done.status.success()) {
            return Some(Self { at: at.to_owned() });
        }
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        // Written past the capture of the harness, which only holds back what `print!` and `eprint!` say.
        writeln!(std::io::stderr(), "skipped: nothing can be mounted here ({test})").expect("stderr is open in a test");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The folder below goes with the test; a mount that stays would be in the way of that alone.
        let _ = Command::new("umount").arg(&self.at).status();
    }
}
