//! `ocm` mirrors container content into disconnected environments and between them.
//!
//! Everything that holds images is a [`image::Source`], a [`image::Sink`], or both; every workflow is
//! `source -> plan -> sink`. `docs/architecture.md` has the map and the arrows; `tests/layering.rs` holds them.
//!
//! **Invariants.** The library never prints, exits, reads the environment or looks at a terminal: `cli` does all of
//! that. Memory is bounded by options, never by the size of an archive or a blob.

pub mod cli;
pub mod collect;
pub mod config;
pub mod durable;
pub mod environment;
pub mod error;
pub mod image;
pub mod monitor;
pub mod mount;
mod nameless;
pub mod openshift;
pub mod plan;
pub mod publish;
pub mod serve;
pub mod store;
pub mod transfer;
pub mod trust;
pub mod workflow;
pub mod workspace;
