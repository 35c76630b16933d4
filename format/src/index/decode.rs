//! [`Row`]: how the rows of each table come out of a plain block (SPEC section 7).
//!
//! **Invariants.** All columns are read to their ends, rows ascend, the first row has the key that the directory
//! states and the last one ends where the next block begins. A row holds no number that leads out of 63 bits.
//!
//! *Not here:* where blocks come from (`read`).

use super::directory::{Directory, Table};
use super::{BlobRow, FrameRow, MemberKind, MemberRow, PartRow, PieceKind, PieceRow, PlainRow, Segment, Stored};
use crate::codec::Cursor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{MAX_FRAME_BYTES, MAX_VOLUMES};
use crate::recipe::{MAX_PARAMETER_BYTES, Part, Range, Run};
use crate::tar;

/// A row of a table.
pub(crate) trait Row: Clone + Sized {
    /// What the table is sorted by.
    type Key: Ord + Copy;
    /// The name of the table.
    const NAME: &'static str;

    /// The blocks of the table.
    fn table(directory: &Directory) -> &Table<Self::Key>;
    /// The key of this row.
    fn key(&self) -> Self::Key;
    /// The key that a row right after this one has; `None` where any greater one will do.
    fn end(&self) -> Result<Option<Self::Key>>;
    /// The `rows` rows of a block whose first row has the key `first`.
    fn columns(block: &mut Cursor<'_>, first: Self::Key, rows: u32) -> Result<Vec<Self>>;
    /// The bytes that the row holds beside itself.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// The rows of a plain block; `next` is the key of the block after it.
pub(crate) fn rows<R: Row>(plain: &[u8], first: R::Key, next: Option<R::Key>, rows: u32) -> Result<Vec<R>> {
    let mut cursor = Cursor::new(plain, R::NAME);
    if cursor.uvarint()? != u64::from(rows) {
        return Err(cursor.wrong("a block has another number of rows than its directory says"));
    }
    let decoded = R::columns(&mut cursor, first, rows)?;
    cursor.end()?;
    let wrong = || Error::damaged(format!("{}: rows are not in order", R::NAME));
    if decoded.first().is_none_or(|row| row.key() != first) {
        return Err(wrong());
    }
    let followers = decoded.iter().skip(1).map(Row::key).map(Some).chain([next]);
    for (row, follower) in decoded.iter().zip(followers) {
        let holds = match (row.end()?, follower) {
            (Some(end), Some(follower)) => end == follower,
            (None, Some(follower)) => row.key() < follower,
            (_, None) => true,
        };
        if !holds {
            return Err(wrong());
        }
    }
    Ok(decoded)
}

/// The next column.
fn column<'a>(block: &mut Cursor<'a>, name: &'static str) -> Result<Cursor<'a>> {
    let length = block.uvarint()?;
    let length = usize::try_from(length).map_err(|_| block.wrong("a column is too long"))?;
    Ok(Cursor::new(block.take(length)?, name))
}

fn columns<'a, const N: usize>(block: &mut Cursor<'a>, name: &'static str) -> Result<[Cursor<'a>; N]> {
    let mut all = [Cursor::new(&[], name); N];
    for place in &mut all {
        *place = column(block, name)?;
    }
    Ok(all)
}

fn ended(columns: &[Cursor<'_>]) -> Result<()> {
    columns.iter().try_for_each(Cursor::end)
}

/// `at` moved on by `bytes`, which is not 0.
fn advance(at: u64, bytes: u64, name: &str) -> Result<u64> {
    let end = at.checked_add(bytes).filter(|end| i64::try_from(*end).is_ok() && bytes > 0);
    end.ok_or_else(|| Error::damaged(format!("{name}: a length is out of bounds")))
}

fn size(bytes: u64, name: &str) -> Result<u64> {
    advance(0, bytes.saturating_add(1), name).map(|_| bytes)
}

impl Row for FrameRow {
    type Key = u64;
    const NAME: &'static str = "FRAMES";

    fn table(directory: &Directory) -> &Table<u64> {
        &directory.frames
    }

    fn key(&self) -> u64 {
        self.stream_offset
    }

    fn end(&self) -> Result<Option<u64>> {
        advance(self.stream_offset, self.plain_bytes.into(), Self::NAME).map(Some)
    }

    fn columns(block: &mut Cursor<'_>, first: u64, rows: u32) -> Result<Vec<Self>> {
        let mut all = columns::<5>(block, Self::NAME)?;
        let [plain, stored, gap, codec, digest] = &mut all;
        let (mut stream_offset, mut file_end, mut decoded) = (first, 0, Vec::new());
        for _ in 0..rows {
            let (plain_bytes, stored_bytes) = (plain.uvarint()?, stored.uvarint()?);
            let bounds = MAX_FRAME_BYTES.saturating_mul(2);
            let small = |bytes: u64, limit: u64| u32::try_from(bytes).ok().filter(|bytes| (1..=limit).contains(&(*bytes).into()));
            let sizes = small(plain_bytes, MAX_FRAME_BYTES).zip(small(stored_bytes, bounds));
            let (plain_bytes, stored_bytes) = sizes.ok_or_else(|| stored.wrong("a frame's size is out of bounds"))?;
            let file_offset = advance(file_end, gap.uvarint()?, Self::NAME)?;
            file_end = advance(file_offset, stored_bytes.into(), Self::NAME)?;
            let (codec, digest) = (codec.u8()?, digest.sha256()?);
            decoded.push(Self { stream_offset, plain_bytes, file_offset, stored_bytes, codec, digest });
            stream_offset = advance(stream_offset, plain_bytes.into(), Self::NAME)?;
        }
        ended(&all)?;
        Ok(decoded)
    }
}

impl Row for PartRow {
    type Key = u64;
    const NAME: &'static str = "PARTS";

    fn table(directory: &Directory) -> &Table<u64> {
        &directory.parts
    }

    fn key(&self) -> u64 {
        self.position
    }

    fn end(&self) -> Result<Option<u64>> {
        advance(self.position, self.part.bytes(), Self::NAME).map(Some)
    }

    fn columns(block: &mut Cursor<'_>, first: u64, rows: u32) -> Result<Vec<Self>> {
        let mut all = columns::<6>(block, Self::NAME)?;
        let [lengths, kind, volume, range_offset, digest, plain_offset] = &mut all;
        let (mut position, mut range_end, mut decoded) = (first, 0u64, Vec::new());
        for _ in 0..rows {
            let bytes = lengths.uvarint()?;
            let part = match kind.u8()? {
                0 => {
                    let number = u32::try_from(volume.uvarint()?).ok().filter(|number| (1..=MAX_VOLUMES).contains(number));
                    let number = number.ok_or_else(|| volume.wrong("a volume number is out of bounds"))?;
                    let offset = range_end.checked_add_signed(range_offset.zigzag()?);
                    let offset = offset.ok_or_else(|| range_offset.wrong("a stream offset is out of bounds"))?;
                    range_end = advance(offset, bytes, Self::NAME)?;
                    Part::Range(Range { volume: number, offset, bytes })
                }
                1 => {
                    let run = Run { digest: digest.digest()?, offset: plain_offset.uvarint()?, bytes };
                    advance(run.offset, bytes, Self::NAME)?;
                    Part::Run(run)
                }
                other => return Err(kind.wrong(&format!("part {other} is unknown"))),
            };
            decoded.push(Self { position, part });
            position = advance(position, bytes, Self::NAME)?;
        }
        ended(&all)?;
        Ok(decoded)
    }
}

impl Row for PieceRow {
    type Key = u64;
    const NAME: &'static str = "PIECES";

    fn table(directory: &Directory) -> &Table<u64> {
        &directory.pieces
    }

    fn key(&self) -> u64 {
        self.position
    }

    fn end(&self) -> Result<Option<u64>> {
        advance(self.position, self.bytes, Self::NAME).map(Some)
    }

    fn columns(block: &mut Cursor<'_>, first: u64, rows: u32) -> Result<Vec<Self>> {
        let mut all = columns::<9>(block, Self::NAME)?;
        let (mut position, mut decoded) = (first, Vec::new());
        for _ in 0..rows {
            let (bytes, kind) = piece(&mut all)?;
            decoded.push(Self { position, bytes, kind });
            position = advance(position, bytes, Self::NAME)?;
        }
        ended(&all)?;
        Ok(decoded)
    }

    fn heap_bytes(&self) -> usize {
        match &self.kind {
            PieceKind::Replay { parameters, .. } => parameters.capacity(),
            PieceKind::Raw { .. } | PieceKind::Restart { .. } => 0,
        }
    }
}

fn piece(all: &mut [Cursor<'_>; 9]) -> Result<(u64, PieceKind)> {
    let [output, kind, position, encoder, parameters, offset, plain, bits, check] = all;
    let bytes = output.uvarint()?;
    let mut segment = || {
        let segment = Segment { plain_offset: offset.uvarint()?, plain_bytes: plain.uvarint()?, bits: bits.u8()?, check: check.u32()? };
        size(segment.plain_offset.saturating_add(segment.plain_bytes), PieceRow::NAME)?;
        if segment.bits > 7 { Err(bits.wrong("a byte has no such bit")) } else { Ok(segment) }
    };
    let kind = match kind.u8()? {
        1 => PieceKind::Raw { position: size(position.uvarint()?, PieceRow::NAME)? },
        2 => {
            let encoder = encoder.uvarint()?;
            let length = parameters.count(MAX_PARAMETER_BYTES, "parameters of an encoder")?;
            PieceKind::Replay { encoder, parameters: parameters.take(length)?.to_vec(), segment: segment()? }
        }
        3 => PieceKind::Restart { segment: segment()? },
        other => return Err(kind.wrong(&format!("piece {other} is unknown"))),
    };
    Ok((bytes, kind))
}

impl Row for BlobRow {
    type Key = Digest;
    const NAME: &'static str = "BLOBS";

    fn table(directory: &Directory) -> &Table<Digest> {
        &directory.blobs
    }

    fn key(&self) -> Digest {
        self.digest
    }

    fn end(&self) -> Result<Option<Digest>> {
        Ok(None)
    }

    fn columns(block: &mut Cursor<'_>, _first: Digest, rows: u32) -> Result<Vec<Self>> {
        let mut all = columns::<8>(block, Self::NAME)?;
        let [digest, sizes, kind, position, plain, plain_digest, plain_size, plain_position] = &mut all;
        let mut decoded = Vec::new();
        for _ in 0..rows {
            let (digest, bytes) = (digest.digest()?, size(sizes.uvarint()?, Self::NAME)?);
            let at = size(position.uvarint()?, Self::NAME)?;
            let stored = match kind.u8()? {
                0 => Stored::Verbatim { file_offset: at },
                1 => Stored::Raw { position: at },
                2 => Stored::Pieces { position: at },
                other => return Err(kind.wrong(&format!("blob kind {other} is unknown"))),
            };
            let plain = match plain.u8()? {
                0 => PlainRow::Own,
                1 => PlainRow::Unknown,
                2 => PlainRow::Listed {
                    digest: plain_digest.digest()?,
                    bytes: size(plain_size.uvarint()?, Self::NAME)?,
                    position: size(plain_position.uvarint()?, Self::NAME)?,
                },
                other => return Err(plain.wrong(&format!("plain form {other} is unknown"))),
            };
            decoded.push(Self { digest, bytes, stored, plain });
        }
        ended(&all)?;
        Ok(decoded)
    }
}

impl Row for MemberRow {
    type Key = u64;
    const NAME: &'static str = "MEMBERS";

    fn table(directory: &Directory) -> &Table<u64> {
        &directory.members
    }

    fn key(&self) -> u64 {
        self.offset
    }

    fn end(&self) -> Result<Option<u64>> {
        advance(self.offset, tar::member_bytes(self.bytes), Self::NAME).map(Some)
    }

    fn columns(block: &mut Cursor<'_>, first: u64, rows: u32) -> Result<Vec<Self>> {
        let mut all = columns::<4>(block, Self::NAME)?;
        let [sizes, kind, names, digest] = &mut all;
        let (mut offset, mut decoded) = (first, Vec::new());
        let most = u64::try_from(tar::MAX_NAME_BYTES).unwrap_or(u64::MAX);
        for _ in 0..rows {
            let bytes = size(sizes.uvarint()?, Self::NAME)?;
            let kind = MemberKind::decode(kind.u8()?)?;
            let name = names.text(most, "name of a member")?.to_owned();
            decoded.push(Self { offset, bytes, kind, name, digest: digest.sha256()? });
            offset = advance(offset, tar::member_bytes(bytes), Self::NAME)?;
        }
        ended(&all)?;
        Ok(decoded)
    }

    fn heap_bytes(&self) -> usize {
        self.name.capacity()
    }
}
