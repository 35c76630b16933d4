//! [`place`]: a file that is whole, and is written only where it changes.
//!
//! **Invariants.** At every moment there is the old content or the new one. The same content leaves the file as it is, with
//! its times.
//!
//! *Not here:* what is in it (`documents`).

use std::fs;
use std::io::{ErrorKind, Result as IoResult};
use std::path::Path;

use crate::durable::write_whole;
use crate::error::{Error, Result};

/// Makes the file at `path` hold exactly `bytes`; says whether it held something else, or was not there.
pub(super) fn place(path: &Path, bytes: &[u8]) -> Result<bool> {
    let hinted = |error: Error| error.hint("name a place that can be written with --workspace");
    if holds(path, bytes).map_err(|error| hinted(Error::io(path.display(), &error)))? {
        return Ok(false);
    }
    write_whole(path, bytes).map_err(hinted)?;
    Ok(true)
}

fn holds(path: &Path, bytes: &[u8]) -> IoResult<bool> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() && data.len() == bytes.len() as u64 => Ok(fs::read(path)? == bytes),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_same_content_leaves_the_file_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cluster-resources/a.yaml");
        let seen = || fs::metadata(&path).map(|data| (data.ino(), data.mtime(), data.mtime_nsec())).expect("a file");
        assert!(place(&path, b"one").expect("written"));
        let before = seen();
        assert!(!place(&path, b"one").expect("looked at"));
        assert_eq!(seen(), before);
        assert!(place(&path, b"two").expect("written"));
        assert_ne!(seen().0, before.0, "the old content was written over");
        assert!(place(&path, b"longer").expect("written"));
        assert_eq!(fs::read(&path).expect("content"), b"longer");
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("entries").count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_and_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.yaml");
        fs::write(&path, "old").expect("written");
        fs::create_dir(folder.path().join("a.yaml.partial")).expect("a folder in the way");
        let error = place(&path, b"new").expect_err("it cannot be written");
        assert!(error.to_string().starts_with(&path.display().to_string()) && error.way_out().is_some(), "{error:?}");
        assert_eq!(fs::read(&path).expect("content"), b"old");
    }
}
