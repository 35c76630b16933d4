//! [`Fs`]: the kernel's requests, answered from a [`View`].
//!
//! **Invariants.** Nothing is kept for an open file but the reports of `.ocm`, which are as they were when they were opened. What cannot
//! be read is `EIO` and is noted; what is not there is `ENOENT`; the kernel itself refuses every write, since the mount is read-only.
//!
//! *Not here:* what there is (`view`), who mounts it (`session`).

#[cfg(test)]
mod model;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};

use super::ahead::Ahead;
use super::attributes::{Attributes, Effort};
use super::cache::held;
use super::names::MAX_NAME_BYTES;
use super::numbers::Number;
use super::plains::Extent;
use super::view::{Content, Named, View};
use crate::error::{Error, Result};

/// How long the kernel may remember what never changes.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Entries of a directory that are no entries of ours: `.` and `..`.
const DOTS: u64 = 2;
/// In which units `statfs` counts.
const BLOCK_BYTES: u32 = 4096;
/// What programs that list a directory ask of each file in it, until they hear that there is no such thing here.
const ASKED_OF_ALL: [&[u8]; 3] = [b"system.posix_acl_access", b"system.posix_acl_default", b"security.selinux"];
/// What the attributes of blobs begin with.
const ABOUT_BLOBS: &[u8] = b"user.ocm.";
/// Requests that the kernel may have waiting in the background.
const BACKGROUND: u16 = 64;

/// The file system as the kernel sees it.
pub(super) struct Fs {
    view: Arc<View>,
    ahead: Ahead,
    reports: Mutex<HashMap<u64, Bytes>>,
    next: AtomicU64,
    /// Whether the kernel opens directories on its own.
    opens_directories: bool,
}

impl Fs {
    pub(super) fn new(view: Arc<View>, ahead: Ahead) -> Self {
        Self { view, ahead, reports: Mutex::default(), next: AtomicU64::new(1), opens_directories: false }
    }

    /// The answer to what went wrong, which is noted where it is nobody's mistake.
    fn errno<T>(&self, found: Result<Option<T>>) -> Result<T, Errno> {
        match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Errno::ENOENT),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &Error) -> Errno {
        self.view.status.note(error);
        Errno::EIO
    }

    fn attributes(&self, number: u64, effort: Effort) -> Result<Attributes, Errno> {
        let number = Number::of(number).ok_or(Errno::ENOENT)?;
        self.errno(self.view.attributes(number, effort))
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> Result<Attributes, Errno> {
        let parent = Number::of(parent.0).ok_or(Errno::ENOENT)?;
        let directory = self.errno(self.view.directory(parent))?;
        if name.len() > MAX_NAME_BYTES {
            return Err(Errno::ENAMETOOLONG);
        }
        let found = directory.find(name.as_bytes()).ok_or(Errno::ENOENT)?;
        self.errno(self.view.attributes(found, Effort::Asked))
    }

    /// How an entry of a list looks. What is wrong with it shows when somebody asks for it.
    fn listed(&self, number: Number) -> Attributes {
        match self.view.attributes(number, Effort::Listed) {
            Ok(Some(found)) => found,
            Ok(None) => self.view.unknown(number),
            Err(error) => {
                self.failed(&error);
                self.view.unknown(number)
            }
        }
    }

    /// Calls `add` with the place after it, the name and the number of each entry of a directory, `.` and `..` first.
    fn list(&self, directory: INodeNo, from: u64, mut add: impl FnMut(u64, &OsStr, Number) -> bool) -> Result<(), Errno> {
        let number = Number::of(directory.0).ok_or(Errno::ENOENT)?;
        let there = self.errno(self.view.directory(number))?;
        for (place, name) in (1..).zip([".", ".."]).skip(from as usize) {
            if add(place, OsStr::new(name), number) {
                return Ok(());
            }
        }
        let first = usize::try_from(from.saturating_sub(DOTS)).unwrap_or(usize::MAX);
        there.each(first, |at, name, number| !add(at as u64 + DOTS + 1, OsStr::from_bytes(name), number));
        Ok(())
    }

    fn open_file(&self, number: INodeNo) -> Result<(u64, FopenFlags), Errno> {
        let number = Number::of(number.0).ok_or(Errno::ENOENT)?;
        if let Number::Note(_) = number {
            let Content::Bytes(bytes) = self.errno(self.view.content(number))? else { return Err(Errno::EIO) };
            let handle = self.next.fetch_add(1, Ordering::Relaxed);
            held(&self.reports).insert(handle, bytes);
            return Ok((handle, FopenFlags::FOPEN_DIRECT_IO));
        }
        self.view.open(number).map_err(|error| self.failed(&error))?;
        Ok((0, FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH))
    }

    /// What a file consists of: of a report, as it was when it was opened.
    fn content(&self, number: INodeNo, handle: FileHandle) -> Result<Content, Errno> {
        let report = held(&self.reports).get(&handle.0).cloned();
        match (report, Number::of(number.0)) {
            (Some(report), _) => Ok(Content::Bytes(report)),
            (None, Some(number)) => self.errno(self.view.content(number)),
            (None, None) => Err(Errno::ENOENT),
        }
    }

    /// Bytes of a file, and the extent that they are of, if they are of one.
    fn read_file(&self, number: INodeNo, handle: FileHandle, offset: u64, most: u32) -> Result<(Bytes, Option<Extent>), Errno> {
        match self.content(number, handle)? {
            Content::Bytes(bytes) => Ok((part(&bytes, offset, most), None)),
            Content::Extent(extent) => {
                let bytes = self.view.plains.read(&extent, offset, most.into()).map_err(|error| self.failed(&error))?;
                Ok((bytes, Some(extent)))
            }
        }
    }

    fn close_file(&self, handle: FileHandle) {
        if handle.0 != 0 {
            held(&self.reports).remove(&handle.0);
        }
    }

    fn target(&self, number: INodeNo) -> Result<Vec<u8>, Errno> {
        self.errno(Number::of(number.0).map_or(Ok(None), |number| self.view.target(number)))
    }

    fn xattr(&self, number: INodeNo, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let absent = if ASKED_OF_ALL.contains(&name) { Errno::EOPNOTSUPP } else { Errno::NO_XATTR };
        if matches!(Number::of(number.0), Some(Number::Blob(_))) && !name.starts_with(ABOUT_BLOBS) {
            return Err(absent);
        }
        let value = self.xattrs(number)?.into_iter().find(|(there, _)| there == name).map(|(_, value)| value);
        value.ok_or(absent)
    }

    fn xattrs(&self, number: INodeNo) -> Result<Named, Errno> {
        let number = Number::of(number.0).ok_or(Errno::ENOENT)?;
        self.view.attributes_of(number).map_err(|error| self.failed(&error))
    }
}

impl Filesystem for Fs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
        ];
        for flag in wanted {
            // A kernel without it is slower, and that is all.
            let _older = config.add_capabilities(flag);
        }
        self.opens_directories = config.add_capabilities(InitFlags::FUSE_NO_OPENDIR_SUPPORT).is_ok();
        let _bounded = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.find(parent, name) {
            Ok(found) => reply.entry(&lasts(&found), &found.attr, Generation(0)),
            Err(errno) => reply.error(errno),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(number.0, Effort::Asked) {
            Ok(found) => reply.attr(&lasts(&found), &found.attr),
            Err(errno) => reply.error(errno),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.target(number) {
            Ok(target) => reply.data(&target),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.open_file(number) {
            Ok((handle, flags)) => reply.opened(FileHandle(handle), flags),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        most: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_file(number, handle, offset, most) {
            Ok((bytes, extent)) => {
                reply.data(&bytes);
                // What is likely to be read next, after the answer.
                if let Some(extent) = extent {
                    self.ahead.was_read(number.0, &extent, offset, bytes.len() as u64);
                }
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn release(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, _: Option<LockOwner>, _: bool, reply: ReplyEmpty) {
        self.close_file(handle);
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.opens_directories {
            true => reply.error(Errno::ENOSYS),
            false => reply.opened(FileHandle(0), FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE),
        }
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, from: u64, mut reply: ReplyDirectory) {
        let listed = self.list(number, from, |next, name, number| {
            let found = self.listed(number).attr;
            reply.add(found.ino, next, found.kind, name)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdirplus(&self, _: &Request, number: INodeNo, _: FileHandle, from: u64, mut reply: ReplyDirectoryPlus) {
        let listed = self.list(number, from, |next, name, number| {
            let found = self.listed(number);
            reply.add(found.attr.ino, next, name, &lasts(&found), &found.attr, Generation(0))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match self.view.sizes() {
            Ok(sizes) => {
                let blocks = |bytes: u64| bytes.div_ceil(BLOCK_BYTES.into());
                let (plain, stored) = (blocks(sizes.plain_bytes), blocks(sizes.stored_bytes));
                let free = plain.saturating_sub(stored);
                reply.statfs(plain.max(stored), free, 0, sizes.blobs, 0, BLOCK_BYTES, MAX_NAME_BYTES as u32, BLOCK_BYTES);
            }
            Err(error) => reply.error(self.failed(&error)),
        }
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        answer(self.xattr(number, name.as_bytes()), size, reply);
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.xattrs(number).map(|all| all.into_iter().flat_map(|(name, _)| [name, vec![0]].concat()).collect());
        answer(names, size, reply);
    }
}

/// How long the kernel may remember something.
fn lasts(found: &Attributes) -> Duration {
    if found.settled { FOR_EVER } else { Duration::ZERO }
}

/// Some of these bytes.
fn part(bytes: &Bytes, offset: u64, most: u32) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(start..(start + most as usize).min(bytes.len()))
}

/// A value, or how large it is where nothing else is asked for.
fn answer(found: Result<Vec<u8>, Errno>, size: u32, reply: ReplyXattr) {
    match found {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() <= size as usize => reply.data(&value),
        Ok(_) => reply.error(Errno::ERANGE),
        Err(errno) => reply.error(errno),
    }
}
