//! A disk and a configuration in a place where nothing can be reached but the registry.
//!
//! *Not here:* what a configuration asks for in each workflow (`configured`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{Ocm, Said};
use crate::support::disks::{ReadOnly, can_mount};
use crate::support::images::{Image, Layout, push};
use crate::support::namespace::Namespace;
use crate::support::registry::Registry;

/// Less than one wait for an address that does not answer: a connection takes 30 s to fail, a question to a name server 5 s.
const NO_TIME: Duration = Duration::from_secs(5);

/// A disk that was made from three images of a registry, which is gone; in its home are `all.yaml` and `part.yaml`.
pub(super) fn disk(ocm: &Ocm) -> Option<Vec<String>> {
    let near = Registry::start()?;
    let images: Vec<String> = (1..=3).map(|n| format!("{}/team/app{n}:1", near.host())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (seed, image) in (1..).zip(&images) {
        let (layout, name) = (Layout::new(), image.trim_end_matches(":1"));
        let root = layout.image(&Image::generated(seed, 100_000));
        runtime.block_on(push(&layout, &root, name, Some("1")));
    }
    configure(ocm, "all.yaml", &images);
    configure(ocm, "part.yaml", &images[1..2]);
    let made = ocm.run(&["sync", "-c", "all.yaml", "disk"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    Some(images)
}

fn configure(ocm: &Ocm, file: &str, images: &[String]) {
    let images: String = images.iter().map(|image| format!("    - name: {image}\n")).collect();
    let text = format!("kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n  additionalImages:\n{images}");
    std::fs::write(ocm.home.path().join(file), text).expect("written");
}

/// Every file and folder below: its time, and what is in it.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let modified = path.metadata().and_then(|data| data.modified()).expect("a time");
        let content = if path.is_dir() { Vec::new() } else { std::fs::read(&path).expect("content") };
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        }
        found.insert(path, (modified, content));
    }
    found
}

#[test]
fn a_disk_is_pushed_where_nothing_but_the_registry_answers() {
    let Some(enclave) = Namespace::new() else { return };
    let ocm = Ocm::new();
    let (Some(_), Some(far)) = (disk(&ocm), Registry::options().start_inside(&enclave)) else { return };
    for (configuration, to, images) in [("part.yaml", "part", 1), ("all.yaml", "all", 3), ("all.yaml", "all", 3)] {
        let destination = format!("docker://{}/{to}", far.host());
        let mut command = enclave.inside(env!("CARGO_BIN_EXE_ocm"));
        command.args(["sync", "-c", configuration, "disk", &destination]).current_dir(ocm.home.path());
        // Podman's own files of redirects are looked for as on any machine.
        command.env_clear().env("HOME", ocm.home.path());
        let begun = Instant::now();
        let said = Said::of(&command.output().expect("ocm runs"));
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(begun.elapsed() < NO_TIME, "{:?}: {said:?}", begun.elapsed());
        for word in ["warning", "error", "again", "failed", "passed over"] {
            assert!(!said.err.contains(word), "{word}: {said:?}");
        }
        let there = far.storage().join(format!("docker/registry/v2/repositories/{to}/team"));
        assert_eq!(std::fs::read_dir(there).expect("repositories").count(), images, "{configuration}");
    }
    assert_eq!(enclave.sent_out(), 0, "nothing was sent to any other address");
}

#[test]
fn what_the_enclave_cannot_reach_is_counted_by_its_test() {
    let Some(enclave) = Namespace::new() else { return };
    let ocm = Ocm::new();
    let mut command = enclave.inside("timeout");
    command.args(["0.5", env!("CARGO_BIN_EXE_ocm"), "sync", "--dry-run", "docker://198.51.100.1/a:1", "disk"]);
    let said = Said::of(&command.env_clear().env("HOME", ocm.home.path()).current_dir(ocm.home.path()).output().expect("it runs"));
    assert!(said.code != Some(0) && enclave.sent_out() > 0, "{said:?}");
}

#[test]
fn a_disk_that_cannot_be_written_is_pushed_and_stays_as_it_was() {
    if !can_mount() {
        return;
    }
    let ocm = Ocm::new();
    let (Some(_), Some(far)) = (disk(&ocm), Registry::start()) else { return };
    let (disk, before) = (ocm.path("disk"), everything(&ocm.home.path().join("disk")));
    let medium = ReadOnly::new(&disk);
    assert!(std::fs::write(ocm.home.path().join("disk/x"), "").is_err(), "it can be written");
    let to = format!("docker://{}/mirror", far.host());
    // The folder that a person stands in is the medium too.
    for arguments in
        [&["sync", "-c", "../all.yaml", ".", &to, "--workspace", "../elsewhere"][..], &["ls", "."], &["verify", "."], &["inspect", "."]]
    {
        let said = Said::of(&ocm.command(arguments).current_dir(&disk).env_remove("HOME").output().expect("ocm runs"));
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    }
    drop(medium);
    assert!(everything(&ocm.home.path().join("disk")) == before, "nothing of it has changed");
    assert!(ocm.home.path().join("elsewhere/receipts").is_dir());
}
