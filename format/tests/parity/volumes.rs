//! Parity volumes as files: below the cap, the same every time, found, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ocm_format::error::Kind;
use ocm_format::index::MemberKind;
use ocm_format::layout::VolumeKind;
use ocm_format::parity::make;
use ocm_format::set::{group, scan};
use ocm_format::volume::Volume;

use crate::kit::{Sample, check, files, go_on, sample, seal, without_parity};

#[test]
fn every_file_is_strictly_below_its_cap() {
    let around = |cap: u64| [cap - 1, cap, cap + 1];
    for cap in [65_536, 65_537, 70_000, 99_999].into_iter().chain(around(128 << 10)).chain(around(200 << 10)).chain(around(1 << 20)) {
        for parity in [1, 3] {
            let sample = sample(1, cap, 5 * cap as usize / 2, parity);
            assert_eq!(sample.parity().len(), parity as usize);
            let longest = sample.finished.volumes.iter().map(|(_, done)| done.bytes).max().expect("volumes");
            for (path, content) in files(sample.path()) {
                assert!((content.len() as u64) < cap, "{} has {} bytes with a cap of {cap}", path.display(), content.len());
            }
            for path in sample.parity() {
                assert!(std::fs::metadata(path).expect("a file").len() > longest);
            }
        }
    }
}

#[test]
fn a_set_with_parity_is_sound_and_tells_of_it() {
    let sample = sample(1, 96 << 10, 300_000, 2);
    let set = sample.scanned();
    assert_eq!(check(&set), []);
    assert!(set.is_complete());
    assert_eq!(set.parity.keys().copied().collect::<Vec<_>>(), [1, 2]);
    let volume = Volume::open(&set.parity[&2].path).expect("a volume");
    assert_eq!((volume.header().kind, volume.header().number), (VolumeKind::Parity, 2));
    let kinds: Vec<(String, MemberKind)> =
        volume.members().map(|member| member.map(|member| (member.name, member.kind))).collect::<Result<_, _>>().expect("members");
    let names: Vec<&str> = kinds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["OCM.VOLUME", "OCM.PARITY", "RESTORE.txt", "parity/000001.shard", "parity/hashes"]);
    let listed = std::process::Command::new("tar").arg("-tf").arg(volume.path()).output().expect("tar");
    assert!(listed.status.success());
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 7);
}

#[test]
fn the_same_volumes_give_the_same_parity_whichever_is_asked_for() {
    let sample = sample(1, 96 << 10, 300_000, 3);
    let before = files(sample.path());
    let plan = sample.plan(3).expect("a plan");
    let again: BTreeMap<u32, PathBuf> = BTreeMap::from([(2, sample.path().join("again"))]);
    make(&plan, &again, &mut go_on).expect("made");
    assert!(std::fs::read(&again[&2]).expect("content") == before[&sample.parity()[1]]);
}

#[test]
fn every_flipped_bit_of_a_parity_volume_is_seen() {
    let sample = sample(1, 64 << 10, 60_000, 1);
    let path = sample.parity().remove(0);
    let sound = std::fs::read(&path).expect("content");
    for at in (0..sound.len()).step_by(97) {
        let mut content = sound.clone();
        content[at] ^= 1 << (at % 8);
        std::fs::write(&path, &content).expect("written");
        let found = scan(sample.path()).expect("a scan");
        let set = found.sets.iter().find(|set| set.id() == sample.finished.manifest.set).expect("the set");
        assert!(!found.strangers.is_empty() || !check(set).is_empty() || set.parity.is_empty(), "byte {at}");
    }
}

#[test]
fn parity_of_another_root_is_damage() {
    let (one, other) = (sample(1, 64 << 10, 60_000, 1), sample(1, 64 << 10, 61_000, 1));
    std::fs::copy(&other.parity()[0], &one.parity()[0]).expect("copied");
    let wrong = check(&one.scanned());
    assert!(wrong.iter().any(|(volume, what)| *volume == Some((VolumeKind::Parity, 1)) && what.contains("another root")), "{wrong:?}");
}

#[test]
fn too_many_volumes_for_a_cap_are_refused_with_both_numbers() {
    let sample = without_parity(1, 64 << 10, 200_000);
    let volumes = sample.finished.volumes.len();
    let error = sample.plan(1000).expect_err("no room for a thousand hashes");
    assert!(error.to_string().contains(&format!("{volumes} data and 1000 parity volumes")), "{error}");
    assert!(sample.plan(4096).is_err() && sample.plan(0).is_err());
}

#[test]
fn a_parity_volume_alone_is_no_stranger() {
    let sample = sample(1, 64 << 10, 60_000, 1);
    let found = group(sample.parity());
    assert!(found.strangers.is_empty());
    assert_eq!(found.sets[0].parity.len(), 1);
}

#[test]
fn a_volume_that_changed_its_size_is_not_taken_in() {
    let sample: Sample = without_parity(1, 64 << 10, 60_000);
    let plan = sample.plan(1).expect("a plan");
    std::fs::File::options().append(true).open(&sample.volumes()[0]).and_then(|file| file.set_len(512)).expect("cut");
    let error = make(&plan, &BTreeMap::from([(1, sample.path().join("p"))]), &mut go_on).expect_err("refused");
    assert!(error.to_string().contains("512 bytes"), "{error}");
}

#[test]
fn a_code_that_is_unknown_and_another_version_are_refused_by_their_numbers() {
    let sample = sample(1, 64 << 10, 60_000, 1);
    let path = sample.parity().remove(0);
    let sound = std::fs::read(&path).expect("content");
    for (at, kind, why) in [
        (12, Kind::Unsupported, "OCM.PARITY: code 9 is unknown, and this version cannot do without"),
        (8, Kind::Version, "OCM.PARITY: it is of format version 9; this program reads version 1"),
    ] {
        let mut content = sound.clone();
        content[1536 + at] = 9;
        seal(&mut content[1536..2048]);
        std::fs::write(&path, content).expect("written");
        let (group, problems) = sample.group();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(group.is_none() && problem.kind() == kind && problem.to_string().contains(why), "{problem}");
    }
}
