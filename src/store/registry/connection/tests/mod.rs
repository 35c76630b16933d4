//! Tests of the connection over real sockets: an HTTP server of our own on loopback, and the client against it.
//!
//! *Not here:* tests of parsers; they stand beside them.

mod auth;
mod certificate;
mod plain;
pub(super) mod program;
mod proxy;
// Said once more, because this file prints and reads `CI`, which only tests may.
#[cfg(test)]
mod real;
mod server;
mod trust;
