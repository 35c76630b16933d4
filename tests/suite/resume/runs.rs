//! Runs that are cut: what they fetch again, and what they make.

use std::time::Duration;

use ocm::error::Kind;
use ocm::transfer::Class;

use super::{MIB, cut_before, fetched, fill, large_tar, packed};
use crate::support::fault::{Fault, every};
use crate::support::images::Image;
use crate::support::layers::Layer;
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_at_ninety_percent_fetches_ten_percent_again_and_makes_the_same_bytes() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let last = packed(6, 14 * MIB);
    let layers = [packed(1, 10 * MIB), packed(2, 60 * MIB), large_tar(3, 24 * MIB), packed(4, 32 * MIB), last.clone()];
    let from = [
        fill(&near, &proxy, "one", &Image::of(layers[..3].to_vec())).await,
        fill(&near, &proxy, "two", &Image::of(layers[2..].to_vec())).await,
    ];
    lab.sync(&from, &lab.path("whole/disk")).await.expect("a run that nobody stops");
    let all = fetched(&proxy);
    assert!(all >= 140 * MIB, "{all}");
    cut_before(&lab, &proxy, &from, &last, all).await;
    assert!(lab.archive("cut/disk").keys().all(|name| name.ends_with(".partial")), "nothing is visible yet");
    let again = lab.sync(&from, &lab.path("cut/disk")).await.expect("it goes on");
    assert!(fetched(&proxy) <= all / 10 + 64 * MIB, "{} of {all} bytes were fetched again", fetched(&proxy));
    let set = again.set.expect("a set");
    assert!(set.blob_bytes >= 140 * MIB, "the blobs of the first run count too: {}", set.blob_bytes);
    assert!(lab.archive("whole/disk") == lab.archive("cut/disk"));
    assert!(!lab.folder("cut/disk/.ocm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_uncompressed_layers_count_as_stored_before_the_set_ends() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let layers: Vec<Layer> = (0..8).map(|n| large_tar(10 * n, 12 * MIB)).collect();
    let from = [fill(&near, &proxy, "tars", &Image::of(layers.clone())).await];
    lab.sync(&from, &lab.path("whole/disk")).await.expect("a run that nobody stops");
    let all = fetched(&proxy);
    cut_before(&lab, &proxy, &from, &layers[7], all).await;
    lab.sync(&from, &lab.path("cut/disk")).await.expect("it goes on");
    assert!(fetched(&proxy) <= all / 8 + 64 * MIB, "{} of {all} bytes were fetched again", fetched(&proxy));
    assert!(lab.archive("whole/disk") == lab.archive("cut/disk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_that_goes_on_needs_of_its_parent_what_one_in_one_go_needs() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let base = Layer::tree(1, 300_000).gzip();
    let parent = [fill(&near, &proxy, "base", &Image::of([base.clone()])).await];
    // The first image is small and needs the parent; the second is large, so that the cut comes when the first is written.
    let layers: Vec<Layer> = (0..5).map(|n| packed(n, 6 * MIB)).collect();
    let from = [
        fill(&near, &proxy, "a", &Image::of([base, Layer::tree(2, 50_000).gzip()])).await,
        fill(&near, &proxy, "b", &Image::of(layers.clone())).await,
    ];
    for place in ["whole/disk", "cut/disk"] {
        lab.sync(&parent, &lab.path(place)).await.expect("the parent");
    }
    proxy.forget();
    lab.sync(&from, &lab.path("whole/disk")).await.expect("a run that nobody stops");
    let all = fetched(&proxy);
    // Both archives are of one lineage here; what the workspace knows of the first would make the second a third generation.
    std::fs::remove_dir_all(lab.folder("workspace")).expect("removed");
    cut_before(&lab, &proxy, &from, &layers[4], all).await;
    lab.sync(&from, &lab.path("cut/disk")).await.expect("it goes on");
    assert!(lab.archive("whole/disk") == lab.archive("cut/disk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_on_one_directory_is_told_who_holds_it() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of([packed(1, 30 * MIB)])).await];
    proxy.set(every("GET", About::Blob, Fault::none().rate(20 * MIB)));
    let second = async {
        while fetched(&proxy) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let error = lab.sync(&from, &lab.path("disk")).await.expect_err("it is held");
        // A dry run only looks.
        lab.sync_with(&from, &lab.path("disk"), |request| request.dry_run = true).await.expect("a plan");
        error
    };
    let place = lab.path("disk");
    let (first, error) = tokio::join!(lab.sync(&from, &place), second);
    assert_eq!(first.expect("the first run is not disturbed").class(), Class::Done);
    assert_eq!(error.kind(), Kind::Failed);
    let holder = format!("process {}", std::process::id());
    let text = error.to_string();
    assert!([&place, "another run is writing here", &holder].iter().all(|word| text.contains(*word)), "{text}");
    assert!(error.way_out().is_some_and(|hint| hint.starts_with("wait until it has ended")), "{error:?}");
    let again = lab.sync(&from, &place).await.expect("the lock is free");
    assert!(again.set.is_none());
}
