//! [`Released`]: which files of a set were handed on and let go, so that they are known to be elsewhere, not missing.
//!
//! **Invariants.** A file is noted before it is let go: no moment is lost in which neither the file nor the note is there. A note
//! of a file that is still here means nothing; what is here counts.
//!
//! *Not here:* handing files on (`workflow::sync`).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Workspace, to_json, write};
use crate::error::{Error, Result};
use crate::image::Digest;

const ENDING: &str = ".released.json";

/// The files of a set that were let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// The set id, 32 hex digits.
    pub set: String,
    /// The name of its lineage.
    pub lineage: String,
    /// Its generation.
    pub generation: u32,
    /// The archive directory that they were written into, as an absolute path.
    pub folder: PathBuf,
    /// The files, in the order in which they were let go.
    pub files: Vec<ReleasedFile>,
}

/// A file that was let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleasedFile {
    /// Whether it is a data volume; else it is one of the catalogue.
    pub data: bool,
    /// Its number within its kind.
    pub number: u32,
    /// The name of the file.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: Digest,
}

impl Released {
    /// The numbers of the data volumes that were let go, sorted.
    #[must_use]
    pub fn volumes(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.files.iter().filter(|file| file.data).map(|file| file.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The note of this file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&ReleasedFile> {
        self.files.iter().find(|file| file.name == name)
    }
}

impl Workspace {
    /// What was let go of the set with this id.
    pub fn released(&self, set: &str) -> Result<Option<Released>> {
        let path = self.released_path(set);
        match std::fs::read(&path) {
            Ok(bytes) => read(&path, &bytes).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path.display(), &error)),
        }
    }

    /// What was let go of the sets that were written into `folder`, oldest first.
    pub fn released_from(&self, folder: &Path) -> Result<Vec<Released>> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let mut found = Vec::new();
        let entries = match std::fs::read_dir(self.catalogues()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(Error::io(self.catalogues().display(), &error).hint("name another place with --workspace")),
        };
        for entry in entries {
            let path = entry.map_err(|error| Error::io(self.catalogues().display(), &error))?.path();
            if path.to_string_lossy().ends_with(ENDING) {
                let bytes = std::fs::read(&path).map_err(|error| Error::io(path.display(), &error))?;
                found.push(read(&path, &bytes)?);
            }
        }
        found.retain(|released| released.folder == folder);
        found.sort_by(|a, b| (&a.lineage, a.generation, &a.set).cmp(&(&b.lineage, b.generation, &b.set)));
        Ok(found)
    }

    /// Notes that a file of a set is let go; `set` says which set, its files do not matter.
    pub fn release(&self, set: &Released, file: ReleasedFile) -> Result<()> {
        let mut released = self.released(&set.set)?.unwrap_or_else(|| Released { files: Vec::new(), ..set.clone() });
        released.files.retain(|there| there.name != file.name);
        released.files.push(file);
        write(&self.released_path(&set.set), &to_json(&released)?)
    }

    /// Forgets what was let go of a set that was never finished; says what it was.
    pub fn forget_released(&self, set: &str) -> Result<Option<Released>> {
        let Some(released) = self.released(set)? else { return Ok(None) };
        let path = self.released_path(set);
        std::fs::remove_file(&path).map_err(|error| Error::io(path.display(), &error))?;
        Ok(Some(released))
    }

    fn released_path(&self, set: &str) -> PathBuf {
        self.catalogues().join(format!("{set}{ENDING}"))
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Released> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::damaged(format!("{}: {error}", path.display())).hint("remove the file: the volumes it speaks of then count as missing")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_go_is_found_by_set_and_by_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = Workspace::new(folder.path().join("state"));
        let set = Released { set: "01".repeat(16), lineage: "disk".into(), generation: 3, folder: "/mnt/staging".into(), files: vec![] };
        let file = |data, number: u32| ReleasedFile { data, number, name: format!("{data}{number}"), bytes: 7, sha256: Digest::of(b"x") };
        assert_eq!(workspace.released(&set.set).expect("readable"), None);
        assert!(workspace.released_from(&set.folder).expect("readable").is_empty());
        for file in [file(true, 2), file(true, 1), file(true, 1), file(false, 1)] {
            workspace.release(&set, file).expect("noted");
        }
        let found = workspace.released(&set.set).expect("readable").expect("a note");
        assert_eq!((found.volumes(), found.files.len()), (vec![1, 2], 3));
        assert_eq!(workspace.released_from(Path::new("/mnt/staging")).expect("readable"), std::slice::from_ref(&found));
        assert!(workspace.released_from(Path::new("/mnt")).expect("readable").is_empty());
        assert_eq!(workspace.forget_released(&set.set).expect("forgotten"), Some(found));
        assert_eq!(workspace.released(&set.set).expect("readable"), None);
    }
}
