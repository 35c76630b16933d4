//! Whatever would change something is refused, and nothing changes.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, XattrFlags, chmod, chown, chownat,
    fallocate, fchmod, ftruncate, link, mkdir, mknodat, open, removexattr, rename, renameat_with, rmdir, setxattr, symlink, unlink,
    utimensat,
};
use rustix::io::{Errno, Result, write};

use super::clients::Tar;
use super::seen::{Archive, Seen};
use super::sums;
use crate::support::images::Image;
use crate::support::tools::run;

/// A directory that is mounted, and what is in it.
struct Home<'a> {
    folder: &'a Path,
    file: &'a str,
}

impl Home<'_> {
    fn file(&self) -> std::path::PathBuf {
        self.folder.join(self.file)
    }

    fn absent(&self) -> std::path::PathBuf {
        self.folder.join("absent")
    }

    fn opened(&self, flags: OFlags) -> Result<OwnedFd> {
        open(self.file(), flags, Mode::empty())
    }

    fn reading(&self) -> OwnedFd {
        self.opened(OFlags::RDONLY).expect("it can be read")
    }

    /// Every call that changes something, and how it is refused.
    fn changes(&self) -> Vec<(&'static str, Errno, Result<()>)> {
        let mut all = self.openings();
        all.extend(self.names());
        all.extend(self.attributes());
        all.extend(self.through_a_reader());
        all
    }

    fn openings(&self) -> Vec<(&'static str, Errno, Result<()>)> {
        let opened = |flags| self.opened(flags).map(drop);
        let made = |flags| open(self.absent(), flags | OFlags::CREATE, Mode::RUSR).map(drop);
        vec![
            ("write", Errno::ROFS, opened(OFlags::WRONLY)),
            ("read and write", Errno::ROFS, opened(OFlags::RDWR)),
            ("append", Errno::ROFS, opened(OFlags::WRONLY | OFlags::APPEND)),
            ("truncate", Errno::ROFS, opened(OFlags::RDONLY | OFlags::TRUNC)),
            ("write a directory", Errno::ISDIR, open(self.folder, OFlags::WRONLY, Mode::empty()).map(drop)),
            ("create", Errno::ROFS, made(OFlags::WRONLY)),
            ("create to read", Errno::ROFS, made(OFlags::RDONLY)),
            ("create alone", Errno::ROFS, made(OFlags::RDWR | OFlags::EXCL)),
            ("create without a name", Errno::ROFS, open(self.folder, OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR).map(drop)),
        ]
    }

    fn names(&self) -> Vec<(&'static str, Errno, Result<()>)> {
        let (file, absent) = (self.file(), self.absent());
        let made = |kind| mknodat(CWD, &absent, kind, Mode::RUSR, 0x0103);
        vec![
            ("mkdir", Errno::ROFS, mkdir(&absent, Mode::RWXU)),
            ("mkdir of what is there", Errno::EXIST, mkdir(&file, Mode::RWXU)),
            ("mknod", Errno::ROFS, made(FileType::CharacterDevice)),
            ("mkfifo", Errno::ROFS, made(FileType::Fifo)),
            ("socket", Errno::ROFS, made(FileType::Socket)),
            ("unlink", Errno::ROFS, unlink(&file)),
            ("rmdir", Errno::ROFS, rmdir(self.folder.join("folder"))),
            ("rename", Errno::ROFS, rename(&file, &absent)),
            ("rename from elsewhere", Errno::XDEV, rename(env!("CARGO_BIN_EXE_ocm"), &absent)),
            ("exchange", Errno::ROFS, renameat_with(CWD, &file, CWD, self.folder.join("folder"), RenameFlags::EXCHANGE)),
            ("link", Errno::ROFS, link(&file, &absent)),
            ("symlink", Errno::ROFS, symlink("x", &absent)),
            ("a name that is too long", Errno::NAMETOOLONG, mkdir(self.folder.join("x".repeat(256)), Mode::RWXU)),
        ]
    }

    fn attributes(&self) -> Vec<(&'static str, Errno, Result<()>)> {
        let file = self.file();
        let (uid, gid) = (Some(Uid::from_raw(1)), Some(Gid::from_raw(1)));
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: second, last_modification: second };
        vec![
            ("chmod", Errno::ROFS, chmod(&file, Mode::RWXU)),
            ("chmod of a directory", Errno::ROFS, chmod(self.folder, Mode::RWXU)),
            ("chown", Errno::ROFS, chown(&file, uid, gid)),
            ("lchown", Errno::ROFS, chownat(CWD, &file, uid, gid, AtFlags::SYMLINK_NOFOLLOW)),
            ("utimens", Errno::ROFS, utimensat(CWD, &file, &times, AtFlags::empty())),
            ("setxattr", Errno::ROFS, setxattr(&file, "user.x", b"x", XattrFlags::empty())),
            ("setxattr of ours", Errno::ROFS, setxattr(&file, "user.ocm.kind", b"x", XattrFlags::empty())),
            ("removexattr", Errno::ROFS, removexattr(&file, "user.ocm.kind")),
        ]
    }

    /// What is asked of a file that was opened to be read.
    fn through_a_reader(&self) -> Vec<(&'static str, Errno, Result<()>)> {
        let file = self.reading();
        vec![
            ("fchmod", Errno::ROFS, fchmod(&file, Mode::RWXU)),
            ("ftruncate", Errno::INVAL, ftruncate(&file, 0)),
            ("fallocate", Errno::BADF, fallocate(&file, FallocateFlags::empty(), 0, 1)),
            ("write to a reader", Errno::BADF, write(&file, b"x").map(drop)),
        ]
    }
}

/// Everything that is seen of all there is: names, kinds, modes, owners, sizes, times.
fn looks(folder: &Path) -> String {
    let script = "find . -path ./.ocm -prune -o -printf '%p %y %m %U %G %s %T@ %n %l\\n' | sort";
    run(Command::new("sh").args(["-c", script]).current_dir(folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_changes_something_is_refused_and_changes_nothing() {
    let layer = Tar::new().folder("folder/").file("file", "content").file("folder/x", "x").layer();
    let archive = Archive::of(&[("one", Image::of([layer]))]).await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let before = (looks(&seen.at("")), sums(&seen.at("images")));
    let image = format!("images/localhost/{}/one", archive.repository());
    let blob = archive.layout.digests()[0].hex();
    for (folder, file) in [("", "index.json"), ("blobs/sha256", &blob), (&image, "manifest.json"), (&format!("{image}/rootfs"), "file")] {
        let folder = seen.at(folder);
        for (call, wanted, found) in (Home { folder: &folder, file }).changes() {
            // Where there is nothing to change, the kernel may find that first.
            let refused = found.expect_err(call);
            assert!(
                refused == wanted || (refused == Errno::NOENT && !folder.join("folder").exists()),
                "{call} in {}: {refused}",
                folder.display()
            );
        }
    }
    assert_eq!((looks(&seen.at("")), sums(&seen.at("images"))), before);
}
