//! [`Sectors`]: a folder as it is on a disk that has bad sectors.
//!
//! **Invariants.** Bytes are those of the folder behind it; a read that touches a bad place fails with `EIO`, as a whole. Nothing is
//! cached, so that every read comes by. It takes what [`can_mount`](super::disks::can_mount) asks for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, MountOption,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, Request, Session,
};
use tempfile::TempDir;

use super::disks::undo;

/// A folder with bad places.
pub struct Sectors {
    point: TempDir,
    bad: Bad,
    _session: BackgroundSession,
}

/// Files, and the bytes of them that cannot be read.
type Bad = Arc<Mutex<Vec<(OsString, Range<u64>)>>>;

impl Sectors {
    /// Shows the files of `folder`, all of which can be read so far.
    pub fn of(folder: &Path) -> Self {
        let (point, bad) = (tempfile::tempdir().expect("a folder"), Bad::default());
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
        files.sort();
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO];
        let session = Session::new(Shown { files, bad: Arc::clone(&bad) }, point.path(), &config).expect("mounted");
        Self { point, bad, _session: session.spawn().expect("served") }
    }

    pub fn path(&self) -> &Path {
        self.point.path()
    }

    /// From now on these bytes of `file` cannot be read.
    pub fn hurt(&self, file: &Path, bytes: Range<u64>) {
        lock(&self.bad).push((file.file_name().expect("a name").to_owned(), bytes));
    }

    /// All can be read again.
    pub fn heal(&self) {
        lock(&self.bad).clear();
    }
}

impl Drop for Sectors {
    fn drop(&mut self) {
        undo(self.point.path());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the kernel asks.
struct Shown {
    files: Vec<PathBuf>,
    bad: Bad,
}

/// The number of the folder; those of its files follow.
const FOLDER: u64 = 1;
/// The kernel is to ask each time.
const ONCE: Duration = Duration::ZERO;

impl Shown {
    fn file(&self, number: INodeNo) -> Option<&PathBuf> {
        self.files.get(usize::try_from(number.0.checked_sub(FOLDER + 1)?).ok()?)
    }

    fn attributes(&self, number: INodeNo) -> Option<FileAttr> {
        let size = match number.0 {
            FOLDER => 0,
            _ => self.file(number)?.metadata().ok()?.len(),
        };
        let (kind, perm) = if number.0 == FOLDER { (FileType::Directory, 0o555) } else { (FileType::RegularFile, 0o444) };
        let (ino, blocks, time) = (number, size.div_ceil(512), UNIX_EPOCH);
        let times = (time, time, time, time);
        let (atime, mtime, ctime, crtime) = times;
        Some(FileAttr {
            ino,
            size,
            blocks,
            atime,
            mtime,
            ctime,
            crtime,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 512,
            flags: 0,
        })
    }

    fn read_file(&self, number: INodeNo, offset: u64, most: u32) -> Result<Vec<u8>, Errno> {
        let path = self.file(number).ok_or(Errno::ENOENT)?;
        let end = offset + u64::from(most);
        let touches = |(name, bad): &(OsString, Range<u64>)| path.file_name() == Some(name) && bad.start < end && offset < bad.end;
        if lock(&self.bad).iter().any(touches) {
            return Err(Errno::EIO);
        }
        let mut buffer = vec![0; most as usize];
        let read = File::open(path).and_then(|file| file.read_at(&mut buffer, offset)).map_err(|_| Errno::EIO)?;
        buffer.truncate(read);
        Ok(buffer)
    }
}

impl Filesystem for Shown {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let at = self.files.iter().position(|path| path.file_name() == Some(name));
        match at.and_then(|at| self.attributes(INodeNo(at as u64 + FOLDER + 1))) {
            Some(attributes) => reply.entry(&ONCE, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(number) {
            Some(attributes) => reply.attr(&ONCE, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        most: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_file(number, offset, most) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, _: FileHandle, from: u64, mut reply: ReplyDirectory) {
        for (at, path) in (0..).zip(&self.files).skip(from as usize) {
            if reply.add(INodeNo(at + FOLDER + 1), at + 1, FileType::RegularFile, path.file_name().expect("a name")) {
                break;
            }
        }
        reply.ok();
    }
}
