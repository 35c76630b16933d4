//! [`take`]: one record of a file that is walked, put into an index as it comes.
//!
//! **Invariants.** A row of BLOBS is made only of a record that was read to its end and whose lengths add up; parts and pieces of others
//! are rows that nothing leads to. Memory is that of the index and of one item of a record.
//!
//! *Not here:* where records lie (`scan`).

use crate::codec::unknown;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::segments::Segments;
use crate::index::write::IndexWriter;
use crate::index::{BlobRow, PieceKind, PlainRow, Stored};
use crate::recipe::{MAX_NOTE_BYTES, MAX_PARTS, take_part, take_replay_head, take_restart};
use crate::records::Feed;

/// A record in the making.
struct Taken<'t, 'f> {
    feed: &'t mut Feed<'f>,
    index: &'t mut IndexWriter,
}

/// Takes the record that `feed` is at; gives its blob and its note. `verbatim` says where a blob of that size stands by itself: without
/// such a place, and of a blob that is known already, nothing is taken.
pub(super) fn take(
    feed: &mut Feed<'_>,
    index: &mut IndexWriter,
    verbatim: impl FnOnce(&Digest, u64) -> Option<u64>,
) -> Result<Option<(Digest, String)>> {
    let digest = feed.take(|cursor| cursor.digest())?;
    if index.has(&digest) {
        return Ok(None);
    }
    let bytes = feed.take(|cursor| cursor.uvarint())?;
    let note = feed.take(|cursor| cursor.text(MAX_NOTE_BYTES, "note").map(str::to_owned))?;
    let mut taken = Taken { feed, index };
    let Some((stored, made)) = taken.recipe(&digest, bytes, verbatim)? else { return Ok(None) };
    let (plain, plain_holds) = taken.plain()?;
    taken.feed.end()?;
    if made != bytes || !plain_holds {
        return Err(Error::damaged(format!("record of {digest}: its lengths do not add up")));
    }
    taken.index.blob(BlobRow { digest, bytes, stored, plain });
    Ok(Some((digest, note)))
}

impl Taken<'_, '_> {
    /// How the blob is stored, and how many bytes that makes.
    fn recipe(&mut self, digest: &Digest, bytes: u64, verbatim: impl FnOnce(&Digest, u64) -> Option<u64>) -> Result<Option<(Stored, u64)>> {
        match self.feed.take(|cursor| cursor.u8())? {
            // That such a blob is hurt was said.
            0 => Ok(verbatim(digest, bytes).map(|file_offset| (Stored::Verbatim { file_offset }, bytes))),
            1 => self.parts().map(|(position, made)| Some((Stored::Raw { position }, made))),
            2 => {
                let position = self.index.pieces_position();
                let count = self.feed.take(|cursor| cursor.count(MAX_PARTS, "pieces"))?;
                for _ in 0..count {
                    self.piece()?;
                }
                Ok(Some((Stored::Pieces { position }, self.index.pieces_position().saturating_sub(position))))
            }
            other => Err(unknown("record", "recipe", other.into())),
        }
    }

    /// What is known of the plain form, and whether its parts are as long as it is.
    fn plain(&mut self) -> Result<(PlainRow, bool)> {
        match self.feed.take(|cursor| cursor.u8())? {
            0 => Ok((PlainRow::Own, true)),
            1 => Ok((PlainRow::Unknown, true)),
            2 => {
                let (digest, bytes) = self.feed.take(|cursor| Ok((cursor.digest()?, cursor.uvarint()?)))?;
                let (position, made) = self.parts()?;
                Ok((PlainRow::Listed { digest, bytes, position }, made == bytes))
            }
            other => Err(unknown("record", "plain form", other.into())),
        }
    }

    /// Takes a list of parts: where it begins in PARTS, and how many bytes it is.
    fn parts(&mut self) -> Result<(u64, u64)> {
        let position = self.index.parts_position();
        let count = self.feed.take(|cursor| cursor.count(MAX_PARTS, "parts"))?;
        for _ in 0..count {
            self.index.part(&self.feed.take(take_part)?)?;
        }
        Ok((position, self.index.parts_position().saturating_sub(position)))
    }

    fn piece(&mut self) -> Result<()> {
        match self.feed.take(|cursor| Ok((cursor.u8()?, cursor.uvarint()?)))? {
            (1, bytes) => {
                let (position, made) = self.parts()?;
                if made != bytes {
                    return Err(Error::damaged("record: a piece is not as long as it says"));
                }
                self.index.piece(bytes, PieceKind::Raw { position })
            }
            (2, bytes) => self.replay(bytes),
            (other, _) => Err(unknown("record", "piece", other.into())),
        }
    }

    fn replay(&mut self, bytes: u64) -> Result<()> {
        let position = self.index.pieces_position();
        let (replay, count) = self.feed.take(|cursor| take_replay_head(cursor, bytes))?;
        let mut segments = Segments::new(&replay);
        for _ in 0..count {
            if let Some((bytes, kind)) = segments.push(self.feed.take(take_restart)?)? {
                self.index.piece(bytes, kind)?;
            }
        }
        let (last, kind) = segments.finish()?;
        self.index.piece(last, kind)?;
        match self.index.pieces_position().saturating_sub(position) == bytes {
            true => Ok(()),
            false => Err(Error::damaged("record: the restarts of a piece do not cover it")),
        }
    }
}
