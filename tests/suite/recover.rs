//! What is still wholly there of a damaged archive is brought, and what is not is named.

use std::path::{Path, PathBuf};

use ocm::error::{Kind, Result};
use ocm::image::Digest;
use ocm::transfer::{Class, Ending};
use ocm::workflow::sync::{Outcome, Request, SetOutcome};

use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::workflows::lab::Lab;

const CAP: u64 = 128 << 10;

/// A disk with a set of several volumes, and the layout that it was made from.
struct Disk {
    lab: Lab,
    set: SetOutcome,
    images: Vec<(String, Digest)>,
}

impl Disk {
    /// Images with contents of so many bytes, in this order.
    async fn of(sizes: &[usize]) -> Self {
        let lab = Lab::new();
        let layout = Layout::at(&lab.folder("layout"));
        let mut images = Vec::new();
        for (number, bytes) in (1..).zip(sizes) {
            let root = layout.image(&Image::of([Layer::tree(number, *bytes).gzip()]));
            let name = format!("registry.example/team/app:{number}");
            layout.tag(&name, &root);
            images.push((name, root.digest));
        }
        let small = |request: &mut Request| request.archive.volume_bytes = CAP;
        let from = format!("oci:{}", lab.path("layout"));
        let made = lab.sync_with(&[&from], &lab.path("disk"), small).await.expect("a set");
        Self { set: made.set.expect("a set"), lab, images }
    }

    fn volumes(&self) -> Vec<PathBuf> {
        self.set.volumes.iter().map(|volume| self.lab.folder("disk").join(volume.path.file_name().expect("a name"))).collect()
    }

    async fn recover(&self, from: &str, to: &str) -> Result<Outcome> {
        self.lab.sync_with(&[from], to, |request| request.salvage = true).await
    }

    /// The names that came, which must be as they were, and those that did not.
    fn came(&self, outcome: &Outcome) -> (Vec<&str>, Vec<&str>) {
        let came = |name: &&str| outcome.report.items.iter().any(|item| item.item.origin.to_string() == **name && !item.has_failed());
        for item in outcome.report.items.iter().filter(|item| !item.has_failed()) {
            let image = self.images.iter().find(|(name, _)| *name == item.item.origin.to_string());
            assert_eq!(image.map(|(_, digest)| *digest), item.item.digest());
        }
        self.images.iter().map(|(name, _)| name.as_str()).partition(came)
    }
}

fn cut(path: &Path, bytes: u64) {
    std::fs::remove_file(path.with_extension("x")).ok();
    std::fs::copy(path, path.with_extension("x")).expect("a copy");
    let file = std::fs::File::options().write(true).open(path.with_extension("x")).expect("a file");
    file.set_len(bytes).expect("cut");
    std::fs::rename(path.with_extension("x"), path).expect("renamed");
}

/// Takes the last volume and the catalogue away, so that no SET.json is left.
fn behead(disk: &Disk) {
    for file in std::fs::read_dir(disk.lab.folder("disk")).expect("a disk").map(|file| file.expect("a file").path()) {
        if Some(&file) == disk.volumes().last() || file.to_string_lossy().contains(".c001.") {
            std::fs::remove_file(file).expect("removed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_last_volume_a_set_gives_the_images_before_that() {
    let disk = Disk::of(&[90_000, 120_000, 400_000]).await;
    assert!(disk.set.volumes.len() > 3, "{:?}", disk.set.volumes);
    behead(&disk);
    let refused = disk.lab.sync(&[&disk.lab.path("disk")], &format!("oci:{}", disk.lab.path("out"))).await.expect_err("not whole");
    assert_eq!(refused.kind(), Kind::Needed);
    let out = format!("oci:{}", disk.lab.path("out"));
    let outcome = disk.recover(&disk.lab.path("disk"), &out).await.expect("recovered");
    let (came, lost) = disk.came(&outcome);
    assert_eq!((came.len(), lost.len(), outcome.class()), (2, 1, Class::Damaged), "{:?}", outcome.report);
    assert!(outcome.lost.iter().any(|lost| lost.contains("set 1 lacks its last volume")), "{:?}", outcome.lost);
    // What was recovered is a layout like any other; what was not is not in it.
    let again = disk.lab.sync(&[&out], &disk.lab.path("second")).await.expect("an archive of it");
    assert_eq!((again.class(), again.report.items.len()), (Class::Done, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_was_cut_hurts_only_the_images_in_its_lost_part() {
    let disk = Disk::of(&[40_000, 60_000, 400_000]).await;
    let last = disk.volumes().len() - 1;
    cut(&disk.volumes()[last - 1], CAP / 2);
    let outcome = disk.recover(&disk.lab.path("disk"), &disk.lab.path("rescued")).await.expect("recovered");
    let (came, lost) = disk.came(&outcome);
    assert_eq!((came.len(), lost.len(), outcome.class()), (2, 1, Class::Damaged), "{:?}", outcome.report);
    let failed = outcome.report.items.iter().find_map(|item| match &item.ending {
        Ending::Failed(error) => Some(error.to_string()),
        _ => None,
    });
    assert!(failed.is_some_and(|text| text.contains("blob sha256:") && text.contains("it is lost")), "the lost one says which blob");
    let second = disk.lab.sync(&[&disk.lab.path("rescued")], &format!("oci:{}", disk.lab.path("out"))).await.expect("an archive again");
    assert_eq!(disk.came(&second).0, came);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_without_an_end_is_enough() {
    let disk = Disk::of(&[20_000, 30_000]).await;
    let only = &disk.volumes()[0];
    let bytes = std::fs::metadata(only).expect("a file").len();
    let alone = disk.lab.folder("half.partial");
    std::fs::copy(only, &alone).expect("a copy");
    std::fs::File::options().write(true).open(&alone).expect("a file").set_len(bytes - 5_000).expect("cut");
    let outcome = disk.recover(&alone.display().to_string(), &format!("oci:{}", disk.lab.path("out"))).await.expect("recovered");
    assert_eq!(disk.came(&outcome).0.len(), 2, "{:?}", outcome.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_whole_is_recovered_whole_and_counts_as_accepted_nowhere() {
    let disk = Disk::of(&[20_000]).await;
    let outcome = disk.recover(&disk.lab.path("disk"), &format!("oci:{}", disk.lab.path("out"))).await.expect("recovered");
    assert_eq!((outcome.class(), disk.came(&outcome).0.len()), (Class::Done, 1));
    let nothing = disk.recover(&disk.lab.path("layout"), &disk.lab.path("x")).await.expect_err("no archive");
    assert_eq!(nothing.kind(), Kind::Usage);
}
