//! Which sets a run reads, builds on and writes: lineages, generations, parents, partial sets.
//!
//! *Not here:* runs that are interrupted (`resume`), damage (`faults`).

use std::path::PathBuf;

use ocm::error::{Error, Kind};
use ocm::image::{Contents, State};
use ocm::store::archive::{ArchiveSource, Shelf};
use ocm::transfer::Class;
use ocm::workflow::sync::{Request, SetOutcome};

use crate::support::images::{Image, fetch_manifest};
use crate::support::layers::Layer;
use crate::support::registry::Registry;
use crate::workflows::lab::{Heard, Lab};

const DAY: u64 = 24 * 3600;

/// A registry with images `a`, `b` and `c` on one base, and a place for archives.
struct Images {
    near: Registry,
    lab: Lab,
}

impl Images {
    async fn new() -> Option<Self> {
        let images = Self { near: Registry::start()?, lab: Lab::new() };
        for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
            let layers = [Layer::tree(1, 120_000).gzip(), Layer::tree(10 + n as u64, 20_000).gzip()];
            images.lab.fill(&images.near, name, "1", &Image::of(layers)).await;
        }
        Some(images)
    }

    fn place(&self, name: &str) -> String {
        format!("docker://{}/{name}:1", self.near.host())
    }

    async fn try_sync(&self, name: &str, to: &str, options: impl FnOnce(&mut Request)) -> Result<Option<SetOutcome>, Error> {
        self.lab.sync_with(&[self.place(name)], &self.lab.path(to), options).await.map(|made| made.set)
    }

    /// Syncs one image into an archive; the set that this made.
    async fn sync(&self, name: &str, to: &str, options: impl FnOnce(&mut Request)) -> SetOutcome {
        self.try_sync(name, to, options).await.expect("a run").expect("a set")
    }
}

/// What the newest set of each lineage of an archive lists, or that generation.
fn contents(lab: &Lab, name: &str, generation: Option<u32>) -> Contents {
    let shelf = Shelf::open(&lab.folder(name)).expect("a shelf");
    let selection = shelf.select(generation).expect("sets");
    let source = ArchiveSource::open(shelf.path(), &selection.sets, &[&shelf]).expect("a source");
    source.listed().clone()
}

/// The same as the last component of each name.
fn listed(lab: &Lab, name: &str, generation: Option<u32>) -> Vec<String> {
    let last = |item: &ocm::image::Item| item.origin.repository().path().rsplit('/').next().unwrap_or_default().to_owned();
    contents(lab, name, generation).items().iter().map(last).collect()
}

fn plain(_: &mut Request) {}

fn since(text: impl Into<String>) -> impl FnOnce(&mut Request) {
    let text = text.into();
    move |request| request.archive.since = Some(text)
}

fn lineage(name: &'static str) -> impl FnOnce(&mut Request) {
    move |request| request.archive.lineage = Some(name.to_owned())
}

/// Generation and parent.
fn line(set: &SetOutcome) -> (u32, Option<u32>) {
    (set.generation, set.parent_generation())
}

fn assert_usage(error: &Error, words: &[&str], hint: &str) {
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    assert!(error.way_out().is_some_and(|way| way.contains(hint)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_adds_to_its_parent_unless_only_or_full_is_said() {
    let Some(images) = Images::new().await else { return };
    let lab = &images.lab;
    assert_eq!(line(&images.sync("a", "disk", plain).await), (1, None));
    assert_eq!(line(&images.sync("b", "disk", plain).await), (2, Some(1)));
    assert_eq!(listed(lab, "disk", None), ["a", "b"]);
    assert_eq!(line(&images.sync("c", "disk", |request| request.archive.only = true).await), (3, Some(2)));
    assert_eq!(listed(lab, "disk", None), ["c"]);
    let full = images.sync("c", "disk", |request| request.archive.full = true).await;
    assert_eq!((line(&full), full.lineage.as_str()), ((4, None), "disk"));
    assert_eq!(listed(lab, "disk", None), ["c"]);
    for (generation, names) in [(1, vec!["a"]), (2, vec!["a", "b"]), (3, vec!["c"])] {
        assert_eq!(listed(lab, "disk", Some(generation)), names, "earlier sets stay as they are");
    }
    // A full set needs nobody: it can be read alone.
    (1..4).for_each(|generation| lab.remove_set("disk", generation));
    let out = lab.sync(&[lab.path("disk")], &format!("oci:{}", lab.path("layout"))).await.expect("readable");
    assert_eq!(out.class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn since_takes_an_archive_a_generation_a_catalogue_and_a_date() {
    let Some(mut images) = Images::new().await else { return };
    // 2023-11-14T22:13:20Z, and two days later.
    images.sync("a", "disk", plain).await;
    images.lab.settings.now += 2 * DAY;
    images.sync("b", "disk", plain).await;
    images.lab.settings.now += DAY;
    let disk = images.lab.path("disk");
    let catalogues: Vec<PathBuf> = std::fs::read_dir(images.lab.folder("workspace/catalogues"))
        .expect("catalogues")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains(".g0001-") && path.to_string_lossy().ends_with(".c001.ocm.tar"))
        .collect();
    let cases = [
        (disk.clone(), (3, Some(2)), vec!["a", "b", "c"]),
        (format!("{disk}@1"), (3, Some(1)), vec!["a", "c"]),
        (catalogues[0].display().to_string(), (3, Some(1)), vec!["a", "c"]),
    ];
    for (n, (place, expected, names)) in cases.into_iter().enumerate() {
        let to = format!("since-{n}");
        let set = images.sync("c", &to, since(&place)).await;
        assert_eq!((line(&set), set.lineage.as_str()), (expected, "disk"), "{place}");
        assert_eq!(listed(&images.lab, &to, None), names, "{place}");
        assert!(set.blob_bytes < 60_000, "{place}: the base is not in it: {}", set.blob_bytes);
        // Each is a head of its own; the next shall not count on from it.
        std::fs::remove_dir_all(images.lab.folder(&to)).expect("removed");
        std::fs::remove_file(newest_catalogue(&images.lab)).expect("removed");
    }
    for (date, expected) in [("2023-11-15", (3, Some(1))), ("2023-11-14", (3, None)), ("2030-01-01", (3, Some(2)))] {
        let set = images.sync("c", "disk", since(date)).await;
        assert_eq!(line(&set), expected, "{date}");
        images.lab.remove_set("disk", 3);
        std::fs::remove_file(newest_catalogue(&images.lab)).expect("removed");
    }
    let nowhere = images.lab.path("nowhere");
    let error = images.try_sync("c", "disk", since(&nowhere)).await.expect_err("nothing is there");
    assert_usage(&error, &["--since", &nowhere, "there is no set"], "name an archive, a catalogue, or a date like 2026-11-01");
}

/// The file of the catalogue of generation 3.
fn newest_catalogue(lab: &Lab) -> PathBuf {
    let entries = std::fs::read_dir(lab.folder("workspace/catalogues")).expect("catalogues");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .find(|path| path.to_string_lossy().contains(".g0003-") && path.extension().is_some_and(|kind| kind == "tar"))
        .expect("a catalogue")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_several_lineages_in_one_directory_one_must_be_named() {
    let Some(mut images) = Images::new().await else { return };
    images.sync("a", "disk", plain).await;
    images.lab.settings.random = [8; 16];
    let other = images.sync("b", "disk", lineage("plant")).await;
    assert_eq!((line(&other), other.lineage.as_str()), ((1, None), "plant"));
    let error = images.try_sync("c", "disk", plain).await.expect_err("which one?");
    assert_usage(&error, &["disk, plant", &images.lab.path("disk")], "--for NAME");
    let next = images.sync("c", "disk", lineage("plant")).await;
    assert_eq!((line(&next), next.lineage.as_str()), ((2, Some(1)), "plant"));
    // Read together, they are the newest of each.
    assert_eq!(listed(&images.lab, "disk", None), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_heads_of_one_lineage_the_parent_must_be_named() {
    let Some(mut images) = Images::new().await else { return };
    images.sync("a", "one/disk", plain).await;
    copy(&images.lab, "one/disk", "two/disk");
    images.sync("b", "one/disk", plain).await;
    images.lab.settings.workspace = Some(images.lab.folder("another"));
    let head = images.sync("c", "two/disk", plain).await;
    copy(&images.lab, "two/disk", "one/disk");
    let error = images.try_sync("c", "one/disk", plain).await.expect_err("which one?");
    assert_usage(&error, &["\"disk\"", "two sets 2"], "--since");
    let volume = images.lab.folder("one/disk").join(head.volumes[0].path.file_name().expect("a name"));
    let next = images.sync("b", "one/disk", since(volume.display().to_string())).await;
    assert_eq!(line(&next), (3, Some(2)));
    assert_eq!(listed(&images.lab, "one/disk", None), ["a", "b", "c"]);
}

fn copy(lab: &Lab, from: &str, to: &str) {
    std::fs::create_dir_all(lab.folder(to)).expect("a folder");
    for (name, content) in lab.archive(from) {
        std::fs::write(lab.folder(to).join(name), content).expect("written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_needs_no_volume_of_its_parent_only_the_catalogue_in_the_workspace() {
    let Some(mut images) = Images::new().await else { return };
    images.sync("a", "disk", plain).await;
    std::fs::remove_dir_all(images.lab.folder("disk")).expect("carried away");
    let set = images.sync("b", "elsewhere", lineage("disk")).await;
    assert_eq!((line(&set), set.lineage.as_str()), ((2, Some(1)), "disk"));
    assert!(set.blob_bytes < 60_000, "the base is not in it: {}", set.blob_bytes);
    assert_eq!(listed(&images.lab, "elsewhere", None), ["a", "b"]);
    // Without the name a lineage begins, and the person is told of the other.
    let heard = Heard::of(&mut images.lab);
    images.lab.settings.random = [8; 16];
    let set = images.sync("b", "third", plain).await;
    assert_eq!((line(&set), set.lineage.as_str()), ((1, None), "third"));
    assert!(heard.has(&["a new lineage begins", "--for NAME", "disk"]), "{:?}", heard.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_set_says_what_is_missing_and_why_and_the_next_run_fills_it() {
    let Some(images) = Images::new().await else { return };
    let lab = &images.lab;
    let from = [images.place("a"), images.place("late")];
    let made = lab.sync(&from, &lab.path("disk")).await.expect("a partial set");
    assert_eq!(made.class(), Class::Partial);
    let late = contents(lab, "disk", None).items().iter().find(|item| !item.is_complete()).expect("the one that is missing").clone();
    let State::Missing(why) = &late.state else { panic!("{late:?}") };
    assert!(why.contains("/late:1") && why.contains(&format!("it is not in {}", images.near.host())), "{why}");
    // Used as it is, it gives what is complete.
    let out = lab.sync(&[lab.path("disk")], &format!("oci:{}", lab.path("layout"))).await.expect("what is complete");
    assert_eq!(out.class(), Class::Partial);
    // As long as it stays missing, nothing is new.
    let again = lab.sync(&from, &lab.path("disk")).await.expect("nothing new");
    assert!(again.set.is_none() && again.class() == Class::Partial);
    lab.fill(&images.near, "late", "1", &Image::generated(5, 30_000)).await;
    let filled = lab.sync(&from, &lab.path("disk")).await.expect("filled").set.expect("a set");
    assert_eq!((line(&filled), filled.items, filled.items_complete), ((2, Some(1)), 2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_gone_at_its_source_stays_in_the_next_set() {
    let Some(images) = Images::new().await else { return };
    images.sync("a", "disk", plain).await;
    let gone = images.near.storage().join("docker/registry/v2/repositories/a");
    std::fs::remove_dir_all(gone).expect("removed");
    let made = images.lab.sync(&[images.place("a"), images.place("b")], &images.lab.path("disk")).await.expect("a run");
    assert_eq!(made.class(), Class::Partial);
    let set = made.set.expect("a set");
    assert_eq!((set.items, set.items_complete), (2, 2), "the old one of that name stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_older_than_the_destination_has_accepted_is_refused_before_anything_is_pushed() {
    let (Some(images), Some(far)) = (Images::new().await, Registry::start()) else { return };
    images.sync("a", "disk", plain).await;
    images.sync("b", "disk", plain).await;
    let (disk, target) = (images.lab.path("disk"), format!("docker://{}", far.host()));
    images.lab.sync(&[&disk], &target).await.expect("set 2");
    let old = format!("{disk}@1");
    let error = images.lab.sync(&[&old], &target).await.expect_err("set 1 is older");
    assert_usage(&error, &["set 1 of \"disk\" is older than set 2", &target], "--allow-older");
    let allowed = images.lab.sync_with(&[&old], &target, |request| request.allow_older = true).await.expect("told to");
    assert_eq!(allowed.class(), Class::Done);
    images.lab.sync(&[&old], &target).await.expect_err("it still knows the newer one");
    // Another destination has accepted nothing yet.
    images.lab.sync(&[&old], &format!("{target}/other")).await.expect("set 1");
    assert!(fetch_manifest(&format!("{}/other/b", far.host()), "1").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_set_that_lacks_volumes_is_named_and_the_newest_whole_one_is_taken() {
    let (Some(mut images), Some(far)) = (Images::new().await, Registry::start()) else { return };
    images.sync("a", "disk", plain).await;
    let newer = images.sync("b", "disk", |request| (request.archive.volume_bytes, request.archive.full) = (65_536, true)).await;
    assert!(newer.volumes.len() > 2, "{}", newer.volumes.len());
    std::fs::remove_file(&newer.volumes[1].path).expect("removed");
    let heard = Heard::of(&mut images.lab);
    let (disk, target) = (images.lab.path("disk"), format!("docker://{}", far.host()));
    let pushed = images.lab.sync(&[&disk], &target).await.expect("set 1");
    assert_eq!(pushed.class(), Class::Needed);
    assert_eq!(pushed.class().exit_code(), 5);
    let volumes = newer.volumes.len();
    assert!(heard.has(&[&disk, &format!("set 2 lacks volume 2 of {volumes}")]), "{:?}", heard.lines());
    assert!(fetch_manifest(&format!("{}/a", far.host()), "1").await.is_some());
    let chosen = images.lab.sync(&[format!("{disk}@1")], &target).await.expect("set 1, as it was said");
    assert_eq!(chosen.class(), Class::Done);
    let error = images.lab.sync(&[format!("{disk}@2")], &target).await.expect_err("set 2 is not whole");
    assert_eq!(error.kind(), Kind::Needed);
    assert!(error.to_string().contains(&format!("set 2 lacks volume 2 of {volumes}")), "{error}");
    assert!(error.way_out().is_some_and(|hint| hint.contains("ocm gather")), "{error:?}");
    let error = images.lab.sync(&[format!("{disk}@7")], &target).await.expect_err("there is none");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("there is no set 7 here"), "{error}");
}
