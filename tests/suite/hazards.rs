//! What goes wrong with other tools of this kind, one test for each: it does not with this one.
//!
//! *Not here:* hazards that tests of their area are about already: full disks and locks (`faults`, `resume`), lost or damaged volumes
//! (`removable`, `far_side`), names (`image::place`).

use std::time::{Duration, Instant};

use ocm::config::{Configuration, Source, check};
use ocm::error::Kind;
use ocm::transfer::Class;
use ocm::workflow::sync::{Outcome, Wishes};

use crate::support::fault::{Fault, every};
use crate::support::images::{Image, fetch_manifest};
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// The wishes of a configuration with these lines of `additionalImages`.
fn wishes(entries: &[String]) -> Wishes {
    let entries: String = entries.iter().map(|entry| format!("  - {{{entry}}}\n")).collect();
    let text = format!("kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n  additionalImages:\n{entries}");
    match check(Source::new("isc.yaml", text.into_bytes()).expect("text"), false).into_result() {
        Ok(Configuration::ImageSet(set)) => Wishes::of(&[set]).expect("wishes"),
        other => panic!("{other:?}"),
    }
}

fn name(text: &str) -> String {
    format!("name: \"{text}\"")
}

impl Lab {
    async fn by(&self, entries: &[String], from: &[String], to: &str) -> ocm::error::Result<Outcome> {
        let wishes = wishes(entries);
        self.sync_with(from, to, |request| request.wishes = Some(wishes)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failed_image_does_not_cost_the_archive() {
    let (Some(near), lab) = (Registry::start(), Lab::new()) else { return };
    lab.fill(&near, "team/app", "1", &Image::generated(1, 20_000)).await;
    let entries = ["team/none:1", "team/app:1"].map(|image| name(&format!("{}/{image}", near.host())));
    let made = lab.by(&entries, &[], &lab.path("disk")).await.expect("a run");
    assert_eq!((made.class(), made.set.map(|set| (set.items_complete, set.items))), (Class::Partial, Some((1, 2))));
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_volumes_outlive_dry_runs_and_runs_that_fail() {
    let (Some(near), lab) = (Registry::start(), Lab::new()) else { return };
    lab.fill(&near, "team/app", "1", &Image::generated(1, 20_000)).await;
    lab.fill(&near, "team/app", "2", &Image::generated(2, 20_000)).await;
    let proxy = Proxy::before(near.host());
    let entry = |tag: &str| [name(&format!("{}/team/app:{tag}", proxy.host()))];
    lab.by(&entry("1"), &[], &lab.path("disk")).await.expect("a set");
    let before = lab.snapshot("disk");
    let dry = |request: &mut ocm::workflow::sync::Request| (request.wishes, request.dry_run) = (Some(wishes(&entry("2"))), true);
    lab.sync_with(&[] as &[&str], &lab.path("disk"), dry).await.expect("a plan");
    assert!(lab.snapshot("disk") == before, "a dry run changes nothing");
    proxy.set(|_| Fault::answer(500));
    let failed = lab.by(&entry("2"), &[], &lab.path("disk")).await.expect("a run");
    assert_eq!(failed.class(), Class::Failed);
    let after = lab.archive("disk");
    let kept = before.iter().filter(|(path, _)| path.to_string_lossy().ends_with(".ocm.tar"));
    for (path, content) in kept {
        assert_eq!(after.get(&*path.file_name().expect("a name").to_string_lossy()), Some(content), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bak_file_beside_the_volumes_is_left_alone() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    lab.fill(&near, "team/app", "1", &Image::generated(1, 20_000)).await;
    let entries = [name(&format!("{}/team/app:1", near.host()))];
    // A folder whose name other tools take for their own.
    let disk = lab.path("working-dir/logs-deleted/catalogs-helm");
    std::fs::create_dir_all(&disk).expect("a folder");
    lab.by(&entries, &[], &disk).await.expect("a set");
    let files: Vec<_> = lab.snapshot("working-dir").into_keys().filter(|path| path.to_string_lossy().ends_with(".tar")).collect();
    for file in &files {
        for end in ["bak", "sha256", "old.tar"] {
            std::fs::write(format!("{}.{end}", file.display()), "something else").expect("written");
        }
    }
    let before = lab.snapshot("working-dir");
    let pushed = lab.by(&entries, std::slice::from_ref(&disk), &format!("docker://{}/", far.host())).await.expect("pushed");
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    lab.fill(&near, "team/app", "1", &Image::generated(2, 20_000)).await;
    assert_eq!(lab.by(&entries, &[], &disk).await.expect("a set").set.map(|set| set.generation), Some(2));
    let after = lab.snapshot("working-dir");
    assert!(before.iter().all(|(path, content)| after.get(path) == Some(content)), "nothing is written over");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_slow_is_in_time_as_long_as_it_comes() {
    let (Some(near), mut lab) = (Registry::start(), Lab::new()) else { return };
    let layer = Layer::bytes(Random::new(1).noise(200_000)).media_type("application/vnd.oci.image.layer.v1.tar");
    lab.fill(&near, "team/app", "1", &Image::of([layer])).await;
    lab.settings.image_timeout = Some(Duration::from_millis(700));
    let proxy = Proxy::with(near.host(), every("GET", About::Blob, Fault::none().rate(100_000)));
    let begun = Instant::now();
    let made = lab.by(&[name(&format!("{}/team/app:1", proxy.host()))], &[], &lab.path("disk")).await.expect("a run");
    assert!(begun.elapsed() > Duration::from_millis(1500), "it took longer than the time-out");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_an_image_timeout_is_made() {
    let (Some(near), mut lab) = (Registry::start(), Lab::new()) else { return };
    for (seed, repository) in [(1, "team/app"), (2, "team/other")] {
        lab.fill(&near, repository, "1", &Image::generated(seed, 20_000)).await;
    }
    lab.settings.image_timeout = Some(Duration::from_millis(300));
    let proxy = Proxy::with(near.host(), |request| match request.class == About::Blob && request.path.contains("team/app/") {
        true => Fault::none().delay(Duration::from_secs(3600)),
        false => Fault::none(),
    });
    let entries = ["team/app:1", "team/other:1"].map(|image| name(&format!("{}/{image}", proxy.host())));
    let made = lab.by(&entries, &[], &lab.path("disk")).await.expect("a run");
    assert_eq!((made.class(), made.set.map(|set| set.items_complete)), (Class::Partial, Some(1)), "{:?}", made.report);
    proxy.set(|_| Fault::none());
    let made = lab.by(&entries, &[], &lab.path("disk")).await.expect("a run");
    assert_eq!((made.class(), made.set.map(|set| set.items_complete)), (Class::Done, Some(2)), "{:?}", made.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_a_port_and_a_digest_is_one_name() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    lab.fill(&near, "team/app", "1", &Image::generated(1, 20_000)).await;
    let bytes = fetch_manifest(&format!("{}/team/app", near.host()), "1").await.expect("there");
    let digest = ocm::image::Digest::of(&bytes);
    let entries = [name(&format!("{}/team/app@{digest}", near.host()))];
    let to = format!("docker://{}/mirror", far.host());
    lab.by(&entries, &[], &lab.path("disk")).await.expect("a set");
    for from in [vec![], vec![lab.path("disk")]] {
        let made = lab.by(&entries, &from, &to).await.expect("pushed");
        assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    }
    assert_eq!(fetch_manifest(&format!("{}/mirror/team/app", far.host()), &digest.to_string()).await, Some(bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_origins_on_one_name_stop_the_plan() {
    let (Some(near), Some(other), Some(far), lab) = (Registry::start(), Registry::start(), Registry::start(), Lab::new()) else { return };
    for (registry, repository) in [(&near, "a/b/app"), (&other, "a/b/app"), (&near, "a/b-app")] {
        lab.fill(registry, repository, "1", &Image::generated(1, 20_000)).await;
    }
    let of = |registry: &Registry, more: &str| name(&format!("{}/{more}", registry.host()));
    let proxy = Proxy::before(far.host());
    for (entries, deepest) in [
        // Without their hosts, by a new name, and flattened.
        ([of(&near, "a/b/app:1"), of(&other, "a/b/app:1")], None),
        ([of(&near, "a/b/app:1"), of(&other, "a/b/app:1") + ", targetRepo: a/b/app"], None),
        ([of(&near, "a/b/app:1"), of(&near, "a/b-app:1")], std::num::NonZeroUsize::new(2)),
    ] {
        let to = format!("docker://{}", proxy.host());
        let refused = lab.sync_with(&[] as &[&str], &to, |request| {
            (request.wishes, request.max_nested_paths) = (Some(wishes(&entries)), deepest);
        });
        let error = refused.await.map(drop).expect_err("which one?");
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains("it would be two images"), "{error}");
    }
    let wrote = |line: &String| !line.starts_with("GET ") && !line.starts_with("HEAD ");
    assert!(!proxy.log().iter().any(wrote), "{:?}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_one_component_has_no_empty_one_before_it() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    // The path stands in the host too, as far as a text goes.
    lab.fill(&near, "0/0/1", "1", &Image::generated(1, 20_000)).await;
    let flattened = |request: &mut ocm::workflow::sync::Request| {
        request.wishes = Some(wishes(&[name(&format!("{}/0/0/1:1", near.host()))]));
        request.max_nested_paths = std::num::NonZeroUsize::new(1);
    };
    let made = lab.sync_with(&[] as &[&str], &format!("docker://{}/", far.host()), flattened).await.expect("pushed");
    assert_eq!((made.class(), made.report.items[0].name.to_string()), (Class::Done, format!("{}/0-0-1:1", far.host())));
    assert!(fetch_manifest(&format!("{}/0-0-1", far.host()), "1").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_listed_twice_is_brought_once() {
    let (Some(near), lab) = (Registry::start(), Lab::new()) else { return };
    for (seed, repository) in [(1, "team/app"), (2, "team/other")] {
        lab.fill(&near, repository, "1", &Image::generated(seed, 20_000)).await;
    }
    let proxy = Proxy::before(near.host());
    let entries = ["team/app:1", "team/other:1", "team/app:1"].map(|image| name(&format!("{}/{image}", proxy.host())));
    let made = lab.by(&entries, &[], &lab.path("disk")).await.expect("a set");
    assert_eq!((made.class(), made.set.map(|set| set.items)), (Class::Done, Some(2)));
    let mut fetched: Vec<String> = proxy.log().into_iter().filter(|line| line.starts_with("GET ") && line.contains("/blobs/")).collect();
    let all = fetched.len();
    fetched.sort();
    fetched.dedup();
    assert_eq!(fetched.len(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_is_missing_and_sends_and_keeps_nothing() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    lab.fill(&near, "team/app", "1", &Image::generated(1, 20_000)).await;
    let entries = ["team/app:1", "team/none:1"].map(|image| name(&format!("{}/{image}", near.host())));
    lab.by(&entries, &[], &lab.path("disk")).await.expect("a set");
    let state = lab.snapshot("workspace");
    let proxy = Proxy::before(far.host());
    for from in [vec![], vec![lab.path("disk")]] {
        let dry = |request: &mut ocm::workflow::sync::Request| (request.wishes, request.dry_run) = (Some(wishes(&entries)), true);
        let planned = lab.sync_with(&from, &format!("docker://{}", proxy.host()), dry).await.expect("a plan");
        assert_eq!(planned.class(), Class::Partial, "{:?}", planned.report);
        assert!(planned.report.items[0].name.to_string().starts_with(&proxy.host()), "names are those at the destination");
    }
    let log = proxy.log();
    assert!(log.iter().all(|line| line.starts_with("GET ") || line.starts_with("HEAD ")), "{log:?}");
    assert!(lab.snapshot("workspace") == state, "nothing is kept of it");
}
