//! What files mean, and what is said of those that mean nothing.

use super::*;

#[test]
fn dummy() {}
