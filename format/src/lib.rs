//! The ocm archive format: bytes on disk. `SPEC.md` beside this crate is normative.
//!
//! **Invariants.** This crate knows nothing of images, networks or clocks: same calls, same bytes. Every length from
//! outside is checked before it is used; nothing here panics on foreign bytes.
//!
//! *Not here:* what a set means (its items are opaque values), and any asynchronous code.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions))]

pub(crate) mod cache;
pub mod catalogue;
pub mod check;
pub mod chunk;
pub mod codec;
pub mod delta;
pub mod digest;
pub mod entries;
pub mod error;
mod features;
pub mod frame;
pub mod gzip;
mod id;
pub(crate) mod idle;
pub mod index;
pub mod layout;
pub mod mend;
pub mod parity;
pub mod plain;
pub mod ranges;
pub mod reader;
pub mod recipe;
pub mod records;
pub mod salvage;
pub mod set;
pub mod tail;
pub mod tar;
pub mod volume;
pub mod writer;
