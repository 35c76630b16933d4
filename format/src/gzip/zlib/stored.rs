//! [`Stored`]: zlib's level 0, which only cuts the input into blocks.
//!
//! **Invariants.** Blocks are as long as they can be; a stream ends with a block that has at least one byte, unless it
//! has none at all.

use super::block::{Block, MAX_STORED};
use super::parse::Stream;
use crate::gzip::{Bits, Deflate};

/// Bytes that wait for their block to be full.
pub(crate) struct Stored {
    waiting: Vec<u8>,
    offset: u64,
}

impl Stored {
    /// For input that begins at `offset`.
    pub(crate) fn new(offset: u64) -> Self {
        Self { waiting: Vec::new(), offset }
    }

    fn put(&mut self, is_last: bool, out: &mut Bits) {
        Block { plain: Some(&self.waiting), plain_offset: self.offset, is_last }.write_stored(out);
        self.offset = self.offset.saturating_add(u64::try_from(self.waiting.len()).unwrap_or(u64::MAX));
        self.waiting.clear();
    }
}

impl Deflate for Stored {
    /// A full block waits for a byte after it, as it may be the last.
    fn write(&mut self, mut plain: &[u8], out: &mut Bits) {
        while !plain.is_empty() {
            if self.waiting.len() == MAX_STORED {
                self.put(false, out);
            }
            let room = MAX_STORED.saturating_sub(self.waiting.len());
            let (taken, rest) = plain.split_at(room.min(plain.len()));
            self.waiting.extend_from_slice(taken);
            plain = rest;
        }
    }

    fn finish(&mut self, out: &mut Bits) {
        self.put(true, out);
    }
}

impl Stream for Stored {
    fn flush(&mut self, out: &mut Bits) -> u64 {
        if !self.waiting.is_empty() {
            self.put(false, out);
        }
        self.offset
    }
}
