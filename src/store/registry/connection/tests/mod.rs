//! Tests of the connection over real sockets: an HTTP server of our own on loopback, and the client against it.
//!
//! *Not here:* tests of parsers; they stand beside them.

mod auth;
mod plain;
pub(super) mod program;
mod server;
