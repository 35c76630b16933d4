//! [`Records`]: whether `.rec` members and the index say the same.
//!
//! **Invariants.** Records are compared part by part, in the order in which the index lists them, so that at the end
//! each row of PARTS, PIECES and BLOBS was met by one record. Memory is that of one `.rec`.
//!
//! *Not here:* the hash of the member (`walk`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Place, Reach};
use crate::codec::Cursor;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::index::write::segments;
use crate::index::{BlobRow, MemberKind, PartRow, PieceKind, PieceRow, PlainRow, Stored};
use crate::layout::MAX_DOCUMENT_BYTES;
use crate::reader::Reader;
use crate::recipe::{MAX_NOTE_BYTES, MAX_PARTS, Part, take_part, take_replay};
use crate::tar;
use crate::volume::Volume;

/// How far the records of a volume account for its index.
pub(super) struct Records<'v> {
    volume: &'v Volume,
    streams: Arc<BTreeMap<u32, u64>>,
    parts_end: u64,
    pieces_end: u64,
    records: u64,
    verbatim_records: u64,
    /// Members that hold a blob.
    pub(super) verbatim: u64,
}

impl<'v> Records<'v> {
    pub(super) fn new(volume: &'v Volume, streams: Arc<BTreeMap<u32, u64>>) -> Self {
        Self { volume, streams, parts_end: 0, pieces_end: 0, records: 0, verbatim_records: 0, verbatim: 0 }
    }

    /// Compares the records of a member that begins at `begin`.
    pub(super) fn compare(&mut self, place: &Place<'_>, begin: u64, content: &[u8], deep: Option<&Reader>) {
        let mut cursor = Cursor::new(content, "records");
        let body = cursor.sha256().map(|digest| digest.matches(cursor.rest()));
        if !matches!(body, Ok(true)) {
            return place.damage(begin, crate::codec::length(content), "records: the SHA-256 before them is not theirs");
        }
        while !cursor.is_empty() {
            let offset = begin.saturating_add(crate::codec::length(content)).saturating_sub(crate::codec::length(cursor.rest()));
            let body = cursor.count(MAX_DOCUMENT_BYTES, "record").and_then(|bytes| cursor.take(bytes));
            let digest = body.and_then(|body| Cursor::new(body, "record").digest().map(|digest| (digest, body)));
            let (digest, body) = match digest {
                Ok(found) => found,
                Err(error) => return place.error(&error.at(offset), Reach::Nothing),
            };
            self.records = self.records.saturating_add(1);
            let compared = self.record(body).and_then(|()| deep.map_or(Ok(()), |reader| read_through(reader, &digest)));
            if let Err(error) = compared {
                let reach = if error.kind() == Kind::Missing { Reach::Nothing } else { Reach::Blob(digest) };
                place.error(&error.at(offset), reach);
            }
        }
    }

    /// Whether the index has nothing that no record speaks of.
    pub(super) fn ends_meet(&self, place: &Place<'_>) {
        let directory = self.volume.directory();
        let end = |at: u64, row: Result<Option<u64>>| matches!(row, Ok(None) if at == 0) || matches!(row, Ok(Some(end)) if end == at);
        let parts = self.volume.last_row::<PartRow>().map(|row| row.map(|row| row.position.saturating_add(row.part.bytes())));
        let pieces = self.volume.last_row::<PieceRow>().map(|row| row.map(|row| row.position.saturating_add(row.bytes)));
        let catalogue = self.volume.header().kind == crate::layout::VolumeKind::Catalogue;
        let blobs = self.records == directory.blobs() && (catalogue || self.verbatim_records == self.verbatim);
        if !blobs || !end(self.parts_end, parts) || !end(self.pieces_end, pieces) {
            place.damage(self.volume.footer().index_offset, 0, "the index lists blobs, parts or pieces that no record speaks of");
        }
    }

    fn record(&mut self, body: &[u8]) -> Result<()> {
        let mut cursor = Cursor::new(body, "record");
        let (digest, bytes) = (cursor.digest()?, cursor.uvarint()?);
        cursor.text(MAX_NOTE_BYTES, "note")?;
        let found = self.volume.blob(&digest);
        let row = found?.ok_or_else(|| differs(&digest, "there is no row of it"))?;
        if row.bytes != bytes {
            return Err(differs(&digest, "the sizes differ"));
        }
        self.recipe(&mut cursor, &row)?;
        self.plain(&mut cursor, &row)?;
        cursor.end()
    }

    fn recipe(&mut self, cursor: &mut Cursor<'_>, row: &BlobRow) -> Result<()> {
        let wrong = |why| Err(differs(&row.digest, why));
        match (cursor.u8()?, row.stored) {
            (0, Stored::Verbatim { file_offset }) => self.verbatim(row, file_offset),
            (1, Stored::Raw { position }) if position == self.parts_end => {
                let made = self.parts(cursor, &row.digest)?;
                if made == row.bytes { Ok(()) } else { wrong("its parts are not as long as it is") }
            }
            (2, Stored::Pieces { position }) if position == self.pieces_end => {
                let count = cursor.count(MAX_PARTS, "pieces")?;
                for _ in 0..count {
                    self.piece(cursor, &row.digest)?;
                }
                let made = self.pieces_end.saturating_sub(position);
                if made == row.bytes { Ok(()) } else { wrong("its pieces are not as long as it is") }
            }
            _ => wrong("it is stored in another way or place"),
        }
    }

    fn plain(&mut self, cursor: &mut Cursor<'_>, row: &BlobRow) -> Result<()> {
        let wrong = |why| Err(differs(&row.digest, why));
        match (cursor.u8()?, row.plain) {
            (0, PlainRow::Own) | (1, PlainRow::Unknown) => Ok(()),
            (2, PlainRow::Listed { digest, bytes, position }) if position == self.parts_end => {
                if (cursor.digest()?, cursor.uvarint()?) != (digest, bytes) {
                    return wrong("the plain forms differ");
                }
                let made = self.parts(cursor, &row.digest)?;
                if made == bytes { Ok(()) } else { wrong("the parts of its plain form are not as long as it is") }
            }
            _ => wrong("the plain forms differ"),
        }
    }

    /// Compares a list of parts; says how many bytes they are.
    fn parts(&mut self, cursor: &mut Cursor<'_>, blob: &Digest) -> Result<u64> {
        let begin = self.parts_end;
        let count = cursor.count(MAX_PARTS, "parts")?;
        for _ in 0..count {
            let part = take_part(cursor)?;
            let row = self.volume.part_at(self.parts_end)?;
            if (row.position, row.part) != (self.parts_end, part) {
                return Err(differs(blob, "the parts differ"));
            }
            if let Part::Range(range) = part
                && self.streams.get(&range.volume).is_some_and(|stream| range.offset.saturating_add(range.bytes) > *stream)
            {
                return Err(differs(blob, &format!("a part ends beyond the stream of volume {}", range.volume)));
            }
            self.parts_end = self.parts_end.saturating_add(part.bytes());
        }
        Ok(self.parts_end.saturating_sub(begin))
    }

    fn piece(&mut self, cursor: &mut Cursor<'_>, blob: &Digest) -> Result<()> {
        let (kind, bytes) = (cursor.u8()?, cursor.uvarint()?);
        match kind {
            1 => {
                let kind = PieceKind::Raw { position: self.parts_end };
                let made = self.parts(cursor, blob)?;
                if made != bytes {
                    return Err(differs(blob, "a piece is not as long as it says"));
                }
                self.piece_row(blob, bytes, kind)
            }
            2 => {
                let rows = segments(&take_replay(cursor, bytes)?);
                let made = rows.iter().fold(0u64, |sum, (bytes, _)| sum.saturating_add(*bytes));
                if made != bytes {
                    return Err(differs(blob, "the restarts of a piece do not cover it"));
                }
                rows.into_iter().try_for_each(|(bytes, kind)| self.piece_row(blob, bytes, kind))
            }
            other => Err(cursor.wrong(&format!("piece {other} is unknown"))),
        }
    }

    fn piece_row(&mut self, blob: &Digest, bytes: u64, kind: PieceKind) -> Result<()> {
        let row = self.volume.piece_at(self.pieces_end)?;
        if row != (PieceRow { position: self.pieces_end, bytes, kind }) {
            return Err(differs(blob, "the pieces differ"));
        }
        self.pieces_end = self.pieces_end.saturating_add(bytes);
        Ok(())
    }

    /// Whether a blob is the member that its row points to.
    fn verbatim(&mut self, row: &BlobRow, file_offset: u64) -> Result<()> {
        self.verbatim_records = self.verbatim_records.saturating_add(1);
        let member = self.volume.member_at(file_offset.saturating_sub(tar::BLOCK))?;
        let there = (member.offset.saturating_add(tar::BLOCK), member.bytes, member.kind, member.digest);
        if there == (file_offset, row.bytes, MemberKind::Blob, row.digest) {
            return Ok(());
        }
        Err(differs(&row.digest, "it is not the member that the index points to"))
    }
}

fn differs(blob: &Digest, why: &str) -> Error {
    Error::damaged(format!("record and index of blob {blob} differ: {why}"))
}

/// Makes a blob and checks its digest.
fn read_through(reader: &Reader, digest: &Digest) -> Result<()> {
    let mut stream = reader.stream(digest)?;
    while stream.next_chunk()?.is_some() {}
    Ok(())
}
