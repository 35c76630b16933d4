//! A few of many images that cannot be had: the others make a set, and the same command again makes it whole.

use std::collections::BTreeMap;

use ocm::transfer::{Class, Ending};
use ocm::workflow::sync::Outcome;

use super::fleet::Fleet;
use super::{assert_hints, assert_says};
use crate::support::fault::Fault;
use crate::support::images::{Image, fetch_manifest};
use crate::support::layers::Layer;
use crate::support::proxy::{Class as About, Proxy, Request};
use crate::support::registry::Registry;
use crate::workflows::lab::Heard;

/// Those that are not there, that are refused to all and to this account, and whose layer is another one.
const ABSENT: &str = "team/app3:3";
const REFUSED: &str = "team/app5:5";
const FORBIDDEN: &str = "team/app4:4";
const CORRUPT: &str = "team/app1:7";

/// What a registry does that has these.
fn unwilling(request: &Request) -> Fault {
    let is = |name: &str| {
        let (repository, tag) = name.split_once(':').expect("a tag");
        request.path.contains(&format!("{repository}/manifests/{tag}"))
    };
    match (is(ABSENT), is(REFUSED), is(FORBIDDEN)) {
        (true, _, _) => Fault::answer(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#),
        (_, true, _) => Fault::answer(401),
        (_, _, true) => Fault::answer(403).body(r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#),
        _ => Fault::none(),
    }
}

/// The images of a run that failed, without their host, and why.
fn failed(outcome: &Outcome) -> BTreeMap<String, ocm::error::Error> {
    let one = |item: &ocm::transfer::Outcome| match &item.ending {
        Ending::Failed(error) => Some((item.item.origin.to_string().split_once('/')?.1.to_owned(), error.clone())),
        _ => None,
    };
    outcome.report.items.iter().filter_map(one).collect()
}

fn digest(outcome: &Outcome, name: &str) -> String {
    let item = outcome.report.items.iter().find(|item| item.item.origin.to_string().ends_with(name));
    item.and_then(|item| item.item.digest()).map(|digest| digest.to_string()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_of_many_that_fail_cost_the_others_nothing_and_come_later() {
    let (Some(mut fleet), Some(far)) = (Fleet::of(60).await, Registry::start()) else { return };
    let near = Proxy::with(fleet.near.host(), unwilling);
    let (disk, wishes) = (fleet.lab.path("disk"), fleet.all(&near.host()));
    let made = fleet.run(wishes.clone(), &[], &disk).await;
    let set = made.set.as_ref().expect("a set");
    assert_eq!((made.class(), made.class().exit_code()), (Class::Partial, 3));
    assert_eq!((set.generation, set.items_complete, set.items), (1, 57, 60));
    let why = failed(&made);
    assert_eq!(why.keys().map(String::as_str).collect::<Vec<_>>(), [ABSENT, FORBIDDEN, REFUSED]);
    assert_says(&why[ABSENT], &[ABSENT, "it is not in", &near.host()]);
    assert_says(&why[REFUSED], &["team/app5", "401", &near.host()]);
    assert_says(&why[FORBIDDEN], &["team/app4", "requested access is denied", "403 DENIED"]);
    [REFUSED, FORBIDDEN].iter().for_each(|name| assert_hints(&why[*name], "podman login"));
    // The set says so itself, wherever it is.
    let pushed = fleet.run(wishes.clone(), std::slice::from_ref(&disk), &format!("docker://{}", far.host())).await;
    assert_eq!((pushed.class(), failed(&pushed).len()), (Class::Partial, 3));
    assert_says(&failed(&pushed)[FORBIDDEN], &["requested access is denied"]);
    // A tag moves, and the faults are gone: what was resolved stays, and only the rest is asked for.
    let moved = "team/app0:0";
    let before = digest(&made, moved);
    fleet.lab.fill(&fleet.near, "team/app0", "0", &Image::of([fleet.base.clone(), Layer::tree(9_000, 2_000).gzip()])).await;
    near.set(|_| Fault::none());
    near.forget();
    let heard = Heard::of(&mut fleet.lab);
    let whole = fleet.run(wishes.clone(), &[], &disk).await;
    let set = whole.set.as_ref().expect("a set");
    assert_eq!((whole.class(), set.generation, set.items_complete, set.parent_generation()), (Class::Done, 2, 60, Some(1)));
    assert_eq!(digest(&whole, moved), before);
    assert!(heard.has(&["the last set lacks something", "--refresh"]), "{:?}", heard.lines());
    let by_tag = near.count_of(|request| request.class == About::Manifest && !request.path.contains("sha256")).requests;
    assert_eq!(by_tag, 3, "{:?}", near.log());
    let blobs = near.count("GET", About::Blob).requests;
    assert!(blobs <= 3 * 3, "{blobs}: {:?}", near.log());
    // A set that lacks nothing says nothing of the next: names are what they are now.
    let next = fleet.run(wishes, &[], &disk).await;
    assert_ne!(digest(&next, moved), before);
    fleet.images[0].1 = digest(&next, moved).parse().expect("a digest");
    let pushed = fleet.run(fleet.all(&near.host()), &[disk], &format!("docker://{}", far.host())).await;
    assert_eq!(pushed.class(), Class::Done);
    fleet.assert_there(&far, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_corrupt_is_damage_and_its_image_keeps_the_digest_for_the_next_run() {
    let Some(fleet) = Fleet::of(20).await else { return };
    let near = Proxy::before(fleet.near.host());
    let (disk, wishes) = (fleet.lab.path("disk"), fleet.all(&near.host()));
    let layer = fleet.near.blob_file(&ocm::image::Digest::of(&Layer::tree(100 + 17, 2_000).gzip().stored()).to_string());
    let sound = std::fs::read(&layer).expect("the layer");
    let mut bytes = sound.clone();
    bytes[50] ^= 1;
    std::fs::write(&layer, bytes).expect("changed");
    let made = fleet.run(wishes.clone(), &[], &disk).await;
    assert_eq!((made.class(), made.set.as_ref().map(|set| set.items_complete)), (Class::Damaged, Some(19)));
    assert_eq!(failed(&made).keys().collect::<Vec<_>>(), [CORRUPT]);
    assert_says(&failed(&made)[CORRUPT], &["the content does not match its digest"]);
    std::fs::write(&layer, sound).expect("mended");
    fleet.lab.fill(&fleet.near, "team/app1", "7", &Image::generated(5, 5_000)).await;
    let whole = fleet.run(wishes, &[], &disk).await;
    assert_eq!((whole.class(), digest(&whole, CORRUPT)), (Class::Done, fleet.images[17].1.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_looked_up_anew_when_that_is_said_or_something_else_is_asked_for() {
    for refresh in [true, false] {
        let Some(fleet) = Fleet::of(4).await else { return };
        let host = fleet.near.host().to_owned();
        let names = ["team/app0:0", "team/app0:1", "team/none:1"];
        let made = fleet.run(Fleet::wishes(&host, names), &[], &fleet.lab.path("disk")).await;
        assert_eq!(made.class(), Class::Partial);
        fleet.lab.fill(&fleet.near, "team/app0", "1", &Image::generated(7, 5_000)).await;
        let now = fetch_manifest(&format!("{host}/team/app0"), "1").await.map(|bytes| ocm::image::Digest::of(&bytes).to_string());
        // With the option, or with one image less.
        let names = if refresh { &names[..] } else { &names[1..] };
        let again = fleet
            .lab
            .sync_with(&[] as &[&str], &fleet.lab.path("disk"), |request| {
                request.wishes = Some(Fleet::wishes(&host, names.iter().copied()));
                request.archive.refresh = refresh;
            })
            .await
            .expect("a run");
        assert_eq!((again.class(), Some(digest(&again, "team/app0:1"))), (Class::Partial, now), "{refresh}");
    }
}
