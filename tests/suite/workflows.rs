//! Whole runs of `sync` between real places: what a person does, and what must then be true.
//!
//! *Not here:* what one store must do (`conformance`), the command line (`cli`).

pub(crate) mod lab;

use std::path::Path;

use ocm::error::Kind;
use ocm::transfer::Class;
use ocm::workflow::sync::ParentOutcome;

use self::lab::Lab;
use crate::support::images::{Image, digest_by_skopeo, push, zoo};
use crate::support::layers::Layer;
use crate::support::registry::Registry;

/// Every file of an archive directory is below the cap.
fn assert_below(folder: &Path, cap: u64) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let bytes = entry.metadata().expect("metadata").len();
        assert!(entry.path().is_dir() || bytes < cap, "{} has {bytes} bytes", entry.path().display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_image_goes_through_an_archive_into_another_registry() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let lab = Lab::new();
    let (layout, kinds) = zoo();
    let mut from = Vec::new();
    for (tag, root) in &kinds {
        push(&layout, root, &format!("{}/team/app", near.host()), Some(tag)).await;
        from.push(format!("docker://{}/team/app:{tag}", near.host()));
    }
    let cap = 256 << 10;
    let made = lab.sync_with(&from, &lab.path("disk"), |request| request.archive.volume_bytes = cap).await.expect("mirrored");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let set = made.set.expect("a set");
    assert_eq!((set.items, set.items_complete), (kinds.len(), kinds.len()));
    assert_below(&lab.folder("disk"), cap);
    let pushed = lab.sync(&[lab.path("disk")], &format!("docker://{}/mirror", far.host())).await.expect("pushed");
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    for (tag, root) in &kinds {
        let Some(digest) = digest_by_skopeo(&format!("{}/mirror/team/app:{tag}", far.host())) else { continue };
        assert_eq!(digest, root.digest, "{tag}");
    }
    let receipt = std::fs::read_to_string(pushed.receipt.expect("a receipt")).expect("readable");
    assert!(receipt.contains(&set.id), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_with_nothing_new_writes_nothing_and_asks_little() {
    let Some(near) = Registry::start() else { return };
    let lab = Lab::new();
    let from = lab.fill(&near, "team/app", "1", &Image::generated(1, 300_000)).await;
    lab.sync(&[&from], &lab.path("disk")).await.expect("the first set");
    let before = lab.snapshot("disk");
    let again = lab.sync(&[&from], &lab.path("disk")).await.expect("nothing new");
    assert!(again.set.is_none() && again.class() == Class::Done);
    assert_eq!(lab.snapshot("disk"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_holds_only_what_is_new_and_needs_its_parent() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let lab = Lab::new();
    let base = Layer::tree(1, 400_000).gzip();
    let one = lab.fill(&near, "team/app", "1", &Image::of([base.clone(), Layer::tree(2, 50_000).gzip()])).await;
    let two = lab.fill(&near, "team/app", "2", &Image::of([base, Layer::tree(3, 50_000).gzip()])).await;
    let first = lab.sync(&[&one], &lab.path("disk")).await.expect("set 1").set.expect("a set");
    let second = lab.sync(&[&two], &lab.path("disk")).await.expect("set 2").set.expect("a set");
    assert_eq!((second.generation, second.chain, second.items), (2, 1, 2));
    assert!(matches!(second.parent, Some(ParentOutcome::Set { generation: 1, confirmed: false, .. })), "{:?}", second.parent);
    assert!(second.stored_bytes * 2 < first.stored_bytes, "{} after {}", second.stored_bytes, first.stored_bytes);
    let target = format!("docker://{}", far.host());
    lab.sync(&[lab.path("disk")], &target).await.expect("both sets");
    lab.remove_set("disk", 1);
    let alone = lab.sync(&[lab.path("disk")], &format!("{target}/other")).await.expect_err("set 1 is needed");
    assert_eq!(alone.kind(), Kind::Needed);
    assert!(alone.to_string().contains("content of set 1"), "{alone}");
    assert!(alone.notes().iter().any(|note| note.contains("bring:   set 1")), "{alone:?}");
    // What the destination holds already need not be brought again.
    lab.sync(&[lab.path("disk")], &target).await.expect("the registry has the rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_image_that_fails_does_not_stop_the_others_and_the_next_run_fills_it_in() {
    let Some(near) = Registry::start() else { return };
    let lab = Lab::new();
    let good = lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await;
    let late = format!("docker://{}/team/app:2", near.host());
    let made = lab.sync(&[&good, &late], &lab.path("disk")).await.expect("a partial set");
    assert_eq!(made.class(), Class::Partial);
    let set = made.set.expect("a set");
    assert_eq!((set.items, set.items_complete), (2, 1));
    lab.fill(&near, "team/app", "2", &Image::generated(2, 50_000)).await;
    let made = lab.sync(&[&good, &late], &lab.path("disk")).await.expect("the rest");
    assert_eq!(made.class(), Class::Done);
    let set = made.set.expect("a set");
    assert_eq!((set.items, set.items_complete, set.generation), (2, 2, 2));
}
