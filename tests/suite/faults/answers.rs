//! What registries answer, and that each answer is one clear line with its way out.
//!
//! *Not here:* credentials and accounts (`targets`), certificates (`store::registry::connection`), bad content (`content`).

use std::net::TcpListener;

use ocm::error::Error;
use ocm::image::manifest::OCI_INDEX;
use ocm::transfer::Class;

use super::{assert_hints, assert_says, failure};
use crate::support::certificates::Authority;
use crate::support::fault::Fault;
use crate::support::images::{Image, Layout, push};
use crate::support::proxy::{Class as About, Proxy, Request};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// One line, however the registry wrote it.
#[track_caller]
fn assert_one_line(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 600, "{text}");
}

fn told(status: u16, code: &str, message: &str) -> Fault {
    Fault::answer(status).body(&format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_refuses_is_told_with_what_to_do_about_it() {
    let (Some(near), Some(far), mut lab) = (Registry::start(), Registry::start(), Lab::new()) else { return };
    lab.settings.retry_times = 1;
    let layout = Layout::new();
    let images = [layout.image(&Image::generated(1, 20_000)), layout.image(&Image::generated(2, 20_000).platform("linux/arm64"))];
    push(&layout, &layout.index(&images), &format!("{}/a/b/app", near.host()), Some("1")).await;
    let from = [format!("docker://{}/a/b/app:1", near.host())];
    let quota = "raise the quota at";
    let (upload, manifest, index) = (About::Upload, About::Manifest, OCI_INDEX);
    for (method, class, kind, fault, says, hint) in [
        ("POST", upload, "", told(403, "DENIED", "adding 20 MiB of storage resource will exceed the quota"), "403 DENIED", quota),
        ("PUT", upload, "", told(413, "SIZE_INVALID", "Quota exceeded"), "413 SIZE_INVALID", quota),
        ("POST", upload, "", told(500, "UNKNOWN", "write /data: no space left on device"), "500 UNKNOWN", quota),
        ("PUT", upload, "", Fault::answer(507).body(""), "507", quota),
        ("PUT", upload, "", Fault::answer(413).body("<html>"), "413", "raise the limit of request bodies"),
        ("POST", upload, "", told(400, "NAME_INVALID", "invalid repository name"), "400 NAME_INVALID", "--max-nested-paths"),
        ("POST", upload, "", told(404, "NAME_UNKNOWN", "repository not known"), "404 NAME_UNKNOWN", "--max-nested-paths"),
        ("PUT", manifest, "", told(400, "NAME_INVALID", "too deep"), "400 NAME_INVALID", "--max-nested-paths"),
        ("PUT", manifest, index, told(404, "MANIFEST_BLOB_UNKNOWN", "no child"), "404 MANIFEST_BLOB_UNKNOWN", "all platforms"),
        ("PUT", manifest, index, told(400, "MANIFEST_INVALID", "not valid"), "400 MANIFEST_INVALID", "takes OCI 1.1"),
        ("PUT", manifest, index, Fault::answer(415), "415", "takes OCI 1.1"),
    ] {
        let is_meant = move |request: &Request| {
            let has = |line: &String| line.to_ascii_lowercase().starts_with("content-type") && line.contains(kind);
            request.method == method && request.class == class && (kind.is_empty() || request.headers.iter().any(has))
        };
        let proxy = Proxy::with(far.host(), move |request| if is_meant(request) { fault.clone() } else { Fault::none() });
        // Each has a repository of its own, so that nothing is there before.
        let to = format!("docker://{}/{}", proxy.host(), says.to_lowercase().replace([' ', '_'], "-") + &method.to_lowercase());
        let made = lab.sync(&from, &to).await.expect("a run");
        assert_eq!(made.class(), Class::Failed, "{says}: {:?}", made.report);
        let error = failure(&made, "a/b/app");
        assert_says(error, &[says, &proxy.host()]);
        assert_one_line(error);
        assert_hints(error, hint);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_refuses_is_told_with_what_to_do_about_it() {
    let (Some(near), lab) = (Registry::start(), Lab::new()) else { return };
    let from = [lab.fill(&near, "team/app", "1", &Image::generated(1, 20_000)).await];
    let proxy = Proxy::before(near.host());
    let from = [from[0].replace(near.host(), &proxy.host())];
    for (fault, says, note, hint) in [
        (told(404, "MANIFEST_UNKNOWN", "manifest unknown"), "it is not in", "", ""),
        // Some answer so for what is not there.
        (told(403, "DENIED", "requested access to the resource is denied"), "403 DENIED", "for what does not exist", "podman login"),
        (told(401, "UNAUTHORIZED", "authentication required"), "401 UNAUTHORIZED", "for what does not exist", "podman login"),
        (Fault::answer(503).body("<html>\n<body>down\n"), "service unavailable (503 from", "", ""),
        (Fault::refused(), "tried 3 times", "", ""),
    ] {
        proxy.set(move |_| fault.clone());
        let made = lab.sync(&from, &lab.path("disk")).await.expect("a run");
        let error = failure(&made, "team/app");
        assert_eq!(made.class(), Class::Failed, "{says}");
        // HEAD has no body, so what the registry says itself comes with another request, or not at all.
        assert_says(error, &[says.split(' ').next().unwrap_or(says), &proxy.host()]);
        assert_one_line(error);
        assert!(error.notes().concat().contains(note), "{error:?}");
        assert!(error.way_out().unwrap_or_default().contains(hint), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_told_with_what_to_look_at() {
    let lab = Lab::new();
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    for (host, hint) in [("nowhere.invalid".to_owned(), "can resolve names"), (closed.to_string(), "check host and port")] {
        let made = lab.sync(&[format!("docker://{host}/team/app:1")], &lab.path("disk")).await.expect("a run");
        let error = failure(&made, "team/app");
        assert_says(error, &[&host, "tried 3 times"]);
        assert_one_line(error);
        assert_hints(error, hint);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_nobody_known_stops_its_images_with_both_ways_out() {
    let (Some(near), mut lab) = (Registry::options().with_tls().start(), Lab::new()) else { return };
    let from = [format!("docker://{}/team/app:1", near.host())];
    let made = lab.sync(&from, &lab.path("disk")).await.expect("a run");
    let error = failure(&made, "team/app");
    assert_says(error, &["signed by an authority that is not trusted here", near.host()]);
    assert_hints(error, "certs.d");
    assert_hints(error, "--tls-verify=false");
    // With the authority known, the image is just not there.
    let known = lab.folder("home/.config/containers/certs.d").join(near.host());
    std::fs::create_dir_all(&known).expect("a folder");
    std::fs::write(known.join("ca.crt"), near.authority().map(Authority::pem).expect("an authority")).expect("written");
    lab.settings.environment = ocm::environment::Environment::from_iter([("HOME", lab.path("home").as_str())]);
    let made = lab.sync(&from, &lab.path("disk")).await.expect("a run");
    assert_says(failure(&made, "team/app"), &["it is not in", near.host()]);
}
