//! The structures of a volume, one by one, and layers as the chunker cuts them.

use ocm::image::Tree;
use ocm_format::chunk::{Chunker, Files, Shape};
use ocm_format::codec::Cursor;
use ocm_format::digest::Digest;
use ocm_format::layout::{Codec, FIXED_BYTES, Footer, FrameHeader, Header, Id, MAX_DOCUMENT_BYTES, Parent, VolumeKind};
use ocm_format::recipe::{Part, Piece, Plain, Range, Recipe, Record, Replay, Restart, Run};
use ocm_format::set::{SetManifest, json};
use ocm_format::{frame as frames_of_zstd, tar};
use serde_json::Value;

/// The largest frame that a target asks for, in bytes.
const MAX_PLAIN_BYTES: usize = 64 << 10;

/// Reads the header of a volume.
pub fn header(bytes: &[u8]) {
    if let Some(fixed) = fixed(bytes)
        && let Ok(header) = Header::decode(&fixed)
    {
        assert_eq!(header.encode(), fixed, "a header has one form");
    }
}

/// Headers of a base, of a delta on a set, and of one on a receipt.
pub fn headers() -> Vec<Vec<u8>> {
    let root = Digest::of(b"root");
    let parents = [Parent::None, Parent::Set { id: Id([7; 16]), root }];
    let header = |parent| Header {
        kind: VolumeKind::Data,
        compatible: 0,
        incompatible: 0,
        set: Id([1; 16]),
        lineage: Id([2; 16]),
        generation: if parent == Parent::None { 1 } else { 2 },
        number: 1,
        cap: 1 << 20,
        time: 1_700_000_000,
        parent,
    };
    parents.into_iter().map(|parent| header(parent).encode().to_vec()).collect()
}

/// Reads the footer of a volume.
pub fn footer(bytes: &[u8]) {
    if let Some(fixed) = fixed(bytes)
        && let Ok(footer) = Footer::decode(&fixed)
    {
        assert_eq!(footer.encode(), fixed, "a footer has one form");
    }
}

/// The footers of a small archive.
pub fn footers() -> Vec<Vec<u8>> {
    let end = |volume: &Vec<u8>| volume.len().checked_sub(1536).and_then(|at| volume.get(at..at + FIXED_BYTES)).map(<[u8]>::to_vec);
    crate::archive::volumes().iter().filter_map(end).collect()
}

/// Reads the header of a frame.
pub fn frame_header(bytes: &[u8]) {
    if let Ok((header, used)) = FrameHeader::decode(bytes) {
        assert_eq!(Some(header.encode().as_slice()), bytes.get(..used), "a frame header has one form");
    }
}

/// One frame header.
pub fn frame_headers() -> Vec<Vec<u8>> {
    vec![FrameHeader { codec: Codec::Zstd, stored_bytes: 11, plain_bytes: 2, stream_offset: 7, digest: Digest::of(b"frame") }.encode()]
}

/// Decompresses a frame; the first two bytes say how long it claims to be.
pub fn frame(bytes: &[u8]) {
    let Some((claim, stored)) = bytes.split_first_chunk::<2>() else { return };
    let claim = usize::from(u16::from_le_bytes(*claim)).min(MAX_PLAIN_BYTES);
    if let Ok(plain) = frames_of_zstd::decompress(stored, claim, None) {
        assert_eq!(plain.len(), claim);
    }
}

/// A frame that compresses well.
pub fn frames() -> Vec<Vec<u8>> {
    let plain = b"all work and no play ".repeat(100);
    let stored = frames_of_zstd::compress(&plain, 3).expect("zstd takes any bytes");
    vec![[&u16::try_from(plain.len()).expect("it is short").to_le_bytes(), stored.as_slice()].concat()]
}

/// Reads the record of a blob.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = Record::decode(&mut Cursor::new(bytes, "record")) {
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(Record::decode(&mut Cursor::new(&again, "record")).ok(), Some(record), "a record survives");
    }
}

/// Records with every kind of recipe.
pub fn records() -> Vec<Vec<u8>> {
    let range = |offset, bytes| Part::Range(Range { volume: 1, offset, bytes });
    let run = Part::Run(Run { digest: Digest::of(b"old"), offset: 5, bytes: 6 });
    let restarts = vec![Restart { plain_offset: 0, output_bit: 0, check: 4 }];
    let replay = Replay { bytes: 20, encoder: 1, parameters: vec![9], plain_offset: 0, plain_bytes: 36, restarts };
    let listed = Plain::Listed { digest: Digest::of(b"plain"), bytes: 36, parts: vec![range(10, 30), run] };
    let recipes = [
        (Recipe::Verbatim, Plain::Own),
        (Recipe::Raw(vec![range(0, 24), run]), Plain::Unknown),
        (Recipe::Pieces(vec![Piece::Raw(vec![range(0, 10)]), Piece::Replay(replay)]), listed),
    ];
    let encoded = |(recipe, plain)| {
        let mut bytes = Vec::new();
        Record { digest: Digest::of(b"blob"), bytes: 30, note: "a:1".into(), recipe, plain }.encode(&mut bytes);
        bytes
    };
    recipes.into_iter().map(encoded).collect()
}

/// Opens a `.rec`: as it is, and sealed anew by its hash, so that what is behind that is met too.
pub fn rec(bytes: &[u8]) {
    let _ = records_of_file(bytes);
    if let Some((_, packed)) = bytes.split_at_checked(32) {
        let _ = records_of_file(&[Digest::of(packed).bytes(), packed].concat());
    }
}

fn records_of_file(bytes: &[u8]) -> ocm_format::error::Result<()> {
    let opened = ocm_format::records::open(bytes)?;
    let mut cursor = Cursor::new(&opened, "records");
    while !cursor.is_empty() {
        Record::decode(&mut cursor)?;
    }
    Ok(())
}

/// A `.rec` with every kind of record.
pub fn recs() -> Vec<Vec<u8>> {
    let decoded: Vec<Record> = records().iter().map(|bytes| Record::decode(&mut Cursor::new(bytes, "record")).expect("a seed")).collect();
    vec![ocm_format::records::close(&decoded).expect("few records"), ocm_format::records::close([]).expect("none")]
}

/// Reads a directory; the first byte says how many bytes its blocks take.
pub fn directory(bytes: &[u8]) {
    let Some((blocks, bytes)) = bytes.split_first_chunk::<4>() else { return };
    let _ = ocm_format::index::Directory::parse(bytes, u32::from_le_bytes(*blocks).into());
}

/// The directories of a small archive.
pub fn directories() -> Vec<Vec<u8>> {
    let of = |volume: &Vec<u8>| {
        let footer = Footer::decode(volume.get(volume.len().checked_sub(1536)?..)?.first_chunk()?).ok()?;
        let (blocks, end) = (footer.index_bytes - footer.directory_bytes, footer.index_offset + footer.index_bytes);
        let directory = volume.get(usize::try_from(end - footer.directory_bytes).ok()?..usize::try_from(end).ok()?)?;
        Some([&u32::try_from(blocks).ok()?.to_le_bytes()[..], directory].concat())
    };
    crate::archive::volumes().iter().filter_map(of).collect()
}

/// Decodes a plain block of the table that the first byte names.
pub fn index_block(bytes: &[u8]) {
    if let Some((table, plain)) = bytes.split_first() {
        let _ = ocm_format::index::rows_of_block(u64::from(*table), plain);
    }
}

/// A block of each table, with a row of each kind.
pub fn index_blocks() -> Vec<Vec<u8>> {
    // Rows, then each column behind its length.
    let block = |table: u8, columns: &[&[u8]]| {
        let mut bytes = vec![table, 1];
        columns.iter().for_each(|column| bytes.extend([&[u8::try_from(column.len()).expect("short")][..], column].concat()));
        bytes
    };
    vec![
        block(1, &[&[5], &[9], &[77], &[1], &[0; 32]]),
        block(2, &[&[24], &[0], &[1], &[0], &[], &[]]),
        block(3, &[&[20], &[1], &[0], &[], &[], &[], &[], &[], &[]]),
        block(5, &[&[3], &[2], b"\x01a", &[0; 32]]),
    ]
}

/// Makes the plain form of a blob, and finds out which encoder wrote it: what is found makes the same bytes.
pub fn gzip(bytes: &[u8]) {
    let mut plain = Vec::new();
    if let Ok(reader) = ocm_format::plain::plain(bytes) {
        let _ = std::io::Read::read_to_end(&mut std::io::Read::take(reader, 1 << 20), &mut plain);
    }
    if let Ok(ocm_format::gzip::Verdict::Replay(plan)) = ocm_format::gzip::find(&bytes) {
        let made: u64 = plan.pieces().iter().filter_map(|piece| piece.bytes().ok()).sum();
        assert_eq!(made + plan.rest_bytes, bytes.len() as u64, "a plan is of the whole blob");
    }
}

/// Gzip members of one byte, of stored blocks, one after another; and zstd.
pub fn gzips() -> Vec<Vec<u8>> {
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let stored = [&header[..], &[1, 5, 0, 0xfa, 0xff], b"hello", &[0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0]].concat();
    let fixed = [&header[..], &[0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0]].concat();
    let zstd = frames_of_zstd::compress(b"plain", 3).expect("zstd takes any bytes");
    vec![stored.clone(), fixed.clone(), [fixed, stored].concat(), zstd]
}

/// Reads SET.json, and tells canonical JSON from other.
pub fn set_json(bytes: &[u8]) {
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    let has_one_form = value.and_then(|value| json::to_bytes(&value).ok()).is_some_and(|written| written == bytes);
    let taken = json::check(bytes, MAX_DOCUMENT_BYTES, "SET.json").is_ok();
    assert!(taken == has_one_form, "{}", String::from_utf8_lossy(bytes));
    if let Ok(manifest) = SetManifest::parse(bytes) {
        let written = manifest.to_bytes().expect("what was read can be written");
        assert!(written == bytes, "SET.json has one form: {}", String::from_utf8_lossy(bytes));
    }
}

/// The SET.json of a small archive.
pub fn set_jsons() -> Vec<Vec<u8>> {
    crate::archive::with_archive(|found| found.sets.iter().filter_map(|set| set.manifest.as_ref()?.to_bytes().ok()).collect())
}

/// Cuts a layer at its tar entries; the chunks put together are the layer. Its files are the same, however it comes.
pub fn layer(bytes: &[u8]) {
    let files = |step: usize| {
        let (mut files, mut found) = (Files::default(), Vec::new());
        bytes.chunks(step).for_each(|part| files.push(part, &mut |file| found.push(file)));
        found
    };
    assert_eq!(files(1000), files(bytes.len().max(1)), "files depend on how the tar was split");
    let (mut chunker, mut seen) = (Chunker::new(Shape::Tar), 0);
    let mut emit = |_, chunk: &[u8]| -> Result<(), ()> {
        seen += chunk.len();
        Ok(())
    };
    for part in bytes.chunks(1000) {
        chunker.push(part, &mut emit).expect("it never fails by itself");
    }
    chunker.finish(&mut emit).expect("it never fails by itself");
    assert_eq!(seen, bytes.len(), "no byte is lost");
}

/// Makes a tree of a layer over another one; the tree, or the error, is the same, however the layer comes.
pub fn tree(bytes: &[u8]) {
    let over = |step: usize| {
        let lower = layers().iter().try_fold(Tree::default(), |tree, layer| laid(tree, layer, layer.len()))?;
        laid(lower, bytes, step)
    };
    match (over(1000), over(bytes.len().max(1))) {
        (Ok(one), Ok(other)) => assert!(one.nodes().eq(other.nodes()), "a tree depends on how its layer was split"),
        (one, other) => assert_eq!(one.err().map(|error| error.to_string()), other.err().map(|error| error.to_string())),
    }
}

fn laid(tree: Tree, layer: &[u8], step: usize) -> ocm::error::Result<Tree> {
    let mut layering = tree.layer();
    layer.chunks(step).try_for_each(|part| layering.push(part))?;
    layering.finish()
}

/// A tar with two files and its end.
pub fn layers() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, content) in [("etc/hosts", &b"127.0.0.1"[..]), ("usr/bin/tool", &[7; 3000])] {
        tar::put_member(&mut bytes, name, content, 1_700_000_000).expect("a member");
    }
    bytes.extend([0; 1024]);
    vec![bytes]
}

fn fixed(bytes: &[u8]) -> Option<[u8; FIXED_BYTES]> {
    bytes.first_chunk().copied()
}
