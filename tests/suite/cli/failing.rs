//! Classes of failure that need hands to make, as the program tells them: what it says, and its exit code. The table in
//! `docs/reliability.md` has all of them.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::archive::volume;
use super::{Ocm, Said};
use crate::support::disks::{SmallDisk, can_mount};
use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};
use crate::support::sectors::Sectors;

/// One set more in the archive in `folder`: an image with a layer of each seed.
fn written(ocm: &Ocm, folder: &str, seeds: &[u64], bytes: usize) -> Said {
    let layout = Layout::at(&ocm.home.path().join(format!("layout-{folder}")));
    let name = format!("registry.example/team/app:{}", seeds.len());
    let layers: Vec<Layer> = seeds.iter().map(|seed| Layer::bytes(Random::new(*seed).noise(bytes))).collect();
    layout.tag(&name, &layout.image(&Image::of(layers)));
    ocm.run(&["sync", "--volume-size", "16MiB", &format!("oci:{}:{name}", ocm.path(&format!("layout-{folder}"))), &ocm.path(folder)])
}

fn made(ocm: &Ocm, folder: &str, seeds: &[u64], bytes: usize) -> PathBuf {
    let said = written(ocm, folder, seeds, bytes);
    assert_eq!(said.code, Some(0), "{said:?}");
    volume(&ocm.path(folder))
}

/// Changes the header of a volume, and its checksum with it.
fn change_header(path: &Path, change: impl FnOnce(&mut [u8])) {
    let mut bytes = std::fs::read(path).expect("a volume");
    change(&mut bytes[512..1020]);
    let sum = crc32c(&bytes[512..1020]);
    bytes[1020..1024].copy_from_slice(&sum.to_le_bytes());
    std::fs::remove_file(path).and_then(|()| std::fs::write(path, bytes)).expect("changed");
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[track_caller]
fn assert_said(said: &Said, code: i32, words: &[&str]) {
    let all = format!("{}{}", said.out, said.err);
    assert!(said.code == Some(code) && words.iter().all(|word| all.contains(word)), "{code} {words:?}: {said:?}");
}

#[test]
fn features_versions_and_sizes_that_cannot_be_are_refused_by_what_they_are() {
    let ocm = Ocm::new();
    let path = made(&ocm, "disk", &[1], 100_000);
    let whole = std::fs::read(&path).expect("a volume");
    for (change, code, words) in [
        (
            (|header: &mut [u8]| header[24] = 0x20) as fn(&mut [u8]),
            1,
            "header: it uses features 0x20, and this version cannot do without them",
        ),
        (|header| header[8] = 9, 1, "header: it is of format version 9; this program reads version 1"),
        (|header| header[12] = 9, 1, "header: volume kind 9 is unknown, and this version cannot do without"),
        (|header| header[72..80].copy_from_slice(&65_536_u64.to_le_bytes()), 2, "bytes and its cap is 65536"),
    ] {
        change_header(&path, change);
        let said = ocm.run(&["sync", &path.display().to_string(), "oci:out"]);
        assert_said(&said, code, &[words, "no archive can be read here"]);
        assert!(code != 1 || said.err.contains("hint:    use a version of ocm that reads this format"), "{said:?}");
        std::fs::write(&path, &whole).expect("put back");
    }
    assert_eq!(ocm.run(&["verify", &ocm.path("disk")]).code, Some(0));
}

#[test]
fn volumes_that_are_cut_or_of_another_set_are_named() {
    let ocm = Ocm::new();
    let path = made(&ocm, "disk", &[1], 20 << 20);
    let other = made(&ocm, "other", &[2], 20 << 20);
    let whole = std::fs::read(&path).expect("a volume");
    std::fs::remove_file(&path).and_then(|()| std::fs::write(&path, &whole[..whole.len() / 2])).expect("cut");
    let said = ocm.run(&["verify", &ocm.path("disk")]);
    assert_said(&said, 4, &["volume 1", "incomplete: it has ", "bytes and no footer at its end"]);
    std::fs::copy(&other, &path).expect("mixed up");
    assert_said(&ocm.run(&["sync", &ocm.path("disk"), "oci:out"]), 5, &["set 1 lacks ", "hint:    bring the volumes that are missing"]);
}

#[test]
fn a_set_whose_ancestor_is_missing_and_an_older_one_again_are_refused() {
    let ocm = Ocm::new();
    let first = made(&ocm, "disk", &[1], 100_000);
    assert_eq!(written(&ocm, "disk", &[1, 2], 100_000).code, Some(0));
    let to = format!("oci:{}", ocm.path("out"));
    assert_eq!(ocm.run(&["sync", &ocm.path("disk"), &to]).code, Some(0));
    let older = ocm.run(&["sync", &format!("{}@1", ocm.path("disk")), &to]);
    assert_said(&older, 2, &["set 1 of \"disk\" is older than set 2", "--allow-older"]);
    std::fs::remove_file(first).expect("removed");
    assert_said(&ocm.run(&["sync", &ocm.path("disk"), "oci:new"]), 5, &["set 1"]);
}

#[test]
fn a_disk_that_is_full_is_named_and_the_way_out_with_it() {
    if !can_mount() {
        return;
    }
    let (ocm, disk) = (Ocm::new(), SmallDisk::new("1m"));
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/app:1", &layout.image(&Image::of([Layer::bytes(Random::new(1).noise(4 << 20))])));
    let said = ocm.run(&["sync", &format!("oci:{}", ocm.path("layout")), &format!("{}/archive", disk.path())]);
    assert_said(&said, 1, &["error: ", "the set needs up to ", " bytes and ", " are free", "hint:    free some space"]);
}

#[test]
fn a_place_that_cannot_be_read_is_named() {
    if !can_mount() {
        return;
    }
    let ocm = Ocm::new();
    let path = made(&ocm, "disk", &[1], 1 << 20);
    let sectors = Sectors::of(path.parent().expect("a folder"));
    sectors.hurt(&path, 500_000..500_001);
    let said = ocm.run(&["verify", &sectors.path().display().to_string()]);
    assert_said(&said, 4, &["volume 1 of 1", "DAMAGED", ": Input/output error", "hurts: registry.example/team/app:1 (layer 1)"]);
}

#[test]
fn a_ticket_of_another_set_is_refused() {
    let ocm = Ocm::new();
    let (disk, other) = (made(&ocm, "disk", &[1], 1 << 20), made(&ocm, "other", &[2], 1 << 20));
    for path in [&disk, &other] {
        std::fs::copy(path, ocm.home.path().join(format!("kept-{}", path.file_name().expect("a name").to_string_lossy()))).expect("copied");
        let mut permissions = std::fs::metadata(path).expect("a volume").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        std::fs::set_permissions(path, permissions).expect("writable");
        std::fs::File::options().write(true).open(path).and_then(|file| file.write_all_at(&[1; 64], 500_000)).expect("damaged");
    }
    assert_said(&ocm.run(&["repair", &ocm.path("disk"), "--ticket", "ticket"]), 5, &["ticket"]);
    let said = ocm.run(&["repair", "--answer", "ticket", &ocm.path("other"), "patch"]);
    assert_said(&said, 5, &["which the ticket is of, is not here", "hint:    name the archive directory"]);
}
