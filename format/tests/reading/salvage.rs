//! What is still read of sets that are cut, damaged or not all there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ocm_format::codec::Cursor;
use ocm_format::digest::Digest;
use ocm_format::index::{FrameRow, MemberKind};
use ocm_format::layout::FRAME_HEADER_BYTES;
use ocm_format::reader::{Options, Reader};
use ocm_format::recipe::Record;
use ocm_format::records;
use ocm_format::salvage::{Salvaged, salvage};
use ocm_format::set::scan;
use ocm_format::volume::Volume;

use crate::made::{Made, mini, nightly, noise, only_set};
use ocm_format::writer::Form;

/// A set without its catalogue.
fn bare() -> Made {
    let made = mini();
    for file in only_set(made.path()).catalogues.values() {
        fs::remove_file(&file.path).expect("removed");
    }
    made
}

fn salvaged(folder: &Path) -> Salvaged {
    let scratch = tempfile::tempdir().expect("a folder");
    let found = salvage(&scan(folder).expect("a scan").sets, scratch.path(), Options::default()).expect("salvaged");
    assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 0, "nothing with a name is left");
    found
}

/// The blobs of the set that come out, each checked by its digest.
fn readable(made: &Made, reader: &Reader) -> BTreeSet<Digest> {
    let comes_out = |digest: &Digest| {
        let mut stream = reader.stream(digest).ok()?;
        while stream.next_chunk().ok()?.is_some() {}
        Some(())
    };
    made.digests().into_iter().filter(|digest| comes_out(digest).is_some()).collect()
}

/// The blobs that a volume completes, each with the end of what tells of it: its `.rec`, or itself where it stands by itself.
fn completed(path: &Path) -> Vec<(Digest, u64)> {
    let volume = Volume::open(path).expect("a volume");
    let bytes = fs::read(path).expect("bytes");
    let mut found = Vec::new();
    for member in volume.members().map(|row| row.expect("a row")) {
        let begin = member.offset + 512;
        let content = &bytes[begin as usize..(begin + member.bytes) as usize];
        match member.kind {
            MemberKind::Blob => found.push((member.digest, begin + member.bytes)),
            MemberKind::Records => {
                let opened = records::open(content).expect("records");
                let mut cursor = Cursor::new(&opened, "records");
                while !cursor.is_empty() {
                    found.push((Record::decode(&mut cursor).expect("a record").digest, begin + member.bytes));
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn all_that_is_wholly_before_a_cut_comes_out() {
    let made = bare();
    let first: BTreeSet<Digest> = completed(&made.volume(1)).into_iter().map(|(digest, _)| digest).collect();
    let second = completed(&made.volume(2));
    let (path, all) = (made.volume(2), fs::read(made.volume(2)).expect("bytes"));
    fs::remove_file(made.volume(3)).expect("removed");
    let ends = second.iter().flat_map(|(_, end)| [*end as usize - 1, *end as usize]);
    for cut in (1024..=all.len()).step_by(if nightly() { 1 } else { 29 }).chain(ends).chain([all.len()]) {
        fs::remove_file(&path).expect("removed");
        fs::write(&path, &all[..cut]).expect("written");
        let wholly: BTreeSet<Digest> = second.iter().filter(|(_, end)| *end <= cut as u64).map(|(digest, _)| *digest).collect();
        let known: BTreeSet<Digest> = made.digests().into_iter().collect();
        let expected: BTreeSet<Digest> = first.union(&wholly).copied().filter(|digest| known.contains(digest)).collect();
        let found = salvaged(made.path());
        assert_eq!(readable(&made, &found.reader), expected, "cut at {cut} of {}", all.len());
        assert!(found.notes.iter().all(|note| note.text == "a note" && expected.contains(&note.digest)), "cut at {cut}");
    }
}

/// Rewrites a volume.
fn hurt(made: &Made, number: usize, change: impl Fn(&mut Vec<u8>)) {
    let path = made.volume(number);
    let mut bytes = fs::read(&path).expect("bytes");
    change(&mut bytes);
    fs::remove_file(&path).expect("removed");
    fs::write(&path, bytes).expect("written");
}

#[test]
fn without_indexes_and_footers_everything_comes_out() {
    let made = bare();
    for number in 1..=3 {
        let footer = *Volume::open(&made.volume(number)).expect("a volume").footer();
        hurt(&made, number, |bytes| bytes[footer.index_offset as usize..].fill(0xa5));
    }
    let found = salvaged(made.path());
    assert_eq!(readable(&made, &found.reader).len(), made.blobs.len());
    assert_eq!(found.notes.len(), made.blobs.len());
    assert!(!found.lost.is_empty() && found.lost.iter().all(|error| error.to_string().contains(".ocm.tar")), "{:?}", found.lost);
}

#[test]
fn a_damaged_index_block_or_directory_hurts_nothing() {
    for from_end in [0, 3] {
        let made = mini();
        let footer = *Volume::open(&made.volume(1)).expect("a volume").footer();
        let at = footer.index_offset + if from_end == 0 { 10 } else { footer.index_bytes - from_end };
        hurt(&made, 1, |bytes| bytes[at as usize] ^= 1);
        let found = salvaged(made.path());
        assert_eq!(readable(&made, &found.reader).len(), made.blobs.len());
    }
}

#[test]
fn a_damaged_tar_header_of_a_pack_hides_nothing_and_one_of_a_frame_that_frame_alone() {
    for (place, lost) in [(100..101, 0), (512 + 20..512 + 21, 1), (0..1024, 1)] {
        let made = bare();
        let pack = first_frame(&made).file_offset - FRAME_HEADER_BYTES - 512;
        let index = Volume::open(&made.volume(1)).expect("a volume").footer().index_offset;
        hurt(&made, 1, |bytes| {
            bytes[(pack + place.start) as usize..(pack + place.end) as usize].iter_mut().for_each(|byte| *byte ^= 1);
            bytes[index as usize..].fill(0);
        });
        let found = salvaged(made.path());
        let expected = if lost == 0 { made.digests().into_iter().collect() } else { without_the_first_frame() };
        assert!(lost == 0 || expected.len() < made.digests().len());
        assert_eq!(readable(&made, &found.reader), expected, "{place:?}: {:?}", found.lost);
        let told: String = found.lost.iter().map(|error| format!("{error}\n")).collect();
        let why = ["the tar header of a pack", "frame header: its checksum", "no member begins here"];
        assert!(why.iter().any(|why| told.contains(why)), "{told}");
    }
}

/// The blobs that come out of a set whose indexes are whole and which lacks the first frame of volume 1.
fn without_the_first_frame() -> BTreeSet<Digest> {
    let made = bare();
    let first = first_frame(&made);
    hurt(&made, 1, |bytes| bytes[first.file_offset as usize] ^= 1);
    readable(&made, &Reader::open(&scan(made.path()).expect("a scan").sets, Options::default()))
}

fn first_frame(made: &Made) -> FrameRow {
    Volume::open(&made.volume(1)).expect("a volume").frames().next().expect("a frame").expect("a row")
}

#[test]
fn whatever_becomes_of_a_volume_nothing_wrong_comes_out() {
    let blobs = vec![(Form::Document, noise(1, 300)), (Form::Packed, noise(2, 9_000)), (Form::Plain, noise(3, 5_000))];
    let made = Made::new(1, blobs, 64 << 10, 4 << 10);
    for file in only_set(made.path()).catalogues.values() {
        fs::remove_file(&file.path).expect("removed");
    }
    let all = fs::read(made.volume(1)).expect("bytes");
    let end = Volume::open(&made.volume(1)).expect("a volume").footer().index_offset as usize;
    let mut state = 7u64;
    for round in 0..400 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, other) = ((state >> 33) as usize % end, (state >> 13) as usize % end);
        let mut bytes = all.clone();
        match round % 4 {
            0 => bytes[at] ^= 1 << (state % 8),
            1 => bytes[at.min(end - 64)..][..64].fill(0xff),
            2 => drop(bytes.drain(at..(at + 512).min(end))),
            _ => {
                let (from, to) = (other.min(end - 512), at.min(end - 512));
                bytes.copy_within(from..from + 512, to);
            }
        }
        bytes.truncate(bytes.len() - 1024 * (round % 3));
        fs::remove_file(made.volume(1)).expect("removed");
        fs::write(made.volume(1), bytes).expect("written");
        // `stream` gives nothing that has another digest; reading must come to an end, and say so.
        readable(&made, &salvaged(made.path()).reader);
    }
}
