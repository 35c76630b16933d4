//! The ocm archive format.

pub mod digest;
