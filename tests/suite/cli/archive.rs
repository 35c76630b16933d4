//! An archive, written, looked at and checked by the program.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use serde_json::Value;

use super::{Ocm, Said};
use crate::support::images::{Image, Layout};

/// An archive of two images that share nothing, in its directory.
fn written(ocm: &Ocm) -> String {
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/one:1", &layout.image(&Image::generated(1, 300_000)));
    layout.tag("registry.example/team/two:1", &layout.image(&Image::generated(2, 200_000)));
    let archive = ocm.path("disk");
    let said = ocm.run(&["sync", &format!("oci:{}", ocm.path("layout")), &archive]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("set 1 of \"disk\" · 2 images · ") && said.out.contains("  root   "), "{said:?}");
    archive
}

pub(super) fn document(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

pub(super) fn volume(archive: &str) -> PathBuf {
    let files = fs::read_dir(archive).expect("the archive").map(|entry| entry.expect("an entry").path());
    files.into_iter().find(|path| path.display().to_string().ends_with(".v001.ocm.tar")).expect("a volume")
}

#[test]
fn what_was_written_is_listed_and_shown() {
    let ocm = Ocm::new();
    let archive = written(&ocm);
    let listing = ocm.run(&["ls", &archive]);
    assert_eq!((listing.code, listing.err.as_str()), (Some(0), ""), "{listing:?}");
    assert!(listing.out.contains("registry.example/team/one:1   amd64"), "{listing:?}");
    let listing = document(&ocm.run(&["ls", "-o", "json", &archive]));
    let images = listing["images"].as_array().expect("images");
    for image in images {
        assert_eq!((&image["bytes"], &image["missing"]), (&image["uniqueBytes"], &Value::Null), "{image}");
    }
    let sum: u64 = images.iter().filter_map(|image| image["bytes"].as_u64()).sum();
    assert_eq!(listing["blobBytes"].as_u64(), Some(sum));

    let name = "registry.example/team/one:1";
    let view = document(&ocm.run(&["inspect", "-o", "json", &archive, name]));
    assert_eq!(view["root"]["layers"].as_array().map(Vec::len), Some(2), "{view}");
    assert_eq!(view["volumes"], serde_json::json!([{"set": 1, "volume": 1, "here": true}]));
    let raw = ocm.run(&["inspect", "--raw", &archive, name]);
    let digest = view["root"]["descriptor"]["digest"].as_str().expect("a digest");
    assert_eq!(ocm::image::Digest::of(raw.out.as_bytes()).to_string(), digest);
    let by_digest = ocm.run(&["inspect", "--raw", &archive, &format!("registry.example/team/one@{digest}")]);
    assert_eq!(by_digest.out, raw.out);

    let sets = ocm.run(&["inspect", &archive]);
    assert!(sets.out.contains("  items      2 image\n"), "{sets:?}");
    let absent = ocm.run(&["inspect", &archive, "registry.example/team/three:1"]);
    assert_eq!(absent.code, Some(2));
    assert!(absent.err.contains("there is no image registry.example/team/three:1\n  hint:    see what there is"), "{absent:?}");
}

#[test]
fn the_same_again_is_nothing_new() {
    let ocm = Ocm::new();
    let archive = written(&ocm);
    let said = ocm.run(&["sync", &format!("oci:{}", ocm.path("layout")), &archive]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("nothing new: 2 images there already"), "{said:?}");
}

#[test]
fn damage_is_found_named_and_weighed() {
    let ocm = Ocm::new();
    let archive = written(&ocm);
    let sound = ocm.run(&["verify", &archive]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.out.starts_with("set 1  volume 1 of 1   ") && sound.out.contains("   sound\nset 1  root "), "{sound:?}");

    let volume = volume(&archive);
    let file = fs::OpenOptions::new().read(true).write(true).open(&volume).unwrap_or_else(|_| {
        let mut permissions = fs::metadata(&volume).expect("the volume").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        fs::set_permissions(&volume, permissions).expect("writable");
        fs::OpenOptions::new().read(true).write(true).open(&volume).expect("the volume opens")
    });
    let (middle, mut byte) = (file.metadata().expect("its size").len() / 2, [0]);
    file.read_exact_at(&mut byte, middle).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], middle).expect("another byte");

    let damaged = ocm.run(&["verify", &archive]);
    assert_eq!(damaged.code, Some(4), "{damaged:?}");
    for part in ["   DAMAGED\n", "  hurts: registry.example/team/", "(layer ", "copy volume 1 again"] {
        assert!(damaged.out.contains(part), "{part}: {damaged:?}");
    }
    let quick = ocm.run(&["verify", "--quick", &archive]);
    assert_eq!(quick.code, Some(0), "{quick:?}");
    let alone = document(&ocm.run(&["verify", "-o", "json", &volume.display().to_string()]));
    assert_eq!((&alone["class"], &alone["exitCode"], &alone["sets"][0]["filesAlone"]), (&"damaged".into(), &4.into(), &true.into()));
}

#[test]
fn a_volume_that_is_elsewhere_is_asked_for() {
    let ocm = Ocm::new();
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/one:1", &layout.image(&Image::generated(1, 40_000_000)));
    let archive = ocm.path("disk");
    let said = ocm.run(&["sync", "--volume-size", "16MiB", &format!("oci:{}", ocm.path("layout")), &archive]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let first = volume(&archive);
    fs::rename(&first, ocm.home.path().join("away")).expect("moved");

    let lacking = ocm.run(&["verify", &archive]);
    assert_eq!(lacking.code, Some(5), "{lacking:?}");
    assert!(lacking.out.contains("NOT HERE: volume 1 of "), "{lacking:?}");
    let listing = ocm.run(&["ls", &archive]);
    assert!(listing.out.contains(", without 1"), "{listing:?}");
    fs::rename(ocm.home.path().join("away"), &first).expect("moved back");
    let last_alone = ocm.run(&["verify", &first.display().to_string()]);
    assert_eq!(last_alone.code, Some(0), "{last_alone:?}");
}

#[test]
fn volumes_are_gathered_one_medium_after_the_other() {
    let ocm = Ocm::new();
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/one:1", &layout.image(&Image::generated(1, 40_000_000)));
    let said = ocm.run(&["sync", "--volume-size", "16MiB", &format!("oci:{}", ocm.path("layout")), &ocm.path("disk")]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let first = volume(&ocm.path("disk"));
    let one = ocm.run(&["gather", &first.display().to_string(), &ocm.path("far")]);
    assert_eq!(one.code, Some(5), "{one:?}");
    assert!(one.out.contains("volume 1   ") && one.out.contains("have 1 of at least 2"), "{one:?}");
    let all = ocm.run(&["gather", &ocm.path("disk"), &ocm.path("far")]);
    assert_eq!(all.code, Some(0), "{all:?}");
    assert!(all.out.contains("here already") && all.out.contains(": all here, "), "{all:?}");
    assert_eq!(ocm.run(&["verify", &ocm.path("far")]).code, Some(0));
}
