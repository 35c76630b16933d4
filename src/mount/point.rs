//! [`Point`]: the directory that something is mounted on.
//!
//! **Invariants.** Only mounts of ocm are ever undone. One whose process is gone, so that nothing there can be read any more, makes room
//! for a new one.
//!
//! *Not here:* what is mounted (`session`).

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use crate::error::{Error, Result};

/// What the source of every mount of ocm begins with.
const SOURCE: &str = "ocm:";
/// The longest source that is given, in bytes.
const MAX_SOURCE_BYTES: usize = 200;
/// Where the kernel lists what is mounted for this process.
const MOUNTS: &str = "/proc/self/mountinfo";
/// Programs that unmount for people who are not root.
const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];

/// A directory to mount on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    path: PathBuf,
}

impl Point {
    /// The directory that is called `path`, which may be one that cannot be looked at any more.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let unreachable = |error| Error::io(path.display(), &error);
        let path = match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let name = path.file_name().ok_or_else(|| unreachable(error))?;
                fs::canonicalize(above).map_err(unreachable)?.join(name)
            }
            other => other.map_err(|error| unreachable(error).hint("make the directory first"))?,
        };
        Ok(Self { path })
    }

    /// Makes sure that something can be mounted here, for which a mount that nobody serves any more makes room. What is shown must not
    /// lie in one of `sources` itself.
    pub(super) fn prepare(&self, sources: &[PathBuf]) -> Result<()> {
        let wrong = |why: &str, hint: &str| Err(Error::usage(format!("{}: {why}", self.path.display())).hint(hint));
        while self.is_ours()? {
            match fs::metadata(&self.path) {
                Err(error) if error.kind() == ErrorKind::NotConnected => self.unmount(UnmountFlags::DETACH)?,
                _ => return wrong("ocm has mounted something there already", "run `ocm umount` first"),
            }
        }
        if sources.iter().any(|source| self.path.starts_with(source)) {
            return wrong("it lies in the archive itself", "name a directory elsewhere");
        }
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => return wrong("it is no directory", "name an empty directory"),
            entries => entries.map_err(|error| Error::io(self.path.display(), &error))?,
        };
        if entries.count() > 0 {
            return wrong("it is not empty", "name an empty directory");
        }
        Ok(())
    }

    /// Undoes a mount of ocm that nobody uses.
    pub(super) fn release(&self) -> Result<()> {
        match self.is_ours()? {
            true => self.unmount(UnmountFlags::empty()),
            false => Err(Error::usage(format!("{}: nothing of ocm is mounted there", self.path.display()))
                .hint("name the directory that it was mounted on")),
        }
    }

    /// Undoes the mount, now or as soon as nobody uses it any more; whether it is gone now.
    pub(super) fn leave(&self) -> Result<bool> {
        match self.is_ours()? && self.unmount(UnmountFlags::empty()).is_err() {
            true => self.unmount(UnmountFlags::DETACH).map(|()| false),
            false => Ok(true),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is on top here is a mount of ocm.
    fn is_ours(&self) -> Result<bool> {
        let mounts = fs::read(MOUNTS).map_err(|error| Error::io(MOUNTS, &error))?;
        let mut here = mounts.split(|&byte| byte == b'\n').filter_map(mounted).filter(|(path, _)| *path == self.path);
        Ok(here.next_back().is_some_and(|(_, source)| source.starts_with(SOURCE.as_bytes())))
    }

    fn unmount(&self, flags: UnmountFlags) -> Result<()> {
        match unmount(&self.path, flags | UnmountFlags::NOFOLLOW) {
            Ok(()) => Ok(()),
            Err(Errno::BUSY) => Err(self.busy()),
            Err(Errno::PERM) => self.unmount_by_helper(flags),
            Err(error) => Err(Error::io(format!("unmounting {}", self.path.display()), &error.into())),
        }
    }

    /// Has it unmounted by the program that may do so for its owner.
    fn unmount_by_helper(&self, flags: UnmountFlags) -> Result<()> {
        let lazily = flags.contains(UnmountFlags::DETACH).then_some("-z");
        for helper in HELPERS {
            let done = Command::new(helper).arg("-u").args(lazily).arg("--").arg(&self.path).stdin(Stdio::null()).output();
            let output = match done {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(|error| Error::io(helper, &error))?,
            };
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return match output.status.success() {
                true => Ok(()),
                false if said.contains("busy") => Err(self.busy()),
                false => Err(Error::failed(format!("unmounting {}: {said}", self.path.display()))),
            };
        }
        Err(Error::failed(format!("unmounting {}: {} is not installed", self.path.display(), HELPERS[0]))
            .hint("install fuse3, or run it as root"))
    }

    fn busy(&self) -> Error {
        let path = self.path.display();
        Error::failed(format!("{path}: it is in use")).hint(format!("end what uses it: `fuser -vm {path}` lists the programs"))
    }
}

/// The source of a mount of `place`. It becomes part of a list of options, so that a comma in it would begin another one.
pub(super) fn source(place: &str) -> String {
    let plain = |character: char| if character.is_ascii_graphic() && !matches!(character, ',' | '\\') { character } else { '_' };
    let mut source: String = SOURCE.chars().chain(place.chars().map(plain)).collect();
    source.truncate(MAX_SOURCE_BYTES);
    source
}

/// Where something is mounted and what from, by a line of `mountinfo`: numbers and options, ` - `, type, source, options.
fn mounted(line: &[u8]) -> Option<(PathBuf, Vec<u8>)> {
    let mut words = line.split(|&byte| byte == b' ');
    let path = words.nth(4)?;
    let source = words.skip_while(|word| *word != b"-").nth(2)?;
    Some((PathBuf::from(OsString::from_vec(unescaped(path))), unescaped(source)))
}

/// Text without the escapes `\040` and the like.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_with_its_escapes() {
        let line = br"36 35 98:0 /mnt1 /mnt/my\040view rw,noatime master:1 - fuse.ocm ocm:/mnt/disk rw,user_id=0";
        assert_eq!(mounted(line), Some(("/mnt/my view".into(), b"ocm:/mnt/disk".to_vec())));
        assert_eq!(mounted(b""), None);
        assert_eq!(unescaped(br"a\134b\0\"), br"a\b\0\");
    }

    #[test]
    fn a_source_is_one_option_whatever_the_place_is_called() {
        assert_eq!(source("/mnt/a,b\\c d\u{1b}ü"), "ocm:/mnt/a_b_c_d__");
        assert_eq!(source(&"x".repeat(1000)).len(), MAX_SOURCE_BYTES);
    }
}
