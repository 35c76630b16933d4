//! [`Verified`]: bytes whose digest was checked, as a type.
//!
//! **Invariants.** The only ways to make a [`Verified`] are [`Verified::check`], which compares digest and size, and
//! [`Verified::own`], for bytes that we made ourselves.
//!
//! *Not here:* the check of content that streams past (`ends::Body::verified`).

use std::ops::Deref;

use bytes::Bytes;

use super::{Descriptor, Digest};
use crate::error::{Error, Result};

/// A value that was checked against its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    digest: Digest,
}

impl Verified<Bytes> {
    /// `bytes`, if they have the digest and size that `descriptor` says; `place` is where they came from.
    pub fn check(bytes: Bytes, descriptor: &Descriptor, place: &str) -> Result<Self> {
        if bytes.len() as u64 != descriptor.size {
            let (is, says) = (bytes.len(), descriptor.size);
            return Err(Error::damaged(format!("{} from {place}: it has {is} bytes and its descriptor says {says}", descriptor.digest)));
        }
        Self::check_digest(bytes, &descriptor.digest, place)
    }

    /// `bytes`, if they have `digest`; for content whose size nobody told.
    pub fn check_digest(bytes: Bytes, digest: &Digest, place: &str) -> Result<Self> {
        if digest.matches(&bytes) {
            Ok(Self { value: bytes, digest: *digest })
        } else {
            Err(Error::damaged(format!("{digest} from {place}: the content does not match its digest")))
        }
    }

    /// Bytes that were made here, with the digest that they have.
    #[must_use]
    pub fn own(bytes: Bytes) -> Self {
        let digest = Digest::of(&bytes);
        Self { value: bytes, digest }
    }
}

impl<T> Verified<T> {
    /// The digest that was checked.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The value alone; what it proves is given up.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_digest_and_a_wrong_size_are_damage() {
        let bytes = Bytes::from_static(b"abc");
        let good = Descriptor::new("", Digest::of(b"abc"), 3);
        assert_eq!(Verified::check(bytes.clone(), &good, "here").expect("good").digest(), good.digest);
        let long = Descriptor { size: 4, ..good.clone() };
        let other = Descriptor { digest: Digest::of(b"abd"), ..good };
        for wrong in [long, other] {
            let error = Verified::check(bytes.clone(), &wrong, "here").expect_err("wrong");
            assert_eq!(error.kind(), crate::error::Kind::Damaged);
            assert!(error.to_string().contains("from here"), "{error}");
        }
    }
}
