//! The places that hold images, each an implementation of [`crate::image::Source`], [`crate::image::Sink`] or both.
//!
//! **Invariants.** A store never imports another store; combining them is the matter of [`wrap`] and the workflow.

pub mod archive;
pub mod central;
pub mod family;
pub mod layout;
pub mod memory;
pub mod plain;
pub mod registry;
pub mod wrap;
