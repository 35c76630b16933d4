//! What configurations ask for, in each workflow: at its origins, in an archive, in a central registry.
//!
//! *Not here:* how configurations are written (`config`).

use ocm::config::Blocked;
use ocm::error::Kind;
use ocm::image::Rename;
use ocm::transfer::Class;
use ocm::workflow::sync::{Outcome, Request, Wish, Wishes};

use crate::support::images::{Image, digest_by_skopeo};
use crate::support::proxy::Proxy;
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// Two registries, and images in the first one.
struct Scene {
    lab: Lab,
    near: Registry,
    far: Registry,
}

impl Scene {
    async fn new() -> Option<Self> {
        let scene = Self { lab: Lab::new(), near: Registry::start()?, far: Registry::start()? };
        for (seed, (repository, tag)) in (1..).zip([("team/app", "1"), ("team/app", "2"), ("team/tool", "1"), ("other/x", "1")]) {
            scene.lab.fill(&scene.near, repository, tag, &Image::generated(seed, 60_000)).await;
        }
        Some(scene)
    }

    /// A wish for an image of the first registry.
    fn wish(&self, name: &str) -> Wish {
        let place = format!("docker://{}/{name}", self.near.host()).parse().expect("a place");
        Wish { place, rename: Rename::default(), platforms: Vec::new() }
    }

    fn wishes(&self, names: &[&str]) -> Wishes {
        Wishes { images: names.iter().map(|name| self.wish(name)).collect(), ..Wishes::default() }
    }

    /// Brings what is wished for from these places to the second registry.
    async fn push(&self, wishes: Wishes, from: &[String]) -> Outcome {
        let to = format!("docker://{}/mirror", self.far.host());
        self.lab.sync_with(from, &to, |request| request.wishes = Some(wishes)).await.expect("pushed")
    }

    async fn write(&self, wishes: Wishes, from: &[String], folder: &str) -> Outcome {
        self.lab.sync_with(from, &self.lab.path(folder), |request| request.wishes = Some(wishes)).await.expect("written")
    }

    /// The digest that an image has in a registry.
    fn digest(&self, registry: &Registry, name: &str) -> Option<String> {
        digest_by_skopeo(&format!("{}/{name}", registry.host())).map(|digest| digest.to_string())
    }
}

/// The names that a run brought, without their hosts.
fn brought(outcome: &Outcome) -> Vec<String> {
    let names = outcome.report.items.iter().filter(|item| !item.has_failed()).map(|item| item.name.to_string());
    let mut names: Vec<String> = names.map(|name| name.split_once('/').map_or(name.clone(), |(_, rest)| rest.to_owned())).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_lists_exactly_what_the_configuration_says() {
    let Some(scene) = Scene::new().await else { return };
    let first = scene.write(scene.wishes(&["team/app:1", "team/tool:1"]), &[], "disk").await;
    assert_eq!((first.class(), first.set.expect("a set").items), (Class::Done, 2));
    let same = scene.write(scene.wishes(&["team/app:1", "team/tool:1"]), &[], "disk").await;
    assert!(same.set.is_none(), "nothing is new");
    let second = scene.write(scene.wishes(&["team/app:2", "team/tool:1"]), &[], "disk").await;
    assert_eq!(second.set.expect("a set").items, 2);
    let pushed = scene.lab.sync(&[scene.lab.path("disk")], &format!("docker://{}", scene.far.host())).await.expect("pushed");
    assert_eq!(brought(&pushed), ["team/app:2", "team/tool:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_with_nothing_new_costs_one_request_an_image() {
    let Some(scene) = Scene::new().await else { return };
    let proxy = Proxy::before(scene.near.host());
    let wish = |name: &str| Wish { place: format!("docker://{}/{name}", proxy.host()).parse().expect("a place"), ..scene.wish(name) };
    let wishes = Wishes { images: ["team/app:1", "team/app:2", "team/tool:1"].map(wish).into(), ..Wishes::default() };
    let from: [&str; 0] = [];
    for expected in [true, false] {
        proxy.forget();
        let run = |request: &mut Request| {
            request.wishes = Some(wishes.clone());
            request.attachments.removed = true;
        };
        let made = scene.lab.sync_with(&from, &scene.lab.path("disk"), run).await.expect("a run");
        assert_eq!((made.class(), made.set.is_some()), (Class::Done, expected));
    }
    assert_eq!(proxy.total().requests, 3, "{:?}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_and_blocks_hold_in_each_workflow() {
    let Some(scene) = Scene::new().await else { return };
    let mut wishes = scene.wishes(&["team/app:1", "team/tool:1", "other/x:1"]);
    wishes.images[0].rename = Rename { repository: Some("our/app".into()), tag: Some("stable".into()) };
    wishes.blocked = Blocked::of(["other/"]).expect("an expression");
    let expected = ["mirror/our/app:stable", "mirror/team/tool:1"];
    let direct = scene.push(wishes.clone(), &[]).await;
    assert_eq!(brought(&direct), expected);
    assert_eq!(direct.blocked.iter().map(|blocked| blocked.expression.as_str()).collect::<Vec<_>>(), ["other/"]);
    if let Some(digest) = scene.digest(&scene.near, "team/app:1") {
        assert_eq!(scene.digest(&scene.far, "mirror/our/app:stable"), Some(digest));
    }
    let made = scene.write(wishes.clone(), &[], "disk").await;
    assert_eq!((made.blocked.len(), made.set.expect("a set").items), (1, 2));
    let disk = scene.lab.path("disk");
    assert_eq!(brought(&scene.push(wishes, std::slice::from_ref(&disk)).await), expected);
    let without = scene.lab.sync(&[disk], &format!("docker://{}/mirror", scene.far.host())).await.expect("pushed");
    assert_eq!(brought(&without), expected, "the set says how its images are called");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subset_of_an_archive_is_taken_and_what_it_lacks_is_told() {
    let Some(scene) = Scene::new().await else { return };
    scene.write(scene.wishes(&["team/app:1", "team/app:2", "team/tool:1"]), &[], "disk").await;
    let disk = scene.lab.path("disk");
    let part = scene.push(scene.wishes(&["team/app:2", "other/x:1"]), std::slice::from_ref(&disk)).await;
    assert_eq!((part.class(), brought(&part)), (Class::Partial, vec!["mirror/team/app:2".to_owned()]));
    let onwards = scene.write(scene.wishes(&["team/tool:1"]), std::slice::from_ref(&disk), "second").await;
    assert_eq!(onwards.set.expect("a set").items, 1);
    let none = scene.push(scene.wishes(&["other/x:1"]), &[disk]).await;
    assert_eq!(none.class(), Class::Needed, "{:?}", none.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_central_registry_gives_images_by_their_origins() {
    let Some(scene) = Scene::new().await else { return };
    let mut wishes = scene.wishes(&["team/app:1", "team/tool:1"]);
    wishes.images[0].rename.repository = Some("our/app".into());
    scene.push(wishes.clone(), &[]).await;
    let central = format!("docker://{}/mirror", scene.far.host());
    let made = scene.write(wishes, &[central], "enclave").await;
    let set = made.set.as_ref().expect("a set");
    assert_eq!((made.class(), set.items_complete), (Class::Done, 2), "{:?}", made.report);
    let origins: Vec<String> = made.report.items.iter().map(|item| item.item.origin.repository().registry().to_owned()).collect();
    assert!(origins.iter().all(|origin| origin == scene.near.host()), "{origins:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_asks_for_nothing_is_no_run() {
    let lab = Lab::new();
    let none: &[&str] = &[];
    let refused = lab.sync_with(none, &lab.path("disk"), |request| request.wishes = Some(Wishes::default())).await;
    let error = refused.expect_err("nothing is asked for");
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Failed, "the configuration asks for no image"));
}
