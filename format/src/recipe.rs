//! [`Record`]: what a volume says of a blob; [`Recipe`]: how its bytes are made (SPEC section 6).
//!
//! **Invariants.** A recipe only refers: it holds no content. Lengths of parts and pieces add up to the sizes stated;
//! decoding refuses a record where they do not.
//!
//! *Not here:* where records are kept (`index`), and following them (`reader`).

use crate::codec::{Cursor, put_bytes, put_digest, put_uvarint};
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The most parts or pieces of one blob.
pub const MAX_PARTS: u64 = 1 << 24;
/// The longest note, in bytes.
pub const MAX_NOTE_BYTES: u64 = 64 << 10;
/// The most bytes of an encoder's parameters.
pub const MAX_PARAMETER_BYTES: u64 = 4 << 10;

/// Bytes of the stream of a volume of this set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The volume's number.
    pub volume: u32,
    /// Where in its stream.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Bytes of the plain form of a blob, wherever it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The blob.
    pub digest: Digest,
    /// Where in its plain form.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A stretch of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From a stream of this set.
    Range(Range),
    /// From the plain form of a blob.
    Run(Run),
}

/// A piece of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Raw(Vec<Part>),
    /// The output of an encoder over a stretch of the plain form.
    Replay(Replay),
}

/// How an encoder is run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// How many bytes it makes.
    pub bytes: u64,
    /// Which encoder; ids are permanent.
    pub encoder: u64,
    /// Its parameters.
    pub parameters: Vec<u8>,
    /// Where its input begins in the plain form.
    pub plain_offset: u64,
    /// How long its input is.
    pub plain_bytes: u64,
    /// Where it can begin anew.
    pub restarts: Vec<Restart>,
}

/// A place where an encoder can begin anew; offsets are within the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Where in its input.
    pub plain_offset: u64,
    /// Which bit of its output.
    pub output_bit: u64,
    /// CRC-32C of the output from here to the next restart.
    pub check: u32,
}

/// How the bytes of a blob are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// They are a member of this volume.
    Verbatim,
    /// They are these parts.
    Raw(Vec<Part>),
    /// They are made from pieces.
    Pieces(Vec<Piece>),
}

/// What is known of the plain form of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plain {
    /// The blob is its own plain form.
    Own,
    /// Nothing: it is made by decompressing the blob.
    Unknown,
    /// These parts.
    Listed {
        /// The diff id.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
        /// Its content.
        parts: Vec<Part>,
    },
}

/// What a volume says of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// What the writer wants to be found again with it.
    pub note: String,
    /// How its bytes are made.
    pub recipe: Recipe,
    /// Its plain form.
    pub plain: Plain,
}

impl Part {
    /// How many bytes it stands for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Range(range) => range.bytes,
            Self::Run(run) => run.bytes,
        }
    }

    /// So many bytes of it, from `into` on.
    pub(crate) fn cut(self, into: u64, bytes: u64) -> Self {
        match self {
            Self::Range(range) => Self::Range(Range { offset: range.offset.saturating_add(into), bytes, ..range }),
            Self::Run(run) => Self::Run(Run { offset: run.offset.saturating_add(into), bytes, ..run }),
        }
    }

    /// Appends `next` to `parts`; what touches becomes one.
    pub fn join(parts: &mut Vec<Part>, next: Part) {
        match (parts.last_mut(), next) {
            (Some(Self::Range(last)), Self::Range(next))
                if last.volume == next.volume && last.offset.checked_add(last.bytes) == Some(next.offset) =>
            {
                last.bytes = last.bytes.saturating_add(next.bytes);
            }
            (Some(Self::Run(last)), Self::Run(next))
                if last.digest == next.digest && last.offset.checked_add(last.bytes) == Some(next.offset) =>
            {
                last.bytes = last.bytes.saturating_add(next.bytes);
            }
            _ => parts.push(next),
        }
    }
}

impl Piece {
    /// How many bytes of the blob it makes.
    pub fn bytes(&self) -> Result<u64> {
        match self {
            Self::Raw(parts) => total(parts.iter().map(Part::bytes)),
            Self::Replay(replay) => Ok(replay.bytes),
        }
    }
}

impl Record {
    /// The runs that this record refers to.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        let raw: &[Part] = if let Recipe::Raw(parts) = &self.recipe { parts } else { &[] };
        let pieces: &[Piece] = if let Recipe::Pieces(pieces) = &self.recipe { pieces } else { &[] };
        let plain: &[Part] = if let Plain::Listed { parts, .. } = &self.plain { parts } else { &[] };
        let pieces = pieces.iter().flat_map(|piece| if let Piece::Raw(parts) = piece { parts.as_slice() } else { &[] });
        let parts = raw.iter().chain(pieces).chain(plain);
        parts.filter_map(|part| if let Part::Run(run) = part { Some(run) } else { None })
    }

    /// Appends this record with its length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        put_digest(&mut body, &self.digest);
        put_uvarint(&mut body, self.bytes);
        put_bytes(&mut body, self.note.as_bytes());
        put_recipe(&mut body, &self.recipe);
        match &self.plain {
            Plain::Own => body.push(0),
            Plain::Unknown => body.push(1),
            Plain::Listed { digest, bytes, parts } => {
                body.push(2);
                put_digest(&mut body, digest);
                put_uvarint(&mut body, *bytes);
                put_parts(&mut body, parts);
            }
        }
        put_bytes(out, &body);
    }

    /// Reads the next record.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self> {
        let body_bytes = cursor.count(crate::layout::MAX_DOCUMENT_BYTES, "record")?;
        let mut body = Cursor::new(cursor.take(body_bytes)?, "record");
        let record = Self {
            digest: body.digest()?,
            bytes: body.uvarint()?,
            note: body.text(MAX_NOTE_BYTES, "note")?.to_owned(),
            recipe: take_recipe(&mut body)?,
            plain: take_plain(&mut body)?,
        };
        body.end()?;
        record.check()?;
        Ok(record)
    }

    /// Whether the sums hold.
    fn check(&self) -> Result<()> {
        let made = match &self.recipe {
            Recipe::Verbatim => self.bytes,
            Recipe::Raw(parts) => total(parts.iter().map(Part::bytes))?,
            Recipe::Pieces(pieces) => pieces.iter().try_fold(0u64, |sum, piece| add(sum, piece.bytes()?))?,
        };
        let plain_holds = match &self.plain {
            Plain::Listed { bytes, parts, .. } => total(parts.iter().map(Part::bytes))? == *bytes,
            Plain::Own | Plain::Unknown => true,
        };
        if made == self.bytes && plain_holds {
            Ok(())
        } else {
            Err(Error::damaged(format!("record of {}: its lengths do not add up", self.digest)))
        }
    }
}

/// The sum of lengths that come from outside.
pub fn total(lengths: impl IntoIterator<Item = u64>) -> Result<u64> {
    lengths.into_iter().try_fold(0, add)
}

fn add(a: u64, b: u64) -> Result<u64> {
    a.checked_add(b).filter(|sum| *sum <= i64::MAX.unsigned_abs()).ok_or_else(|| Error::damaged("record: its lengths are beyond 2^63"))
}

fn put_recipe(out: &mut Vec<u8>, recipe: &Recipe) {
    match recipe {
        Recipe::Verbatim => out.push(0),
        Recipe::Raw(parts) => {
            out.push(1);
            put_parts(out, parts);
        }
        Recipe::Pieces(pieces) => {
            out.push(2);
            put_count(out, pieces.len());
            pieces.iter().for_each(|piece| put_piece(out, piece));
        }
    }
}

fn put_piece(out: &mut Vec<u8>, piece: &Piece) {
    match piece {
        Piece::Raw(parts) => {
            out.push(1);
            put_uvarint(out, parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.bytes())));
            put_parts(out, parts);
        }
        Piece::Replay(replay) => {
            out.push(2);
            put_uvarint(out, replay.bytes);
            put_uvarint(out, replay.encoder);
            put_bytes(out, &replay.parameters);
            put_uvarint(out, replay.plain_offset);
            put_uvarint(out, replay.plain_bytes);
            put_count(out, replay.restarts.len());
            for restart in &replay.restarts {
                put_uvarint(out, restart.plain_offset);
                put_uvarint(out, restart.output_bit);
                out.extend(restart.check.to_le_bytes());
            }
        }
    }
}

fn put_parts(out: &mut Vec<u8>, parts: &[Part]) {
    put_count(out, parts.len());
    for part in parts {
        match part {
            Part::Range(range) => {
                out.push(0);
                put_uvarint(out, u64::from(range.volume));
                put_uvarint(out, range.offset);
                put_uvarint(out, range.bytes);
            }
            Part::Run(run) => {
                out.push(1);
                put_digest(out, &run.digest);
                put_uvarint(out, run.offset);
                put_uvarint(out, run.bytes);
            }
        }
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    put_uvarint(out, u64::try_from(count).unwrap_or(u64::MAX));
}

fn take_recipe(cursor: &mut Cursor<'_>) -> Result<Recipe> {
    match cursor.u8()? {
        0 => Ok(Recipe::Verbatim),
        1 => take_parts(cursor).map(Recipe::Raw),
        2 => {
            let count = cursor.count(MAX_PARTS, "pieces")?;
            (0..count).map(|_| take_piece(cursor)).collect::<Result<_>>().map(Recipe::Pieces)
        }
        other => Err(cursor.unknown("recipe", other.into())),
    }
}

fn take_piece(cursor: &mut Cursor<'_>) -> Result<Piece> {
    let kind = cursor.u8()?;
    let bytes = cursor.uvarint()?;
    match kind {
        1 => {
            let piece = Piece::Raw(take_parts(cursor)?);
            if piece.bytes()? == bytes { Ok(piece) } else { Err(cursor.wrong("a piece is not as long as it says")) }
        }
        2 => take_replay(cursor, bytes).map(Piece::Replay),
        other => Err(cursor.unknown("piece", other.into())),
    }
}

fn take_replay(cursor: &mut Cursor<'_>, bytes: u64) -> Result<Replay> {
    let (mut replay, count) = take_replay_head(cursor, bytes)?;
    for _ in 0..count {
        replay.restarts.push(take_restart(cursor)?);
    }
    let restarts = &replay.restarts;
    let ascending = restarts.is_sorted_by(|a, b| a.plain_offset < b.plain_offset && a.output_bit < b.output_bit);
    if restarts.first().is_none_or(|first| first.plain_offset != 0 || first.output_bit != 0) || !ascending {
        return Err(cursor.wrong("the restarts of a replay are not in order"));
    }
    Ok(replay)
}

/// Reads a replay that makes `bytes` bytes up to its restarts; says how many follow.
pub(crate) fn take_replay_head(cursor: &mut Cursor<'_>, bytes: u64) -> Result<(Replay, usize)> {
    let encoder = cursor.uvarint()?;
    let parameter_bytes = cursor.count(MAX_PARAMETER_BYTES, "parameters of an encoder")?;
    let parameters = cursor.take(parameter_bytes)?.to_vec();
    let (plain_offset, plain_bytes) = (cursor.uvarint()?, cursor.uvarint()?);
    let count = cursor.count(MAX_PARTS, "restarts")?;
    Ok((Replay { bytes, encoder, parameters, plain_offset, plain_bytes, restarts: Vec::new() }, count))
}

/// Reads the next restart.
pub(crate) fn take_restart(cursor: &mut Cursor<'_>) -> Result<Restart> {
    Ok(Restart { plain_offset: cursor.uvarint()?, output_bit: cursor.uvarint()?, check: cursor.u32()? })
}

fn take_plain(cursor: &mut Cursor<'_>) -> Result<Plain> {
    match cursor.u8()? {
        0 => Ok(Plain::Own),
        1 => Ok(Plain::Unknown),
        2 => Ok(Plain::Listed { digest: cursor.digest()?, bytes: cursor.uvarint()?, parts: take_parts(cursor)? }),
        other => Err(cursor.unknown("plain form", other.into())),
    }
}

fn take_parts(cursor: &mut Cursor<'_>) -> Result<Vec<Part>> {
    let count = cursor.count(MAX_PARTS, "parts")?;
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push(take_part(cursor)?);
    }
    Ok(parts)
}

/// Reads the next part.
pub(crate) fn take_part(cursor: &mut Cursor<'_>) -> Result<Part> {
    match cursor.u8()? {
        0 => {
            let volume = cursor.uvarint()?;
            let volume = u32::try_from(volume).ok().filter(|n| (1..=crate::layout::MAX_VOLUMES).contains(n));
            let volume = volume.ok_or_else(|| cursor.wrong("a volume number is out of bounds"))?;
            let (offset, bytes) = stretch(cursor)?;
            Ok(Part::Range(Range { volume, offset, bytes }))
        }
        1 => {
            let digest = cursor.digest()?;
            let (offset, bytes) = stretch(cursor)?;
            Ok(Part::Run(Run { digest, offset, bytes }))
        }
        other => Err(cursor.unknown("part", other.into())),
    }
}

/// Reads an offset and a length that is not 0.
fn stretch(cursor: &mut Cursor<'_>) -> Result<(u64, u64)> {
    let (offset, bytes) = (cursor.uvarint()?, cursor.uvarint()?);
    if bytes == 0 {
        return Err(cursor.wrong("a part has no bytes"));
    }
    add(offset, bytes)?;
    Ok((offset, bytes))
}

#[cfg(test)]
mod tests;
