//! [`Group`]: the parity of a set, and the files that may hold its shards.
//!
//! **Invariants.** One sound `OCM.PARITY` is enough for all parity volumes, since all have the same. One of another set, or of another root,
//! is not used, and named. A row of hashes counts only with its checksum, and any volume's row does.
//!
//! *Not here:* which columns are sound (`survey`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Hash;
use super::holder::{Files, Holder};
use super::shape::Shape;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result, cap};
use crate::layout::{FIXED_BYTES, HASH_BYTES, Id, MAX_SHARDS, PARITY_OFFSET, ParityHeader};

/// The parity of a set.
#[derive(Debug)]
pub struct Group {
    /// What its volumes say.
    pub header: ParityHeader,
    /// Where things lie.
    pub shape: Shape,
    pub(super) holders: Vec<Vec<Holder>>,
    tables: Vec<PathBuf>,
    pub(super) files: Files,
}

impl Group {
    /// Reads what the parity volumes of a set say, given with their numbers; `root` is its root, where that is known. `None` where none of
    /// them can be used. Besides, what is wrong with any.
    #[must_use]
    pub fn open(set: Id, root: Option<Digest>, volumes: &[(u32, PathBuf)]) -> (Option<Self>, Vec<Error>) {
        let mut files = Files::default();
        let (mut read, mut unread, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (number, path) in volumes {
            let placed = |error: Error| error.in_file(path).in_volume(*number).at(PARITY_OFFSET);
            match read_header(&mut files, path) {
                Ok(header) if header.set == set && root.is_none_or(|root| root == header.set_root) => read.push((number, path, header)),
                Ok(header) => problems.push(placed(foreign(&header, set))),
                Err(error) if matches!(error.kind(), Kind::Version | Kind::Unsupported) => problems.push(placed(error)),
                Err(error) => {
                    unread.push((number, path));
                    problems.push(placed(error));
                }
            }
        }
        let Some(header) = most_told(&read) else { return (None, problems) };
        let shape = Shape::of(&header);
        let shards = usize::try_from(shape.shards()).unwrap_or_default();
        let (holders, tables) = (vec![Vec::new(); shards], Vec::new());
        let mut group = Self { header, shape, holders, tables, files };
        for (number, path, header) in read {
            if header == group.header {
                group.add_parity(*number, path);
            } else {
                let error = Error::damaged("OCM.PARITY: other parity volumes of the set say something else; it is not used");
                problems.push(error.in_file(path).in_volume(*number).at(PARITY_OFFSET));
            }
        }
        unread.into_iter().for_each(|(number, path)| group.add_parity(*number, path));
        (Some(group), problems)
    }

    /// Adds a file that may hold the data volume of this number, from 1.
    pub fn add_data(&mut self, number: u32, holder: Holder) {
        self.add(number.checked_sub(1).filter(|shard| *shard < self.shape.data), holder);
    }

    fn add_parity(&mut self, number: u32, path: &Path) {
        let shard = number.checked_sub(1).filter(|at| *at < self.shape.parity).map(|at| self.shape.data.saturating_add(at));
        if shard.is_some() {
            self.tables.push(path.to_owned());
        }
        self.add(shard, Holder::file(path));
    }

    fn add(&mut self, shard: Option<u32>, holder: Holder) {
        let shard = shard.and_then(|shard| usize::try_from(shard).ok());
        if let Some(holders) = shard.and_then(|shard| self.holders.get_mut(shard)).filter(|holders| !holders.contains(&holder)) {
            holders.push(holder);
        }
    }

    /// The size of a data volume, by its shard; of a parity shard, its length.
    #[must_use]
    pub fn content_bytes(&self, shard: u32) -> u64 {
        let volume = usize::try_from(shard).ok().and_then(|shard| self.header.volumes.get(shard));
        volume.map_or(self.shape.shard_bytes, |volume| volume.bytes)
    }

    /// Fills `buffer` from byte `at` of a shard, as this holder has it.
    pub(super) fn read(&mut self, shard: u32, holder: usize, at: u64, buffer: &mut [u8]) -> Result<()> {
        let bytes = self.content_bytes(shard);
        let holders = usize::try_from(shard).ok().and_then(|shard| self.holders.get(shard));
        let holder = holders.and_then(|holders| holders.get(holder)).ok_or_else(|| Error::damaged("parity: a shard is nowhere"))?;
        if shard < self.shape.data {
            holder.read_data(&mut self.files, bytes, at, buffer)
        } else {
            holder.read_parity(&mut self.files, &self.shape, at, buffer)
        }
    }

    /// The hashes of a column of all shards; `None` where no volume has a sound row.
    pub(super) fn row(&mut self, column: u64) -> Option<Vec<Hash>> {
        let most = HASH_BYTES.saturating_mul(MAX_SHARDS.into()).saturating_add(4);
        let mut row = vec![0u8; cap(self.shape.row_bytes(), most, "row of hashes").ok()?];
        let offset = self.shape.row_offset(column);
        for table in &self.tables {
            if self.files.read(table, offset, &mut row).is_ok()
                && let Some(hashes) = sound_row(column, &row)
            {
                return Some(hashes);
            }
        }
        None
    }
}

/// The bytes of a row.
pub(super) fn encode_row(column: u64, hashes: &[Hash]) -> Vec<u8> {
    let mut row = hashes.concat();
    let sum = row_sum(column, &row);
    row.extend(sum.to_le_bytes());
    row
}

/// The hashes of a row, if its checksum holds for this column.
fn sound_row(column: u64, row: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, sum) = row.split_last_chunk::<4>()?;
    let (hashes_of, rest) = hashes.as_chunks::<16>();
    (rest.is_empty() && row_sum(column, hashes) == u32::from_le_bytes(*sum)).then(|| hashes_of.to_vec())
}

fn row_sum(column: u64, hashes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&column.to_le_bytes()), hashes)
}

fn read_header(files: &mut Files, path: &Path) -> Result<ParityHeader> {
    let mut fixed = [0u8; FIXED_BYTES];
    files.read(path, PARITY_OFFSET, &mut fixed)?;
    let mut content = fixed.to_vec();
    content.resize(FIXED_BYTES.saturating_add(ParityHeader::rest_bytes(&fixed)?), 0);
    files.read(path, PARITY_OFFSET, &mut content)?;
    ParityHeader::decode(&content)
}

/// What most of the volumes say; of two that as many say, what the first does.
fn most_told(read: &[(&u32, &PathBuf, ParityHeader)]) -> Option<ParityHeader> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, _, header) in read {
        let first = read.iter().position(|(_, _, other)| other == header)?;
        let count = counts.entry(first).or_default();
        *count = count.saturating_add(1);
    }
    let (first, _) = counts.into_iter().max_by_key(|(first, count)| (*count, std::cmp::Reverse(*first)))?;
    read.get(first).map(|(_, _, header)| header.clone())
}

fn foreign(header: &ParityHeader, set: Id) -> Error {
    let text = if header.set == set {
        format!("OCM.PARITY: it is of a set with root {}; it is not used", header.set_root)
    } else {
        format!("OCM.PARITY: it is of set {}; it is not used", header.set)
    };
    Error::damaged(text)
}
