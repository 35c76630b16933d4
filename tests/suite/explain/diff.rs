//! How real archives and layouts differ.

use std::collections::BTreeSet;

use ocm::error::Kind;
use ocm::image::{Descriptor, Digest};
use ocm::workflow::diff::{Amount, Compared, Difference, Moved, Named, Options, diff};

use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// A lab with two layouts, `old` and `new`, which share one image; one moves, one goes, one comes.
struct Pair {
    lab: Lab,
    moved: (Descriptor, Descriptor),
    /// Digests and sizes of what is only in `old`, and only in `new`, but for manifests.
    only: (Amount, Amount),
}

const NAME: &str = "registry.example/team";

/// Every blob of a layout that is no manifest.
fn blobs(layout: &Layout, manifests: &[&Descriptor]) -> BTreeSet<(Digest, u64)> {
    let is_manifest = |digest: &Digest| manifests.iter().any(|manifest| manifest.digest == *digest);
    layout.digests().into_iter().filter(|digest| !is_manifest(digest)).map(|digest| (digest, layout.read(&digest).len() as u64)).collect()
}

fn amount(some: &BTreeSet<(Digest, u64)>, without: &BTreeSet<(Digest, u64)>) -> Amount {
    some.difference(without).fold(Amount::default(), |sum, (_, bytes)| Amount { blobs: sum.blobs + 1, bytes: sum.bytes + bytes })
}

impl Pair {
    fn new() -> Self {
        let lab = Lab::new();
        let (old, new) = (Layout::at(&lab.folder("old")), Layout::at(&lab.folder("new")));
        let base = Layer::tree(1, 50_000).gzip();
        let image = |layout: &Layout, name: &str, seed: u64| {
            let root = layout.image(&Image::of([base.clone(), Layer::tree(seed, 20_000)]));
            layout.tag(&format!("{NAME}/{name}:1"), &root);
            root
        };
        let before = [image(&old, "stays", 2), image(&old, "moves", 3), image(&old, "goes", 4)];
        let after = [image(&new, "stays", 2), image(&new, "moves", 5), image(&new, "comes", 6)];
        let (there, here) = (blobs(&old, &before.each_ref()), blobs(&new, &after.each_ref()));
        let only = (amount(&there, &here), amount(&here, &there));
        Self { lab, moved: (before[1].clone(), after[1].clone()), only }
    }

    async fn sync(&self, layout: &str) {
        let from = [format!("oci:{}", self.lab.path(layout))];
        self.lab.sync_with(&from, &self.lab.path("disk"), |request| request.archive.only = true).await.expect("a set");
    }

    async fn diff(&self, a: &str, b: &str) -> Compared {
        diff(&a.parse().expect("a place"), &b.parse().expect("a place"), Options::default(), &self.lab.settings).await.expect("an answer")
    }
}

fn names(images: &[Named]) -> Vec<String> {
    images.iter().map(|image| image.name.to_string()).collect()
}

fn assert_differs(difference: &Difference, pair: &Pair) {
    assert_eq!(names(&difference.added), [format!("{NAME}/comes:1")]);
    assert_eq!(names(&difference.removed), [format!("{NAME}/goes:1")]);
    let moves = |moved: &Moved| (moved.name.to_string(), moved.from, moved.to);
    let expected = (format!("{NAME}/moves:1"), pair.moved.0.digest, pair.moved.1.digest);
    assert_eq!(difference.moved.iter().map(moves).collect::<Vec<_>>(), [expected]);
    assert_eq!((difference.same, difference.unknown.len()), (1, 0));
    assert_eq!((difference.blobs_removed, difference.blobs_added), pair.only);
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_and_layouts_differ_by_names_and_blobs() {
    let pair = Pair::new();
    pair.sync("old").await;
    pair.sync("new").await;
    let (disk, new) = (pair.lab.path("disk"), format!("oci:{}", pair.lab.path("new")));
    let old = format!("oci:{}", pair.lab.path("old"));
    let before = pair.lab.snapshot("disk");
    for (a, b) in [
        (format!("{disk}@1"), format!("{disk}@2")),
        (format!("{disk}@1"), disk.clone()),
        (format!("file://{disk}@1"), new.clone()),
        (old.clone(), disk.clone()),
        (old, new.clone()),
    ] {
        let compared = pair.diff(&a, &b).await;
        assert_differs(&compared.difference, &pair);
        assert_eq!((compared.a, compared.b), (a.trim_start_matches("file://").to_owned(), b));
    }
    let same = pair.diff(&disk, &new).await.difference;
    assert_eq!((same.same, same.added.len() + same.removed.len() + same.moved.len()), (3, 0));
    assert_eq!((same.blobs_added, same.blobs_removed), (Amount::default(), Amount::default()));
    assert_eq!(pair.lab.snapshot("disk"), before, "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_manifest_is_gone_is_neither_the_same_nor_removed() {
    let pair = Pair::new();
    let new = Layout::at(&pair.lab.folder("new"));
    std::fs::remove_file(new.blob_file(&pair.moved.1.digest)).expect("removed");
    let places = (format!("oci:{}", pair.lab.path("old")), format!("oci:{}", pair.lab.path("new")));
    let difference = pair.diff(&places.0, &places.1).await.difference;
    assert_eq!((names(&difference.removed), difference.moved.len(), difference.same), (vec![format!("{NAME}/goes:1")], 0, 1));
    let unknown: Vec<_> = difference.unknown.iter().map(|unknown| (unknown.name.to_string(), unknown.place.clone())).collect();
    assert_eq!(unknown, [(format!("{NAME}/moves:1"), places.1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_asked_for_what_the_other_place_has() {
    let Some(far) = Registry::start() else { return };
    let pair = Pair::new();
    let (old, new) = (format!("oci:{}", pair.lab.path("old")), format!("oci:{}", pair.lab.path("new")));
    let mirror = format!("docker://{}/mirror", far.host());
    pair.lab.sync(&[&old], &mirror).await.expect("pushed");
    let same = pair.diff(&old, &mirror).await.difference;
    assert_eq!((same.same, same.blobs_added, same.blobs_removed), (3, Amount::default(), Amount::default()));
    let difference = pair.diff(&mirror, &new).await.difference;
    assert_eq!(names(&difference.added), [format!("{NAME}/comes:1")]);
    // What else the registry has nobody can tell.
    assert_eq!((difference.removed.len(), difference.moved.len(), difference.same), (0, 1, 1));
    assert_eq!(difference.blobs_added, pair.only.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_cannot_be_compared_are_refused_with_a_way_out() {
    let pair = Pair::new();
    let (layout, prefix) = (format!("oci:{}", pair.lab.path("old")), "docker://registry.example/team");
    for (a, b, words) in [
        (prefix, "docker://other.example/team", "a registry cannot list what it holds"),
        (layout.as_str(), "docker://registry.example/team:1", "is one image, and oci:"),
    ] {
        let (a, b) = (a.parse().expect("a place"), b.parse().expect("a place"));
        let error = diff(&a, &b, Options::default(), &pair.lab.settings).await.expect_err("refused");
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(words) && error.way_out().is_some(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_tells_what_a_destination_had_without_asking_it() {
    let Some(far) = Registry::start() else { return };
    let pair = Pair::new();
    let (old, new) = (format!("oci:{}", pair.lab.path("old")), format!("oci:{}", pair.lab.path("new")));
    let mirror = format!("docker://{}/mirror", far.host());
    let receipt = |made: ocm::workflow::sync::Outcome| made.receipt.expect("a receipt").display().to_string();
    let before = receipt(pair.lab.sync(&[&old], &mirror).await.expect("pushed"));
    let after = receipt(pair.lab.sync(&[&new], &mirror).await.expect("pushed"));
    assert_differs(&pair.diff(&before, &new).await.difference, &pair);
    assert_differs(&pair.diff(&old, &after).await.difference, &pair);
    assert_differs(&pair.diff(&before, &after).await.difference, &pair);
    // The registry is asked for what the receipt says that it had: that moved meanwhile, or stays.
    let now = pair.diff(&before, &mirror).await.difference;
    assert_eq!((now.same, now.moved.len(), now.added.len() + now.removed.len()), (2, 1, 0));
    drop(far);
    assert_eq!(pair.diff(&after, &after).await.difference.same, 3);
}
