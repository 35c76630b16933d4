//! Few bytes that become many: frames, records and blobs that are as long as they like to say.

use std::path::Path;

use ocm_format::codec::put_uvarint;
use ocm_format::digest::Digest;
use ocm_format::frame;
use ocm_format::layout::{Codec, Parent};
use ocm_format::recipe::Part;

use crate::apart::{Came, apart};
use crate::built::{Built, range, raw, run};
use crate::made::noise;

const FRAME: u64 = 16 << 20;

fn seen(built: Built) -> Came {
    let folder = tempfile::tempdir().expect("a folder");
    built.write(folder.path());
    apart(folder.path())
}

/// A frame of 16 MiB in about 1 KiB.
fn bomb() -> (Codec, Vec<u8>, u32) {
    let stored = frame::compress(&vec![0; FRAME as usize], 3).expect("compressed");
    assert!(stored.len() < 2_000, "{}", stored.len());
    (Codec::Zstd, stored, FRAME as u32)
}

#[test]
fn a_blob_may_claim_terabytes_and_is_read_in_constant_memory() {
    let vast = Digest::of(b"vast");
    let mut built = Built::new(1, Parent::None);
    built.stored_pack(vec![bomb()], |_| ());
    built.records(&[raw(vast, vec![range(0, FRAME); 1_000_000])]);
    seen(built).says(&format!("read: {vast}"), "as much as was wanted").is_silent("check: ");
    // The same of a run that refers to itself a million times over.
    let (twice, often) = (Digest::of(b"twice"), Digest::of(b"often"));
    let mut built = Built::new(1, Parent::None);
    built.stored_pack(vec![bomb()], |_| ());
    let runs = vec![Part::Run(run(twice, 0, FRAME)); 1_000_000];
    built.records(&[raw(twice, vec![range(0, FRAME)]), raw(often, runs)]);
    seen(built).says(&format!("read: {often}"), "as much as was wanted");
}

#[test]
fn references_that_double_at_each_step_take_no_memory() {
    let name = |depth: u32| Digest::of(&depth.to_le_bytes());
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&[7; 100]]);
    let mut records = vec![raw(name(0), vec![range(0, 1)])];
    for depth in 1..40 {
        records.push(raw(name(depth), vec![Part::Run(run(name(depth - 1), 0, 1 << (depth - 1))); 2]));
    }
    built.records(&records);
    seen(built).says(&format!("read: {}", name(39)), "as much as was wanted").is_silent("check: ");
}

/// A zstd frame with this header, and a block that is a zero a hundred times over.
fn frame_with(header: &[u8]) -> (Codec, Vec<u8>, u32) {
    let [a, b, c, _] = (1 | 1 << 1 | 100_u32 << 3).to_le_bytes();
    (Codec::Zstd, [&[0x28, 0xb5, 0x2f, 0xfd], header, &[a, b, c, 0]].concat(), 100)
}

#[test]
fn frames_with_a_vast_window_a_dictionary_or_no_length_are_refused() {
    for (frame, why) in [
        // Content size in one byte, single segment: what an honest one looks like.
        (frame_with(&[0x20, 100]), "all of it"),
        // A window of 2^31: for what is decompressed at once, no memory is taken for it.
        (frame_with(&[0x80, 0xa8, 100, 0, 0, 0]), "all of it"),
        // A dictionary.
        (frame_with(&[0x23, 1, 2, 3, 4, 100]), "frame: it does not decompress"),
        // No content size, and one that is a lie.
        (frame_with(&[0x00, 0x58]), "frame: its content size is not the one announced"),
        (frame_with(&[0xa0, 0, 0, 0, 64]), "frame: its content size is not the one announced"),
    ] {
        let blob = Digest::of(&[0; 100]);
        let mut built = Built::new(1, Parent::None);
        built.stored_pack(vec![frame], |_| ());
        built.records(&[raw(blob, vec![range(0, 100)])]);
        seen(built).says(&format!("read: {blob}"), why);
    }
}

#[test]
fn a_frame_that_makes_more_or_less_than_it_says_is_refused() {
    let (codec, stored, _) = bomb();
    for (says, why) in
        [(1_000, "its content size is not the one announced"), (FRAME as u32 - 1, "its content size is not the one announced")]
    {
        let mut built = Built::new(1, Parent::None);
        built.stored_pack(vec![(codec.clone(), stored.clone(), says)], |_| ());
        built.records(&[raw(Digest::of(b"a"), vec![range(0, says.into())])]);
        seen(built).says("read: ", why);
    }
    // Two frames where one must be, and skippable ones in great numbers before it.
    let mut flood = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(1 << 20);
    flood.extend(&stored);
    for stored in [[&stored[..], &stored].concat(), flood] {
        let mut built = Built::new(1, Parent::None);
        built.stored_pack(vec![(Codec::Zstd, stored, FRAME as u32)], |_| ());
        built.records(&[raw(Digest::of(b"a"), vec![range(0, FRAME)])]);
        seen(built).says("read: ", "frame: ");
    }
}

/// A volume with a `.rec` of these records and without an end, so that nothing but the records tells what is in it.
fn salvaged(records: &[u8], folder: &Path) -> Came {
    let packed = frame::compress(records, 3).expect("compressed");
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&noise(1, 1_000)]);
    built.rec(&[Digest::of(&packed).bytes(), &packed].concat());
    let mut forged = built.forged();
    forged.on_footer = |footer| footer.directory = Digest::of(b"another");
    forged.write(folder);
    apart(folder)
}

/// A record of a blob called so, with this note and what follows it.
fn record(name: &[u8], bytes: u64, note: usize, recipe: &[u8]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(Digest::of(name).bytes());
    put_uvarint(&mut body, bytes);
    put_uvarint(&mut body, note as u64);
    body.extend(vec![b'n'; note]);
    body.extend(recipe);
    let mut record = Vec::new();
    put_uvarint(&mut record, body.len() as u64);
    record.extend(body);
    record
}

fn counted(kind: &[u8], count: u64, each: impl FnMut(u64) -> Vec<u8>) -> Vec<u8> {
    let mut out = kind.to_vec();
    put_uvarint(&mut out, count);
    (0..count).flat_map(each).for_each(|byte| out.push(byte));
    out
}

#[test]
fn a_rec_of_64_mebibytes_that_shrank_to_few_is_salvaged_in_constant_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    // As many parts of one byte as a blob may have.
    let mut parts = counted(&[1], 1 << 24 >> 1, |_| vec![0, 1, 7, 1]);
    parts.push(0);
    salvaged(&record(b"parts", 1 << 24 >> 1, 0, &parts), folder.path()).is_silent("lost: packs");
    // A replay with as many restarts as fit.
    let mut restarts = vec![2, 1, 2];
    let count = 4 << 20;
    [count * 2, 4, 0, 0, count].into_iter().for_each(|number| put_uvarint(&mut restarts, number));
    put_uvarint(&mut restarts, count);
    for number in 0..count {
        [number, number * 16].into_iter().for_each(|number| put_uvarint(&mut restarts, number));
        restarts.extend([0; 4]);
    }
    restarts.push(0);
    salvaged(&record(b"restarts", count * 2, 0, &restarts), folder.path());
    // The same blob over and over, with the longest note that there may be.
    let notes: Vec<u8> = (0..900u32).flat_map(|number| record(&number.to_le_bytes(), 0, 65_536, &[1, 0, 0])).collect();
    salvaged(&notes, folder.path()).says("notes: ", "256").says("lost: ", "the notes of its blobs are longer than 16 MiB");
    let same = record(b"the same", 0, 0, &[1, 0, 0]).repeat(1_500_000);
    salvaged(&same, folder.path()).is_silent("lost: packs");
}

#[test]
fn a_rec_that_says_more_than_it_has_or_needs_a_vast_window_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (packed, why) in [
        (&[0xa0, 0, 0, 0, 4][..], "records: they are shorter than they say"),
        (&[0xa0, 0, 0, 0, 5], "records: 83886080 is more than the 67108864 allowed"),
        // A window of 2^31, and a mebibyte of zeros.
        (&[0x80, 0xa8, 0, 0, 0x10, 0], "records: they do not decompress"),
        (&[0x00, 0x58], "records: they do not say how long they are"),
    ] {
        let mut packed = [&[0x28, 0xb5, 0x2f, 0xfd], packed].concat();
        let block = |last: u8| [2 | last, 0, 0x10, 0];
        packed.extend([block(0).repeat(7), block(1).to_vec()].concat());
        let mut built = Built::new(1, Parent::None);
        built.plain_pack(&[&noise(1, 1_000)]);
        built.rec(&[Digest::of(&packed).bytes(), &packed].concat());
        let mut forged = built.forged();
        forged.write(folder.path());
        apart(folder.path()).says("check: ", why);
        forged.on_footer = |footer| footer.directory = Digest::of(b"another");
        forged.write(folder.path());
        apart(folder.path()).says("lost: ", why);
    }
}

#[test]
fn a_pack_of_frame_headers_alone_and_members_that_are_hurt_in_turn_are_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut built = Built::new(1, Parent::None);
    let nothing = frame::compress(&[7], 3).expect("compressed");
    built.stored_pack(vec![(Codec::Zstd, nothing, 1); 100_000], |_| ());
    let mut forged = built.forged();
    for number in 0..8_192 {
        forged.members.extend([0xff; 512]);
        forged.members.extend(ocm_format::tar::header(&format!("packs/{number:06}.x"), 0, forged.time).expect("a header"));
    }
    forged.on_footer = |footer| footer.directory = Digest::of(b"another");
    forged.write(folder.path());
    apart(folder.path()).says("lost: ", "no member begins here");
}
