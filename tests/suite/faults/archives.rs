//! Archives that are damaged, incomplete or mixed up, as `sync` meets them.

use std::path::{Path, PathBuf};

use ocm::error::Kind;
use ocm::transfer::Class;

use super::{assert_hints, assert_only, assert_says, failure};
use crate::support::images::{Image, fetch_manifest};
use crate::support::layers::{Layer, Random};
use crate::support::registry::Registry;
use crate::workflows::lab::{Heard, Lab};

/// A layer that stands in an archive as it came.
fn packed(seed: u64, size_bytes: usize) -> Layer {
    let mut bytes = vec![0x1f, 0x8b];
    bytes.extend(Random::new(seed).noise(size_bytes));
    Layer::bytes(bytes).media_type("application/vnd.oci.image.layer.v1.tar+gzip")
}

/// An archive with the images `team/good` and `team/bad`, and a registry that has nothing yet.
struct Archive {
    far: Registry,
    lab: Lab,
    volumes: Vec<PathBuf>,
    /// Some of the bytes of the layer of `team/bad`, as they stand in a volume.
    mark: Vec<u8>,
}

impl Archive {
    /// Everything in one volume.
    async fn whole() -> Option<Self> {
        Self::new(1 << 30).await
    }

    async fn new(volume_bytes: u64) -> Option<Self> {
        let (near, far) = (Registry::start()?, Registry::start()?);
        let lab = Lab::new();
        let bad = packed(2, 150_000);
        let from = [
            lab.fill(&near, "team/good", "1", &Image::of([packed(1, 150_000)])).await,
            lab.fill(&near, "team/bad", "1", &Image::of([bad.clone()])).await,
        ];
        let made =
            lab.sync_with(&from, &lab.path("disk"), |request| request.archive.volume_bytes = volume_bytes).await.expect("an archive");
        let volumes = made.set.expect("a set").volumes.into_iter().map(|volume| volume.path).collect();
        Some(Self { far, lab, volumes, mark: bad.stored()[60_000..60_064].to_vec() })
    }

    fn target(&self) -> String {
        format!("docker://{}", self.far.host())
    }

    async fn push(&self) -> ocm::error::Result<ocm::workflow::sync::Outcome> {
        self.lab.sync(&[self.lab.path("disk")], &self.target()).await
    }

    async fn has(&self, name: &str) -> bool {
        fetch_manifest(&format!("{}/team/{name}", self.far.host()), "1").await.is_some()
    }

    /// Nothing at all has come to the destination.
    async fn assert_nothing_came(&self) {
        assert!(!self.has("good").await && !self.has("bad").await);
        assert!(!self.far.storage().join("docker/registry/v2/blobs").exists(), "not even a blob");
    }
}

/// Changes a file, which may be read-only.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("a volume");
    change(&mut bytes);
    std::fs::remove_file(path).and_then(|()| std::fs::write(path, bytes)).expect("changed");
}

fn find(bytes: &[u8], mark: &[u8]) -> usize {
    bytes.windows(mark.len()).position(|window| window == mark).expect("it is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_a_frame_fails_the_image_that_it_is_of_and_no_other() {
    let Some(archive) = Archive::whole().await else { return };
    change(&archive.volumes[0], |bytes| {
        let at = find(bytes, &archive.mark);
        bytes[at] ^= 8;
    });
    let pushed = archive.push().await.expect("a run");
    assert_only(&pushed, "team/bad", Class::Damaged);
    assert_eq!(pushed.class().exit_code(), 4);
    let error = failure(&pushed, "team/bad");
    assert_says(error, &[&archive.volumes[0].display().to_string(), "volume 1 at 0x"]);
    assert!(archive.has("good").await && !archive.has("bad").await);
    // Into a layout it comes to the same.
    let out = archive.lab.sync(&[archive.lab.path("disk")], &format!("oci:{}", archive.lab.path("layout"))).await.expect("a run");
    assert_only(&out, "team/bad", Class::Damaged);
    let index = std::fs::read_to_string(archive.lab.folder("layout/index.json")).expect("an index");
    assert!(index.contains("team/good") && !index.contains("team/bad"), "{index}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_index_is_damage_that_is_named_and_no_image_becomes_visible() {
    for place in ["in the first block", "in the directory"] {
        let Some(archive) = Archive::whole().await else { return };
        change(&archive.volumes[0], |bytes| {
            let at = match place {
                "in the directory" => find(bytes, b"OCMD") + 6,
                _ => find(bytes, b"OCM.INDEX\0") + 512 + 40,
            };
            bytes[at] ^= 1;
        });
        let error = match archive.push().await {
            Err(error) => error,
            Ok(made) => failure(&made, "team/bad").clone(),
        };
        assert_eq!(error.kind(), Kind::Damaged, "{place}: {error}");
        assert_says(&error, &[&archive.volumes[0].display().to_string(), "volume 1"]);
        assert!(!archive.has("good").await && !archive.has("bad").await, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_footer_or_a_cut_is_damage_that_is_named_and_nothing_is_pushed() {
    for (what, damage) in [
        (
            "footer",
            (|bytes: &mut Vec<u8>| {
                let at = bytes.len() - 1536 + 100;
                bytes[at] ^= 1;
            }) as fn(&mut Vec<u8>),
        ),
        ("incomplete", |bytes| bytes.truncate(bytes.len() / 2)),
        ("incomplete", |bytes| bytes.truncate(bytes.len() - 1)),
    ] {
        let Some(archive) = Archive::whole().await else { return };
        change(&archive.volumes[0], damage);
        let error = archive.push().await.expect_err("damaged");
        assert_eq!(error.kind(), Kind::Damaged, "{error}");
        assert_says(&error, &["set 1 lacks volume 1 and its last one", &archive.volumes[0].display().to_string(), what]);
        assert_hints(&error, "copy the files that are named again");
        archive.assert_nothing_came().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_by_another_name_is_as_good() {
    let Some(archive) = Archive::new(70_000).await else { return };
    assert!(archive.volumes.len() > 3);
    for (n, path) in archive.volumes.iter().enumerate() {
        std::fs::rename(path, path.with_file_name(format!("DISC{}.TAR", archive.volumes.len() - n))).expect("renamed");
    }
    let pushed = archive.push().await.expect("a run");
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    assert!(archive.has("bad").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_volume_is_named_before_anything_is_pushed() {
    let Some(archive) = Archive::new(70_000).await else { return };
    let count = archive.volumes.len();
    std::fs::remove_file(&archive.volumes[1]).expect("removed");
    let error = archive.push().await.expect_err("it is needed");
    assert_eq!(error.kind(), Kind::Needed);
    assert_says(&error, &[&archive.lab.path("disk"), &format!("set 1 lacks volume 2 of {count}")]);
    assert_hints(&error, "bring the volumes that are missing");
    archive.assert_nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_another_set_in_place_of_one_is_not_taken_for_it() {
    let Some(mut archive) = Archive::new(70_000).await else { return };
    // The same lab settings make the same ids: another set needs another time.
    let near = Registry::start().expect("it was there a moment ago");
    let mut lab = Lab::new();
    (lab.settings.now, lab.settings.random) = (1_700_001_000, [77; 16]);
    let from = lab.fill(&near, "team/other", "1", &Image::of([packed(9, 300_000)])).await;
    let made = lab.sync_with(&[from], &lab.path("other"), |request| request.archive.volume_bytes = 70_000).await.expect("another archive");
    let (foreign, own) = (made.set.expect("a set").volumes[1].path.clone(), std::fs::read(&archive.volumes[1]).expect("volume 2"));
    std::fs::remove_file(&archive.volumes[1]).and_then(|()| std::fs::copy(foreign, &archive.volumes[1])).expect("mixed up");
    let error = archive.push().await.expect_err("volume 2 is of another set");
    assert_eq!(error.kind(), Kind::Needed);
    assert_says(&error, &["lacks volume 2"]);
    archive.assert_nothing_came().await;
    // Beside a whole set it does no harm, and is named.
    std::fs::rename(&archive.volumes[1], archive.lab.folder("disk/stranger.tar")).expect("renamed");
    std::fs::write(&archive.volumes[1], own).expect("the right one again");
    let heard = Heard::of(&mut archive.lab);
    let pushed = archive.push().await.expect("a run");
    assert!(pushed.report.items.iter().all(|one| !one.has_failed()), "{:?}", pushed.report);
    assert_eq!(pushed.class(), Class::Needed, "what it is of is not whole");
    assert!(heard.has(&["disk", "set 1 lacks"]), "{:?}", heard.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_volume_is_left_alone() {
    let Some(archive) = Archive::whole().await else { return };
    for (name, content) in [("notes.txt", &b"hello"[..]), ("mirror_000001.tar", &[0; 4096]), ("x.ocm.tar", b"")] {
        std::fs::write(archive.lab.folder("disk").join(name), content).expect("written");
    }
    let before = archive.lab.snapshot("disk");
    assert_eq!(archive.push().await.expect("a run").class(), Class::Done);
    assert!(archive.lab.snapshot("disk") == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn places_where_nothing_is_are_told_apart() {
    let (Some(far), lab) = (Registry::start(), Lab::new()) else { return };
    std::fs::create_dir(lab.folder("empty")).expect("a folder");
    let target = format!("docker://{}", far.host());
    for (name, words, hint) in [
        ("nowhere", "there is no such directory", "name an archive directory"),
        ("empty", "there is no ocm archive here", "an archive is a directory with files"),
    ] {
        let error = lab.sync(&[lab.path(name)], &target).await.expect_err("nothing is there");
        assert_eq!(error.kind(), Kind::Usage);
        assert_says(&error, &[&lab.path(name), words]);
        assert_hints(&error, hint);
    }
}
