//! Which sets are served: deltas, sets that appear, disks that go and come back.

use std::fs;
use std::time::{Duration, Instant};

use super::{Home, Layout, Served};
use crate::support::disks::{ReadOnly, SmallDisk, can_mount};
use crate::support::images::Image;
use crate::support::layers::Layer;

/// The images `count` of which a set lists, each on the layers of the one before.
fn layout(count: u64) -> Layout {
    let layout = Layout::new();
    for n in 1..=count {
        let layers = (0..=n).map(|seed| if seed % 2 == 0 { Layer::tree(seed, 400_000).tar() } else { Layer::tree(seed, 400_000) });
        let root = layout.image(&Image::of(layers));
        layout.list_in_index(&root, &[("io.containerd.image.name", &format!("quay.io/org/app:{n}"))]);
    }
    layout
}

async fn until(served: &Served, path: &str, status: u16) {
    let begun = Instant::now();
    while served.get(path).await.status() != status {
        assert!(begun.elapsed() < Duration::from_secs(60), "{path} never became {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether every blob of the layout comes as it is.
async fn all_is_served(served: &Served, layout: &Layout) -> bool {
    for digest in layout.digests() {
        let answer = served.get(&format!("/v2/org/app/blobs/{digest}")).await;
        if answer.status() != 200 || answer.bytes().await.ok().is_none_or(|bytes| bytes != layout.read(&digest)) {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_is_served_from_all_sets_that_it_builds_on() {
    let home = Home::new();
    home.sync(&layout(1), &[]);
    home.sync(&layout(3), &[]);
    let served = home.serve(&[&home.path("disk")]);
    assert!(served.said.contains("serving 3 images of set 2 "), "{}", served.said);
    assert!(all_is_served(&served, &layout(3)).await);
    drop(served);
    let served = home.serve(&[&format!("{}@1", home.path("disk"))]);
    assert!(served.said.contains("serving 1 image of set 1 "), "{}", served.said);
    assert_eq!(served.get("/v2/org/app/manifests/2").await.status(), 404);
    drop(served);
    let served = home.serve(&["--all-sets", &home.path("disk")]);
    assert!(served.said.contains("serving 3 images of 2 sets "), "{}", served.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_set_is_served_when_it_is_sound_and_not_before() {
    let (near, far) = (Home::new(), Home::new());
    near.sync(&layout(1), &[]);
    let files = || fs::read_dir(near.path("disk")).expect("a folder").flatten().filter(|file| file.path().is_file());
    let carry = |spoil: bool| {
        for file in files() {
            let mut bytes = fs::read(file.path()).expect("a file");
            let to = far.folder.path().join("disk").join(file.file_name());
            if to.exists() && fs::read(&to).expect("a file") == bytes {
                continue;
            }
            let middle = bytes.len() / 2;
            if spoil && file.file_name().to_string_lossy().contains(".v0") {
                bytes[middle] ^= 1;
            }
            fs::write(&to, bytes).expect("written");
        }
    };
    fs::create_dir(far.path("disk")).expect("a folder");
    carry(false);
    let served = far.serve(&["--watch", &far.path("disk")]);
    near.sync(&layout(2), &[]);
    carry(true);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(served.get("/v2/org/app/manifests/2").await.status(), 404, "it is damaged");
    carry(false);
    until(&served, "/v2/org/app/manifests/2", 200).await;
    assert!(all_is_served(&served, &layout(2)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_goes_hurts_what_lies_in_it_until_it_is_back() {
    let home = Home::new();
    home.sync(&layout(2), &[]);
    let served = home.serve(&[&home.path("disk"), "--spool-size", "0"]);
    assert!(all_is_served(&served, &layout(2)).await);
    let (disk, away) = (home.path("disk"), home.path("away"));
    fs::rename(&disk, &away).expect("pulled out");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(served.get("/v2/").await.status(), 200);
    assert_eq!(served.get("/v2/org/app/tags/list").await.status(), 200);
    fs::rename(&away, &disk).expect("put back");
    let begun = Instant::now();
    while !all_is_served(&served, &layout(2)).await {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_medium_is_served_and_a_spool_that_is_full_takes_nothing_away() {
    if !can_mount() {
        return;
    }
    let home = Home::new();
    home.sync(&layout(2), &[]);
    let (_medium, disk) = (ReadOnly::new(&home.path("disk")), SmallDisk::new("64k"));
    let served = home.serve(&["--spool", &disk.path(), &home.path("disk")]);
    assert!(all_is_served(&served, &layout(2)).await);
    assert!(all_is_served(&served, &layout(2)).await, "a second time");
    assert_eq!(served.end(), Some(0));
}
