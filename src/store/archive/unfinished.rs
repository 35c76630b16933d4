//! [`Unfinished`]: the plan of a run, kept beside the volume in the making.
//!
//! **Invariants.** Names were resolved once, when the plan was made; a run that goes on goes by it (semantics A.11). It is
//! removed when the set is finished.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SCRATCH;
use crate::durable::write_whole;
use crate::error::{Error, Result};
use crate::image::Item;

const FILE: &str = "plan.json";

/// What a run that may be interrupted has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfinished {
    /// What was asked for, as a hash: another request does not go on with this one.
    pub request: String,
    /// The set id, 32 hex digits.
    pub set: String,
    /// The lineage id, 32 hex digits.
    pub lineage: String,
    /// The time of the set, seconds since 1970.
    pub time: u64,
    /// The items with their digests.
    pub items: Vec<Pinned>,
    /// The files of its catalogue that were handed on already, by name.
    #[serde(default)]
    pub handed_on: Vec<String>,
}

/// An item whose name was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Which of the sources it comes from, from 0.
    pub source: usize,
    /// The item.
    pub item: Item,
}

fn path(folder: &Path) -> PathBuf {
    folder.join(SCRATCH).join(FILE)
}

impl Unfinished {
    /// The plan that was left in `folder`, if any. One that cannot be read counts as none: it costs work, not content.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        match std::fs::read(path(folder)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path(folder).display(), &error)),
        }
    }

    /// Keeps the plan in `folder`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| Error::failed(format!("the plan: {error}")))?;
        write_whole(&path(folder), &bytes)
    }

    /// Whether a volume of this set is in the making in `folder`.
    pub fn is_in_the_making(&self, folder: &Path) -> Result<bool> {
        let mark = mark_of(&self.set);
        Ok(files(folder)?.iter().any(|(_, name)| name.ends_with(".ocm.tar.partial") && name.contains(&mark)))
    }

    /// Removes everything that unfinished runs have left in `folder`, but finished volumes and the lock: those whose notes
    /// are there, and that of `set`. Says which files of sets without end are left.
    pub fn discard(folder: &Path, set: Option<&str>) -> Result<Vec<PathBuf>> {
        let scratch = files(&folder.join(SCRATCH))?;
        let noted = scratch.iter().filter_map(|(_, name)| Some(format!("{}.", name.strip_suffix(".journal")?)));
        let named = set.map(mark_of);
        let marks: Vec<String> = noted.chain(named).collect();
        let mut left = Vec::new();
        for (path, name) in files(folder)? {
            let is_theirs = marks.iter().any(|mark| name.contains(mark.as_str()));
            match (name.ends_with(".ocm.tar.partial"), name.ends_with(".ocm.tar")) {
                (true, _) if is_theirs => remove(&path)?,
                (true, _) => left.push(path),
                (_, true) if is_theirs => left.push(path),
                _ => {}
            }
        }
        scratch.iter().filter(|(_, name)| name != super::lock::FILE).try_for_each(|(path, _)| remove(path))?;
        Ok(left)
    }
}

/// What the names of all files of a set have in common.
fn mark_of(set: &str) -> String {
    format!("-{}.", set.chars().take(8).collect::<String>())
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|error| Error::io(path.display(), &error))
}

/// The files of a folder with their names, sorted; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            files.push((entry.path(), entry.file_name().to_string_lossy().into_owned()));
        }
    }
    files.sort();
    Ok(files)
}
