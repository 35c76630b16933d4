//! [`Wanted`]: one item that a run shall bring, with the place that it comes from.
//!
//! **Invariants.** An item that could not be resolved carries its failure; every other one has a root.
//!
//! *Not here:* how wanted items are found (`collect`), and what must be done for them (`plan`).

use std::sync::Arc;

use super::{Attachments, Item, Reference, Source, State};
use crate::error::Error;

/// One item that a run shall bring.
#[derive(Clone)]
pub struct Wanted {
    /// What it is; its `wanted` says which platforms are brought.
    pub item: Item,
    /// Where it can be had.
    pub source: Arc<dyn Source>,
    /// How it is called at the destination.
    pub name: Reference,
    /// `attached` and `tagged` are complete already: the source is not asked for them.
    pub pinned: bool,
    /// What of what is attached travels, and what must be there.
    pub attachments: Attachments,
    /// The source was itself given only some platforms: what an index lists and the source lacks is left out.
    pub sparse: bool,
    /// Why it cannot be brought, where that is known already.
    pub failed: Option<Error>,
}

impl Wanted {
    /// The item `item` of `source`, called `name` at the destination.
    #[must_use]
    pub fn new(item: Item, source: Arc<dyn Source>, name: Reference) -> Self {
        Self { item, source, name, pinned: false, attachments: Attachments::default(), sparse: false, failed: None }
    }

    /// This one, which cannot be brought; the item says so too.
    #[must_use]
    pub fn fail(mut self, error: Error) -> Self {
        self.item.state = State::Missing(error.to_string());
        self.failed = Some(error);
        self
    }
}
