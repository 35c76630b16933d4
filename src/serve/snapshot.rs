//! [`Snapshot`]: the content that is served, and what was found out about it; and [`Current`], which one it is now.
//!
//! **Invariants.** A request sees one snapshot from its beginning to its end, whatever comes after. What was found out about one snapshot
//! is never believed of another.
//!
//! *Not here:* when a new one comes (`workflow`).

use std::sync::{Arc, PoisonError, RwLock};

use super::holdings::{Holdings, Walked};
use super::names::{Names, Number};
use super::proof::Proofs;
use crate::image::Inside;

/// The content that is served.
pub(super) struct Snapshot {
    pub(super) inside: Arc<dyn Inside>,
    pub(super) names: Names,
    pub(super) proofs: Proofs,
    walked: Walked,
}

impl Snapshot {
    fn of(inside: Arc<dyn Inside>) -> Self {
        let names = Names::of(inside.contents());
        Self { inside, names, proofs: Proofs::default(), walked: Walked::default() }
    }

    /// What belongs to a repository. Blocks.
    pub(super) fn holdings(&self, repository: Number) -> Arc<Holdings> {
        self.walked.of(&self.names, repository, &*self.inside)
    }
}

/// What is served now. A server looks at it for each request; whoever has it may show something else from then on.
pub struct Current(RwLock<Arc<Snapshot>>);

impl Current {
    /// Shows `inside`.
    #[must_use]
    pub fn new(inside: Arc<dyn Inside>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(Snapshot::of(inside)))))
    }

    /// Shows `inside` from now on. Answers that are under way end as they began.
    pub fn show(&self, inside: Arc<dyn Inside>) {
        let next = Arc::new(Snapshot::of(inside));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// How many images have a name.
    #[must_use]
    pub fn images(&self) -> usize {
        self.now().names.items()
    }

    /// The hosts that the images come from, in order, each once.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        self.now().names.hosts().into_iter().map(str::to_owned).collect()
    }

    pub(super) fn now(&self) -> Arc<Snapshot> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
