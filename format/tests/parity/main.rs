//! Parity: the code itself, the volumes, and what they rebuild.

mod code;
mod kit;
mod repair;
#[path = "../support/mod.rs"]
mod support;
mod tickets;
mod volumes;
