//! [`verify`]: is everything here, and sound?
//!
//! **Invariants.** It never writes. What it came to is a function of what was found (semantics D.2).

use std::path::PathBuf;

use super::{Settings, blocking, shelf};
use crate::error::{Error, Result};
use crate::store::archive::check;
pub use crate::store::archive::check::{DamageLine, Fault, FileKind, FileVerdict, Hurt, Repairable, SetVerdict, Verdict};
use crate::transfer::Class;
use crate::workspace::Workspace;

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Archive directories, with the generation that alone is checked; and single files. At least one.
    pub places: Vec<(PathBuf, Option<u32>)>,
    /// Only headers, footers, indexes, set manifests and sizes of files.
    pub quick: bool,
    /// Parents and released volumes that are elsewhere count as missing.
    pub complete: bool,
    /// Everything is read from the medium, past what memory holds of it.
    pub after_write: bool,
}

/// Checks what `request` names.
pub async fn verify(request: Request, settings: &Settings) -> Result<Verdict> {
    let (monitor, threads, workspace) = (settings.monitor.clone(), settings.threads, Workspace::new(settings.workspace()));
    blocking(move || check::check(&open(request, threads, &workspace)?, &monitor)).await
}

/// Directories and files apart.
fn open(request: Request, threads: usize, workspace: &Workspace) -> Result<check::Request> {
    let (mut shelves, mut files) = (Vec::new(), Vec::new());
    for (path, generation) in request.places {
        let metadata = std::fs::metadata(&path).map_err(|error| Error::io(path.display(), &error))?;
        match (metadata.is_dir(), generation) {
            (true, _) => shelves.push((shelf(&path, workspace)?, generation)),
            (false, None) => files.push(path),
            (false, Some(generation)) => {
                return Err(Error::usage(format!("{}: set {generation} cannot be chosen of a single file", path.display()))
                    .hint("name the directory, or the file without @"));
            }
        }
    }
    Ok(check::Request { shelves, files, quick: request.quick, complete: request.complete, after_write: request.after_write, threads })
}

/// What the findings come to.
#[must_use]
pub fn class(verdict: &Verdict) -> Class {
    let strangers = if verdict.strangers.is_empty() { Class::Done } else { Class::Damaged };
    verdict.sets.iter().map(class_of).chain([strangers]).max().unwrap_or(Class::Done)
}

/// What the findings of one set come to.
#[must_use]
pub fn class_of(set: &SetVerdict) -> Class {
    let damage = set.damage.iter().map(|damage| match damage.fault {
        Fault::Damaged => Class::Damaged,
        Fault::Unsupported => Class::Failed,
    });
    let lacks = !set.missing_volumes.is_empty() || set.last_unknown || (set.parents_wanted && !set.parents_elsewhere.is_empty());
    damage.chain([if lacks { Class::Needed } else { Class::Done }]).max().unwrap_or(Class::Done)
}
