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
                other => return Err(kind.unknown("part", other.into())),
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
        other => return Err(kind.unknown("piece", other.into())),
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
                other => return Err(kind.unknown("blob kind", other.into())),
            };
            let plain = match plain.u8()? {
                0 => PlainRow::Own,
                1 => PlainRow::Unknown,
                2 => PlainRow::Listed {
                    digest: plain_digest.digest()?,
                    bytes: size(plain_size.uvarint()?, Self::NAME)?,
                    position: size(plain_position.uvarint()?, Self::NAME)?,
                },
                other => return Err(plain.unknown("plain form", other.into())),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::write::IndexWriter;
    use crate::recipe::{Piece, Plain, Recipe, Record, Replay, Restart};

    /// An index with some rows of every kind, and its directory.
    fn sample() -> (Vec<u8>, usize) {
        let mut writer = IndexWriter::default();
        let range = |offset| Part::Range(Range { volume: 1, offset, bytes: 5 });
        for n in 0..20u64 {
            let digest = Digest::of(&n.to_le_bytes());
            let file_offset = 1000 + n * 100;
            let frame = FrameRow { stream_offset: n * 10, plain_bytes: 10, file_offset, stored_bytes: 20, codec: 1, digest };
            writer.frame(&frame).expect("a frame");
            let name = format!("packs/{n}");
            writer.member(&MemberRow { offset: n * 1024, bytes: 5, kind: MemberKind::Pack, name, digest }).expect("a member");
            let run = Part::Run(Run { digest, offset: 3, bytes: 7 });
            let restarts =
                vec![Restart { plain_offset: 0, output_bit: 0, check: 1 }, Restart { plain_offset: 4, output_bit: 77, check: 2 }];
            let replay = Replay { bytes: 20, encoder: 1, parameters: vec![9; 3], plain_offset: 0, plain_bytes: 12, restarts };
            let recipe = match n % 3 {
                0 => Recipe::Raw(vec![range(100 - n), run]),
                1 => Recipe::Pieces(vec![Piece::Raw(vec![range(n)]), Piece::Replay(replay)]),
                _ => Recipe::Verbatim,
            };
            let plain = if n % 2 == 0 { Plain::Own } else { Plain::Listed { digest, bytes: 12, parts: vec![range(0), run] } };
            writer.record(&Record { digest, bytes: 25, note: String::new(), recipe, plain }, 512).expect("a record");
        }
        let index = writer.finish().expect("an index");
        let directory_at = index.bytes.len() - usize::try_from(index.directory_bytes).expect("small");
        (index.bytes, directory_at)
    }

    /// Decodes the blocks of a table, after `change` had its way with their plain bytes.
    fn decode<R: Row>(bytes: &[u8], directory: &Directory, change: &dyn Fn(&mut Vec<u8>)) -> Result<Vec<R>> {
        let mut all = Vec::new();
        for block in &R::table(directory).blocks {
            let begin = block.span.offset as usize;
            let stored = &bytes[begin..begin + block.span.stored_bytes as usize];
            let mut plain = crate::frame::decompress(stored, block.plain_bytes as usize, None)?;
            change(&mut plain);
            all.extend(rows::<R>(&plain, block.key, None, block.rows)?);
        }
        Ok(all)
    }

    fn decode_all(change: &dyn Fn(&mut Vec<u8>)) -> [Result<usize>; 5] {
        let (bytes, at) = sample();
        let directory = Directory::parse(&bytes[at..], at as u64).expect("a directory");
        [
            decode::<FrameRow>(&bytes, &directory, change).map(|rows| rows.len()),
            decode::<PartRow>(&bytes, &directory, change).map(|rows| rows.len()),
            decode::<PieceRow>(&bytes, &directory, change).map(|rows| rows.len()),
            decode::<BlobRow>(&bytes, &directory, change).map(|rows| rows.len()),
            decode::<MemberRow>(&bytes, &directory, change).map(|rows| rows.len()),
        ]
    }

    #[test]
    fn all_rows_come_back() {
        assert_eq!(decode_all(&|_| ()).map(|rows| rows.expect("rows")), [20, 7 * 2 + 7 + 10 * 2, 7 * 3, 20, 20]);
    }

    #[test]
    fn blocks_that_are_cut_or_have_bytes_left_over_are_refused() {
        for change in [
            |plain: &mut Vec<u8>| plain.truncate(plain.len() - 1),
            |plain: &mut Vec<u8>| plain.push(0),
            |plain: &mut Vec<u8>| plain.clear(),
        ] {
            decode_all(&change).into_iter().for_each(|rows| assert!(rows.is_err()));
        }
    }

    #[test]
    fn a_directory_that_is_cut_changed_or_extended_never_leads_out_of_the_index() {
        let (bytes, at) = sample();
        for end in at..bytes.len() {
            assert!(Directory::parse(&bytes[at..end], at as u64).is_err());
        }
        assert!(Directory::parse(&bytes[at..], at as u64 + 1).is_err());
        for place in at..bytes.len() {
            for mask in [1, 0x80, 0xff] {
                let mut changed = bytes[at..].to_vec();
                changed[place - at] ^= mask;
                let Ok(directory) = Directory::parse(&changed, at as u64) else { continue };
                let spans = directory.frames.blocks.iter().map(|block| block.span).chain(directory.others.iter().copied());
                spans.for_each(|span| assert!(span.offset + u64::from(span.stored_bytes) <= at as u64));
            }
        }
    }

    proptest! {
        #[test]
        fn changed_blocks_give_rows_or_errors(changes in proptest::collection::vec((0usize..4000, any::<u8>()), 1..8)) {
            let change = |plain: &mut Vec<u8>| {
                for (at, value) in &changes {
                    let length = plain.len();
                    if length > 0 {
                        plain[at % length] = *value;
                    }
                }
            };
            for rows in decode_all(&change) {
                prop_assert!(rows.is_err() || rows.is_ok_and(|rows| rows <= 41));
            }
        }

        #[test]
        fn random_bytes_are_no_directory(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let with_tag = [&b"OCMD"[..], &bytes].concat();
            prop_assert!(Directory::parse(&with_tag, 1000).is_err());
        }
    }
}
