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
use crate::records;
use crate::tar;
use crate::volume::Volume;

/// How far the records of a volume account for its index.
pub(super) struct Records<'v> {
    volume: &'v Volume,
    streams: Arc<BTreeMap<u32, u64>>,
    /// The number of volumes of the set, where it is known.
    last_volume: Option<u32>,
    index_is_sound: bool,
    parts: Reached,
    pieces: Reached,
    records: u64,
    verbatim_records: u64,
    /// Members that hold a blob.
    pub(super) verbatim: u64,
}

/// Up to which position rows of a table were met by records.
#[derive(Default)]
struct Reached {
    end: u64,
    /// Records were passed over: the next one says where it is.
    adrift: bool,
    /// That has happened at all.
    ever_adrift: bool,
}

impl Reached {
    fn lose(&mut self) {
        (self.adrift, self.ever_adrift) = (true, true);
    }

    /// Whether what begins at `at` follows what was met last.
    fn meets(&mut self, at: u64) -> bool {
        if std::mem::take(&mut self.adrift) {
            self.end = at;
        }
        self.end == at
    }

    fn advance(&mut self, bytes: u64) {
        self.end = self.end.saturating_add(bytes);
    }

    /// Whether all of a table was met, as far as can be told.
    fn is_all(&self, end: Result<Option<u64>>) -> bool {
        self.ever_adrift || matches!(end, Ok(end) if end.unwrap_or(0) == self.end)
    }
}

impl<'v> Records<'v> {
    pub(super) fn new(volume: &'v Volume, streams: Arc<BTreeMap<u32, u64>>, last_volume: Option<u32>, index_is_sound: bool) -> Self {
        let (parts, pieces) = (Reached::default(), Reached::default());
        Self { volume, streams, last_volume, index_is_sound, parts, pieces, records: 0, verbatim_records: 0, verbatim: 0 }
    }

    /// Records that cannot be read are passed over.
    pub(super) fn skip(&mut self) {
        self.parts.lose();
        self.pieces.lose();
    }

    /// Compares the records of a member that begins at `begin`.
    pub(super) fn compare(&mut self, place: &Place<'_>, begin: u64, content: &[u8], deep: Option<&Reader>) {
        let opened = match records::open(content) {
            Ok(opened) => opened,
            Err(error) => {
                self.skip();
                return place.error(&error.at(begin), Reach::Nothing);
            }
        };
        let mut cursor = Cursor::new(&opened, "records");
        while !cursor.is_empty() {
            let body = cursor.count(MAX_DOCUMENT_BYTES, "record").and_then(|bytes| cursor.take(bytes));
            let digest = body.and_then(|body| Cursor::new(body, "record").digest().map(|digest| (digest, body)));
            let (digest, body) = match digest {
                Ok(found) => found,
                Err(error) => {
                    self.skip();
                    return place.error(&error.at(begin), Reach::Nothing);
                }
            };
            self.records = self.records.saturating_add(1);
            let recorded = self.record(body);
            if recorded.is_err() {
                self.skip();
            }
            if let Err(error) = recorded.and_then(|()| deep.map_or(Ok(()), |reader| read_through(reader, &digest))) {
                let reach = if error.kind() == Kind::Missing { Reach::Nothing } else { Reach::Blob(digest) };
                place.error(&error.at(begin), reach);
            }
        }
    }

    /// Whether the index has nothing that no record speaks of.
    pub(super) fn ends_meet(&self, place: &Place<'_>) {
        let directory = self.volume.directory();
        let parts = self.volume.last_row::<PartRow>().map(|row| row.map(|row| row.position.saturating_add(row.part.bytes())));
        let pieces = self.volume.last_row::<PieceRow>().map(|row| row.map(|row| row.position.saturating_add(row.bytes)));
        let catalogue = self.volume.header().kind == crate::layout::VolumeKind::Catalogue;
        let counts = self.records == directory.blobs() && (catalogue || self.verbatim_records == self.verbatim);
        let blobs = counts || self.parts.ever_adrift;
        if !blobs || !self.parts.is_all(parts) || !self.pieces.is_all(pieces) {
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
            (1, Stored::Raw { position }) if self.parts.meets(position) => {
                let made = self.parts(cursor, &row.digest)?;
                if made == row.bytes { Ok(()) } else { wrong("its parts are not as long as it is") }
            }
            (2, Stored::Pieces { position }) if self.pieces.meets(position) => {
                let count = cursor.count(MAX_PARTS, "pieces")?;
                for _ in 0..count {
                    self.piece(cursor, &row.digest)?;
                }
                let made = self.pieces.end.saturating_sub(position);
                if made == row.bytes { Ok(()) } else { wrong("its pieces are not as long as it is") }
            }
            _ => wrong("it is stored in another way or place"),
        }
    }

    fn plain(&mut self, cursor: &mut Cursor<'_>, row: &BlobRow) -> Result<()> {
        let wrong = |why| Err(differs(&row.digest, why));
        match (cursor.u8()?, row.plain) {
            (0, PlainRow::Own) | (1, PlainRow::Unknown) => Ok(()),
            (2, PlainRow::Listed { digest, bytes, position }) if self.parts.meets(position) => {
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
        let begin = self.parts.end;
        let count = cursor.count(MAX_PARTS, "parts")?;
        for _ in 0..count {
            let part = take_part(cursor)?;
            let row = self.volume.part_at(self.parts.end)?;
            if (row.position, row.part) != (self.parts.end, part) {
                return Err(differs(blob, "the parts differ"));
            }
            if let Part::Range(range) = part
                && self.streams.get(&range.volume).is_some_and(|stream| range.offset.saturating_add(range.bytes) > *stream)
            {
                return Err(differs(blob, &format!("a part ends beyond the stream of volume {}", range.volume)));
            }
            if let Part::Range(range) = part
                && self.last_volume.is_some_and(|last| range.volume > last)
            {
                return Err(differs(blob, &format!("there is no volume {} in the set", range.volume)));
            }
            self.parts.advance(part.bytes());
        }
        Ok(self.parts.end.saturating_sub(begin))
    }

    fn piece(&mut self, cursor: &mut Cursor<'_>, blob: &Digest) -> Result<()> {
        let (kind, bytes) = (cursor.u8()?, cursor.uvarint()?);
        match kind {
            1 => {
                let row = self.volume.piece_at(self.pieces.end)?;
                if !matches!(row.kind, PieceKind::Raw { position } if self.parts.meets(position)) {
                    return Err(differs(blob, "the pieces differ"));
                }
                let made = self.parts(cursor, blob)?;
                if made != bytes {
                    return Err(differs(blob, "a piece is not as long as it says"));
                }
                self.piece_row(blob, bytes, row.kind)
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
        let row = self.volume.piece_at(self.pieces.end)?;
        if row != (PieceRow { position: self.pieces.end, bytes, kind }) {
            return Err(differs(blob, "the pieces differ"));
        }
        self.pieces.advance(bytes);
        Ok(())
    }

    /// Whether a blob is the member that its row points to.
    fn verbatim(&mut self, row: &BlobRow, file_offset: u64) -> Result<()> {
        self.verbatim_records = self.verbatim_records.saturating_add(1);
        let member = match self.volume.member_at(file_offset.saturating_sub(tar::BLOCK)) {
            // MEMBERS is not needed to read the blob, and that a block of it is damaged was said.
            Err(_) if !self.index_is_sound => return Ok(()),
            found => found?,
        };
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
