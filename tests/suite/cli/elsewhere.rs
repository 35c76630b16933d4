//! Volumes that were let go when they were written: what the program says of them later; and one set of several.

use std::fs;

use super::Ocm;
use super::archive::{document, volume};
use crate::support::images::{Image, Layout};

/// A set of two volumes or more, handed on to the folder `media`; nothing of it is left in `disk`.
fn handed_on(ocm: &Ocm) -> usize {
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/one:1", &layout.image(&Image::generated(1, 40_000_000)));
    fs::create_dir(ocm.home.path().join("media")).expect("a folder");
    let command = format!("cp $OCM_VOLUME {}", ocm.path("media"));
    let from = format!("oci:{}", ocm.path("layout"));
    let said = ocm.run(&["sync", "--volume-size", "16MiB", "--on-volume", &command, "--release", &from, &ocm.path("disk")]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let volumes = document(&ocm.run(&["ls", "-o", "json", &ocm.path("media")]))["sets"][0]["volumes"].as_u64().expect("a number");
    assert!(volumes >= 2);
    volumes as usize
}

#[test]
fn a_set_whose_missing_volumes_were_let_go_is_whole_unless_all_are_asked_for() {
    let ocm = Ocm::new();
    let all = handed_on(&ocm);
    let (disk, media) = (ocm.path("disk"), ocm.path("media"));
    let first = volume(&media);
    let back = ocm.home.path().join("disk").join(first.file_name().expect("a name"));
    // Nothing of the set is in the directory; then its first volume is again, which counts more than the note.
    for here in [0, 1] {
        if here == 1 {
            fs::copy(&first, &back).expect("a copy");
        }
        let verified = ocm.run(&["verify", &disk]);
        assert_eq!(verified.code, Some(0), "{here}: {verified:?}");
        assert!(verified.out.contains("set 1  released: volume ") && !verified.out.contains("NOT HERE"), "{here}: {verified:?}");
        let json = document(&ocm.run(&["verify", "-o", "json", &disk]));
        assert_eq!(json["sets"][0]["missingVolumes"].as_array().map(Vec::len), Some(0), "{here}: {json}");
        assert_eq!(json["sets"][0]["set"]["released"].as_array().map(Vec::len), Some(all - here), "{here}: {json}");
        assert_eq!(json["sets"][0]["hurt"].as_array().map(Vec::len), Some(0), "{here}: {json}");
        let complete = ocm.run(&["verify", "--complete", &disk]);
        assert_eq!(complete.code, Some(5), "{here}: {complete:?}");
        assert!(complete.out.contains("NOT HERE: volume ") && !complete.out.contains("released"), "{here}: {complete:?}");
        let listed = ocm.run(&["ls", &disk]);
        assert_eq!(listed.code, Some(0), "{here}: {listed:?}");
        for part in [format!("{} released", all - here), format!("{here} of {all} volumes, released "), "team/one:1".to_owned()] {
            assert!(listed.out.contains(&part), "{here}: {part}: {listed:?}");
        }
    }
}

#[test]
fn what_was_let_go_here_is_missing_where_nobody_knows_of_it() {
    let ocm = Ocm::new();
    handed_on(&ocm);
    let first = volume(&ocm.path("media"));
    fs::create_dir(ocm.home.path().join("far")).expect("a folder");
    for folder in ["far", "disk"] {
        fs::copy(&first, ocm.home.path().join(folder).join(first.file_name().expect("a name"))).expect("a copy");
    }
    // Another directory; and another workspace.
    for arguments in [vec!["verify", "far"], vec!["verify", "disk", "--workspace", "other"]] {
        let said = ocm.run(&arguments);
        assert!(said.code == Some(5) && said.out.contains("NOT HERE: ") && !said.out.contains("released"), "{said:?}");
    }
    let listed = ocm.run(&["ls", "disk", "--workspace", "other"]);
    assert!(!listed.out.contains("released"), "{listed:?}");
}

#[test]
fn a_record_that_cannot_be_read_is_named_with_the_way_out() {
    let ocm = Ocm::new();
    handed_on(&ocm);
    let catalogues = ocm.home.path().join(".local/state/ocm/catalogues");
    let files = fs::read_dir(catalogues).expect("the workspace").map(|entry| entry.expect("an entry").path());
    let record = files.into_iter().find(|path| path.to_string_lossy().ends_with(".released.json")).expect("a record");
    fs::write(&record, "{").expect("garbled");
    for verb in ["ls", "verify"] {
        let said = ocm.run(&[verb, "disk"]);
        assert_eq!(said.code, Some(4), "{said:?}");
        assert!(said.err.contains(&record.display().to_string()) && said.err.contains("  hint:    remove the file"), "{said:?}");
    }
}

#[test]
fn places_are_written_for_verify_and_gather_as_for_sync() {
    let ocm = Ocm::new();
    let layout = Layout::at(&ocm.home.path().join("layout"));
    for seed in [1, 2] {
        layout.tag(&format!("registry.example/team/n{seed}:1"), &layout.image(&Image::generated(seed, 100_000)));
        assert_eq!(ocm.run(&["sync", "oci:layout", "disk"]).code, Some(0));
    }
    let damaged = volume(&ocm.path("disk"));
    let bytes = fs::read(&damaged).expect("the first volume found");
    let hurt = if damaged.to_string_lossy().contains(".g0001-") { 1 } else { 2 };
    fs::remove_file(&damaged).expect("removed");
    fs::write(&damaged, &bytes[..bytes.len() / 2]).expect("cut");
    let whole = 3 - hurt;
    let disk = format!("file://{}", ocm.path("disk"));
    for (place, code, sets) in
        [(disk.clone(), 4, 2), (format!("{disk}@{whole}"), 0, 1), (format!("disk@{hurt}"), 4, 1), (format!("disk@{whole}"), 0, 1)]
    {
        let said = ocm.run(&["verify", "-o", "json", &place]);
        assert_eq!(said.code, Some(code), "{place}: {said:?}");
        assert_eq!(document(&said)["sets"].as_array().map(Vec::len), Some(sets), "{place}");
    }
    fs::write(&damaged, bytes).expect("mended");
    let gathered = ocm.run(&["gather", &disk, &format!("file://{}", ocm.path("far"))]);
    assert_eq!(gathered.code, Some(0), "{gathered:?}");
    assert_eq!(ocm.run(&["verify", "far"]).code, Some(0));
    for (arguments, err) in [
        (&["verify", "disk@7"][..], "disk: there is no set 7 here; there is set 2, 1"),
        (&["verify", &format!("{}@1", damaged.display())], "set 1 cannot be chosen of a single file\n  hint:"),
        (&["verify", "oci:layout"], "oci:layout is no archive directory\n  hint:"),
        (&["gather", "disk@1", "far"], "disk@1: a set cannot be chosen to gather\n  hint:"),
        (&["gather", "docker://r.io/a", "far"], "is no archive directory\n  hint:"),
    ] {
        let said = ocm.run(arguments);
        assert!(said.code == Some(2) && said.err.contains(err), "{arguments:?}: {said:?}");
    }
}
