//! The deflate of pigz: independent blocks of 128 KiB, each primed with the 32 KiB before it, each ended at a byte.
//!
//! **Invariants.** What a piece becomes depends on its own bytes and the 32 KiB before them alone, so pieces may be
//! encoded in any order and at the same time.
//!
//! *Not here:* the gzip wrapper, `--independent`, `--rsyncable`, level 11, and `-p 1` (whose pieces share one state).

use super::zlib::block::Block;
use super::zlib::stream;
use super::{Anew, Bits, Deflate};

/// The size of a piece unless the user of pigz chose one.
pub const PIECE_BYTES: usize = 128 << 10;
/// How much of the bytes before a piece matter.
pub const HISTORY_BYTES: usize = 32 << 10;

const MEM_LEVEL: u8 = 8;

/// Appends what one piece becomes, whole bytes: `plain` after `history`, at a level from 0 to 9. Starts of blocks count
/// from the first byte of `plain`.
pub fn block(level: u8, history: &[u8], plain: &[u8], is_last: bool, out: &mut Bits) {
    block_at(level, history, (plain, 0), is_last, out);
}

fn block_at(level: u8, history: &[u8], (plain, offset): (&[u8], u64), is_last: bool, out: &mut Bits) {
    let mut encoder = stream(level, MEM_LEVEL, history, offset, 0);
    encoder.write(plain, out);
    if is_last {
        encoder.finish(out);
    } else {
        let plain_offset = encoder.flush(out);
        align(Block { plain: None, plain_offset, is_last }, out);
    }
}

/// Fills up to a whole byte with blocks of nothing: with fixed codes where their 10 bits can do it, else stored.
fn align(nothing: Block<'_>, out: &mut Bits) {
    if out.bit_offset() % 2 == 1 {
        nothing.write_stored(out);
    }
    while !out.bit_offset().is_multiple_of(8) {
        nothing.write_empty_fixed(out);
    }
}

/// The same as one stream.
pub struct Encoder {
    level: u8,
    /// History, then the piece that is being gathered.
    bytes: Vec<u8>,
    history: usize,
    offset: u64,
}

impl Encoder {
    /// At a level from 0 to 9, with pieces of [`PIECE_BYTES`].
    #[must_use]
    pub fn new(level: u8) -> Self {
        Self::anew(level, Anew { from: 0, at: 0 })
    }

    /// The same as it goes on with the piece at `anew.at`: it is to be given what begins at `anew.from`.
    pub(super) fn anew(level: u8, anew: Anew) -> Self {
        let history = usize::try_from(anew.at.saturating_sub(anew.from)).unwrap_or(usize::MAX);
        Self { level, bytes: Vec::new(), history, offset: anew.at }
    }

    fn gathered(&self) -> usize {
        self.bytes.len().saturating_sub(self.history)
    }

    fn put(&mut self, is_last: bool, out: &mut Bits) {
        let (history, plain) = self.bytes.split_at(self.history.min(self.bytes.len()));
        block_at(self.level, history, (plain, self.offset), is_last, out);
        self.offset = self.offset.saturating_add(u64::try_from(plain.len()).unwrap_or(u64::MAX));
        self.bytes.drain(..self.bytes.len().saturating_sub(HISTORY_BYTES));
        self.history = self.bytes.len();
    }
}

impl Deflate for Encoder {
    fn write(&mut self, mut plain: &[u8], out: &mut Bits) {
        while !plain.is_empty() {
            if self.gathered() == PIECE_BYTES {
                self.put(false, out);
            }
            let room = PIECE_BYTES.saturating_sub(self.gathered());
            let (taken, rest) = plain.split_at(room.min(plain.len()));
            self.bytes.extend_from_slice(taken);
            plain = rest;
        }
    }

    fn finish(&mut self, out: &mut Bits) {
        self.put(true, out);
    }
}
