//! [`Shape`]: where shards, columns and hashes lie in files (SPEC section 10).
//!
//! **Invariants.** All of it follows from `OCM.PARITY`; sums that a hostile one could make too large end at the largest number, where no
//! file has bytes.
//!
//! *Not here:* reading and writing them.

use std::ops::Range;

use super::MEMBER_BYTES;
use crate::error::{Error, Result};
use crate::layout::{
    FOOTER_FROM_END, HASH_BYTES, HEADER_OFFSET, MAX_COLUMN_BYTES, MAX_SHARDS, MAX_TABLE_BYTES, PARITY_OFFSET, ParityHeader, ShardEntry,
};
use crate::tar;

/// Columns are at least this long where a cap is small.
const LEAST_COLUMN_BYTES: u64 = 4 << 10;
/// Columns begin at this size where a cap is not small.
const COLUMN_BYTES: u64 = 1 << 20;
/// What a row of MEMBERS takes at the most, with its share of a block.
const ROW_BOUND: u64 = 320;

/// The places of a set with parity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many data shards there are.
    pub data: u32,
    /// How many parity shards.
    pub parity: u32,
    /// The size of a column; the last is shorter.
    pub column_bytes: u64,
    /// The length of a shard.
    pub shard_bytes: u64,
    shard_offset: u64,
}

impl Shape {
    /// What a header says.
    #[must_use]
    pub fn of(header: &ParityHeader) -> Self {
        let (parity, column_bytes, shard_offset) = (header.parity, header.column_bytes, header.shard_offset);
        Self { data: header.data(), parity, column_bytes, shard_bytes: header.shard_bytes(), shard_offset }
    }

    /// The shape of new parity volumes: the smallest column with which they stay below `cap`.
    pub fn fitting(volumes: &[ShardEntry], parity: u32, cap: u64, text_bytes: u64) -> Result<Self> {
        let data = u32::try_from(volumes.len()).unwrap_or(u32::MAX);
        let shard_bytes = volumes.iter().map(|volume| volume.bytes).max().unwrap_or(0);
        if data == 0 || parity == 0 || data.saturating_add(parity) > MAX_SHARDS {
            let text = format!("parity: {data} data and {parity} parity volumes, and at most {MAX_SHARDS} together are possible");
            return Err(Error::limit(text));
        }
        let header = tar::padded(ParityHeader::bytes_for(data));
        let shard_offset = PARITY_OFFSET.saturating_add(header).saturating_add(tar::member_bytes(text_bytes));
        let mut column_bytes = COLUMN_BYTES.min(LEAST_COLUMN_BYTES.max((cap >> 6).next_power_of_two()));
        while column_bytes <= MAX_COLUMN_BYTES {
            let shape = Self { data, parity, column_bytes, shard_bytes, shard_offset };
            if shape.most_file_bytes() < cap && shape.table_bytes() <= MAX_TABLE_BYTES {
                return Ok(shape);
            }
            column_bytes = column_bytes.saturating_mul(2);
        }
        let text = format!("parity: {data} data and {parity} parity volumes are more than volumes below {cap} bytes can name");
        Err(Error::limit(text))
    }

    /// Where the tar header of the first shard member stands.
    #[must_use]
    pub fn shard_offset(&self) -> u64 {
        self.shard_offset
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u32 {
        self.data.saturating_add(self.parity)
    }

    /// How many columns a shard has.
    #[must_use]
    pub fn columns(&self) -> u64 {
        self.columns_of(self.shard_bytes)
    }

    /// How many columns are not wholly beyond the end of a data volume of this size.
    #[must_use]
    pub fn columns_of(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.column_bytes)
    }

    /// Which bytes of a shard a column is.
    #[must_use]
    pub fn column(&self, number: u64) -> Range<u64> {
        let begin = number.saturating_mul(self.column_bytes).min(self.shard_bytes);
        begin..begin.saturating_add(self.column_bytes).min(self.shard_bytes)
    }

    /// How long a row of hashes is.
    #[must_use]
    pub fn row_bytes(&self) -> u64 {
        HASH_BYTES.saturating_mul(self.shards().into()).saturating_add(4)
    }

    /// How long the table of hashes is.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        self.row_bytes().saturating_mul(self.columns())
    }

    /// Where in a parity volume byte `at` of its shard is, and how many bytes follow it there without a gap.
    #[must_use]
    pub fn in_file(&self, at: u64) -> (u64, u64) {
        let (member, within) = (at.checked_div(MEMBER_BYTES).unwrap_or(0), at.checked_rem(MEMBER_BYTES).unwrap_or(0));
        let begin = member.saturating_mul(MEMBER_BYTES.saturating_add(tar::BLOCK)).saturating_add(tar::BLOCK);
        (self.shard_offset.saturating_add(begin).saturating_add(within), MEMBER_BYTES.saturating_sub(within))
    }

    /// The members that a shard is in: how long each is.
    pub fn members(&self) -> impl Iterator<Item = u64> + use<> {
        let shard_bytes = self.shard_bytes;
        (0..shard_bytes.div_ceil(MEMBER_BYTES)).map(move |number| {
            let begin = number.saturating_mul(MEMBER_BYTES);
            shard_bytes.saturating_sub(begin).min(MEMBER_BYTES)
        })
    }

    /// Where the tar header of the table of hashes stands.
    #[must_use]
    pub fn table_offset(&self) -> u64 {
        let members = self.shard_bytes.div_ceil(MEMBER_BYTES).saturating_mul(tar::BLOCK);
        self.shard_offset.saturating_add(self.shard_bytes).saturating_add(members)
    }

    /// Where the row of a column stands in a parity volume.
    #[must_use]
    pub fn row_offset(&self, column: u64) -> u64 {
        self.table_offset().saturating_add(tar::BLOCK).saturating_add(column.saturating_mul(self.row_bytes()))
    }

    /// How long a parity volume is at the most.
    fn most_file_bytes(&self) -> u64 {
        let members = self.shard_bytes.div_ceil(MEMBER_BYTES).saturating_add(4);
        let index = tar::member_bytes(ROW_BOUND.saturating_mul(members.saturating_add(2)));
        let ends = index.saturating_add(FOOTER_FROM_END).saturating_add(tar::BLOCK);
        self.table_offset().saturating_add(tar::member_bytes(self.table_bytes())).saturating_add(ends)
    }
}

/// What data volumes leave free below their cap, so that parity volumes as long as the longest stay below it too.
#[must_use]
pub fn reserve_bytes(cap: u64) -> u64 {
    (HEADER_OFFSET << 5).saturating_add(cap >> 8)
}
