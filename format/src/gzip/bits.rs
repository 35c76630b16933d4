//! [`Bits`]: the output of a deflate encoder, LSB first as RFC 1951 has it; [`Packer`] puts many bits at a time.
//!
//! **Invariants.** At most 7 bits wait for their byte between calls. Offsets count from the first bit ever put, whatever
//! was taken out in between.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "counts of bits of one stream, below 2^63; shifts are below 64")]

/// Bits that become bytes.
#[derive(Debug, Default, Clone)]
pub struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    waiting_bits: u32,
    taken_bytes: u64,
    starts: Vec<BlockStart>,
}

/// Where a deflate block begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockStart {
    /// Where in the input of the encoder.
    pub plain_offset: u64,
    /// Which bit of its output.
    pub output_bit: u64,
}

impl Bits {
    /// Output that goes to `bytes`, in place of what it holds.
    #[must_use]
    pub fn into_room(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, ..Self::default() }
    }

    /// Appends the low `count` bits of `value`, which has no others; `count` is at most 48.
    pub fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 48 && value >> count == 0, "{count} bits of {value:#x}");
        self.waiting |= value << self.waiting_bits;
        self.waiting_bits += count;
        if self.waiting_bits >= 8 {
            let whole = self.waiting_bits / 8;
            // All eight bytes and some of them back takes less than a copy of so many.
            let length = self.bytes.len() + usize::try_from(whole).unwrap_or(8);
            self.bytes.extend_from_slice(&self.waiting.to_le_bytes());
            self.bytes.truncate(length);
            self.waiting = self.waiting.checked_shr(whole * 8).unwrap_or(0);
            self.waiting_bits %= 8;
        }
    }

    /// Appends zero bits up to the next whole byte.
    pub fn pad(&mut self) {
        if self.waiting_bits > 0 {
            self.put(0, 8 - self.waiting_bits);
        }
    }

    /// Appends whole bytes; pads first.
    pub fn append(&mut self, bytes: &[u8]) {
        self.pad();
        self.bytes.extend_from_slice(bytes);
    }

    /// Notes that a block begins here, at this place of the encoder's input.
    pub fn begin_block(&mut self, plain_offset: u64) {
        self.starts.push(BlockStart { plain_offset, output_bit: self.bit_offset() });
    }

    /// How many bits were put.
    #[must_use]
    pub fn bit_offset(&self) -> u64 {
        let bytes = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX).saturating_add(self.taken_bytes);
        bytes.saturating_mul(8).saturating_add(u64::from(self.waiting_bits))
    }

    /// The whole bytes since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.taken_bytes = self.taken_bytes.saturating_add(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX));
        std::mem::take(&mut self.bytes)
    }

    /// Where blocks began since the last call.
    pub fn take_starts(&mut self) -> Vec<BlockStart> {
        std::mem::take(&mut self.starts)
    }
}

/// Puts bits in quick succession.
pub(super) struct Packer<'a> {
    out: &'a mut Bits,
    waiting: u64,
    waiting_bits: u32,
    bytes: [u8; BATCH_BYTES + 8],
    count: usize,
}

/// Whole bytes are handed on when there are about so many; a power of two.
const BATCH_BYTES: usize = 512;

impl Bits {
    /// Goes on by [`Packer::put`]; until [`Packer::finish`] nothing else can.
    pub(super) fn packer(&mut self) -> Packer<'_> {
        let (waiting, waiting_bits) = (self.waiting, self.waiting_bits);
        Packer { out: self, waiting, waiting_bits, bytes: [0; BATCH_BYTES + 8], count: 0 }
    }
}

impl Packer<'_> {
    /// As [`Bits::put`].
    #[inline(always)]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 48 && value >> count == 0, "{count} bits of {value:#x}");
        self.waiting |= value << self.waiting_bits;
        self.waiting_bits += count;
        // All eight bytes, of which some are written again, take less than a choice of how many.
        let at = self.count % BATCH_BYTES;
        if let Some(to) = self.bytes.get_mut(at..at + 8) {
            to.copy_from_slice(&self.waiting.to_le_bytes());
        }
        let whole = self.waiting_bits / 8 % 8;
        self.count += whole as usize;
        self.waiting >>= whole * 8;
        self.waiting_bits %= 8;
        if self.count >= BATCH_BYTES - 8 {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        self.out.bytes.extend_from_slice(self.bytes.get(..self.count).unwrap_or_default());
        self.count = 0;
    }

    /// Gives everything to the output.
    pub(super) fn finish(mut self) {
        self.hand_on();
        (self.out.waiting, self.out.waiting_bits) = (self.waiting, self.waiting_bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_go_from_low_to_high_and_offsets_survive_taking() {
        let mut bits = Bits::default();
        bits.put(0b1, 1);
        bits.put(0b10, 2);
        bits.begin_block(7);
        bits.put(0x1ffff, 17);
        assert_eq!(bits.take(), [0b1111_1101, 0xff]);
        bits.pad();
        bits.append(b"x");
        assert_eq!(bits.take(), [0b0000_1111, b'x']);
        assert_eq!(bits.bit_offset(), 32);
        assert_eq!(bits.take_starts(), [BlockStart { plain_offset: 7, output_bit: 3 }]);
    }
}
