//! (in the making)

pub mod connection;
