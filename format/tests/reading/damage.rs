//! Whatever is wrong is said, and blobs that come out are right.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ocm_format::check::{self, Report};
use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::index::{FrameRow, MemberKind};
use ocm_format::reader::{Options as ReaderOptions, Reader};
use ocm_format::set::scan;
use ocm_format::volume::Volume;
use ocm_format::writer::Form;

use crate::made::{Made, NORMAL, check_set, mini, nightly, noise, only_set, tar};

const ALONE: check::Options = check::Options { threads: 1, ..NORMAL };

/// What a person learns of a folder: damage, or files that are no longer what they were.
fn is_noticed(folder: &Path, files: usize) -> bool {
    let found = scan(folder).expect("a scan");
    let known: usize = found.sets.iter().map(|set| set.volumes.len() + set.catalogues.len() + set.broken.len() + set.spares.len()).sum();
    known != files || !found.strangers.is_empty() || found.sets.iter().any(|set| !check_set(set, ALONE).is_sound())
}

/// A file whose bytes can be changed and changed back.
struct Wound {
    file: File,
    bytes: Vec<u8>,
}

impl Wound {
    fn of(path: &Path) -> Self {
        let mut permissions = fs::metadata(path).expect("a file").permissions();
        #[allow(clippy::permissions_set_readonly_false)]
        permissions.set_readonly(false);
        fs::set_permissions(path, permissions).expect("writable");
        Self { file: File::options().write(true).open(path).expect("a file"), bytes: fs::read(path).expect("bytes") }
    }

    fn flip(&self, at: usize, mask: u8) {
        self.file.write_all_at(&[self.bytes[at] ^ mask], at as u64).expect("written");
    }

    fn heal(&self, at: usize) {
        self.file.write_all_at(&self.bytes[at..=at], at as u64).expect("written");
    }
}

/// A copy of the files of a folder.
fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    copy
}

/// Flips bits of `path`, in two threads on a copy each; `wanted` says which masks to try at an offset.
fn every_flip_is_noticed(folder: &Path, path: &Path, wanted: impl Fn(usize) -> Vec<u8> + Sync) {
    let files = scan(folder).expect("a scan").sets.iter().map(|set| set.volumes.len() + set.catalogues.len()).sum();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let wanted = &wanted;
            scope.spawn(move || {
                let copy = copy(folder);
                let wound = Wound::of(&copy.path().join(path.file_name().expect("a name")));
                for at in (half..wound.bytes.len()).step_by(2) {
                    for mask in wanted(at) {
                        wound.flip(at, mask);
                        assert!(is_noticed(copy.path(), files), "bit {mask:#x} of byte {at:#x} of {}", path.display());
                    }
                    wound.heal(at);
                }
                assert!(!is_noticed(copy.path(), files));
            });
        }
    });
}

/// One small volume with a verbatim blob, a pack, records, and all tables.
fn tiny() -> Made {
    let blobs = vec![(Form::Document, noise(1, 30)), (Form::Packed, noise(2, 200)), (Form::Plain, vec![7; 300])];
    Made::new(1, blobs, 64 << 10, 16 << 10)
}

#[test]
fn every_flipped_bit_of_a_volume_is_noticed() {
    let made = tiny();
    assert_eq!(made.finished.volumes.len(), 1);
    every_flip_is_noticed(made.path(), &made.volume(1), |_| (0..8).map(|bit| 1 << bit).collect());
}

#[test]
fn flipped_bits_anywhere_in_a_set_of_three_volumes_and_its_catalogue_are_noticed() {
    let made = mini();
    let set = only_set(made.path());
    for file in set.volumes.values().chain(set.catalogues.values()) {
        let volume = Volume::open(&file.path).expect("a volume");
        let members: Vec<_> = volume.members().map(|row| row.expect("a row")).collect();
        let content = |at: usize| {
            let plain = |kind| matches!(kind, MemberKind::Pack | MemberKind::Text | MemberKind::Other);
            let within = |offset: u64, bytes: u64| (at as u64) >= offset + 512 && (at as u64) < offset + 512 + bytes;
            members.iter().any(|row| plain(row.kind) && within(row.offset, row.bytes))
        };
        every_flip_is_noticed(made.path(), &file.path, |at| match at % 16 {
            _ if nightly() => (0..8).map(|bit| 1 << bit).collect(),
            0 => vec![1 << (at / 16 % 8)],
            7 if !content(at) => vec![1 << (at / 16 % 8)],
            _ => vec![],
        });
    }
}

#[test]
fn every_truncation_is_noticed_and_named() {
    let made = mini();
    let files = only_set(made.path()).catalogues.len() + 3;
    let path = made.volume(2);
    let bytes = fs::read(&path).expect("bytes");
    for length in (0..bytes.len()).step_by(if nightly() { 1 } else { 331 }).chain(bytes.len() - 2100..bytes.len()) {
        fs::remove_file(&path).expect("removed");
        fs::write(&path, &bytes[..length]).expect("written");
        assert!(is_noticed(made.path(), files), "{length}");
        let error = Volume::open(&path).expect_err("a part");
        let wanted = if length < 520 { Kind::NotAVolume } else { Kind::Incomplete };
        assert_eq!(error.kind(), wanted, "{length}: {error}");
        if wanted == Kind::Incomplete {
            assert!(error.to_string().contains(&format!("incomplete: it has {length} bytes")), "{error}");
        }
    }
}

#[test]
fn bytes_at_the_end_are_noticed() {
    let made = tiny();
    let bytes = fs::read(made.volume(1)).expect("bytes");
    for more in [1usize, 511, 512, 1024, 4096] {
        fs::remove_file(made.volume(1)).expect("removed");
        fs::write(made.volume(1), [&bytes[..], &vec![0; more]].concat()).expect("written");
        assert!(is_noticed(made.path(), 1), "{more}");
    }
}

#[test]
fn blocks_that_were_zeroed_doubled_or_swapped_are_noticed() {
    let made = mini();
    let files = only_set(made.path()).catalogues.len() + 3;
    let path = made.volume(1);
    let bytes = fs::read(&path).expect("bytes");
    for size in [512usize, 4096] {
        let blocks = bytes.len() / size;
        for block in 0..blocks {
            let other = (block * 7 + 3) % blocks;
            let (here, there) = (block * size..(block + 1) * size, other * size..(other + 1) * size);
            let mut zeroed = bytes.clone();
            zeroed[here.clone()].fill(0);
            let mut doubled = bytes.clone();
            doubled[here.clone()].copy_from_slice(&bytes[there.clone()]);
            let mut swapped = doubled.clone();
            swapped[there].copy_from_slice(&bytes[here]);
            for changed in [zeroed, doubled, swapped].into_iter().filter(|changed| *changed != bytes) {
                fs::remove_file(&path).expect("removed");
                fs::write(&path, changed).expect("written");
                assert!(is_noticed(made.path(), files), "block {block} of {size}");
            }
        }
    }
}

/// Which blobs cannot be read; those that can are right.
fn unreadable(made: &Made, folder: &Path) -> BTreeSet<Digest> {
    let reader = Reader::open([&only_set(folder)], ReaderOptions::default());
    let mut unreadable = BTreeSet::new();
    for (_, content) in &made.blobs {
        let digest = Digest::of(content);
        let mut read = Vec::new();
        let mut take = || -> ocm_format::error::Result<()> {
            let mut stream = reader.stream_unchecked(&digest)?;
            while let Some(chunk) = stream.next_chunk()? {
                read.extend_from_slice(&chunk);
            }
            Ok(())
        };
        match take() {
            Ok(()) => assert!(read == *content, "wrong bytes of {digest}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Damaged, "{error}");
                assert!(content.starts_with(&read));
                unreadable.insert(digest);
            }
        }
    }
    unreadable
}

fn checked(folder: &Path) -> Report {
    check_set(&only_set(folder), NORMAL)
}

#[test]
fn the_blobs_that_damage_hurts_are_named_exactly() {
    let made = mini();
    for number in 1..=3 {
        let path = made.volume(number);
        let volume = Volume::open(&path).expect("a volume");
        // The directory and what follows it make the whole volume unusable: another test.
        let end = volume.footer().index_offset + volume.footer().index_bytes - volume.footer().directory_bytes;
        let wound = Wound::of(&path);
        let mut met = 0;
        for at in (1024..end as usize).step_by(211) {
            wound.flip(at, 0x10);
            let (hurt, lost) = (checked(made.path()).hurt(), unreadable(&made, made.path()));
            assert_eq!(hurt, lost, "byte {at:#x} of volume {number}: {:#?}", checked(made.path()));
            met += lost.len();
            wound.heal(at);
        }
        assert!(met > 10, "{met}");
    }
}

#[test]
fn all_damage_is_reported_at_once() {
    let made = mini();
    let paths: Vec<PathBuf> = (1..=2).map(|number| made.volume(number)).collect();
    let mut places = Vec::new();
    for (path, number) in paths.iter().zip(1u32..) {
        let volume = Volume::open(path).expect("a volume");
        let wound = Wound::of(path);
        for row in volume.frames().map(|row| row.expect("a row")) {
            wound.flip(row.file_offset as usize + 20, 1);
            places.push((number, row.file_offset));
        }
    }
    fs::remove_file(made.volume(3)).expect("removed");
    let report = checked(made.path());
    let frames = report.damage.iter().filter(|damage| damage.what.starts_with("frame"));
    let found: Vec<(u32, u64)> = frames.map(|damage| (damage.volume.expect("a volume").1, damage.offset)).collect();
    assert_eq!(found, places);
    assert_eq!(report.damage.iter().filter(|damage| damage.kind == Kind::Missing).count(), 1);
    assert_eq!(report.damage.len(), places.len() + 1);
}

#[test]
fn damage_names_its_file_volume_and_offset() {
    let made = tiny();
    let path = made.volume(1);
    let frame: FrameRow = Volume::open(&path).expect("a volume").frames().next().expect("a frame").expect("a row");
    Wound::of(&path).flip(frame.file_offset as usize, 1);
    let report = checked(made.path());
    let [damage] = report.damage.as_slice() else { panic!("{:?}", report.damage) };
    assert_eq!(
        damage.to_string(),
        format!("{}: volume 1 at {:#x}: frame: its SHA-256 is not that of the index", path.display(), frame.file_offset)
    );
    let blob = made.digests()[1];
    assert_eq!(damage.blobs, [blob]);
    let error = Reader::open([&only_set(made.path())], ReaderOptions::default()).read_at(&blob, 0, &mut [0; 9]).expect_err("damaged");
    let text = error.to_string();
    for part in [path.display().to_string(), format!("volume 1 at {:#x}", frame.file_offset), blob.to_string()] {
        assert!(text.contains(&part), "{text}");
    }
}

#[test]
fn a_quick_check_sees_ends_and_sizes_and_not_content() {
    let quick = check::Options { quick: true, ..NORMAL };
    let made = mini();
    let path = made.volume(1);
    let volume = Volume::open(&path).expect("a volume");
    let frame = volume.frames().next().expect("a frame").expect("a row");
    let wound = Wound::of(&path);
    for (at, noticed) in [(frame.file_offset, false), (volume.footer().index_offset + volume.footer().index_bytes - 1, true)] {
        wound.flip(at as usize, 1);
        assert_eq!(check_set(&only_set(made.path()), quick).is_sound(), !noticed);
        wound.heal(at as usize);
    }
    wound.file.set_len(5000).expect("cut");
    assert!(!check_set(&only_set(made.path()), quick).is_sound());
}

#[test]
fn a_damaged_spare_hurts_no_blob() {
    let made = tiny();
    let spare = made.path().join("zz-spare.tar");
    fs::copy(made.volume(1), &spare).expect("copied");
    let frame = Volume::open(&spare).expect("a volume").frames().next().expect("a frame").expect("a row");
    Wound::of(&spare).flip(frame.file_offset as usize, 1);
    let report = checked(made.path());
    assert_eq!(report.damage.len(), 1);
    assert!(report.damage[0].file.as_deref() == Some(spare.as_path()) && report.hurt().is_empty());
}

#[test]
fn a_check_can_be_stopped() {
    let made = mini();
    let mut calls = 0;
    let report = check::check(&only_set(made.path()), &[], NORMAL, &mut |progress| {
        assert!(progress.done_bytes <= progress.total_bytes);
        calls += 1;
        if calls < 3 { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
    });
    assert!(report.stopped && !report.is_sound() && calls == 3);
}

#[test]
fn a_tar_that_is_no_tar_is_stored_and_read_like_any_blob() {
    let mut broken = tar(1);
    broken.truncate(5_000);
    let made = Made::new(1, vec![(Form::Tar, broken)], 64 << 10, 16 << 10);
    assert!(checked(made.path()).is_sound() && unreadable(&made, made.path()).is_empty());
}
