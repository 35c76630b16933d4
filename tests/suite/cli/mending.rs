//! Parity, repair and tickets as a person runs them.

use std::path::PathBuf;

use super::Ocm;
use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};

/// An archive of three volumes, in a home of its own; with these options.
fn archive(options: &[&str]) -> (Ocm, Layout) {
    let (ocm, layout) = (Ocm::new(), Layout::new());
    let layers: Vec<Layer> = (1..4).map(|seed| Layer::bytes(Random::new(seed).noise(12 << 20))).collect();
    let root = layout.image(&Image::of(layers));
    layout.tag("app", &root);
    let place = format!("oci:{}:app", layout.path().display());
    let said = ocm.run(&[&["sync", &place, "disk", "--volume-size", "16MiB"], options].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    (ocm, layout)
}

fn files(ocm: &Ocm, series: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(ocm.path("disk")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains(series)).collect();
    files.sort();
    files
}

#[test]
fn what_is_lost_is_asked_for_repaired_and_told() {
    let (ocm, _layout) = archive(&["--parity", "1"]);
    let volumes = files(&ocm, ".v0");
    let originals: Vec<Vec<u8>> = volumes.iter().map(|path| std::fs::read(path).expect("content")).collect();
    let near = ocm.path("near");
    std::fs::create_dir(&near).expect("a folder");
    for path in files(&ocm, ".ocm.tar") {
        std::fs::copy(&path, PathBuf::from(&near).join(path.file_name().expect("a name"))).expect("copied");
    }
    std::fs::remove_file(&volumes[0]).expect("removed");
    let said = ocm.run(&["verify", "disk"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.out.contains("can be repaired here: volume 1, by 1 parity volume · `ocm repair disk`"), "{said:?}");
    let said = ocm.run(&["repair", "disk"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("volume 1") && said.out.contains("rebuilt: disk/"), "{said:?}");
    assert_eq!(ocm.run(&["verify", "--after-write", "disk"]).code, Some(0));
    // Two are too many for one.
    volumes[..2].iter().for_each(|path| std::fs::remove_file(path).expect("removed"));
    let said = ocm.run(&["repair", "disk", "--ticket", "ticket", "-o", "json"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.out.contains("\"schema\": \"ocm.repair.v1\"") && said.out.contains("\"lacking\""), "{said:?}");
    let said = ocm.run(&["repair", "--answer", "ticket", "near", "patch"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = ocm.run(&["repair", "disk", "--with", "patch"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for (path, content) in volumes.iter().zip(&originals) {
        assert!(std::fs::read(path).expect("content") == *content);
    }
    assert_eq!(ocm.run(&["repair", "disk"]).out, "set 1  whole\n");
}

#[test]
fn what_makes_no_sense_is_refused_with_a_way_out() {
    let (ocm, _layout) = archive(&[]);
    for (arguments, words) in [
        (&["sync", "oci:x:y", "disk", "--parity", "0"][..], "parity \"0\""),
        (&["sync", "oci:x:y", "disk", "--parity", "1", "--on-volume", "true"], "--on-volume"),
        (&["repair", "disk", "other"], "one archive"),
        (&["repair", "--answer", "ticket", "disk"], "--answer"),
        (&["repair", "--answer", "ticket", "disk", "out", "--to", "x"], "--answer"),
        (&["repair", "nowhere"], "nowhere"),
        (&["repair", "disk", "--to", "disk"], "whole"),
        (&["verify", "--quick", "--after-write", "disk"], "--after-write"),
    ] {
        let said = ocm.run(arguments);
        let expected = if words == "whole" { 0 } else { 2 };
        assert_eq!(said.code, Some(expected), "{arguments:?}: {said:?}");
        assert!(said.err.contains(words) || said.out.contains(words), "{arguments:?}: {said:?}");
    }
    std::fs::remove_file(&files(&ocm, ".v0")[0]).expect("removed");
    let said = ocm.run(&["repair", "disk"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.out.contains("there is no parity") && said.out.contains("--ticket FILE"), "{said:?}");
}
