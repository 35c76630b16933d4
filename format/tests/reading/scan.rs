//! Which files are volumes, and of which sets.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use ocm_format::error::Kind;
use ocm_format::layout::{Id, VolumeKind};
use ocm_format::set::{Lacking, SetFiles, scan};
use ocm_format::volume::Volume;

use crate::made::{Made, NORMAL, check_set, mini, mini_blobs, noise, only_set};
use ocm_format::writer::Form;

/// The set without its catalogue, so that nothing but the volumes tells of it.
fn bare() -> Made {
    let made = mini();
    for file in only_set(made.path()).catalogues.values() {
        fs::remove_file(&file.path).expect("removed");
    }
    made
}

fn here(set: &SetFiles) -> Vec<u32> {
    set.volumes.keys().copied().collect()
}

#[test]
fn every_subset_of_the_volumes_says_what_is_missing() {
    for with_catalogue in [false, true] {
        for present in 1..8u32 {
            let made = if with_catalogue { mini() } else { bare() };
            let (kept, gone): (Vec<u32>, Vec<u32>) = (1..=3).partition(|number| present & (1 << (number - 1)) != 0);
            for number in &gone {
                fs::remove_file(made.volume(*number as usize)).expect("removed");
            }
            let set = only_set(made.path());
            assert_eq!(here(&set), kept);
            let known = with_catalogue || kept.contains(&3);
            let highest = *kept.last().expect("one at least");
            let numbers = gone.iter().copied().filter(|number| known || *number < highest).collect();
            assert_eq!(set.lacking(), Lacking { numbers, more: !known });
            assert_eq!(set.volume_count(), known.then_some(3));
            assert_eq!(set.is_complete(), kept.len() == 3);
            assert_eq!(set.manifest.is_some(), known);
            assert_eq!(check_set(&set, NORMAL).is_sound(), kept.len() == 3);
        }
    }
}

#[test]
fn names_of_files_mean_nothing() {
    let made = bare();
    for (number, name) in [(1, "c"), (2, "A.TAR"), (3, "b (1).bin")] {
        fs::rename(made.volume(number), made.path().join(name)).expect("renamed");
    }
    fs::write(made.path().join("notes.txt"), "hello").expect("written");
    fs::create_dir(made.path().join("folder.ocm.tar")).expect("a folder");
    fs::copy(made.path().join("c"), made.path().join(".hidden")).expect("copied");
    let found = scan(made.path()).expect("a scan");
    assert!(found.strangers.is_empty());
    let [set] = found.sets.as_slice() else { panic!("{found:?}") };
    assert!(set.is_complete() && set.spares.is_empty() && set.broken.is_empty());
}

#[test]
fn two_sets_in_a_folder_are_told_apart() {
    let made = mini();
    let other = Made::new(2, vec![(Form::Packed, noise(1, 100))], 64 << 10, 16 << 10);
    fs::copy(other.volume(1), made.path().join("other")).expect("copied");
    let found = scan(made.path()).expect("a scan");
    let ids: Vec<Id> = found.sets.iter().map(SetFiles::id).collect();
    assert_eq!(ids, [Id([2; 16]), Id([1; 16])], "the newest generation first");
    assert!(found.sets.iter().all(SetFiles::is_complete));
}

#[test]
fn what_is_hidden_or_in_the_making_is_passed_over() {
    let made = mini();
    let bytes = fs::read(made.volume(1)).expect("bytes");
    for name in [".v001.ocm.tar", "disk.g0002-00000000.v001.ocm.tar.partial"] {
        fs::write(made.path().join(name), &bytes[..bytes.len() / 2]).expect("half a volume");
    }
    let set = only_set(made.path());
    assert!(set.is_complete() && set.broken.is_empty() && set.spares.is_empty(), "{set:?}");
}

#[test]
fn a_volume_twice_with_one_content_is_a_spare() {
    let made = bare();
    fs::copy(made.volume(2), made.path().join("a copy")).expect("copied");
    let set = only_set(made.path());
    assert!(set.is_complete() && set.broken.is_empty());
    assert_eq!(set.spares.len(), 1);
    assert!(check_set(&set, NORMAL).is_sound());
}

/// A volume 2 of the same set with other content.
fn impostor(made: &Made) -> PathBuf {
    let mut blobs = mini_blobs();
    blobs.iter_mut().for_each(|(_, content)| content.reverse());
    let other = Made::new(1, blobs, 64 << 10, 16 << 10);
    let path = made.path().join("0 impostor");
    fs::copy(other.volume(2), &path).expect("copied");
    path
}

#[test]
fn of_two_different_volumes_of_one_number_the_one_in_the_set_manifest_is_used() {
    let made = bare();
    let impostor = impostor(&made);
    let set = only_set(made.path());
    assert_eq!(set.volumes[&2].path, made.volume(2));
    let [broken] = set.broken.as_slice() else { panic!("{:?}", set.broken) };
    assert!(broken.path == impostor && broken.error.to_string().contains("not the volume that SET.json names"));
}

#[test]
fn of_two_different_volumes_of_one_number_neither_is_used_without_the_set_manifest() {
    let made = bare();
    impostor(&made);
    fs::remove_file(made.volume(3)).expect("removed");
    let set = only_set(made.path());
    assert_eq!(here(&set), [1]);
    assert_eq!(set.broken.len(), 2);
    assert_eq!(set.lacking(), Lacking { numbers: vec![2], more: true });
}

#[test]
fn a_volume_that_is_still_being_copied_is_incomplete_with_its_size() {
    let made = bare();
    let file = fs::OpenOptions::new().write(true).open(made.volume(2)).expect("a file");
    file.set_len(20_000).expect("cut");
    let set = only_set(made.path());
    assert_eq!(here(&set), [1, 3]);
    let [broken] = set.broken.as_slice() else { panic!("{:?}", set.broken) };
    assert_eq!((broken.error.kind(), broken.file_bytes, broken.header.number), (Kind::Incomplete, 20_000, 2));
    assert!(broken.error.to_string().contains("incomplete: it has 20000 bytes"), "{}", broken.error);
}

#[test]
fn the_kinds_of_refusal_are_told_apart() {
    let made = bare();
    let bytes = fs::read(made.volume(1)).expect("bytes");
    let path = made.path().join("changed");
    let changes: BTreeMap<&str, (usize, Vec<u8>, Kind, &str)> = BTreeMap::from([
        ("magic", (512, vec![0x0f], Kind::NotAVolume, "no volume of an ocm archive")),
        ("field", (544, vec![0xff], Kind::Damaged, "checksum does not hold")),
        ("tar header", (3, vec![b'!'], Kind::Damaged, "tar header of OCM.VOLUME")),
        ("footer", (bytes.len() - 1500, vec![0xff], Kind::Damaged, "checksum does not hold")),
        ("footer magic", (bytes.len() - 1536, vec![0], Kind::Damaged, "magic is wrong")),
        ("end", (bytes.len() - 1, vec![1], Kind::Damaged, "end of the tar file is not zero")),
    ]);
    for (name, (at, with, kind, why)) in changes {
        let mut changed = bytes.clone();
        changed[at..at + with.len()].copy_from_slice(&with);
        fs::write(&path, changed).expect("written");
        let error = Volume::open(&path).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(why) && error.to_string().contains("changed"), "{name}: {error}");
    }
}

#[test]
fn another_draft_and_an_unknown_feature_are_refused_by_name() {
    let made = bare();
    let bytes = fs::read(made.volume(1)).expect("bytes");
    let path = made.path().join("changed");
    for (at, value, kind, why) in [
        (10, 77, Kind::Version, "version 1 draft 77; this program reads version 1".to_owned()),
        (24, 0x20, Kind::Unsupported, "features 0x20".into()),
    ] {
        let mut changed = bytes.clone();
        changed[512 + at] = value;
        let sum = crc32c::crc32c(&changed[512..1020]);
        changed[1020..1024].copy_from_slice(&sum.to_le_bytes());
        fs::write(&path, changed).expect("written");
        let error = Volume::open(&path).expect_err("refused");
        assert!(error.kind() == kind && error.to_string().contains(&why), "{error}");
        let found = scan(made.path()).expect("a scan");
        assert_eq!(found.strangers.len(), 1, "and it does not disturb the others");
        assert!(found.sets[0].is_complete());
    }
}

#[test]
fn a_damaged_set_manifest_leaves_the_volumes_usable() {
    let made = bare();
    let volume = Volume::open(&made.volume(3)).expect("a volume");
    let mut bytes = fs::read(made.volume(3)).expect("bytes");
    bytes[volume.footer().set_json_offset as usize + 5] ^= 1;
    fs::remove_file(made.volume(3)).expect("removed");
    fs::write(made.volume(3), bytes).expect("written");
    let set = only_set(made.path());
    assert!(set.manifest.is_none() && !set.is_complete());
    assert_eq!(set.problems.len(), 1);
    assert!(set.problems[0].to_string().contains("SET.json: its SHA-256 is not that of the footer"), "{}", set.problems[0]);
    assert_eq!((here(&set), set.lacking()), (vec![1, 2, 3], Lacking::default()));
}

#[test]
fn the_catalogue_knows_the_set_without_its_volumes() {
    let made = mini();
    (1..=3).for_each(|number| fs::remove_file(made.volume(number)).expect("removed"));
    let set = only_set(made.path());
    assert_eq!(set.root, Some(made.finished.root));
    assert_eq!(set.lacking(), Lacking { numbers: vec![1, 2, 3], more: false });
    assert!(set.catalogues.values().all(|file| file.header.kind == VolumeKind::Catalogue));
}

/// A set of six volumes without a catalogue.
fn six() -> Made {
    let blobs = (0..5).map(|n| (Form::Packed, noise(40 + n, 44_000))).collect();
    let made = Made::new(1, blobs, 64 << 10, 16 << 10);
    assert_eq!(made.finished.volumes.len(), 6);
    for file in only_set(made.path()).catalogues.values() {
        fs::remove_file(&file.path).expect("removed");
    }
    made
}

/// A folder with these volumes under these names.
fn folder_of(made: &Made, volumes: impl IntoIterator<Item = (usize, String)>) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(made.path()).expect("a folder");
    for (number, name) in volumes {
        fs::hard_link(made.volume(number), folder.path().join(name)).expect("a link");
    }
    folder
}

#[test]
fn every_subset_of_six_volumes_says_what_is_missing() {
    let made = six();
    for present in 1..64u32 {
        let is_here = |number: &u32| present & (1 << (number - 1)) != 0;
        let (kept, gone): (Vec<u32>, Vec<u32>) = (1..=6).partition(is_here);
        let folder = folder_of(&made, kept.iter().map(|number| (*number as usize, format!("{number}.tar"))));
        let set = only_set(folder.path());
        let known = is_here(&6);
        let highest = *kept.last().expect("one at least");
        let numbers = gone.into_iter().filter(|number| known || *number < highest).collect();
        assert_eq!((here(&set), set.lacking()), (kept, Lacking { numbers, more: !known }));
        assert_eq!((set.is_complete(), set.manifest.is_some()), (present == 63, known));
    }
}

#[test]
fn every_order_of_names_of_five_volumes_is_the_same_set() {
    let made = six();
    let mut orders: Vec<Vec<usize>> = vec![vec![]];
    for next in 1..=5 {
        let longer = |order: Vec<usize>| (0..=order.len()).map(move |at| [&order[..at], &[next], &order[at..]].concat());
        orders = orders.into_iter().flat_map(longer).collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let names = order.iter().zip(1..).map(|(number, name)| (*number, format!("Disk.G0001-01010101.V00{name}.OCM.TAR")));
        let folder = folder_of(&made, names.chain([(6, "last".to_owned())]));
        let set = only_set(folder.path());
        assert!(set.is_complete() && set.broken.is_empty(), "{order:?}");
        assert!(check_set(&set, NORMAL).is_sound(), "{order:?}");
    }
}
