//! [`prune`]: removes earlier sets that were moved into the workspace, when a person asks for it (semantics H.1).
//!
//! **Invariants.** The newest sets of each lineage stay. A set that is being removed is out of sight first, so no half set is ever taken
//! for one; what an earlier run has left is removed by the next. Nothing outside the folder of earlier sets is touched.
//!
//! *Not here:* who moves sets there (`sync::mirror_tars`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Settings;
use crate::error::{Error, Result};
use crate::store::archive::{KnownSet, Shelf};
use crate::workspace::Workspace;

/// What a set that is being removed is called, before its name.
const GOING: &str = ".removing-";

/// What is to be removed.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// How many sets of each lineage stay.
    pub keep: usize,
    /// Only say what would be.
    pub dry_run: bool,
}

/// What a pruning came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// What was removed, oldest first in each lineage.
    pub removed: Vec<OldSet>,
    /// What stays.
    pub kept: Vec<OldSet>,
    /// Whether this was a dry run: nothing was removed.
    pub dry_run: bool,
    /// Where state is kept.
    pub workspace: PathBuf,
}

/// An earlier set in the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OldSet {
    /// The name of its lineage.
    pub lineage: String,
    /// Its generation.
    pub generation: u32,
    /// Its set id.
    pub id: String,
    /// Its folder.
    pub path: PathBuf,
    /// What it takes, in bytes.
    pub bytes: u64,
    /// Whether a receipt says that it arrived somewhere.
    pub confirmed: bool,
}

/// Removes what is not to stay.
pub fn prune(request: Request, settings: &Settings) -> Result<Outcome> {
    let workspace = Workspace::new(settings.workspace());
    if !request.dry_run {
        remove_leftovers(&workspace.old_sets())?;
    }
    let mut lineages: BTreeMap<String, Vec<OldSet>> = BTreeMap::new();
    for folder in workspace.old_set_folders()? {
        for known in Shelf::open(&folder)?.known_sets() {
            let set = OldSet::of(&known, &folder, &workspace)?;
            lineages.entry(format!("{} {:?}", known.name, known.lineage)).or_default().push(set);
        }
    }
    let mut outcome = Outcome { dry_run: request.dry_run, workspace: workspace.path().to_owned(), ..Outcome::default() };
    for mut sets in lineages.into_values() {
        sets.sort_by_key(|set| set.generation);
        let kept = sets.split_off(sets.len().saturating_sub(request.keep));
        outcome.removed.extend(sets);
        outcome.kept.extend(kept);
    }
    for set in outcome.removed.iter().filter(|_| !request.dry_run) {
        remove(&set.path)?;
    }
    Ok(outcome)
}

impl OldSet {
    fn of(known: &KnownSet, folder: &Path, workspace: &Workspace) -> Result<Self> {
        let id = known.id_text();
        let confirmed = workspace.all_receipts()?.iter().flat_map(|receipt| &receipt.items).any(|item| item.set.as_ref() == Some(&id));
        let (lineage, generation, path) = (known.name.clone(), known.generation, folder.to_owned());
        Ok(Self { lineage, generation, id, path, bytes: bytes_in(folder)?, confirmed })
    }
}

fn bytes_in(folder: &Path) -> Result<u64> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        bytes += entry.and_then(|entry| entry.metadata()).map_err(failed)?.len();
    }
    Ok(bytes)
}

fn remove(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let going = folder.with_file_name(format!("{GOING}{name}"));
    std::fs::rename(folder, &going).and_then(|()| std::fs::remove_dir_all(&going)).map_err(failed)
}

/// Removes what a run that was killed had begun to remove.
fn remove_leftovers(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(GOING) {
            std::fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}
