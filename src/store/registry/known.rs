//! [`Known`]: which content lies in which repositories of one registry, as far as a run has seen.
//!
//! **Invariants.** What is noted was answered by the registry itself. Nothing is ever taken back: registries do not
//! lose content within a run.
//!
//! *Not here:* asking and mounting (`push`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::image::{Digest, Repository};

/// What is known of one registry's content, by digest.
#[derive(Default)]
pub(super) struct Known {
    content: Mutex<BTreeMap<Digest, Place>>,
}

#[derive(Default)]
struct Place {
    repositories: BTreeSet<Repository>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Known {
    /// Notes that the content is in that repository.
    pub(super) fn note(&self, digest: Digest, repository: &Repository) {
        self.lock().entry(digest).or_default().repositories.insert(repository.clone());
    }

    /// Whether the content is known to be in that repository.
    pub(super) fn is_in(&self, digest: &Digest, repository: &Repository) -> bool {
        self.lock().get(digest).is_some_and(|place| place.repositories.contains(repository))
    }

    /// A repository that the content is known to be in; the first by name.
    pub(super) fn anywhere(&self, digest: &Digest) -> Option<Repository> {
        self.lock().get(digest)?.repositories.first().cloned()
    }

    /// What a task holds while it changes something about this content that others must wait for.
    pub(super) fn turn(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        self.lock().entry(digest).or_default().turn.clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Place>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_where_it_was_noted_and_nowhere_else() {
        let (known, digest) = (Known::default(), Digest::of(b"x"));
        let repository = |path| Repository::new("reg:5000", path).expect("a repository");
        assert_eq!(known.anywhere(&digest), None);
        known.note(digest, &repository("b"));
        known.note(digest, &repository("a"));
        assert!(known.is_in(&digest, &repository("b")) && !known.is_in(&digest, &repository("c")));
        assert!(!known.is_in(&Digest::of(b"y"), &repository("b")));
        assert_eq!(known.anywhere(&digest), Some(repository("a")));
    }
}
