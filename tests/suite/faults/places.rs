//! Disks that are full, read-only or slow to tell, and runs without a home.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use ocm::environment::Environment;
use ocm::error::Kind;
use ocm::transfer::Class;

use super::{assert_hints, assert_says};
use crate::support::fault::Fault;
use crate::support::images::Image;
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// A file system in memory; it is unmounted with the value.
struct Disk(PathBuf);

impl Disk {
    /// One of so many MiB at `path`; says so and answers `None` where nobody may mount.
    fn mount(path: &Path, size_mib: u32) -> Option<Self> {
        std::fs::create_dir_all(path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size_mib}m"), "tmpfs"]).arg(path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(path.to_owned()));
        }
        use std::io::Write as _;
        writeln!(std::io::stderr(), "skipped: mounting needs root").expect("stderr is open in a test");
        None
    }

    fn again(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status().expect("mount");
        assert!(status.success(), "remount {options}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What cannot be unmounted goes with the machine of the test.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Layers that do not compress, of 2 MiB each.
fn layers(count: u64) -> Vec<Layer> {
    let one = |seed| {
        let mut bytes = vec![0x1f, 0x8b];
        bytes.extend(Random::new(seed).noise(2 << 20));
        Layer::bytes(bytes).media_type("application/vnd.oci.image.layer.v1.tar+gzip")
    };
    (0..count).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_the_room_is_refused_before_anything_is_written() {
    let (Some(near), lab) = (Registry::start(), Lab::new()) else { return };
    let Some(_disk) = Disk::mount(&lab.folder("disk"), 8) else { return };
    let from = [lab.fill(&near, "team/app", "1", &Image::of(layers(8))).await];
    let error = lab.sync(&from, &lab.path("disk")).await.expect_err("it does not fit");
    assert_eq!(error.kind(), Kind::Failed);
    assert_says(&error, &[&lab.path("disk"), "the set needs up to", "are free"]);
    assert_hints(&error, "--on-volume and --release");
    assert!(lab.snapshot("disk").is_empty(), "{:?}", lab.snapshot("disk").keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_in_mid_run_stops_the_run_and_loses_nothing() {
    // Blobs that wait in memory, and one that waits in a file.
    for large in [false, true] {
        let (Some(near), lab) = (Registry::start(), Lab::new()) else { return };
        let Some(_disk) = Disk::mount(&lab.folder("disk"), 96) else { return };
        let first = [lab.fill(&near, "team/first", "1", &Image::of(layers(1))).await];
        lab.sync(&first, &lab.path("disk")).await.expect("a set");
        let before = lab.archive("disk");
        let image = match large {
            false => Image::of(layers(12)),
            true => Image::of(layers(4).into_iter().chain([Layer::bytes(Random::new(99).noise(20 << 20))])),
        };
        lab.fill(&near, "team/app", "1", &image).await;
        // Somebody else takes the room that was there when the run began.
        let (filler, filled) = (lab.folder("disk/filler"), AtomicBool::new(false));
        let taken = filler.clone();
        let proxy = Proxy::with(near.host(), move |request| {
            if request.class == About::Blob && request.before == 3 && !filled.swap(true, Ordering::SeqCst) {
                let mut file = std::fs::File::create(&taken).expect("a file");
                let part = vec![1; 1 << 18];
                while std::io::Write::write_all(&mut file, &part).is_ok() {}
                // Nearly all of it: some more is written before it is full.
                let length = file.metadata().expect("metadata").len();
                file.set_len(length - (3 << 20)).expect("a little room");
            }
            Fault::none()
        });
        let from = [format!("docker://{}/team/app:1", proxy.host())];
        let error = lab.sync(&from, &lab.path("disk")).await.expect_err("it is full");
        assert_eq!(error.kind(), Kind::Failed, "{error}");
        assert_says(&error, &[&lab.path("disk"), "No space left on device"]);
        assert_hints(&error, "free some space and run the same command again");
        let mut after = lab.archive("disk");
        after.retain(|name, _| name != "filler" && !name.ends_with(".partial"));
        assert!(after == before, "what was visible is as it was, and nothing else is");
        std::fs::remove_file(&filler).expect("removed");
        proxy.forget();
        let made = lab.sync(&from, &lab.path("disk")).await.expect("it goes on");
        assert_eq!((made.class(), made.set.expect("a set").items), (Class::Done, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_target_is_named_and_a_read_only_source_is_enough() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    let Some(disk) = Disk::mount(&lab.folder("disk"), 64) else { return };
    let from = [lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await];
    lab.sync(&from, &lab.path("disk")).await.expect("a set");
    disk.again("ro");
    let stamps = |lab: &Lab| -> Vec<_> {
        let files = lab.snapshot("disk").into_keys().chain([lab.folder("disk")]);
        files.map(|path| (path.metadata().and_then(|data| data.modified()).expect("a time"), path)).collect()
    };
    let before = stamps(&lab);
    let other = [lab.fill(&near, "team/other", "1", &Image::generated(2, 50_000)).await];
    let error = lab.sync(&other, &lab.path("disk")).await.expect_err("nobody can write there");
    assert_eq!(error.kind(), Kind::Failed);
    assert_says(&error, &[&lab.path("disk"), "Read-only file system"]);
    assert_hints(&error, "name a place that can be written");
    let pushed = lab.sync(&[lab.path("disk")], &format!("docker://{}", far.host())).await.expect("pushed");
    assert_eq!(pushed.class(), Class::Done);
    lab.sync_with(&other, &lab.path("disk"), |request| request.dry_run = true).await.expect("a plan writes nothing");
    assert_eq!(stamps(&lab), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_read_is_never_written() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    let from = [lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await];
    lab.sync(&from, &lab.path("disk")).await.expect("a set");
    let before = lab.snapshot("disk");
    let modified = || lab.folder("disk").metadata().and_then(|data| data.modified()).expect("a time");
    let at = modified();
    for to in [format!("docker://{}", far.host()), format!("oci:{}", lab.path("layout")), lab.path("copy")] {
        let made = lab.sync(&[lab.path("disk")], &to).await.expect("read");
        assert_eq!(made.class(), Class::Done, "{to}");
    }
    assert!(lab.snapshot("disk") == before && modified() == at, "not even for a moment");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_home_everything_works_with_a_workspace_alone() {
    let (Some(near), Some(far), mut lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    lab.settings.environment = Environment::default();
    lab.settings.workspace = Some(lab.folder("state"));
    let from = [lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await];
    lab.sync(&from, &lab.path("disk")).await.expect("a set");
    let pushed = lab.sync(&[lab.path("disk")], &format!("docker://{}", far.host())).await.expect("pushed");
    assert_eq!(pushed.class(), Class::Done);
    assert!(pushed.receipt.is_some_and(|receipt| receipt.starts_with(lab.folder("state"))));
    // A workspace that cannot be written is named, with the option that names another one.
    std::fs::write(lab.folder("file"), "").expect("a file");
    lab.settings.workspace = Some(lab.folder("file/state"));
    let error = lab.sync(&[lab.path("disk")], &format!("docker://{}/again", far.host())).await.expect_err("no state can be kept");
    assert_says(&error, &[&lab.path("file/state")]);
    assert_hints(&error, "--workspace");
}
