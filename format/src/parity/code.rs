//! [`Code`]: Reed-Solomon over slices of shards (SPEC section 10).
//!
//! **Invariants.** High rate, whatever the numbers, so that one definition holds. Every 64 bytes of the shards are coded by
//! themselves: slices of a multiple of 64 bytes give the same bytes as whole shards. What the coder holds in memory is at most
//! [`MEMORY_BYTES`].
//!
//! *Not here:* where the bytes of shards are (`shape`, `holder`).

use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{DecoderWork, EncoderWork, HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};

use crate::error::{Error, Result};
use crate::layout::MAX_SHARDS;

/// What the coder holds at the most.
pub const MEMORY_BYTES: u64 = 64 << 20;
/// The longest slice.
const MAX_SLICE_BYTES: u64 = 1 << 20;
/// What the code works on by itself.
const UNIT_BYTES: u64 = 64;

/// Fills a slice of the shard of this number.
pub type Read<'a> = dyn FnMut(u32, &mut [u8]) -> Result<()> + 'a;
/// Takes a slice of the shard of this number.
pub type Write<'a> = dyn FnMut(u32, &[u8]) -> Result<()> + 'a;

/// The code of `data` and `parity` shards. Shards are numbered from 0, the data first.
pub struct Code {
    data: u32,
    parity: u32,
    encoder: Option<EncoderWork>,
    decoder: Option<DecoderWork>,
    buffer: Vec<u8>,
}

impl Code {
    /// A code; refused where there are no shards of a kind, or too many.
    pub fn new(data: u32, parity: u32) -> Result<Self> {
        let all = data.saturating_add(parity);
        if data == 0 || parity == 0 || all > MAX_SHARDS {
            let text = format!("parity: {data} data and {parity} parity volumes, and at most {MAX_SHARDS} together can be coded");
            return Err(Error::limit(text));
        }
        Ok(Self { data, parity, encoder: None, decoder: None, buffer: Vec::new() })
    }

    /// How many bytes of each shard are to be handed over at once at the most, of columns of this size.
    #[must_use]
    pub fn slice_bytes(&self, column_bytes: u64) -> u64 {
        let work = self.parity.next_power_of_two().saturating_add(self.data).next_power_of_two();
        let fits = MEMORY_BYTES.checked_div(work.into()).unwrap_or(UNIT_BYTES);
        let power = 1u64.checked_shl(63u32.saturating_sub(fits.max(1).leading_zeros())).unwrap_or(UNIT_BYTES);
        power.min(column_bytes).clamp(UNIT_BYTES, MAX_SLICE_BYTES)
    }

    /// Makes all parity slices from all data slices of `bytes` bytes. Parity is written by its number among all shards.
    pub fn encode(&mut self, bytes: usize, read: &mut Read<'_>, write: &mut Write<'_>) -> Result<()> {
        let (data, parity) = (count(self.data), count(self.parity));
        let encoder = HighRateEncoder::new(data, parity, bytes, DefaultEngine::new(), self.encoder.take());
        let mut encoder = encoder.map_err(refused)?;
        self.buffer.resize(bytes, 0);
        for shard in 0..self.data {
            read(shard, &mut self.buffer)?;
            encoder.add_original_shard(&self.buffer).map_err(refused)?;
        }
        let made = encoder.encode().map_err(refused)?;
        for (number, slice) in (self.data..).zip(made.recovery_iter()) {
            write(number, slice)?;
        }
        drop(made);
        self.encoder = Some(encoder.into_parts().1);
        Ok(())
    }

    /// Makes the data slices of `bytes` bytes that are not among `given`, from those that are. It takes as many as there are data shards.
    pub fn decode(&mut self, bytes: usize, given: &[u32], read: &mut Read<'_>, write: &mut Write<'_>) -> Result<()> {
        let (data, parity) = (count(self.data), count(self.parity));
        let decoder = HighRateDecoder::new(data, parity, bytes, DefaultEngine::new(), self.decoder.take());
        let mut decoder = decoder.map_err(refused)?;
        self.buffer.resize(bytes, 0);
        for shard in given {
            read(*shard, &mut self.buffer)?;
            match shard.checked_sub(self.data) {
                None => decoder.add_original_shard(count(*shard), &self.buffer),
                Some(at) => decoder.add_recovery_shard(count(at), &self.buffer),
            }
            .map_err(refused)?;
        }
        let made = decoder.decode().map_err(refused)?;
        for (number, slice) in made.restored_original_iter() {
            write(u32::try_from(number).unwrap_or(u32::MAX), slice)?;
        }
        drop(made);
        self.decoder = Some(decoder.into_parts().1);
        Ok(())
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn refused(error: reed_solomon_simd::Error) -> Error {
    Error::limit(format!("parity: {error}"))
}
