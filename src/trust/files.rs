//! [`read`]: files that people write, and signatures that lie on a disk.
//!
//! **Invariants.** No file is read beyond its limit. A file that is not there is an answer.
//!
//! *Not here:* what is in them.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::error::{Error, Result};

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// What a file holds; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    read_bounded(path, MAX_FILE_BYTES)
}

/// The same with another limit, in bytes.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let failed = |error: std::io::Error| Error::io(path.display(), &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if read as u64 > limit {
        return Err(Error::usage(format!("{}: it is longer than the {limit} bytes that are read", path.display())));
    }
    Ok(Some(bytes))
}
