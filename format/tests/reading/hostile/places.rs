//! Offsets, lengths and counts that lead out, overlap, or overflow.

use ocm_format::codec::put_uvarint;
use ocm_format::digest::Digest;
use ocm_format::frame;
use ocm_format::index::{FrameRow, table};
use ocm_format::layout::{Codec, Footer, Parent};
use ocm_format::recipe::{Part, Piece, Plain};

use super::seen;
use crate::apart::{Came, apart};
use crate::built::{Built, pieces, range, raw, run};
use crate::forged::Forged;
use crate::made::noise;

/// What becomes of the footer.
type Change = fn(&mut Footer);

fn content() -> Vec<u8> {
    noise(1, 3_000)
}

fn volume() -> Forged {
    let content = content();
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&content[..1_000], &content[1_000..2_000], &content[2_000..]]);
    built.records(&[raw(Digest::of(&content), vec![range(0, 3_000)])]);
    built.forged()
}

#[test]
fn a_footer_that_does_not_agree_with_header_or_file_is_refused() {
    let cases: [(Change, &str); 12] = [
        (|footer| footer.set.0[0] ^= 1, "it names another set or volume than the header"),
        (|footer| footer.number = 2, "it names another set or volume than the header"),
        (|footer| footer.file_bytes += 512, "bytes and the file has"),
        (|footer| footer.flags |= 4, "its flags are not those of the header's kind"),
        (|footer| footer.flags |= 16, "a flag is unknown"),
        (|footer| footer.index_offset += 1, "a place lies outside of the file"),
        (|footer| footer.index_offset = u64::MAX - 511, "a place lies outside of the file"),
        (|footer| footer.index_bytes = u64::MAX, "a place lies outside of the file"),
        (|footer| footer.directory_bytes = footer.index_bytes + 1, "a place lies outside of the file"),
        (|footer| footer.set_json_offset = footer.index_offset, "a place lies outside of the file"),
        (|footer| footer.set_json_bytes = u64::MAX, "a place lies outside of the file"),
        (|footer| footer.stream_bytes += 1, "the volume root does not follow from header and directory"),
    ];
    for (change, why) in cases {
        let mut forged = volume();
        forged.on_footer = change;
        seen(&forged).says("broken: ", why).says("broken: ", "volume 1 at 0x");
    }
}

#[test]
fn a_directory_whose_blocks_overlap_leave_gaps_or_do_not_add_up_is_refused() {
    for (at, lie, why) in [
        (0, 1, "there is a gap between its blocks"),
        (0, u64::MAX, "there is a gap between its blocks"),
        (1, 1, "there is a gap between its blocks"),
        (1, u64::MAX, "a block's sizes are out of bounds"),
        (1, 0, "a block's sizes are out of bounds"),
        (2, 1 << 40, "a block's sizes are out of bounds"),
    ] {
        let mut forged = volume();
        forged.table(table::FRAMES).blocks[0].lies[at] = Some(lie);
        seen(&forged).says("check: ", &format!("directory: {why}")).says("broken: ", "").is_silent("read: ");
    }
    for (rows, count, why) in [
        (u64::MAX, None, "its rows do not add up"),
        (2, None, "its rows do not add up"),
        (3, Some(u64::MAX), "there is a gap between its blocks"),
        (3, Some(2), ""),
    ] {
        let mut forged = volume();
        let frames = forged.table(table::FRAMES);
        (frames.rows, frames.count) = (rows, count);
        seen(&forged).says("check: ", &format!("directory: {why}"));
    }
    let mut forged = volume();
    forged.table(table::FRAMES).blocks[0].rows = 1 << 31;
    forged.table(table::FRAMES).rows = 1 << 31;
    seen(&forged).says("check: ", "a block's sizes are out of bounds");
}

/// A volume with three frames whose rows `change` had its way with.
fn frames(change: impl Fn(&mut FrameRow)) -> Came {
    let content = content();
    let stored = |part: &[u8]| (Codec::Zstd, frame::compress(part, 3).expect("compressed"), part.len() as u32);
    let mut built = Built::new(1, Parent::None);
    built.stored_pack(content.chunks(1_000).map(stored).collect(), change);
    built.records(&[raw(Digest::of(&content), vec![range(0, 3_000)])]);
    let folder = tempfile::tempdir().expect("a folder");
    built.write(folder.path());
    apart(folder.path())
}

#[test]
fn frames_that_overlap_or_lie_elsewhere_are_refused() {
    let second = |row: &FrameRow| row.stream_offset == 1_000;
    frames(|row| row.file_offset -= u64::from(second(row)) * 200).says("check: ", "FRAMES: a length is out of bounds");
    frames(|row| row.stored_bytes += u32::from(second(row)) * 900).says("check: ", "FRAMES: a length is out of bounds");
    let came = frames(|row| row.file_offset += u64::from(row.stream_offset == 2_000) << 40);
    came.says("check: ", "its frames are not those of FRAMES").says("read: ", "the file ends before these bytes");
    frames(|row| row.plain_bytes += u32::from(second(row))).says("read: ", "frame: its content size is not the one announced");
    let came = frames(|row| row.stored_bytes = if second(row) { 1 << 30 } else { row.stored_bytes });
    came.says("check: ", "FRAMES: a frame's size is out of bounds").says("read: ", "FRAMES: a frame's size is out of bounds");
    let came = frames(|row| row.plain_bytes = if second(row) { (16 << 20) + 1 } else { row.plain_bytes });
    came.says("read: ", "FRAMES: a frame's size is out of bounds");
}

#[test]
fn a_stream_that_is_shorter_than_it_says_is_seen() {
    let mut forged = volume();
    forged.stream = 1 << 50;
    seen(&forged).says("check: ", "FRAMES: the length of the stream is not that of the footer").says("read: ", "all of it");
}

/// What is said of a record with this recipe, of a volume that is whole and of one that lost its end.
fn record(recipe: &[u64], why: &str) {
    let content = content();
    let mut body = vec![1];
    body.extend(Digest::of(&content).bytes());
    put_uvarint(&mut body, 3_000);
    body.push(0);
    recipe.iter().for_each(|number| put_uvarint(&mut body, *number));
    let mut record = Vec::new();
    put_uvarint(&mut record, body.len() as u64);
    record.extend(body);
    let packed = frame::compress(&record, 3).expect("compressed");
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&content]);
    let row = match recipe[0] {
        2 => pieces(Digest::of(&content), vec![Piece::Raw(vec![range(0, 3_000)])], Plain::Own),
        _ => raw(Digest::of(&content), vec![range(0, 3_000)]),
    };
    built.rows(&[row]).rec(&[Digest::of(&packed).bytes(), &packed].concat());
    let mut forged = built.forged();
    forged.on_footer = |footer| footer.directory = Digest::of(b"another");
    seen(&forged).says("lost: ", why).is_silent("salvaged: ");
    forged.on_footer = |_| ();
    seen(&forged).says("check: ", why).says("read: ", "all of it");
}

#[test]
fn counts_and_lengths_of_records_that_cannot_be_are_refused() {
    record(&[1, 1 << 31], "parts: 2147483648 is more than the 16777216 allowed");
    record(&[2, 1 << 31], "pieces: 2147483648 is more than the 16777216 allowed");
    record(&[1, u64::MAX], "is more than the 16777216 allowed");
    record(&[1, 1 << 24], "it ends too early");
    record(&[1, 1, 0, 1, 0, 0, 0], "a part has no bytes");
    record(&[1, 1, 0, 0, 0, 3_000, 0], "a volume number is out of bounds");
    record(&[1, 1, 0, 65_536, 0, 3_000, 0], "a volume number is out of bounds");
    record(&[1, 1, 0, 1, u64::MAX, 3_000, 0], "its lengths are beyond 2^63");
    record(&[2, 1, 2, 3_000, 4, 1 << 20], "parameters of an encoder: 1048576 is more than the 4096 allowed");
}

#[test]
fn parts_and_pieces_that_do_not_add_up_or_have_no_bytes_are_refused() {
    let digest = Digest::of(&content());
    for (part, why) in [
        (range(0, 2_999), "PARTS at 2999: nothing is there"),
        (Part::Run(run(digest, 0, 3_000)), "refer to each other"),
        (range(1, 3_000), "at 3000: nothing is there"),
    ] {
        let mut forged = volume();
        let mut other = Built::new(1, Parent::None);
        other.rows(&[raw(digest, vec![part])]);
        *forged.table(table::PARTS) = other.forged().table(table::PARTS).clone();
        seen(&forged).says("check: ", "differ").says("read: ", why);
    }
    let mut forged = volume();
    let lengths = forged.table(table::PARTS).blocks[0].column(1);
    lengths.copy_from_slice(&[0x80, 0x00]);
    seen(&forged).says("read: ", "PARTS: a number is not in its shortest form");
    let mut forged = volume();
    forged.table(table::PARTS).blocks[0].plain = [&[1, 1, 0][..], &[1, 0, 1, 1, 1, 0, 0, 0]].concat();
    seen(&forged).says("read: ", "PARTS: a length is out of bounds").says("check: ", "PARTS: a length is out of bounds");
}
