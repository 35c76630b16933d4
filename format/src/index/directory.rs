//! [`Directory`]: which blocks the tables of `OCM.INDEX` have, and where (SPEC section 7).
//!
//! **Invariants.** Blocks follow one another without a gap from the start of `OCM.INDEX` to the directory; their keys
//! ascend; their sizes are within the limits; rows add up. Memory is in proportion to the bytes that were read.
//!
//! *Not here:* what is in the blocks (`decode`), and reading them (`read`).

use super::{DIRECTORY_TAG, FLAG_SKIP, MAX_BLOCK_BYTES, table};
use crate::codec::Cursor;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// The most plain bytes of a block with more than one row.
const MAX_SHARED_BLOCK_BYTES: u64 = 64 << 10;
/// A block that does not shrink grows by no more than this.
const MAX_GROWTH_BYTES: u64 = 64 << 10;

/// The directory of a volume's index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    pub(crate) frames: Table<u64>,
    pub(crate) parts: Table<u64>,
    pub(crate) pieces: Table<u64>,
    pub(crate) blobs: Table<Digest>,
    pub(crate) members: Table<u64>,
    /// Blocks of tables that this version does not know: they are there, and count as bytes.
    pub(crate) others: Vec<Span>,
}

/// The blocks of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table<K> {
    pub(crate) rows: u64,
    pub(crate) blocks: Vec<Block<K>>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: 0, blocks: Vec::new() }
    }
}

/// A block: where it is and how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block<K> {
    pub(crate) key: K,
    pub(crate) span: Span,
    pub(crate) plain_bytes: u32,
    pub(crate) rows: u32,
}

/// Bytes of `OCM.INDEX` and their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Offset in `OCM.INDEX`.
    pub(crate) offset: u64,
    pub(crate) stored_bytes: u32,
    pub(crate) sha256: [u8; 32],
}

impl Directory {
    /// Reads a directory whose blocks take the first `blocks_bytes` bytes of `OCM.INDEX`.
    pub fn parse(bytes: &[u8], blocks_bytes: u64) -> Result<Self> {
        Self::read(bytes, blocks_bytes, false)
    }

    /// Reads the directory of an index that a scan has made: its stream may begin with a gap.
    pub(crate) fn of_scan(bytes: &[u8], blocks_bytes: u64) -> Result<Self> {
        Self::read(bytes, blocks_bytes, true)
    }

    fn read(bytes: &[u8], blocks_bytes: u64, scanned: bool) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, "directory");
        if cursor.array()? != DIRECTORY_TAG {
            return Err(cursor.wrong("its tag is wrong"));
        }
        let mut reader = Reader { cursor, scanned, end: 0, directory: Self::default() };
        let tables = reader.cursor.count(64, "tables of the directory")?;
        let mut before = 0;
        for _ in 0..tables {
            before = reader.table(before)?;
        }
        reader.cursor.end()?;
        if reader.end != blocks_bytes {
            return Err(Error::damaged("directory: its blocks do not fill the index"));
        }
        Ok(reader.directory)
    }

    /// How many blobs have a record in this volume.
    #[must_use]
    pub fn blobs(&self) -> u64 {
        self.blobs.rows
    }

    /// How many frames are in this volume.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.rows
    }
}

impl<K: Ord + Copy> Table<K> {
    /// The number of the block that `key` is in, if it is in any.
    pub(crate) fn find(&self, key: &K) -> Option<usize> {
        self.blocks.partition_point(|block| block.key <= *key).checked_sub(1)
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    scanned: bool,
    end: u64,
    directory: Directory,
}

impl Reader<'_> {
    /// Reads the next table, whose id is above `before`; gives its id.
    fn table(&mut self, before: u64) -> Result<u64> {
        let (id, flags) = (self.cursor.uvarint()?, self.cursor.uvarint()?);
        if id <= before {
            return Err(self.cursor.wrong("its tables are not in order"));
        }
        if flags & !FLAG_SKIP != 0 {
            return Err(unknown(&format!("table {id} has flags {flags:#x}")));
        }
        match id {
            table::FRAMES => self.directory.frames = self.blocks(Self::position)?,
            table::PARTS => self.directory.parts = self.blocks(Self::position)?,
            table::PIECES => self.directory.pieces = self.blocks(Self::position)?,
            table::BLOBS => self.directory.blobs = self.blocks(|reader, _| reader.cursor.digest())?,
            table::MEMBERS => self.directory.members = self.blocks(Self::position)?,
            _ if flags & FLAG_SKIP == 0 => return Err(unknown(&format!("table {id} is unknown"))),
            _ => {
                let skipped = self.blocks(|reader, _| reader.cursor.uvarint())?;
                self.directory.others.extend(skipped.blocks.into_iter().map(|block| block.span));
            }
        }
        Ok(id)
    }

    /// Offsets and positions begin at 0.
    fn position(&mut self, first: bool) -> Result<u64> {
        let key = self.cursor.uvarint()?;
        if first && key != 0 && !self.scanned {
            return Err(self.cursor.wrong("a table does not begin at 0"));
        }
        Ok(key)
    }

    fn blocks<K: Ord + Copy>(&mut self, key: impl Fn(&mut Self, bool) -> Result<K>) -> Result<Table<K>> {
        let rows = self.cursor.uvarint()?;
        // An entry takes 37 bytes or more, so the count is bounded by what is there; nothing is allocated before.
        let count = self.cursor.uvarint()?;
        let mut table = Table { rows, blocks: Vec::new() };
        let mut left = rows;
        for number in 0..count {
            let key = key(self, number == 0)?;
            let block = self.block(key)?;
            if table.blocks.last().is_some_and(|last: &Block<K>| last.key >= block.key) {
                return Err(self.cursor.wrong("its blocks are not in order"));
            }
            left = left.checked_sub(block.rows.into()).ok_or_else(|| self.cursor.wrong("its rows do not add up"))?;
            table.blocks.push(block);
        }
        if left != 0 {
            return Err(self.cursor.wrong("its rows do not add up"));
        }
        Ok(table)
    }

    fn block<K>(&mut self, key: K) -> Result<Block<K>> {
        let (offset, stored) = (self.cursor.uvarint()?, self.cursor.uvarint()?);
        let (plain, rows) = (self.cursor.uvarint()?, self.cursor.uvarint()?);
        let sha256 = self.cursor.array()?;
        let limit = if rows == 1 { MAX_BLOCK_BYTES } else { MAX_SHARED_BLOCK_BYTES };
        if offset != self.end {
            return Err(self.cursor.wrong("there is a gap between its blocks"));
        }
        if rows == 0 || rows > plain || plain > limit || stored == 0 || stored > plain.saturating_add(MAX_GROWTH_BYTES) {
            return Err(self.cursor.wrong("a block's sizes are out of bounds"));
        }
        let number = |value: u64| u32::try_from(value).map_err(|_| Error::limit("directory: a block is too large"));
        self.end = offset.checked_add(stored).ok_or_else(|| self.cursor.wrong("an offset is too large"))?;
        let span = Span { offset, stored_bytes: number(stored)?, sha256 };
        Ok(Block { key, span, plain_bytes: number(plain)?, rows: number(rows)? })
    }
}

fn unknown(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("directory: {what}, and this version cannot do without"))
}
