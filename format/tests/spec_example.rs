//! The worked example of SPEC.md: what stands there is what the code makes.

use std::collections::BTreeMap;

use ocm_format::codec::Cursor;
use ocm_format::digest::Digest;
use ocm_format::layout::{Codec, FrameHeader, Header, Id, Parent, VolumeKind};
use ocm_format::recipe::{Part, Plain, Range, Recipe, Record};

/// The hex dumps of SPEC.md by their titles: lines of `offset  bytes`, zeros left out where a line says `*`.
fn dumps() -> BTreeMap<String, Vec<u8>> {
    let spec = include_str!("../SPEC.md");
    let mut dumps = BTreeMap::new();
    for block in spec.split("```hex ").skip(1) {
        let (title, rest) = block.split_once('\n').expect("a title");
        let (body, _) = rest.split_once("```").expect("an end");
        let mut bytes = Vec::new();
        for line in body.lines() {
            let (offset, hex) = line.split_once(' ').expect("an offset and bytes");
            bytes.resize(usize::from_str_radix(offset, 16).expect("an offset"), 0);
            bytes.extend(hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("a byte")));
        }
        dumps.insert(title.to_owned(), bytes);
    }
    dumps
}

fn header() -> Header {
    Header {
        kind: VolumeKind::Data,
        compatible: 0,
        incompatible: 0,
        set: Id(*b"set-set-set-set-"),
        lineage: Id(*b"lineage-lineage-"),
        generation: 1,
        number: 2,
        cap: 1 << 30,
        time: 1_700_000_000,
        parent: Parent::None,
    }
}

fn record() -> Record {
    let range = |offset, bytes| Part::Range(Range { volume: 2, offset, bytes });
    let recipe = Recipe::Raw(vec![range(0, 1_048_576), range(1_200_000, 300)]);
    Record { digest: Digest::of(b"example"), bytes: 1_048_876, note: "quay.io/a:1".into(), recipe, plain: Plain::Unknown }
}

fn frame_header() -> FrameHeader {
    FrameHeader { codec: Codec::Zstd, stored_bytes: 11, plain_bytes: 2, stream_offset: 1 << 20, digest: Digest::of(b"frame") }
}

/// As the dumps of SPEC.md are written; lines of zeros are left out.
fn dump(bytes: &[u8]) -> String {
    let line =
        |(n, line): (usize, &[u8])| format!("{:03x} {}\n", n * 16, line.iter().map(|byte| format!(" {byte:02x}")).collect::<String>());
    let is_last = |n: usize| n == bytes.len().div_ceil(16) - 1;
    bytes.chunks(16).enumerate().filter(|(n, line)| is_last(*n) || line.iter().any(|byte| *byte != 0)).map(line).collect()
}

#[test]
fn the_worked_example_is_what_the_code_makes() {
    let mut encoded = Vec::new();
    record().encode(&mut encoded);
    let made = [("header", header().encode().to_vec()), ("frame header", frame_header().encode()), ("record", encoded)];
    let dumps = dumps();
    for (title, bytes) in made {
        assert_eq!(dumps.get(title), Some(&bytes), "{title} should be:\n{}", dump(&bytes));
    }
}

#[test]
fn the_worked_example_reads_as_it_says() {
    let dumps = dumps();
    let bytes = dumps["header"].as_slice().try_into().expect("512 bytes");
    assert_eq!(Header::decode(bytes).expect("a header"), header());
    assert_eq!(FrameHeader::decode(&dumps["frame header"]).expect("a header").0, frame_header());
    assert_eq!(Record::decode(&mut Cursor::new(&dumps["record"], "record")).expect("a record"), record());
}
