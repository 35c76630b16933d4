//! Files that are whole or not there, and names that last.
//!
//! **Invariants.** At every moment there is the old content of a file or the new one, whatever happens to the process. What came back
//! from here is on the disk, as far as the file system lets us.
//!
//! *Not here:* files that grow over time (`store`).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What a file in the making is called, after its name: `oc apply -f` of a folder passes over it, and so do readers of archives.
const PARTIAL: &str = ".partial";

/// Makes the file at `path` hold exactly `bytes`. The folders that it lies in are made.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(path.display(), &error);
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(failed)?;
    let partial = partial_of(path);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&partial, path)).map_err(failed)?;
    sync_folder(folder)
}

/// The file that `path` is while it is in the making.
#[must_use]
pub fn partial_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(PARTIAL);
    name.into()
}

/// Makes the names in `folder` durable, where the file system and our rights let us.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let cannot = [ErrorKind::InvalidInput, ErrorKind::Unsupported, ErrorKind::PermissionDenied, ErrorKind::NotFound];
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if !cannot.contains(&error.kind()) => Err(Error::io(folder.display(), &error)),
        _ => Ok(()),
    }
}

/// The folder that a path lies in; the one we are in for a bare name.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_or_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/a.json");
        for content in ["one", "longer"] {
            write_whole(&path, content.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("content"), content);
        }
        assert_eq!(fs::read_dir(folder_of(&path)).expect("entries").count(), 1, "nothing is left beside it");
        fs::create_dir(partial_of(&path)).expect("a folder in the way");
        assert!(write_whole(&path, b"new").is_err());
        assert_eq!(fs::read_to_string(&path).expect("content"), "longer");
        assert_eq!(folder_of(Path::new("bare")), Path::new("."));
    }
}
