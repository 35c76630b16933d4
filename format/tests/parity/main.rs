//! Parity: the code itself, the volumes, and what they rebuild.

mod code;
mod kit;
mod repair;
mod tickets;
mod volumes;
