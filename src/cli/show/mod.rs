//! Results as people read them, as text: each a function of plain data.
//!
//! **Invariants.** No colours and no terminal here. Every foreign text is made safe, field by field.

pub(super) mod changes;
pub(super) mod config;
pub(super) mod diff;
pub(super) mod gather;
pub(super) mod inspect;
pub(super) mod list;
pub(super) mod plan;
pub(super) mod prune;
pub(super) mod receipt;
pub(super) mod repair;
pub(super) mod serve;
pub(super) mod sync;
pub(super) mod verify;
pub(super) mod why;
