//! The files of a layout: opening, reading in parts, and writing so that a half-written one is never seen.
//!
//! **Invariants.** Only regular files are opened (a symbolic link to one is one). A file gets its name only when all
//! of it is on the disk. What a killed run left behind begins with [`TEMPORARY`] and is locked by nobody.
//!
//! *Not here:* which file holds what (`super::Folder`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt as _};

use crate::error::{Error, Result};

/// How much is read or written at once, in bytes.
pub(super) const PART_BYTES: u64 = 512 << 10;

/// How the names of files in the making begin.
pub(super) const TEMPORARY: &str = ".tmp-";

/// How many parts of one file are read ahead of their use.
const PARTS_AHEAD: usize = 2;

/// Runs `work` where it may wait for a disk.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::failed(format!("work on the disk: {error}")))?
}

/// The size of a regular file in bytes; `None` where there is none.
pub(super) fn size_of(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(Error::damaged(format!("{}: it is not a file", path.display()))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Error::io(path.display(), &error)),
    }
}

/// A regular file and its size in bytes; `None` where there is none.
pub(super) fn open(path: &Path) -> Result<Option<(File, u64)>> {
    let Some(size) = size_of(path)? else { return Ok(None) };
    let file = File::open(path).map_err(|error| Error::io(path.display(), &error))?;
    Ok(Some((file, size)))
}

/// All of a file that may have at most `limit` bytes; `None` where there is none.
pub(super) fn read_small(path: &Path, limit: u64) -> Result<Option<Bytes>> {
    let Some((file, size)) = open(path)? else { return Ok(None) };
    if size > limit {
        return Err(Error::damaged(format!("{}: its {size} bytes are more than the {limit} that are read", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|error| Error::io(path.display(), &error))?;
    Ok(Some(bytes.into()))
}

/// The bytes `range` of a file, in parts that are read on threads of their own, a little ahead.
pub(super) fn parts(file: File, path: &Path, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let (file, path) = (Arc::new(file), Arc::new(path.to_owned()));
    let starts = stream::iter(range.clone().step_by(PART_BYTES as usize));
    let part = move |start: u64| {
        let (file, path) = (Arc::clone(&file), Arc::clone(&path));
        let len = PART_BYTES.min(range.end - start);
        // Spawned here and not when it is polled: this is what reads ahead.
        let read = tokio::task::spawn_blocking(move || read_part(&file, &path, start, len));
        async move { read.await.map_err(|error| Error::failed(format!("work on the disk: {error}")))? }
    };
    starts.map(part).buffered(PARTS_AHEAD)
}

fn read_part(file: &File, path: &Path, start: u64, len: u64) -> Result<Bytes> {
    // At most PART_BYTES, whatever the file says of itself.
    let mut part = BytesMut::zeroed(len as usize);
    match file.read_exact_at(&mut part, start) {
        Ok(()) => Ok(part.freeze()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(Error::damaged(format!("{}: it became shorter while it was read", path.display())))
        }
        Err(error) => Err(Error::io(format!("{} at byte {start}", path.display()), &error)),
    }
}

/// A file in the making; it goes away unless it is kept.
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    /// A new file in `folder`, which is made if it is not there; locked, under a name that no other run uses.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        create_folder(folder)?;
        let process = std::process::id();
        let mut number = 0u64;
        loop {
            let path = folder.join(format!("{TEMPORARY}{process}-{number}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // Tells other runs not to clear it away; where there are no locks, there is none to tell.
                    let _ = file.try_lock();
                    return Ok(Self { file, path, kept: false });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::io(path.display(), &error)),
            }
        }
    }

    /// A second handle, to write through.
    pub(super) fn writer(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| Error::io(self.path.display(), &error))
    }

    /// Makes the content durable, then gives it its name.
    pub(super) fn keep(mut self, name: &Path) -> Result<()> {
        self.file.sync_all().map_err(|error| Error::io(name.display(), &error))?;
        fs::rename(&self.path, name).map_err(|error| Error::io(name.display(), &error))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // If this fails too, the next run clears it away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a small file whole.
pub(super) fn write_small(name: &Path, bytes: &[u8]) -> Result<()> {
    let folder = name.parent().unwrap_or(Path::new("."));
    let temporary = Temporary::create(folder)?;
    io::Write::write_all(&mut &temporary.file, bytes).map_err(|error| Error::io(name.display(), &error))?;
    temporary.keep(name)
}

/// Removes what killed runs left in `folder`.
pub(super) fn clear(folder: &Path) -> Result<()> {
    for entry in entries(folder)? {
        let left = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY));
        if left && is_abandoned(&entry) {
            fs::remove_file(&entry).map_err(|error| Error::io(entry.display(), &error))?;
        }
    }
    Ok(())
}

fn is_abandoned(path: &Path) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let Some(file) = is_file.then(|| File::open(path).ok()).flatten() else { return false };
    !matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
}

/// The paths in `folder`; none where it is not there.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |error: &io::Error| Error::io(folder.display(), error);
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| wrong(&error))).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(wrong(&error)),
    }
}

/// Makes a directory, and those that it lies in.
pub(super) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::io(folder.display(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_dropped_half_written_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let temporary = Temporary::create(folder.path()).expect("a file");
        assert_eq!(entries(folder.path()).expect("entries").len(), 1);
        drop(temporary);
        assert_eq!(entries(folder.path()).expect("entries").len(), 0);
    }

    #[test]
    fn clearing_takes_what_a_killed_run_left_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(".tmp-1-0"), "left").expect("written");
        fs::write(folder.path().join("other"), "other").expect("written");
        let running = Temporary::create(folder.path()).expect("a file");
        clear(folder.path()).expect("cleared");
        let mut left = entries(folder.path()).expect("entries");
        left.sort();
        assert_eq!(left, [running.path.clone(), folder.path().join("other")]);
    }

    #[test]
    fn two_runs_never_share_a_file_in_the_making() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (Temporary::create(folder.path()), Temporary::create(folder.path()));
        assert_ne!(first.expect("a file").path, second.expect("a file").path);
    }
}
