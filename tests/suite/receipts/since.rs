//! Sets that build on a receipt: what they leave out, where they can be used, what is told of them.

use std::path::PathBuf;

use ocm::error::{Error, Kind};
use ocm::image::Digest;
use ocm::store::archive::listing::{SetParent, list};
use ocm::store::archive::{ArchiveSource, Shelf};
use ocm::transfer::Class;
use ocm::workflow::sync::{Outcome, ParentOutcome, SetOutcome};

use super::{look, read};
use crate::support::images::{Image, fetch_manifest};
use crate::support::layers::Layer;
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

const APP: &str = "team/app";

/// Two registries; `team/app` with the tags `a` and `b` on one base is in the near one.
struct Sides {
    near: Registry,
    far: Registry,
    lab: Lab,
}

impl Sides {
    async fn new() -> Option<Self> {
        let sides = Self { near: Registry::start()?, far: Registry::start()?, lab: Lab::new() };
        for (n, name) in ["a", "b"].into_iter().enumerate() {
            let layers = [Layer::tree(1, 120_000).tar(), Layer::tree(10 + n as u64, 20_000).tar()];
            sides.lab.fill(&sides.near, APP, name, &Image::of(layers)).await;
        }
        Some(sides)
    }

    fn place(&self, name: &str) -> String {
        format!("docker://{}/{APP}:{name}", self.near.host())
    }

    fn target(&self) -> String {
        format!("docker://{}", self.far.host())
    }

    async fn try_since(&self, name: &str, to: &str, receipt: &str) -> Result<Option<SetOutcome>, Error> {
        let since = |request: &mut ocm::workflow::sync::Request| request.archive.since = Some(receipt.to_owned());
        self.lab.sync_with(&[self.place(name)], &self.lab.path(to), since).await.map(|made| made.set)
    }

    async fn since(&self, name: &str, to: &str, receipt: &str) -> SetOutcome {
        self.try_since(name, to, receipt).await.expect("a run").expect("a set")
    }

    async fn deliver(&self, from: &str, to: &str) -> Result<Outcome, Error> {
        self.lab.sync(&[self.lab.path(from)], to).await
    }

    /// Brings `a` to the far side in set 1; the receipt of that.
    async fn first(&self) -> PathBuf {
        self.lab.sync(&[self.place("a")], &self.lab.path("disk")).await.expect("set 1");
        self.deliver("disk", &self.target()).await.expect("pushed").receipt.expect("a receipt")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_on_a_receipt_leaves_out_what_the_destination_holds_and_goes_on_in_its_lineage() {
    let Some(sides) = Sides::new().await else { return };
    let receipt = sides.first().await;
    // The first disk is lost; the workspace knows its sets.
    std::fs::remove_dir_all(sides.lab.folder("disk")).expect("lost");
    let set = sides.since("b", "next", &receipt.display().to_string()).await;
    assert_eq!((set.lineage.as_str(), set.generation, set.chain, set.items), ("disk", 2, 1, 1), "names are what was asked for");
    assert!(set.blob_bytes < 60_000, "the base is not in it: {}", set.blob_bytes);
    let (root, destination) = match set.parent.expect("a parent") {
        ParentOutcome::Receipt { destination, root, .. } => (root, destination),
        other => panic!("{other:?}"),
    };
    assert_eq!(destination, sides.target());
    let said = list(&Shelf::open(&sides.lab.folder("next")).expect("a shelf"), None).expect("a list").sets.remove(0);
    assert_eq!(said.parent, SetParent::Receipt { destination: Some(sides.target()) });
    assert!(!said.parents_here && root != Digest::of(b""));
    let shelf = Shelf::open(&sides.lab.folder("next")).expect("a shelf");
    let source = ArchiveSource::open(shelf.path(), &shelf.select(None).expect("sets").sets, &[&shelf]).expect("a source");
    let base = Digest::of(Layer::tree(1, 120_000).plain());
    let there = source.held_at(&base).expect("the far side is told where the base is").to_string();
    assert_eq!(there, format!("{}/{APP}", sides.far.host()));
    let pushed = sides.deliver("next", &sides.target()).await.expect("the destination has the rest");
    assert_eq!(pushed.class(), Class::Done);
    assert!(fetch_manifest(&format!("{}/{APP}", sides.far.host()), "b").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_on_a_receipt_is_of_use_at_that_destination_alone() {
    let (Some(sides), Some(other)) = (Sides::new().await, Registry::start()) else { return };
    let receipt = sides.first().await;
    sides.since("b", "next", &receipt.display().to_string()).await;
    let target = format!("docker://{}", other.host());
    let error = sides.deliver("next", &target).await.expect_err("it lacks the base");
    assert_eq!(error.kind(), Kind::Needed);
    let words = [format!("{} (by the receipt that is its parent)", sides.target()), target];
    assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    assert!(error.way_out().is_some_and(|way| way.contains("--since a receipt of it")), "{error:?}");
    assert!(fetch_manifest(&format!("{}/{APP}", other.host()), "b").await.is_none(), "nothing is pushed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_others_filled_is_built_on_by_a_look_at_it() {
    let Some(sides) = Sides::new().await else { return };
    let image = Image::of([Layer::tree(1, 120_000).tar(), Layer::tree(99, 5_000).tar()]);
    sides.lab.fill(&sides.far, APP, "by-others", &image).await;
    let found = look(&sides.lab, &[sides.target()]).await.expect("a receipt");
    let file = sides.lab.folder("lab.json");
    std::fs::write(&file, found.document().expect("bytes")).expect("written");
    let file = file.display().to_string();
    let set = sides.since("b", "disk", &file).await;
    assert_eq!((set.lineage.as_str(), set.generation, set.chain), ("disk", 1, 1), "no set is known: a lineage begins");
    assert!(set.blob_bytes < 60_000, "{}", set.blob_bytes);
    let pushed = sides.deliver("disk", &sides.target()).await.expect("the base is there");
    assert_eq!(pushed.class(), Class::Done);
    // What a set on this set needs leads back to the destination.
    let next = sides.lab.sync(&[sides.place("a")], &sides.lab.path("disk")).await.expect("a run").set.expect("a set");
    assert_eq!((next.generation, next.chain, next.items), (2, 2, 2));
    let pushed = sides.deliver("disk", &sides.target()).await.expect("both");
    assert_eq!(pushed.class(), Class::Done);
    assert_eq!(sides.deliver("disk", &format!("docker://{}", sides.near.host())).await.expect("the near one has all").class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receipt_shows_already_is_nothing_new() {
    let Some(sides) = Sides::new().await else { return };
    let receipt = sides.first().await.display().to_string();
    assert!(sides.try_since("a", "next", &receipt).await.expect("a run").is_none());
    assert!(sides.lab.archive("next").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_destinations_get_each_its_delta_also_after_one_has_lost_a_disk() {
    let (Some(sides), Some(plant)) = (Sides::new().await, Registry::start()) else { return };
    let targets = [("lab", sides.target()), ("plant", format!("docker://{}", plant.host()))];
    let sync = async |name: &str, folder: &str, lineage: &str, since: Option<String>| {
        let options = |request: &mut ocm::workflow::sync::Request| {
            (request.archive.lineage, request.archive.since) = (Some(lineage.to_owned()), since);
        };
        sides.lab.sync_with(&[sides.place(name)], &sides.lab.path(folder), options).await.expect("a run").set.expect("a set")
    };
    sync("a", "lab-1", "lab", None).await;
    sync("b", "plant-1", "plant", None).await;
    sides.deliver("lab-1", &targets[0].1).await.expect("pushed");
    let first = sides.deliver("plant-1", &targets[1].1).await.expect("pushed").receipt.expect("a receipt");
    // The second disk for the plant is lost on the way; the one after builds on what the plant has said that it holds.
    assert_eq!(sync("a", "plant-2", "plant", None).await.generation, 2);
    let third = sync("a", "plant-3", "plant", Some(first.display().to_string())).await;
    assert_eq!((third.generation, third.lineage.as_str()), (3, "plant"));
    assert!(third.blob_bytes > 20_000, "what was lost comes again: {}", third.blob_bytes);
    assert_eq!(sides.deliver("plant-3", &targets[1].1).await.expect("pushed").class(), Class::Done);
    let second = sync("b", "lab-2", "lab", None).await;
    assert!(matches!(second.parent, Some(ParentOutcome::Set { generation: 1, confirmed: true, .. })), "{:?}", second.parent);
    assert_eq!(sides.deliver("lab-2", &targets[0].1).await.expect("pushed").class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_receipt_is_refused_with_its_place_and_nothing_is_written() {
    let Some(sides) = Sides::new().await else { return };
    let receipt = sides.first().await;
    let genuine = std::fs::read_to_string(&receipt).expect("a receipt");
    let elsewhere = genuine.replace(&format!("\"repository\": \"{}", sides.far.host()), "\"repository\": \"other.lab");
    for (n, (text, words)) in [
        ("{\n  \"destination\"", "line 2 column"),
        (&genuine[..genuine.len() / 2], "neither a volume of a set nor a receipt"),
        (elsewhere.as_str(), "which is elsewhere"),
    ]
    .into_iter()
    .enumerate()
    {
        let file = sides.lab.folder(&format!("forged-{n}.json"));
        std::fs::write(&file, text).expect("written");
        let error = sides.try_since("b", "next", &file.display().to_string()).await.expect_err(words);
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        assert!(error.to_string().starts_with(&file.display().to_string()) && error.to_string().contains(words), "{error}");
        assert!(error.way_out().is_some() && sides.lab.archive("next").is_empty());
    }
    assert!(read(&receipt).knows_content());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_another_repository_there_is_found_by_what_the_receipt_said() {
    let Some(sides) = Sides::new().await else { return };
    let image = Image::of([Layer::tree(1, 120_000).tar(), Layer::tree(99, 5_000).tar()]);
    sides.lab.fill(&sides.far, "by/others", "latest", &image).await;
    let found = look(&sides.lab, &[sides.target()]).await.expect("a receipt");
    let file = sides.lab.folder("lab.json");
    std::fs::write(&file, found.document().expect("bytes")).expect("written");
    let set = sides.since("b", "disk", &file.display().to_string()).await;
    assert!(set.blob_bytes < 60_000, "{}", set.blob_bytes);
    // Nothing is known on the far side but the set itself.
    std::fs::remove_dir_all(sides.lab.folder("workspace")).expect("another machine");
    assert_eq!(sides.deliver("disk", &sides.target()).await.expect("the rest is there").class(), Class::Done);
    assert!(fetch_manifest(&format!("{}/{APP}", sides.far.host()), "b").await.is_some());
}
