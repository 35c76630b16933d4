//! [`ParityHeader`]: `OCM.PARITY`, what a parity volume says of the set that it can rebuild (SPEC section 10).
//!
//! **Invariants.** Decoding takes exactly what encoding makes. No length in it leads to more than [`ParityHeader::most_bytes`] of memory, and
//! none is believed that the limits of the format forbid.
//!
//! *Not here:* where shards lie in a file (`parity::shape`).

use super::{FIXED_BYTES, HEADER_OFFSET, Id, put_version, seal, take_version};
use crate::codec::{Cursor, length};
use crate::digest::Digest;
use crate::error::{Error, Result, cap};
use crate::tar;

/// The first bytes of `OCM.PARITY`.
pub const PARITY_MAGIC: [u8; 8] = *b"\x8FOCMP\n\x1A\n";
/// Where its content stands in the file: right after `OCM.VOLUME`.
pub const PARITY_OFFSET: u64 = 1536;
/// The only code that there is: Reed-Solomon over GF(2^16), Leopard, high rate.
pub const CODE_LEOPARD: u16 = 1;
/// The most shards, data and parity together.
pub const MAX_SHARDS: u32 = 4096;
/// The smallest column.
pub const MIN_COLUMN_BYTES: u64 = 512;
/// The largest column.
pub const MAX_COLUMN_BYTES: u64 = 1 << 30;
/// How many bytes of the SHA-256 of a column are kept.
pub const HASH_BYTES: u64 = 16;
/// The longest table of hashes.
pub const MAX_TABLE_BYTES: u64 = 1 << 30;
/// An entry of the list of data volumes.
const ENTRY_BYTES: u64 = 40;

/// A data volume, as parity volumes name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardEntry {
    /// The size of its file.
    pub bytes: u64,
    /// Its volume root.
    pub root: Digest,
}

/// `OCM.PARITY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParityHeader {
    /// How many parity volumes there are.
    pub parity: u32,
    /// The size of a column.
    pub column_bytes: u64,
    /// Where the tar header of the first shard member stands.
    pub shard_offset: u64,
    /// The set.
    pub set: Id,
    /// The SHA-256 of its SET.json.
    pub set_root: Digest,
    /// Its data volumes, in order.
    pub volumes: Vec<ShardEntry>,
}

impl ParityHeader {
    /// How long the content of `OCM.PARITY` is at the most.
    #[must_use]
    pub fn most_bytes() -> u64 {
        list_bytes(MAX_SHARDS).saturating_add(HEADER_OFFSET)
    }

    /// How long it is for so many data volumes.
    #[must_use]
    pub fn bytes_for(volumes: u32) -> u64 {
        list_bytes(volumes).saturating_add(HEADER_OFFSET)
    }

    /// The length of a shard: of the longest data volume.
    #[must_use]
    pub fn shard_bytes(&self) -> u64 {
        self.volumes.iter().map(|volume| volume.bytes).max().unwrap_or(0)
    }

    /// How many data volumes there are.
    #[must_use]
    pub fn data(&self) -> u32 {
        u32::try_from(self.volumes.len()).unwrap_or(u32::MAX)
    }

    /// The content of `OCM.PARITY`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for volume in &self.volumes {
            list.extend(volume.bytes.to_le_bytes());
            list.extend(volume.root.bytes());
        }
        let mut out = PARITY_MAGIC.to_vec();
        put_version(&mut out);
        out.extend(CODE_LEOPARD.to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.data().to_le_bytes());
        out.extend(self.parity.to_le_bytes());
        for number in [self.column_bytes, self.shard_bytes(), self.shard_offset] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.set.0);
        out.extend(self.set_root.bytes());
        out.extend(Digest::of(&list).bytes());
        let mut whole = seal(&out).to_vec();
        whole.extend(list);
        whole
    }

    /// How many bytes follow the first 512, from these.
    pub fn rest_bytes(fixed: &[u8; FIXED_BYTES]) -> Result<usize> {
        let mut cursor = fields(fixed)?;
        cursor.take(4)?;
        let data = cursor.u32()?;
        if data == 0 || data > MAX_SHARDS {
            return Err(Error::limit(format!("OCM.PARITY: {data} data volumes, and 1 to {MAX_SHARDS} are allowed")));
        }
        cap(list_bytes(data), Self::most_bytes(), "OCM.PARITY")
    }

    /// Reads the content of `OCM.PARITY`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (fixed, list) = bytes.split_first_chunk::<FIXED_BYTES>().ok_or_else(|| Error::damaged("OCM.PARITY: it is too short"))?;
        let mut cursor = fields(fixed)?;
        let code = cursor.u16()?;
        if code != CODE_LEOPARD {
            return Err(cursor.unknown("code", code.into()));
        }
        cursor.zeros(2)?;
        let (data, parity) = (cursor.u32()?, cursor.u32()?);
        let (column_bytes, shard_bytes, shard_offset) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let (set, set_root) = (Id(cursor.array()?), cursor.sha256()?);
        let sum = cursor.sha256()?;
        cursor.zeros(cursor.rest().len())?;
        if list_bytes(data) != length(list) || !sum.matches(list) {
            return Err(Error::damaged("OCM.PARITY: the list of volumes is not the one that it was made with"));
        }
        let header = Self { parity, column_bytes, shard_offset, set, set_root, volumes: entries(list)? };
        header.check(shard_bytes)?;
        Ok(header)
    }

    fn check(&self, shard_bytes: u64) -> Result<()> {
        let wrong = |why: &str| Err(Error::damaged(format!("OCM.PARITY: {why}")));
        let shards = self.data().saturating_add(self.parity);
        if self.data() == 0 || self.parity == 0 || shards > MAX_SHARDS {
            return wrong("its numbers of volumes are out of bounds");
        }
        let column = self.column_bytes;
        if !column.is_power_of_two() || !(MIN_COLUMN_BYTES..=MAX_COLUMN_BYTES).contains(&column) {
            return wrong("its column is no power of two from 512 to 2^30");
        }
        let blocks = self.volumes.iter().all(|volume| volume.bytes > 0 && volume.bytes.is_multiple_of(tar::BLOCK));
        if !blocks || shard_bytes != self.shard_bytes() || shard_bytes >= 1 << 62 {
            return wrong("its shard length is not that of the longest volume, in blocks of 512 bytes");
        }
        let row = HASH_BYTES.saturating_mul(shards.into()).saturating_add(4);
        if row.saturating_mul(shard_bytes.div_ceil(column)) > MAX_TABLE_BYTES {
            return wrong("its table of hashes would be larger than 1 GiB");
        }
        let first = PARITY_OFFSET.saturating_add(tar::padded(Self::bytes_for(self.data())));
        let near = first.saturating_add(1 << 20);
        if !self.shard_offset.is_multiple_of(tar::BLOCK) || !(first..=near).contains(&self.shard_offset) {
            return wrong("its shards begin where they cannot");
        }
        Ok(())
    }
}

fn list_bytes(volumes: u32) -> u64 {
    ENTRY_BYTES.saturating_mul(volumes.into())
}

/// Checks magic, checksum and version; what comes then are the fields.
fn fields(fixed: &[u8; FIXED_BYTES]) -> Result<Cursor<'_>> {
    let (covered, sum) = fixed.split_last_chunk::<4>().ok_or_else(|| Error::damaged("OCM.PARITY: it is too short"))?;
    let mut cursor = Cursor::new(covered, "OCM.PARITY");
    if cursor.array()? != PARITY_MAGIC || crc32c::crc32c(covered) != u32::from_le_bytes(*sum) {
        return Err(cursor.wrong("its magic or its checksum does not hold"));
    }
    take_version(&mut cursor, "OCM.PARITY")?;
    Ok(cursor)
}

fn entries(list: &[u8]) -> Result<Vec<ShardEntry>> {
    let mut cursor = Cursor::new(list, "OCM.PARITY");
    let mut entries = Vec::new();
    while !cursor.is_empty() {
        entries.push(ShardEntry { bytes: cursor.u64()?, root: cursor.sha256()? });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ParityHeader {
        let volume = |bytes: u64| ShardEntry { bytes, root: Digest::of(&bytes.to_le_bytes()) };
        ParityHeader {
            parity: 2,
            column_bytes: 4096,
            shard_offset: 3584,
            set: Id([7; 16]),
            set_root: Digest::of(b"set"),
            volumes: vec![volume(65_024), volume(1024), volume(40_960)],
        }
    }

    #[test]
    fn it_comes_back_and_every_flipped_bit_is_seen() {
        let bytes = sample().encode();
        assert_eq!(ParityHeader::decode(&bytes).expect("a header"), sample());
        assert_eq!(ParityHeader::rest_bytes(bytes.first_chunk().expect("512")).expect("a length"), bytes.len() - 512);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(ParityHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        type Change = fn(&mut ParityHeader);
        let changes: [Change; 8] = [
            |header| header.parity = 0,
            |header| header.parity = MAX_SHARDS,
            |header| header.column_bytes = 256,
            |header| header.column_bytes = 5000,
            |header| header.column_bytes = 1 << 31,
            |header| header.shard_offset = 1536,
            |header| header.volumes.clear(),
            |header| header.volumes[0].bytes = 65_025,
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut header = sample();
            change(&mut header);
            assert!(ParityHeader::decode(&header.encode()).is_err(), "change {at}");
        }
    }

    #[test]
    fn numbers_at_their_limits_come_back() {
        type Change = fn(&mut ParityHeader);
        let changes: [(Change, bool); 10] = [
            (|header| header.parity = MAX_SHARDS - 3, true),
            (|header| header.parity = MAX_SHARDS - 2, false),
            (|header| header.column_bytes = MIN_COLUMN_BYTES, true),
            (|header| header.column_bytes = MAX_COLUMN_BYTES, true),
            // Three entries of 40 bytes after 512: the first block after them, and 1 MiB behind it.
            (|header| header.shard_offset = 2560 + (1 << 20), true),
            (|header| header.shard_offset = 2560 + (1 << 20) + 512, false),
            (|header| header.shard_offset += 1, false),
            (|header| header.volumes[0].bytes = 1 << 62, false),
            // 5 hashes of 16 bytes and a CRC of 4 for each of so many columns.
            (|header| header.volumes[0].bytes = 4096 * (MAX_TABLE_BYTES / 84), true),
            (|header| header.volumes[0].bytes = 4096 * (MAX_TABLE_BYTES / 84 + 1), false),
        ];
        for (at, (change, is_sound)) in changes.into_iter().enumerate() {
            let mut header = sample();
            change(&mut header);
            assert_eq!(ParityHeader::decode(&header.encode()).ok(), is_sound.then_some(header), "change {at}");
        }
        assert_eq!((sample().shard_bytes(), ParityHeader::bytes_for(3)), (65_024, 512 + 120));
    }

    #[test]
    fn what_follows_is_bounded_before_it_is_read() {
        for (data, is_sound) in [(0, false), (1, true), (MAX_SHARDS, true), (MAX_SHARDS + 1, false)] {
            let mut fixed: [u8; FIXED_BYTES] = *sample().encode().first_chunk().expect("512");
            fixed[16..20].copy_from_slice(&data.to_le_bytes());
            let rest = ParityHeader::rest_bytes(&seal(&fixed[..508]));
            assert_eq!(rest.ok(), is_sound.then_some(data as usize * 40), "{data}");
        }
    }
}
