//! [`Whole`]: a blob from its first byte to its last, compared with its digest.
//!
//! **Invariants.** [`Whole::finish`] succeeds only where every byte was read and all of them together have the digest.
//!
//! *Not here:* who wants that (`spool`, and `plains` for those who trust nothing).

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use ocm_format::digest::Hasher;

use crate::error::{Error, Result};
use crate::image::inside::Form;
use crate::image::{Digest, Inside};

/// Bytes that are read at once.
const PART_BYTES: u64 = 256 << 10;

/// A blob that is read in order.
pub(super) struct Whole<'a> {
    inside: &'a dyn Inside,
    digest: Digest,
    left: u64,
    at: u64,
    part: Bytes,
    hasher: Hasher,
}

impl<'a> Whole<'a> {
    pub(super) fn of(inside: &'a dyn Inside, digest: Digest, bytes: u64) -> Self {
        Self { inside, digest, left: bytes, at: 0, part: Bytes::new(), hasher: digest.hasher() }
    }

    /// Reads what is left, and says whether it was the blob.
    pub(super) fn finish(mut self) -> Result<()> {
        while self.next()? {}
        match self.hasher.finish() == self.digest {
            true => Ok(()),
            false => Err(Error::damaged(format!("blob {}: its bytes have another digest", self.digest))),
        }
    }

    /// Fetches the next part; whether there is one.
    fn next(&mut self) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.part = self.inside.read(&self.digest, Form::Stored, self.at, self.left.min(PART_BYTES))?;
        if self.part.is_empty() {
            return Err(Error::damaged(format!("blob {}: it ends {} bytes too early", self.digest, self.left)));
        }
        self.hasher.update(&self.part);
        self.at += self.part.len() as u64;
        self.left -= self.part.len() as u64;
        Ok(true)
    }
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && !self.next().map_err(io::Error::other)? {
            return Ok(0);
        }
        let count = self.part.len().min(buffer.len());
        self.part.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
