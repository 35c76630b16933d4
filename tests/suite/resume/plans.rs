//! The plan of a cut run: what it holds fast, and what becomes of it.

use std::path::Path;

use ocm::image::Digest;
use ocm::transfer::Class;
use ocm::workflow::sync::sync;

use super::{Half, fill, one};
use crate::support::fault::Fault;
use crate::support::images::{Image, Layout, push};
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::{Heard, Lab};

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_before_a_run_goes_on_stays_where_the_plan_has_it() {
    let Some(mut half) = Half::new().await else { return };
    let heard = Heard::of(&mut half.lab);
    fill(&half.near, &half.proxy, "app", &Image::generated(77, 100_000)).await;
    half.goes_on().await;
    assert!(heard.has(&["cut/disk", "going on with the set that an interrupted run has begun"]), "{:?}", heard.lines());
    let manifests = half.proxy.log().into_iter().filter(|line| line.ends_with("/manifests/1")).count();
    assert_eq!(manifests, 0, "the tag is not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_in_mid_run_gives_what_it_was_at_first() {
    let Some(near) = Registry::start() else { return };
    let lab = Lab::new();
    let layout = Layout::new();
    let (first, second) = (layout.image(&Image::generated(1, 50_000)), layout.image(&Image::generated(2, 50_000)));
    let name = format!("{}/team/app", near.host());
    push(&layout, &second, &name, None).await;
    push(&layout, &first, &name, Some("1")).await;
    let (upstream, moved) = (near.host().to_owned(), layout.read(&second.digest));
    let media_type = second.media_type.clone();
    // After the tag was asked for, it stands for something else.
    let proxy = Proxy::with(near.host(), move |request| {
        if request.class == About::Manifest && request.path.contains("sha256:") {
            put_manifest(&upstream, "/v2/team/app/manifests/1", &media_type, &moved);
        }
        Fault::none()
    });
    let from = format!("docker://{}/team/app:1", proxy.host());
    let made = lab.sync(&[&from], &lab.path("disk")).await.expect("mirrored");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    assert_eq!(made.report.items[0].item.digest(), Some(first.digest));
    let there = crate::support::images::fetch_manifest(&name, "1").await.expect("a manifest");
    assert_eq!(Digest::of(&there), second.digest, "the tag did move");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_does_not_go_on_with_what_lies_there_and_leaves_nothing_of_it() {
    let Some(mut half) = Half::new().await else { return };
    let heard = Heard::of(&mut half.lab);
    let other = fill(&half.near, &half.proxy, "other", &Image::generated(5, 80_000)).await;
    let made = half.lab.sync(&[&other], &half.lab.path("cut/disk")).await.expect("a set of its own");
    assert_eq!(made.set.expect("a set").items, 1);
    assert!(heard.has(&["cut/disk", "an interrupted run of another request lies here"]), "{:?}", heard.lines());
    let left: Vec<String> = half.lab.archive("cut/disk").into_keys().collect();
    assert_eq!(left.iter().filter(|name| name.ends_with(".ocm.tar")).count(), 1, "{left:?}");
    assert!(left.iter().all(|name| !name.ends_with(".partial")) && !half.folder().join(".ocm").exists(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_beside_an_unfinished_one_changes_nothing() {
    let Some(half) = Half::new().await else { return };
    let before = half.lab.snapshot("cut/disk");
    let mut request = half.request("cut/disk");
    request.dry_run = true;
    let dry = sync(request, &half.lab.settings).await.expect("a plan");
    assert!(dry.dry_run && dry.set.is_none());
    assert!(half.lab.snapshot("cut/disk") == before);
    half.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_garbled_plan_begins_a_new_set_and_leaves_no_rest_of_the_old_one() {
    for garble in [(|path: &Path| std::fs::remove_file(path).expect("removed")) as fn(&Path), |path| {
        std::fs::write(path, b"{\"request\": 7").expect("written");
    }] {
        let Some(mut half) = Half::new().await else { return };
        garble(&half.folder().join(".ocm/plan.json"));
        half.lab.settings.now += 60;
        let made = half.sync("cut/disk").await.expect("a new set");
        assert_eq!(made.set.expect("a set").generation, 1);
        let left: Vec<String> = half.lab.archive("cut/disk").into_keys().collect();
        assert!(left.iter().all(|name| !name.ends_with(".partial")), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_scratch_folder_the_rest_of_the_old_set_is_named_and_left() {
    let Some(mut half) = Half::new().await else { return };
    std::fs::remove_dir_all(half.folder().join(".ocm")).expect("removed");
    let heard = Heard::of(&mut half.lab);
    half.lab.settings.now += 60;
    half.sync("cut/disk").await.expect("a new set");
    let rest = one(&half.folder(), ".partial");
    assert!(heard.has(&[&rest.display().to_string(), "never finished", "can be removed"]), "{:?}", heard.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_and_notes_of_a_finished_set_that_were_left_are_cleared_away() {
    let Some(half) = Half::new().await else { return };
    let (scratch, aside) = (half.folder().join(".ocm"), half.lab.folder("aside"));
    std::fs::create_dir(&aside).expect("a folder");
    let names = ["plan.json".to_owned(), one(&scratch, ".journal").file_name().expect("a name").to_string_lossy().into_owned()];
    names.iter().for_each(|name| assert!(std::fs::copy(scratch.join(name), aside.join(name)).is_ok()));
    half.goes_on().await;
    std::fs::create_dir_all(&scratch).expect("a folder");
    names.iter().for_each(|name| assert!(std::fs::copy(aside.join(name), scratch.join(name)).is_ok()));
    half.goes_on().await;
    assert!(!scratch.exists());
}

/// One request without any library, for use inside of a proxy.
fn put_manifest(host: &str, path: &str, media_type: &str, body: &[u8]) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(host).expect("the registry");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
