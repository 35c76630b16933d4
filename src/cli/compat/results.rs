//! What a run came to, in the words and the exit codes of oc-mirror.
//!
//! **Invariants.** The exit code is a bit for each kind of content of which something failed, and 1 for damage, for what is needed from
//! elsewhere, and for all that has no kind (semantics D.1).

use std::path::{Path, PathBuf};

use super::log::in_logs;
use crate::cli::safe::safe;
use crate::error::{Error, Kind, Result};
use crate::image::Role;
use crate::transfer::{Class, Ending, Outcome as Ended};
use crate::workflow::sync::Outcome;

/// The kinds of content: the bit of the exit code, and the word.
const KINDS: [(u8, &str); 4] = [(2, "release"), (4, "operator"), (8, "additional"), (16, "helm")];

/// The bit of a role.
fn bit(role: Role) -> u8 {
    match role {
        Role::Release | Role::Component | Role::Graph => 2,
        Role::Catalog | Role::Bundle | Role::Related => 4,
        Role::Chart => 16,
        Role::Image | Role::Signature | Role::Config | Role::Answer => 8,
    }
}

/// The exit code of a run.
pub(super) fn code(outcome: &Outcome) -> u8 {
    let of = |ended: &Ended| match &ended.ending {
        Ending::Failed(error) if matches!(error.kind(), Kind::Damaged | Kind::Needed) => bit(ended.item.role) | 1,
        Ending::Failed(_) => bit(ended.item.role),
        Ending::Done { .. } | Ending::Already => 0,
    };
    let newer = u8::from(!outcome.newer.is_empty());
    outcome.report.items.iter().map(of).fold(newer, |code, one| code | one)
}

/// The exit code of an error.
pub(super) fn code_of(error: &Error) -> u8 {
    match error.kind() {
        Kind::Interrupted => Class::Interrupted.exit_code(),
        Kind::Failed | Kind::Usage | Kind::Damaged | Kind::Needed => super::FAILED,
    }
}

/// A line for each kind of content that there is.
pub(super) fn lines(outcome: &Outcome) -> Vec<String> {
    let of = |(bit_of_kind, word): (u8, &str)| {
        let all: Vec<&Ended> = outcome.report.items.iter().filter(|ended| bit(ended.item.role) == bit_of_kind).collect();
        let done = all.iter().filter(|ended| !ended.has_failed()).count();
        match (all.len(), done) {
            (0, _) => None,
            (all, done) if all == done => Some(format!(" ✓  {done} / {all} {word} images mirrored successfully")),
            (all, done) => {
                Some(format!(" ✗  {done} / {all} {word} images mirrored: Some {word} images failed to be mirrored - please check the logs"))
            }
        }
    };
    KINDS.into_iter().filter_map(of).collect()
}

/// Lists what failed in a file of its own; `None` where nothing did.
pub(super) fn keep_errors(outcome: &Outcome, working_dir: &Path, stamp: &str) -> Result<Option<PathBuf>> {
    let line = |ended: &Ended| match &ended.ending {
        Ending::Failed(error) => {
            Some(format!("error mirroring image docker://{} error: {}\n", safe(&ended.item.origin.to_string()), safe(&error.to_string())))
        }
        Ending::Done { .. } | Ending::Already => None,
    };
    let text: String = outcome.report.items.iter().filter_map(line).collect();
    if text.is_empty() {
        return Ok(None);
    }
    let path = in_logs(working_dir, &format!("mirroring_errors_{stamp}.txt"));
    std::fs::write(&path, text).map_err(|error| Error::io(path.display(), &error))?;
    Ok(Some(path))
}
