//! [`Records`]: whether `.rec` members and the index say the same.
//!
//! **Invariants.** Records are compared part by part, in the order in which the index lists them, so that at the end
//! each row of PARTS, PIECES and BLOBS was met by one record. Memory is that of one item of a record.
//!
//! *Not here:* the hash of the member (`walk`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Place, Reach};
use crate::codec::unknown;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::index::segments::Segments;
use crate::index::{BlobRow, MemberKind, PartRow, PieceKind, PieceRow, PlainRow, Stored};
use crate::reader::Reader;
use crate::recipe::{MAX_NOTE_BYTES, MAX_PARTS, Part, Range, take_part, take_replay_head, take_restart};
use crate::records::Feed;
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

    /// Compares the records of a member of `bytes` bytes whose content begins at `begin`.
    pub(super) fn compare(&mut self, place: &Place<'_>, begin: u64, bytes: u64, deep: Option<&Reader>) {
        let volume = self.volume;
        let read = |at: u64, buffer: &mut [u8]| volume.read_at(at, buffer);
        if let Err(error) = Feed::open(&read, begin, bytes).and_then(|feed| self.each(place, begin, feed, deep)) {
            self.skip();
            place.error(&error.at(begin), Reach::Nothing);
        }
    }

    /// Compares one record after the other, and the next one where one differs.
    fn each(&mut self, place: &Place<'_>, begin: u64, mut feed: Feed<'_>, deep: Option<&Reader>) -> Result<()> {
        while feed.next()? {
            let digest = feed.take(|cursor| cursor.digest())?;
            self.records = self.records.saturating_add(1);
            let recorded = self.record(&mut feed, &digest);
            if recorded.is_err() {
                self.skip();
            }
            if let Err(error) = recorded.and_then(|()| deep.map_or(Ok(()), |reader| read_through(reader, &digest))) {
                let reach = if error.kind() == Kind::Missing { Reach::Nothing } else { Reach::Blob(digest) };
                place.error(&error.at(begin), reach);
            }
        }
        Ok(())
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

    fn record(&mut self, feed: &mut Feed<'_>, digest: &Digest) -> Result<()> {
        let bytes = feed.take(|cursor| cursor.uvarint())?;
        feed.take(|cursor| cursor.text(MAX_NOTE_BYTES, "note").map(drop))?;
        let found = self.volume.blob(digest);
        let row = found?.ok_or_else(|| differs(digest, "there is no row of it"))?;
        if row.bytes != bytes {
            return Err(differs(digest, "the sizes differ"));
        }
        self.recipe(feed, &row)?;
        self.plain(feed, &row)?;
        feed.end()
    }

    fn recipe(&mut self, feed: &mut Feed<'_>, row: &BlobRow) -> Result<()> {
        let wrong = |why| Err(differs(&row.digest, why));
        match (feed.take(|cursor| cursor.u8())?, row.stored) {
            (0, Stored::Verbatim { file_offset }) => self.verbatim(row, file_offset),
            (1, Stored::Raw { position }) if self.parts.meets(position) => {
                let made = self.parts(feed, &row.digest)?;
                if made == row.bytes { Ok(()) } else { wrong("its parts are not as long as it is") }
            }
            (2, Stored::Pieces { position }) if self.pieces.meets(position) => {
                let count = feed.take(|cursor| cursor.count(MAX_PARTS, "pieces"))?;
                for _ in 0..count {
                    self.piece(feed, &row.digest)?;
                }
                let made = self.pieces.end.saturating_sub(position);
                if made == row.bytes { Ok(()) } else { wrong("its pieces are not as long as it is") }
            }
            (kind @ 0..=2, _) => wrong(&format!("it is stored in another way or place than recipe {kind} says")),
            (other, _) => Err(unknown("record", "recipe", other.into())),
        }
    }

    fn plain(&mut self, feed: &mut Feed<'_>, row: &BlobRow) -> Result<()> {
        let wrong = |why| Err(differs(&row.digest, why));
        match (feed.take(|cursor| cursor.u8())?, row.plain) {
            (0, PlainRow::Own) | (1, PlainRow::Unknown) => Ok(()),
            (2, PlainRow::Listed { digest, bytes, position }) if self.parts.meets(position) => {
                if feed.take(|cursor| Ok((cursor.digest()?, cursor.uvarint()?)))? != (digest, bytes) {
                    return wrong("the plain forms differ");
                }
                let made = self.parts(feed, &row.digest)?;
                if made == bytes { Ok(()) } else { wrong("the parts of its plain form are not as long as it is") }
            }
            (0..=2, _) => wrong("the plain forms differ"),
            (other, _) => Err(unknown("record", "plain form", other.into())),
        }
    }

    /// Compares a list of parts; says how many bytes they are.
    fn parts(&mut self, feed: &mut Feed<'_>, blob: &Digest) -> Result<u64> {
        let begin = self.parts.end;
        let count = feed.take(|cursor| cursor.count(MAX_PARTS, "parts"))?;
        for _ in 0..count {
            let part = feed.take(take_part)?;
            let row = self.volume.part_at(self.parts.end)?;
            if (row.position, row.part) != (self.parts.end, part) {
                return Err(differs(blob, "the parts differ"));
            }
            if let Part::Range(range) = part {
                self.range_is_there(blob, &range)?;
            }
            self.parts.advance(part.bytes());
        }
        Ok(self.parts.end.saturating_sub(begin))
    }

    /// Whether a range lies in the stream of a volume that there is, as far as is known.
    fn range_is_there(&self, blob: &Digest, range: &Range) -> Result<()> {
        if self.streams.get(&range.volume).is_some_and(|stream| range.offset.saturating_add(range.bytes) > *stream) {
            return Err(differs(blob, &format!("a part ends beyond the stream of volume {}", range.volume)));
        }
        if self.last_volume.is_some_and(|last| range.volume > last) {
            return Err(differs(blob, &format!("there is no volume {} in the set", range.volume)));
        }
        Ok(())
    }

    fn piece(&mut self, feed: &mut Feed<'_>, blob: &Digest) -> Result<()> {
        match feed.take(|cursor| Ok((cursor.u8()?, cursor.uvarint()?)))? {
            (1, bytes) => {
                let row = self.volume.piece_at(self.pieces.end)?;
                if !matches!(row.kind, PieceKind::Raw { position } if self.parts.meets(position)) {
                    return Err(differs(blob, "the pieces differ"));
                }
                let made = self.parts(feed, blob)?;
                if made != bytes {
                    return Err(differs(blob, "a piece is not as long as it says"));
                }
                self.piece_row(blob, bytes, row.kind)
            }
            (2, bytes) => self.replay(feed, blob, bytes),
            (other, _) => Err(unknown("record", "piece", other.into())),
        }
    }

    fn replay(&mut self, feed: &mut Feed<'_>, blob: &Digest, bytes: u64) -> Result<()> {
        let begin = self.pieces.end;
        let (replay, count) = feed.take(|cursor| take_replay_head(cursor, bytes))?;
        let mut segments = Segments::new(&replay);
        for _ in 0..count {
            if let Some((bytes, kind)) = segments.push(feed.take(take_restart)?)? {
                self.piece_row(blob, bytes, kind)?;
            }
        }
        let (last, kind) = segments.finish()?;
        self.piece_row(blob, last, kind)?;
        match self.pieces.end.saturating_sub(begin) == bytes {
            true => Ok(()),
            false => Err(differs(blob, "the restarts of a piece do not cover it")),
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
