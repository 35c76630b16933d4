//! Tests of [`super::Plan`].

mod tagged;
mod walk;

use std::time::Instant;

use super::lab::{Lab, Trouble, name, platform, want};
use super::*;
use crate::image::{Descriptor, Digest, Platform};
use crate::monitor::Silent;

fn with_platforms(wanted: Wanted, platforms: &[&str]) -> Wanted {
    let platforms = platforms.iter().map(|one| platform(one)).collect();
    Wanted { item: Item { wanted: platforms, ..wanted.item }, ..wanted }
}

async fn plan(wanted: Vec<Wanted>, sink: &Lab) -> Plan {
    let monitor: SharedMonitor = Arc::new(Silent);
    Plan::make(wanted, sink, 3, &monitor).await.expect("a plan")
}

async fn carry_out(plan: Plan, sink: &Lab) {
    let options = crate::transfer::Options { jobs: 2, image_timeout: None };
    let (report, _) = crate::transfer::transfer(plan, Box::new(sink.clone()), options, Arc::new(Silent)).await.expect("a report");
    assert_eq!(report.class(), crate::transfer::Class::Done, "{report:?}");
}

/// The steps in short, with digests in words.
fn steps(plan: &Plan, words: &[(&str, Digest)]) -> Vec<String> {
    let word = |digest: Digest| words.iter().find(|(_, one)| *one == digest).map_or(digest.short(), |(word, _)| (*word).to_owned());
    let line = |step: &Step| match &step.work {
        Work::Blob { blob, bytes_to_move, .. } => format!("blob {} {bytes_to_move} {:?}", word(blob.descriptor().digest), step.after),
        Work::Manifest { manifest, .. } => format!("manifest {} {:?}", word(manifest.digest()), step.after),
        Work::Name { name, .. } => format!("name {} {:?}", name.repository().path(), step.after),
    };
    plan.steps().iter().map(line).collect()
}

fn why(plan: &Plan, at: usize) -> String {
    match &plan.items()[at].fate {
        Fate::Missing(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn blobs_come_before_manifests_children_before_parents_names_last() {
    let lab = Lab::default();
    let (root, children) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let signature = lab.attach("quay.io/a", &root, "sig");
    let plan = plan(vec![want(&lab, "quay.io/a:1", &root)], &Lab::default()).await;
    let words = [
        ("base", Digest::of(b"base")),
        ("amd", Digest::of(b"quay.io/a for linux/amd64")),
        ("arm", Digest::of(b"quay.io/a for linux/arm64")),
        ("amd-config", Digest::of(b"config of [\"base\", \"quay.io/a for linux/amd64\"]")),
        ("arm-config", Digest::of(b"config of [\"base\", \"quay.io/a for linux/arm64\"]")),
        ("amd-image", children[0].digest),
        ("arm-image", children[1].digest),
        ("root", root.digest),
        ("signature", signature.digest),
        ("sig-config", Digest::of(b"{}")),
        ("sig", Digest::of(b"sig")),
    ];
    let expected = [
        "blob amd-config 47 []",
        "blob base 4 []",
        "blob amd 25 []",
        "blob arm-config 47 []",
        "blob arm 25 []",
        "blob sig-config 2 []",
        "blob sig 3 []",
        "manifest amd-image [0, 1, 2]",
        "manifest arm-image [1, 3, 4]",
        "manifest root [7, 8]",
        "manifest signature [5, 6, 9]",
        "name a [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]",
    ];
    assert_eq!(steps(&plan, &words), expected);
    let sum = plan.summary();
    assert_eq!((sum.images, sum.blobs, sum.bytes_to_fetch, sum.manifests, sum.largest_blob_bytes), (1, 7, 153, 4, 47));
    let item = &plan.items()[0].item;
    assert_eq!((&item.attached, &item.platforms), (&vec![signature], &vec![platform("linux/amd64"), platform("linux/arm64")]));
    assert!(format!("{plan:?}").contains("name reg:5000/a:1 for"));
}

#[tokio::test]
async fn a_finished_plan_made_again_has_no_steps() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let (root, _) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let single = lab.image("quay.io/b:1", &["base"]);
    let signature = lab.attach("quay.io/a", &root, "sig");
    lab.attach("quay.io/a", &signature, "sig of sig");
    let wanted = || vec![want(&lab, "quay.io/a:1", &root), want(&lab, "quay.io/b:1", &single)];
    let first = plan(wanted(), &sink).await;
    let contents = first.contents();
    carry_out(first, &sink).await;
    assert_eq!(sink.state().finished, Some(contents.clone()));
    lab.state().log.clear();
    let again = plan(wanted(), &sink).await;
    assert!(again.steps().is_empty(), "{again:?}");
    assert_eq!(again.summary(), Summary { images_there: 2, ..Summary::default() });
    assert_eq!(again.contents(), contents);
    assert_eq!(lab.log("manifest").len(), 1, "only the index is read again: {:?}", lab.log("manifest"));
}

#[tokio::test]
async fn what_is_attached_later_follows_without_the_image() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let image = lab.image("quay.io/a:1", &["base"]);
    carry_out(plan(vec![want(&lab, "quay.io/a:1", &image)], &sink).await, &sink).await;
    let signature = lab.attach("quay.io/a", &image, "sig");
    let later = plan(vec![want(&lab, "quay.io/a:1", &image)], &sink).await;
    assert_eq!(steps(&later, &[("sig", signature.digest)]).last().map(String::as_str), Some("manifest sig [0, 1]"));
    assert_eq!(later.steps().len(), 3);
}

#[tokio::test]
async fn a_platform_wanted_later_is_brought_below_the_same_index() {
    let (lab, sink) = (Lab::default(), Lab::with(|state| state.sparse_welcome = true));
    let (root, children) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let want = || want(&lab, "quay.io/a:1", &root);
    carry_out(plan(vec![with_platforms(want(), &["linux/amd64"])], &sink).await, &sink).await;
    assert!(!sink.state().holds(name("reg:5000/a").repository(), &children[1].digest));
    let all = plan(vec![want()], &sink).await;
    assert_eq!(all.summary().manifests, 1);
    carry_out(all, &sink).await;
    assert!(sink.state().holds(name("reg:5000/a").repository(), &children[1].digest));
}

#[tokio::test]
async fn a_blob_goes_to_each_repository_once_and_is_mounted_after_the_first() {
    let lab = Lab::default();
    let images: Vec<_> = (0..3).map(|n| (format!("quay.io/a{n}:1"), lab.image(&format!("quay.io/a{n}:1"), &["base"]))).collect();
    let wanted = || images.iter().map(|(name, image)| want(&lab, name, image)).collect::<Vec<_>>();
    let sink = Lab::default();
    let plan_apart = plan(wanted(), &sink).await;
    let base = Digest::of(b"base");
    let lines = steps(&plan_apart, &[("base", base)]);
    let of_base: Vec<_> = lines.iter().filter(|line| line.contains("blob base")).cloned().collect();
    assert_eq!(of_base, ["blob base 4 []", "blob base 0 [1]", "blob base 0 [1]"]);
    assert_eq!((plan_apart.summary().blobs, plan_apart.summary().mounts), (2, 4));
    assert_eq!(sink.log(&format!("has {base}")).len(), 1, "later repositories are not asked");
    carry_out(plan_apart, &sink).await;
    assert_eq!(lab.log(&format!("read {base}")).len(), 1);
    let shared = plan(wanted(), &Lab::with(|state| state.shares = true)).await;
    assert_eq!((shared.summary().blobs, shared.summary().mounts, shared.summary().manifests), (2, 0, 1));
    assert_eq!(shared.steps()[1].items, [0, 1, 2]);
}

#[tokio::test]
async fn what_is_in_another_repository_of_the_destination_is_mounted() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let image = lab.image("quay.io/a:1", &["base"]);
    carry_out(plan(vec![want(&lab, "quay.io/a:1", &image)], &sink).await, &sink).await;
    let other = lab.image("quay.io/b:1", &["base"]);
    let both = plan(vec![want(&lab, "quay.io/a:2", &image), want(&lab, "quay.io/b:1", &other)], &sink).await;
    let sum = both.summary();
    assert_eq!((sum.blobs, sum.mounts, sum.blobs_there, sum.bytes_there), (0, 2, 2, 22));
    assert_eq!(both.steps().iter().filter(|step| matches!(step.work, Work::Manifest { .. })).count(), 1);
}

#[tokio::test]
async fn an_item_that_nobody_can_tell_of_fails_alone() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let images: Vec<_> =
        ["a", "b", "c", "d"].iter().map(|n| (format!("quay.io/{n}:1"), lab.image(&format!("quay.io/{n}:1"), &[n]))).collect();
    lab.trouble("of quay.io/a", Trouble::Fail(Error::failed("source a is down")));
    sink.trouble("current reg:5000/b", Trouble::Fail(Error::failed("target b is down")));
    sink.trouble(format!("has {}", Digest::of(b"c")), Trouble::Fail(Error::damaged("target c is down")));
    let plan = plan(images.iter().map(|(name, image)| want(&lab, name, image)).collect(), &sink).await;
    assert_eq!([why(&plan, 0), why(&plan, 1), why(&plan, 2)], ["source a is down", "target b is down", "target c is down"]);
    assert!(plan.steps().iter().all(|step| step.items == [3]) && plan.steps().len() == 4);
}

#[tokio::test]
async fn names_of_a_group_come_after_all_its_items() {
    let lab = Lab::default();
    let images: Vec<_> = ["a", "b", "c"].iter().map(|n| (format!("quay.io/{n}:1"), lab.image(&format!("quay.io/{n}:1"), &[n]))).collect();
    let mut wanted: Vec<_> = images.iter().map(|(name, image)| want(&lab, name, image)).collect();
    wanted[0].item.group = Some("release".into());
    wanted[2].item.group = Some("release".into());
    let plan = plan(wanted, &Lab::default()).await;
    let lines = steps(&plan, &[]);
    let names: Vec<_> = lines.iter().filter(|line| line.starts_with("name")).cloned().collect();
    assert_eq!(names, ["name b [3, 4, 5]", "name a [0, 1, 2, 7, 8, 9]", "name c [10]"]);
}

#[tokio::test]
async fn thousands_of_items_are_planned_quickly() {
    let lab = Lab::default();
    let images: Vec<_> =
        (0..3000).map(|n| (format!("quay.io/a:{n}"), lab.image(&format!("quay.io/a:{n}"), &["base", &n.to_string()]))).collect();
    let start = Instant::now();
    let mut wanted: Vec<_> = images.iter().map(|(name, image)| want(&lab, name, image)).collect();
    wanted.iter_mut().for_each(|wanted| wanted.item.group = Some("all".into()));
    let plan = plan(wanted, &Lab::default()).await;
    assert_eq!(plan.steps().len(), 3000 * 4 + 1);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn a_summary_can_be_read_by_programs() {
    let json = serde_json::to_value(Summary { images: 2, bytes_to_fetch: 3, ..Summary::default() }).expect("json");
    assert_eq!((json["images"].as_u64(), json["bytesToFetch"].as_u64()), (Some(2), Some(3)));
}
