//! The ocm archive format.

pub mod chunk;
pub mod digest;
