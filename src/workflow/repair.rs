//! [`repair`]: rebuilds lost and damaged volumes of an archive; [`answer`]: makes the patch that a ticket asks for.
//!
//! **Invariants.** Nothing is changed in place. What a run came to is a function of what was rebuilt and what is lacking.
//!
//! *Not here:* how volumes are rebuilt and proved (`store::archive`).

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{Settings, StopOnDrop, blocking, shelf};
use crate::error::{Error, Result};
use crate::store::archive::Shelf;
pub use crate::store::archive::check::FileKind;
use crate::store::archive::repair as store;
pub use crate::store::archive::repair::{Answer, Lacking, SetOutcome};
use crate::transfer::Class;
use crate::workspace::Workspace;

/// What is to be repaired, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The archive directory.
    pub archive: PathBuf,
    /// The generation that alone is repaired.
    pub generation: Option<u32>,
    /// Where new files go, if not beside the set.
    pub to: Option<PathBuf>,
    /// Where what must be brought is written down.
    pub ticket: Option<PathBuf>,
    /// Patches that were brought.
    pub with: Vec<PathBuf>,
}

/// What a repair came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The archive directory.
    pub archive: PathBuf,
    /// Each set, newest first.
    pub sets: Vec<SetOutcome>,
}

impl Outcome {
    /// What the run came to; the exit code follows from it.
    #[must_use]
    pub fn class(&self) -> Class {
        let class = |set: &SetOutcome| {
            let failed = if set.failed.is_empty() && set.problems.is_empty() { Class::Done } else { Class::Damaged };
            failed.max(if set.lacking.is_empty() { Class::Done } else { Class::Needed })
        };
        self.sets.iter().map(class).max().unwrap_or(Class::Done)
    }
}

/// Repairs an archive, or says what must be brought for that.
pub async fn repair(request: Request, settings: &Settings) -> Result<Outcome> {
    let (monitor, threads, workspace) = (settings.monitor.clone(), settings.threads, Workspace::new(settings.workspace()));
    let stop = StopOnDrop::default();
    let stopped = Arc::clone(&stop.0);
    blocking(move || {
        let Request { archive, generation, to, ticket, with } = request;
        if !archive.is_dir() {
            return Err(Error::usage(format!("{}: it is no directory", archive.display())).hint("name the archive directory"));
        }
        let shelf = shelf(&archive, &workspace)?;
        let request = store::Request { shelf, generation, to, ticket, with, threads };
        let sets = store::repair(&request, monitor.as_ref(), &stopped)?;
        Ok(Outcome { archive, sets })
    })
    .await
}

/// Answers a ticket from the archive in which the set is whole.
pub async fn answer(ticket: PathBuf, archive: PathBuf, out: PathBuf, settings: &Settings) -> Result<Answer> {
    let threads = settings.threads;
    blocking(move || store::answer(&ticket, &Shelf::open(&archive)?, &out, threads)).await
}
