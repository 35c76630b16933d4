//! Registries that do not take what they are given, and what is asked of those that do.

use ocm::error::Kind;
use ocm::transfer::Class;

use super::{assert_hints, assert_says, failure};
use crate::support::images::{Image, fetch_manifest};
use crate::support::layers::Layer;
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::{Options, PASSWORD, Registry, USER};
use crate::workflows::lab::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_read_only_mode_is_named_with_its_answer() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::options().read_only().start(), Lab::new()) else { return };
    let from = [lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await];
    let made = lab.sync(&from, &format!("docker://{}", far.host())).await.expect("a run");
    assert_eq!(made.class(), Class::Failed, "{:?}", made.report);
    assert_says(failure(&made, "team/app"), &["push blob", "405", far.host()]);
    assert!(made.receipt.is_none(), "nothing came there");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_with_the_place_where_they_stand() {
    let (Some(near), Some(far), mut lab) = (Registry::start(), Registry::options().with_password().start(), Lab::new()) else { return };
    let from = [lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await];
    let target = format!("docker://{}", far.host());
    let made = lab.sync(&from, &target).await.expect("a run");
    assert_eq!(made.class(), Class::Failed);
    assert_says(failure(&made, "team/app"), &["401", far.host()]);
    assert_hints(failure(&made, "team/app"), "podman login");
    for (password, class) in [("mistaken-77", Class::Failed), (PASSWORD, Class::Done)] {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        let file = lab.folder("auth.json");
        std::fs::write(&file, format!(r#"{{"auths":{{"{}":{{"auth":"{pair}"}}}}}}"#, far.host())).expect("written");
        (lab.settings.src.authfile, lab.settings.dest.authfile) = (Some(file.clone()), Some(file.clone()));
        let made = lab.sync(&from, &target).await.expect("a run");
        assert_eq!(made.class(), class, "{password}");
        if class == Class::Failed {
            assert_says(failure(&made, "team/app"), &["401", far.host()]);
            assert_hints(failure(&made, "team/app"), &format!("check the credentials for {} in {}", far.host(), file.display()));
        }
        let said = format!("{:?}", made.report);
        assert!(!said.contains("mistaken-77") && !said.contains(&pair) && !said.contains(PASSWORD), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_may_not_do_is_told_as_that() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    let from = [lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await];
    let proxy = Proxy::with(far.host(), crate::support::fault::every("POST", About::Upload, crate::support::fault::Fault::answer(403)));
    let made = lab.sync(&from, &format!("docker://{}", proxy.host())).await.expect("a run");
    assert_eq!(made.class(), Class::Failed);
    assert_says(failure(&made, "team/app"), &["403", &proxy.host()]);
    assert_hints(failure(&made, "team/app"), "log in");
}

#[tokio::test(flavor = "multi_thread")]
async fn between_registries_each_blob_is_fetched_once_and_pushed_once() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    let base = Layer::tree(1, 400_000).gzip();
    let mut unique = base.stored().len() as u64;
    for n in 0..5 {
        let own = Layer::tree(10 + n, 30_000).gzip();
        unique += own.stored().len() as u64;
        lab.fill(&near, &format!("team/app{n}"), "1", &Image::of([base.clone(), own])).await;
    }
    let (source, target) = (Proxy::before(near.host()), Proxy::before(far.host()));
    let from: Vec<String> = (0..5).map(|n| format!("docker://{}/team/app{n}:1", source.host())).collect();
    let made = lab.sync(&from, &format!("docker://{}", target.host())).await.expect("copied");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let fetched = source.count("GET", About::Blob).down_bytes;
    let pushed: u64 = ["PATCH", "PUT", "POST"].iter().map(|method| target.count(method, About::Upload).up_bytes).sum();
    // Five configurations come with the layers; what is chunked on the wire is a little longer.
    assert!(fetched >= unique && fetched < unique + 10_000, "{fetched} of {unique}");
    assert!(pushed >= unique && pushed < unique + 20_000, "{pushed} of {unique}");
    let mounted = target.log().iter().filter(|line| line.contains("mount=")).count();
    assert_eq!(mounted, 4, "the base is taken over four times");
    let manifests = target.log().iter().filter(|line| line.starts_with("PUT") && line.contains("/manifests/")).count();
    assert_eq!(manifests, 5, "a manifest is put once, under its tag: {:?}", target.log());
    for proxy in [&source, &target] {
        proxy.forget();
    }
    let again = lab.sync(&from, &format!("docker://{}", target.host())).await.expect("nothing new");
    assert_eq!((again.class(), again.report.bytes_moved), (Class::Done, 0));
    let (asked, told) = (source.total().requests, target.total().requests);
    // A tag, the fallback for referrers, and what cosign may have attached.
    assert!(told <= 2 * 5 && asked <= 6 * 5, "{:?} {:?}", source.log(), target.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_with_nothing_new_asks_its_destination_once_for_each_image() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    let mut from = Vec::new();
    for n in 0..5 {
        from.push(lab.fill(&near, &format!("team/app{n}"), "1", &Image::generated(n, 20_000)).await);
    }
    lab.sync(&from, &lab.path("disk")).await.expect("a set");
    let proxy = Proxy::before(far.host());
    let target = format!("docker://{}", proxy.host());
    lab.sync(&[lab.path("disk")], &target).await.expect("pushed");
    proxy.forget();
    let again = lab.sync(&[lab.path("disk")], &target).await.expect("nothing new");
    assert_eq!((again.class(), again.report.bytes_moved), (Class::Done, 0));
    assert!(proxy.total().requests <= 2 * 5, "{:?}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_on_one_name_stop_the_run_before_anything_is_pushed() {
    let (Some(near), Some(other), Some(far), lab) = (Registry::start(), Registry::start(), Registry::start(), Lab::new()) else { return };
    let from = [
        lab.fill(&near, "team/app", "1", &Image::generated(1, 20_000)).await,
        lab.fill(&other, "team/app", "1", &Image::generated(2, 20_000)).await,
    ];
    let target = format!("docker://{}/mirror", far.host());
    let error = lab.sync(&from, &target).await.expect_err("which one?");
    assert_eq!(error.kind(), Kind::Usage);
    let names = [near.host(), other.host()].map(|host| format!("{host}/team/app:1"));
    assert_says(&error, &[&format!("{}/mirror/team/app:1: it would be two images", far.host()), &names[0], &names[1]]);
    assert_hints(&error, "--keep-host");
    assert!(!far.storage().join("docker/registry/v2/blobs").exists(), "nothing came there");
    let made = lab.sync_with(&from, &target, |request| request.keep_host = true).await.expect("both");
    assert_eq!(made.class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_was_refused_in_the_middle_leaves_no_name_and_the_next_one_goes_on() {
    let (Some(near), Some(far), lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    let image = Image::of((0..6).map(|n| Layer::tree(n, 100_000).gzip()));
    let from = [lab.fill(&near, "team/app", "1", &image).await];
    // The registry is locked while it is written to, and opened again.
    let proxy = Proxy::with(far.host(), |request| match (request.class, request.before) {
        (About::Upload, before) if before >= 3 => crate::support::fault::Fault::answer(403),
        _ => crate::support::fault::Fault::none(),
    });
    let target = format!("docker://{}", proxy.host());
    let made = lab.sync(&from, &target).await.expect("a run");
    assert_eq!(made.class(), Class::Failed);
    assert!(fetch_manifest(&format!("{}/team/app", far.host()), "1").await.is_none());
    drop((proxy, made));
    let open = far.again(Options::default());
    let made = lab.sync(&from, &format!("docker://{}", open.host())).await.expect("it goes on");
    assert_eq!(made.class(), Class::Done);
    assert!(fetch_manifest(&format!("{}/team/app", open.host()), "1").await.is_some());
}
