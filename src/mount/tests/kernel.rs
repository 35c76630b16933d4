//! The file system as programs see it, through the kernel. Where nothing can be mounted, these tests say so and are skipped.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::super::lab::{Heard, Lab, showing};
use super::super::session::{Leave, Options, mount, unmount};
use super::{APP, simple};
use crate::image::Inside;
use crate::monitor::Monitor;

/// A lab that is mounted.
struct Seen {
    home: TempDir,
    lab: Arc<Lab>,
    heard: Arc<Heard>,
    leave: Leave,
    waiting: Option<std::thread::JoinHandle<crate::error::Result<()>>>,
}

impl Seen {
    /// Mounts a lab, if anything can be mounted here.
    fn new(lab: Lab) -> Option<Self> {
        let home = tempfile::tempdir().expect("a home");
        let (lab, heard) = (Arc::new(lab), Arc::new(Heard::default()));
        let options = Options { showing: showing(), sources: Vec::new(), allow_other: false, page_push: true, threads: 2 };
        let inside = Arc::clone(&lab) as Arc<dyn Inside>;
        let path = home.path().join("view");
        fs::create_dir(&path).expect("a directory");
        let mounted = match mount(inside, &path, options, Arc::clone(&heard) as Arc<dyn Monitor>) {
            Ok(mounted) => mounted,
            Err(error) => {
                assert!(!Path::new("/dev/fuse").exists() || !rustix::process::geteuid().is_root(), "{error}");
                writeln!(std::io::stderr(), "skipped: nothing can be mounted here").expect("stderr");
                return None;
            }
        };
        let leave = mounted.leave();
        let waiting = Some(std::thread::spawn(move || mounted.wait()));
        Some(Self { home, lab, heard, leave, waiting })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join("view").join(path)
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let gone = self.leave.leave();
        if let Some(waiting) = self.waiting.take().filter(|_| matches!(gone, Ok(true))) {
            let _ended = waiting.join();
        }
    }
}

/// All paths below one, sorted.
fn walk(path: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            all.extend(walk(&entry.path()));
        }
        all.push(entry.path());
    }
    all.sort();
    all
}

#[test]
fn files_links_and_directories_are_what_they_are_to_every_program() {
    let Some(seen) = Seen::new(simple()) else { return };
    let rootfs = seen.at(&format!("{APP}/rootfs"));
    let names: Vec<String> = walk(&rootfs).iter().map(|path| path.strip_prefix(&rootfs).expect("below").display().to_string()).collect();
    assert_eq!(names, ["etc", "etc/a", "etc/c", "etc/hard", "etc/long", "link", "null", "su"]);
    let stat = |name: &str| fs::symlink_metadata(rootfs.join(name)).expect(name);
    assert_eq!((stat("etc/a").ino(), stat("etc/a").nlink()), (stat("etc/hard").ino(), 2));
    assert_eq!((stat("su").mode() & 0o7777, stat("su").mtime(), stat("su").uid()), (0o755, 7, 0));
    assert_eq!(fs::read_link(rootfs.join("link")).expect("a link"), Path::new("etc/a"));
    assert_eq!(fs::read_to_string(rootfs.join("link")).expect("a file"), "one");
    assert_eq!(fs::read(rootfs.join("etc/long")).expect("a file"), "x".repeat(3000).into_bytes());
    assert!(walk(&seen.at("")).len() > 20);
    let missing = fs::metadata(rootfs.join("etc/b")).expect_err("it is hidden");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn nothing_can_be_written() {
    let Some(seen) = Seen::new(simple()) else { return };
    let refused = [
        fs::write(seen.at("x"), "x").expect_err("read-only"),
        fs::write(seen.at("index.json"), "x").expect_err("read-only"),
        fs::create_dir(seen.at("images/x")).expect_err("read-only"),
        fs::remove_file(seen.at("index.json")).expect_err("read-only"),
        fs::rename(seen.at("index.json"), seen.at("x")).expect_err("read-only"),
        fs::set_permissions(seen.at("index.json"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect_err("read-only"),
    ];
    assert!(refused.iter().all(|error| error.kind() == ErrorKind::ReadOnlyFilesystem), "{refused:?}");
}

#[test]
fn any_part_of_a_blob_is_what_the_blob_is_there() {
    let mut lab = simple();
    let mut random = 7u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let noise: Vec<u8> = (0..3_000_017).map(|_| next(256) as u8).collect();
    let blob = lab.put("layer", noise.clone());
    let Some(seen) = Seen::new(lab) else { return };
    let path = seen.at(&format!("blobs/sha256/{}", blob.digest.hex()));
    std::thread::scope(|scope| {
        for seed in 0..4u64 {
            let (path, noise) = (&path, &noise);
            scope.spawn(move || {
                let file = fs::File::open(path).expect("a blob");
                let mut random = seed;
                let mut next = |below: u64| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (random >> 33) % below
                };
                for _ in 0..2000 {
                    let (at, most) = (next(noise.len() as u64 + 10), next(9000) + 1);
                    let mut part = vec![0; most as usize];
                    let count = file.read_at(&mut part, at).expect("read");
                    let start = (at as usize).min(noise.len());
                    let expected = &noise[start..(start + most as usize).min(noise.len())];
                    assert!(part[..count] == expected[..count] && (count > 0 || expected.is_empty()), "{at} {most}");
                }
            });
        }
    });
    assert!(fs::read(&path).expect("whole") == noise);
    assert_eq!(super::super::cache::held(&seen.heard.0).len(), 0);
}

#[test]
fn what_is_hurt_is_an_error_for_that_alone_and_is_read_when_it_is_back() {
    let mut lab = simple();
    let layer = lab.layer("f x 1");
    let image = lab.image(std::slice::from_ref(&layer));
    lab.tag("quay.io/team/other:1", &image);
    let Some(seen) = Seen::new(lab) else { return };
    seen.lab.hurt(&layer);
    let (file, blob) = (seen.at("images/quay.io/team/other/1/rootfs/x"), seen.at(&format!("blobs/sha256/{}", layer.digest.hex())));
    for path in [&file, &blob] {
        assert_eq!(fs::read(path).expect_err("hurt").raw_os_error(), Some(5));
    }
    assert_eq!(fs::read(seen.at(&format!("{APP}/rootfs/etc/a"))).expect("sound"), b"one");
    assert!(walk(&seen.at(APP)).len() > 10, "all else can be listed");
    let names: Vec<_> = fs::read_dir(seen.at("images/quay.io/team/other/1")).expect("a directory").collect();
    assert_eq!(names.len(), 4, "and what is hurt is there by its name");
    let status = || fs::read_to_string(seen.at(".ocm/status")).expect("a report");
    assert!(status().contains(&format!("blob {}: hurt", layer.digest)), "{}", status());
    assert!(fs::read_to_string(seen.at(".ocm/status.json")).expect("a report").contains("hurt"));
    seen.lab.heal();
    assert_eq!(fs::read(&file).expect("healed"), b"1");
    assert_eq!(fs::read(&blob).expect("healed").len() as u64, layer.size);
}

#[test]
fn a_mount_in_use_stays_and_one_that_nobody_uses_goes() {
    let Some(seen) = Seen::new(simple()) else { return };
    let view = seen.at("");
    let mut file = fs::File::open(seen.at("index.json")).expect("a file");
    let busy = unmount(&view).expect_err("in use");
    assert!(busy.to_string().ends_with("it is in use") && busy.way_out().is_some(), "{busy:?}");
    assert!(file.read(&mut [0; 10]).expect("it goes on") > 0);
    drop(file);
    // The kernel tells of the end of a file a moment later.
    let gone = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        unmount(&view).is_ok()
    });
    assert!(gone);
    let nothing = unmount(&view).expect_err("gone");
    assert!(nothing.to_string().ends_with("nothing of ocm is mounted there"), "{nothing}");
}

#[test]
fn where_nothing_can_be_mounted_is_told_before_anything_is() {
    let Some(seen) = Seen::new(simple()) else { return };
    let other = seen.home.path().join("other");
    fs::create_dir(&other).expect("a directory");
    fs::write(other.join("x"), "x").expect("a file");
    let archive = seen.home.path().join("archive");
    fs::create_dir_all(archive.join("in")).expect("a directory");
    for (path, why) in [
        (other.clone(), "it is not empty"),
        (other.join("x"), "it is no directory"),
        (seen.home.path().join("none"), "No such file"),
        (seen.at(""), "ocm has mounted something there already"),
        (archive.join("in"), "it lies in the archive itself"),
    ] {
        let options = Options { showing: showing(), sources: vec![archive.clone()], allow_other: false, page_push: true, threads: 1 };
        let error = mount(Arc::new(simple()), &path, options, Arc::new(crate::monitor::Silent)).err().expect("refused");
        assert!(error.to_string().contains(why) && error.way_out().is_some(), "{error:?}");
    }
}

#[test]
fn eight_are_mounted_at_once() {
    let all: Vec<_> = (0..8).filter_map(|_| Seen::new(simple())).collect();
    std::thread::scope(|scope| {
        for seen in &all {
            scope.spawn(|| assert_eq!(fs::read(seen.at(&format!("{APP}/rootfs/etc/a"))).expect("a file"), b"one"));
        }
    });
}

#[test]
fn how_much_there_is_and_where_it_lies_can_be_asked() {
    let Some(seen) = Seen::new(simple()) else { return };
    let room = rustix::fs::statvfs(seen.at("")).expect("statfs");
    assert_eq!((room.f_blocks, room.f_bfree, room.f_bavail, room.f_namemax), (13, 10, 0, 255));
    let blob = fs::read_dir(seen.at("blobs/sha256")).expect("blobs").next().expect("one").expect("one").path();
    let mut value = [0; 64];
    let count = rustix::fs::getxattr(&blob, "user.ocm.volumes", &mut value[..]).expect("an attribute");
    assert_eq!(&value[..count], b"2:1");
    let none = rustix::fs::getxattr(&blob, "user.other", &mut value[..]).expect_err("none");
    assert_eq!(none, rustix::io::Errno::NODATA);
}
