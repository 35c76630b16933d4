//! sets
pub mod json;
pub mod manifest;
