//! [`Lock`]: one writer per archive directory.
//!
//! **Invariants.** The lock dies with its process, however that ends. Readers need none: what is visible is complete.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::SCRATCH;
use crate::error::{Error, Result};

/// The right to write into an archive directory.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `folder`, or says who holds it. `holder` is what the next one is told.
    pub fn take(folder: &Path, holder: &str) -> Result<Self> {
        let scratch = folder.join(SCRATCH);
        std::fs::create_dir_all(&scratch).map_err(|error| Error::io(scratch.display(), &error))?;
        let path = scratch.join("lock");
        let failed = |error: std::io::Error| Error::io(path.display(), &error);
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut held_by = String::new();
                // Who holds it is told as well as it can be read.
                let _ = (&mut file).take(200).read_to_string(&mut held_by);
                return Err(Error::failed(format!("{}: another run is writing here ({})", folder.display(), held_by.trim()))
                    .hint("wait until it has ended, or name another directory"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
        Ok(Self { _file: file })
    }
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
}
