//! [`IndexWriter`]: takes rows as a volume grows, and makes its `OCM.INDEX`.
//!
//! **Invariants.** [`IndexWriter::bound`] is never less than what [`IndexWriter::finish`] makes, so that room can be
//! kept for it. Full blocks are compressed at once: memory is that of the index itself.
//!
//! *Not here:* reading (`read`).

use std::collections::BTreeMap;

use super::segments::Segments;
use super::{BLOCK_BYTES, BlobRow, DIRECTORY_TAG, FrameRow, MemberRow, PieceKind, PieceRow, PlainRow, Stored, table};
use crate::codec::{length, put_bytes, put_digest, put_uvarint, put_zigzag};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::frame;
use crate::recipe::{Part, Piece, Plain, Recipe, Record};

/// The level at which blocks are compressed.
const LEVEL: i32 = 6;
/// What a block takes in the directory at the most: key, four numbers, hash.
const ENTRY_BOUND: u64 = 65 + 4 * 10 + 32;
/// What the columns of a block and its zstd frame add to the bytes of the rows, at the most.
const BLOCK_OVERHEAD: u64 = 12 * 10 + 64;
/// Tag, count of tables, and for each its id, flags and counts.
const DIRECTORY_OVERHEAD: u64 = 4 + 10 + 5 * 40;

/// The index of a volume in the making.
#[derive(Debug)]
pub struct IndexWriter {
    frames: Table,
    parts: Table,
    pieces: Table,
    members: Table,
    blobs: BTreeMap<Digest, BlobRow>,
    parts_position: u64,
    pieces_position: u64,
    frame_end: u64,
    stream_end: u64,
    range_end: u64,
}

/// A finished index.
#[derive(Debug, Clone)]
pub struct Index {
    /// The content of `OCM.INDEX`.
    pub bytes: Vec<u8>,
    /// How many of its last bytes are the directory.
    pub directory_bytes: u64,
    /// The SHA-256 of the directory.
    pub directory: Digest,
}

impl Default for IndexWriter {
    fn default() -> Self {
        Self {
            frames: Table::new(table::FRAMES, 5),
            parts: Table::new(table::PARTS, 6),
            pieces: Table::new(table::PIECES, 9),
            members: Table::new(table::MEMBERS, 4),
            blobs: BTreeMap::new(),
            parts_position: 0,
            pieces_position: 0,
            frame_end: 0,
            stream_end: 0,
            range_end: 0,
        }
    }
}

impl IndexWriter {
    /// The next frame of the stream. What is lost before it, if anything is, ends a block.
    pub fn frame(&mut self, row: &FrameRow) -> Result<()> {
        if row.stream_offset > self.stream_end {
            self.frames.close_block()?;
        }
        self.stream_end = row.stream_offset.saturating_add(row.plain_bytes.into());
        if self.frames.begin_row(Key::Number(row.stream_offset))? {
            self.frame_end = 0;
        }
        let [plain, stored, gap, codec, digest] = self.frames.columns();
        put_uvarint(plain, row.plain_bytes.into());
        put_uvarint(stored, row.stored_bytes.into());
        put_uvarint(gap, row.file_offset.saturating_sub(self.frame_end));
        codec.push(row.codec);
        digest.extend_from_slice(row.digest.bytes());
        self.frame_end = row.file_offset.saturating_add(row.stored_bytes.into());
        Ok(())
    }

    /// The next member of the file.
    pub fn member(&mut self, row: &MemberRow) -> Result<()> {
        self.members.begin_row(Key::Number(row.offset))?;
        let [size, kind, name, digest] = self.members.columns();
        put_uvarint(size, row.bytes);
        kind.push(row.kind.code());
        put_bytes(name, row.name.as_bytes());
        digest.extend_from_slice(row.digest.bytes());
        Ok(())
    }

    /// A blob that is complete; `file_offset` is where its content lies if it is stored verbatim.
    pub fn record(&mut self, record: &Record, file_offset: u64) -> Result<()> {
        let stored = match &record.recipe {
            Recipe::Verbatim => Stored::Verbatim { file_offset },
            Recipe::Raw(parts) => Stored::Raw { position: self.add_parts(parts)? },
            Recipe::Pieces(pieces) => Stored::Pieces { position: self.add_pieces(pieces)? },
        };
        let plain = match &record.plain {
            Plain::Own => PlainRow::Own,
            Plain::Unknown => PlainRow::Unknown,
            Plain::Listed { digest, bytes, parts } => PlainRow::Listed { digest: *digest, bytes: *bytes, position: self.add_parts(parts)? },
        };
        self.blob(BlobRow { digest: record.digest, bytes: record.bytes, stored, plain });
        Ok(())
    }

    /// A blob whose parts and pieces are here.
    pub(crate) fn blob(&mut self, row: BlobRow) {
        self.blobs.insert(row.digest, row);
    }

    /// Whether there is a record of this blob.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest)
    }

    /// Where the next part will be in PARTS.
    pub(crate) fn parts_position(&self) -> u64 {
        self.parts_position
    }

    /// Where the next piece will be in PIECES.
    pub(crate) fn pieces_position(&self) -> u64 {
        self.pieces_position
    }

    fn add_parts(&mut self, parts: &[Part]) -> Result<u64> {
        let position = self.parts_position;
        parts.iter().try_for_each(|part| self.part(part))?;
        Ok(position)
    }

    /// The next part.
    pub(crate) fn part(&mut self, part: &Part) -> Result<()> {
        let end = moved_on(self.parts_position, part.bytes())?;
        if self.parts.begin_row(Key::Number(self.parts_position))? {
            self.range_end = 0;
        }
        let [bytes, kind, volume, offset, digest, plain] = self.parts.columns();
        put_uvarint(bytes, part.bytes());
        match part {
            Part::Range(range) => {
                kind.push(0);
                put_uvarint(volume, range.volume.into());
                put_zigzag(offset, range.offset.cast_signed().wrapping_sub(self.range_end.cast_signed()));
                self.range_end = range.offset.saturating_add(range.bytes);
            }
            Part::Run(run) => {
                kind.push(1);
                put_digest(digest, &run.digest);
                put_uvarint(plain, run.offset);
            }
        }
        self.parts_position = end;
        Ok(())
    }

    fn add_pieces(&mut self, pieces: &[Piece]) -> Result<u64> {
        let position = self.pieces_position;
        for piece in pieces {
            match piece {
                Piece::Raw(parts) => {
                    let kind = PieceKind::Raw { position: self.add_parts(parts)? };
                    self.piece(piece.bytes()?, kind)?;
                }
                Piece::Replay(replay) => {
                    let mut segments = Segments::new(replay);
                    for restart in &replay.restarts {
                        if let Some((bytes, kind)) = segments.push(*restart)? {
                            self.piece(bytes, kind)?;
                        }
                    }
                    let (bytes, kind) = segments.finish()?;
                    self.piece(bytes, kind)?;
                }
            }
        }
        Ok(position)
    }

    /// The next piece, or the next stretch of a replay.
    pub(crate) fn piece(&mut self, bytes: u64, kind: PieceKind) -> Result<()> {
        let end = moved_on(self.pieces_position, bytes)?;
        let row = PieceRow { position: self.pieces_position, bytes, kind };
        self.pieces.begin_row(Key::Number(row.position))?;
        let [output, kind, position, encoder, parameters, offset, plain, bits, check] = self.pieces.columns();
        put_uvarint(output, bytes);
        let segment = match row.kind {
            PieceKind::Raw { position: at } => {
                kind.push(1);
                put_uvarint(position, at);
                None
            }
            PieceKind::Replay { encoder: id, parameters: with, segment } => {
                kind.push(2);
                put_uvarint(encoder, id);
                put_bytes(parameters, &with);
                Some(segment)
            }
            PieceKind::Restart { segment } => {
                kind.push(3);
                Some(segment)
            }
        };
        if let Some(segment) = segment {
            put_uvarint(offset, segment.plain_offset);
            put_uvarint(plain, segment.plain_bytes);
            bits.push(segment.bits);
            check.extend(segment.check.to_le_bytes());
        }
        self.pieces_position = end;
        Ok(())
    }

    /// The most bytes that the content of `OCM.INDEX` can have as things are.
    #[must_use]
    pub fn bound(&self) -> u64 {
        let tables = [&self.frames, &self.parts, &self.pieces, &self.members];
        let count = u64::try_from(self.blobs.len()).unwrap_or(u64::MAX);
        let blobs = blocks_bound(count.saturating_mul(BLOB_BOUND));
        tables.iter().fold(blobs.saturating_add(DIRECTORY_OVERHEAD), |sum, table| sum.saturating_add(table.bound()))
    }

    /// The index.
    pub fn finish(mut self) -> Result<Index> {
        let blobs = self.blob_table()?;
        let mut bytes = Vec::new();
        let mut directory = DIRECTORY_TAG.to_vec();
        let tables = [&mut self.frames, &mut self.parts, &mut self.pieces, &mut { blobs }, &mut self.members];
        put_uvarint(&mut directory, 5);
        for table in tables {
            table.close_block()?;
            table.put(&mut bytes, &mut directory);
        }
        let (directory_bytes, digest) = (length(&directory), Digest::of(&directory));
        bytes.extend(directory);
        Ok(Index { bytes, directory_bytes, directory: digest })
    }

    fn blob_table(&mut self) -> Result<Table> {
        let mut blobs = Table::new(table::BLOBS, 8);
        for row in std::mem::take(&mut self.blobs).into_values() {
            blobs.begin_row(Key::Digest(row.digest))?;
            let [digest, size, kind, position, plain, diff_id, plain_size, plain_position] = blobs.columns();
            put_digest(digest, &row.digest);
            put_uvarint(size, row.bytes);
            let (code, at) = match row.stored {
                Stored::Verbatim { file_offset } => (0, file_offset),
                Stored::Raw { position } => (1, position),
                Stored::Pieces { position } => (2, position),
            };
            kind.push(code);
            put_uvarint(position, at);
            match row.plain {
                PlainRow::Own => plain.push(0),
                PlainRow::Unknown => plain.push(1),
                PlainRow::Listed { digest, bytes, position } => {
                    plain.push(2);
                    put_digest(diff_id, &digest);
                    put_uvarint(plain_size, bytes);
                    put_uvarint(plain_position, position);
                }
            }
        }
        Ok(blobs)
    }
}

/// What a row of BLOBS takes at the most.
const BLOB_BOUND: u64 = 65 + 10 + 1 + 10 + 1 + 65 + 10 + 10;

/// `position` moved on by a row of `bytes` bytes. A reader takes no other rows.
fn moved_on(position: u64, bytes: u64) -> Result<u64> {
    let end = position.checked_add(bytes).filter(|end| i64::try_from(*end).is_ok() && bytes > 0);
    end.ok_or_else(|| Error::damaged("record: a length is out of bounds"))
}

/// The bytes that rows of `plain` bytes take at the most, in blocks and in the directory.
fn blocks_bound(plain: u64) -> u64 {
    let block = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
    let blocks = plain.div_ceil(block).saturating_add(1);
    frame::bound(plain).saturating_add(blocks.saturating_mul(BLOCK_OVERHEAD.saturating_add(ENTRY_BOUND)))
}

enum Key {
    Number(u64),
    Digest(Digest),
}

impl Key {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => put_uvarint(out, *number),
            Self::Digest(digest) => put_digest(out, digest),
        }
    }
}

/// One table: full blocks compressed, the last one as columns.
#[derive(Debug)]
struct Table {
    id: u64,
    columns: Vec<Vec<u8>>,
    rows: u64,
    rows_in_block: u64,
    key: Vec<u8>,
    blocks: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: Vec<u8>,
    stored: u64,
    plain: u64,
    rows: u64,
    digest: Digest,
}

impl Table {
    fn new(id: u64, columns: usize) -> Self {
        Self { id, columns: vec![Vec::new(); columns], rows: 0, rows_in_block: 0, key: Vec::new(), blocks: Vec::new(), entries: Vec::new() }
    }

    /// Begins a row; says whether it is the first of its block.
    fn begin_row(&mut self, key: Key) -> Result<bool> {
        if self.plain_bytes() >= BLOCK_BYTES {
            self.close_block()?;
        }
        let first = self.rows_in_block == 0;
        if first {
            key.put(&mut self.key);
        }
        self.rows_in_block = self.rows_in_block.saturating_add(1);
        self.rows = self.rows.saturating_add(1);
        Ok(first)
    }

    fn columns<const N: usize>(&mut self) -> &mut [Vec<u8>; N] {
        self.columns.first_chunk_mut().expect("a table is made with the number of columns that its rows have")
    }

    fn plain_bytes(&self) -> usize {
        self.columns.iter().fold(0, |sum, column| sum.saturating_add(column.len()))
    }

    fn bound(&self) -> u64 {
        let open = u64::try_from(self.plain_bytes()).unwrap_or(u64::MAX);
        let entries = u64::try_from(self.entries.len()).unwrap_or(u64::MAX).saturating_mul(ENTRY_BOUND);
        length(&self.blocks).saturating_add(entries).saturating_add(blocks_bound(open))
    }

    fn close_block(&mut self) -> Result<()> {
        if self.rows_in_block == 0 {
            return Ok(());
        }
        let mut plain = Vec::new();
        put_uvarint(&mut plain, self.rows_in_block);
        for column in &mut self.columns {
            put_bytes(&mut plain, column);
            column.clear();
        }
        let stored = frame::compress(&plain, LEVEL)?;
        let entry = Entry {
            key: std::mem::take(&mut self.key),
            stored: length(&stored),
            plain: length(&plain),
            rows: std::mem::take(&mut self.rows_in_block),
            digest: Digest::of(&stored),
        };
        self.entries.push(entry);
        self.blocks.extend(stored);
        Ok(())
    }

    /// Appends the blocks to `bytes` and what the directory says of them to `directory`.
    fn put(&self, bytes: &mut Vec<u8>, directory: &mut Vec<u8>) {
        let mut offset = length(bytes);
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        [self.id, 0, self.rows, count].into_iter().for_each(|number| put_uvarint(directory, number));
        for entry in &self.entries {
            directory.extend_from_slice(&entry.key);
            [offset, entry.stored, entry.plain, entry.rows].into_iter().for_each(|number| put_uvarint(directory, number));
            directory.extend_from_slice(entry.digest.bytes());
            offset = offset.saturating_add(entry.stored);
        }
        bytes.extend_from_slice(&self.blocks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::MemberKind;
    use crate::recipe::Range;

    #[test]
    fn the_bound_holds_at_every_row() {
        let mut writer = IndexWriter::default();
        for n in 0..3000u64 {
            let digest = Digest::of(&n.to_le_bytes());
            let frame = FrameRow {
                stream_offset: n << 20,
                plain_bytes: 1 << 20,
                file_offset: n * 777_777,
                stored_bytes: 700_000,
                codec: 1,
                digest,
            };
            writer.frame(&frame).expect("a frame");
            let name = format!("blobs/sha256/{}", digest.hex());
            writer.member(&MemberRow { offset: n * 1024, bytes: 5, kind: MemberKind::Blob, name, digest }).expect("a member");
            let parts = vec![Part::Range(Range { volume: 1, offset: n * 31, bytes: 7 })];
            let record = Record { digest, bytes: 7, note: String::new(), recipe: Recipe::Raw(parts), plain: Plain::Own };
            writer.record(&record, 0).expect("a record");
        }
        let bound = writer.bound();
        let index = writer.finish().expect("an index");
        let made = length(&index.bytes);
        assert!(made <= bound, "{made} > {bound}");
        assert!(bound < made * 3, "{bound} is a loose bound for {made}");
        assert!(index.directory_bytes < made);
    }
}
