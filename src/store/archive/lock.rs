//! [`Lock`]: one writer per archive directory.
//!
//! **Invariants.** The lock dies with its process, however that ends. Readers need none: what is visible is complete.

use std::fs::{File, Metadata, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::SCRATCH;
use crate::error::{Error, Result};

/// The file in the scratch folder.
pub(super) const FILE: &str = "lock";
const MAX_TRIES: u32 = 1000;

/// The right to write into an archive directory.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of `folder`, or says who holds it. `holder` is what the next one is told.
    pub fn take(folder: &Path, holder: &str) -> Result<Self> {
        let scratch = folder.join(SCRATCH);
        let path = scratch.join(FILE);
        let failed = |error: std::io::Error| Error::io(path.display(), &error);
        let mut tries = 0;
        let mut file = loop {
            tries += 1;
            std::fs::create_dir_all(&scratch).map_err(|error| Error::io(scratch.display(), &error))?;
            let opened = File::options().create(true).truncate(false).read(true).write(true).open(&path);
            let mut file = match opened {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.map_err(failed)?,
            };
            match file.try_lock() {
                // A file system that does not tell files apart must not keep anyone out for ever.
                Ok(()) if is_at(&file, &path) || tries > MAX_TRIES => break file,
                // Whoever held it has ended and taken the file along.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        };
        file.set_len(0).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
        Ok(Self { path, _file: file })
    }
}

impl Drop for Lock {
    /// Leaves nothing behind, unless a run is to go on here.
    fn drop(&mut self) {
        // The lock is held until after this. What cannot be removed does no harm: the next run takes it over.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.path.parent().map(std::fs::remove_dir);
    }
}

/// Whether `path` still is this file.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    matches!((file.metadata(), std::fs::metadata(path)), (Ok(one), Ok(other)) if same(&one, &other))
}

/// The error that says who holds the lock, as well as it can be read.
fn held(folder: &Path, file: &mut File) -> Error {
    let mut held_by = String::new();
    let _ = file.take(200).read_to_string(&mut held_by);
    Error::failed(format!("{}: another run is writing here ({})", folder.display(), held_by.trim()))
        .hint("wait until it has ended, or name another directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = Lock::take(folder.path(), "process 77").expect("the lock");
        let error = Lock::take(folder.path(), "process 78").expect_err("held");
        assert!(error.to_string().contains("process 77"), "{error}");
        drop(held);
        Lock::take(folder.path(), "process 78").expect("the lock again");
    }

    #[test]
    fn a_lock_that_ended_leaves_nothing_behind_but_what_a_run_is_to_go_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Lock::take(folder.path(), "process 77").expect("the lock"));
        assert!(!folder.path().join(SCRATCH).exists());
        let held = Lock::take(folder.path(), "process 77").expect("the lock");
        std::fs::write(folder.path().join(SCRATCH).join("plan.json"), "{}").expect("a plan");
        drop(held);
        assert!(folder.path().join(SCRATCH).join("plan.json").exists());
    }

    #[test]
    fn of_many_that_want_the_lock_one_has_it_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = std::sync::atomic::AtomicU32::new(0);
        let taken = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let Ok(_lock) = Lock::take(folder.path(), "a thread") else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
