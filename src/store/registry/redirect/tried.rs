//! [`Tried`]: what the places said that did not have what was asked for.
//!
//! **Invariants.** It is absent only if every place said so.

use crate::error::{Error, Result};
use crate::image::Repository;

/// What each place said, in the order of asking.
pub(super) struct Tried {
    said: Vec<Said>,
}

enum Said {
    Absent(Repository),
    Failed(Error),
}

impl Tried {
    pub(super) fn new() -> Self {
        Self { said: Vec::new() }
    }

    /// That place does not have it.
    pub(super) fn absent(&mut self, at: Repository) {
        self.said.push(Said::Absent(at));
    }

    /// That place did not say.
    pub(super) fn failed(&mut self, error: Error) {
        self.said.push(Said::Failed(error));
    }

    /// Absence where every place said so; else an error for `what` that has all causes.
    pub(super) fn end<T>(mut self, what: &str) -> Result<Option<T>> {
        if self.said.iter().all(|said| matches!(said, Said::Absent(_))) {
            return Ok(None);
        }
        if let (1, Some(Said::Failed(_))) = (self.said.len(), self.said.first())
            && let Some(Said::Failed(alone)) = self.said.pop()
        {
            return Err(alone);
        }
        let causes: Vec<String> = self.said.iter().map(Said::cause).collect();
        let failed = Error::failed(format!("{what}: none of {} places has it: {}", causes.len(), causes.join("; ")));
        Err(self.said.iter().find_map(Said::way_out).map_or(failed.clone(), |hint| failed.hint(hint)))
    }
}

impl Said {
    fn cause(&self) -> String {
        match self {
            Self::Absent(at) => format!("{at}: it is not there"),
            Self::Failed(error) => error.to_string(),
        }
    }

    fn way_out(&self) -> Option<&str> {
        match self {
            Self::Absent(_) => None,
            Self::Failed(error) => error.way_out(),
        }
    }
}
