//! Reading from registries where registries.conf says.
//!
//! **Invariants.** No test depends on the files of the machine: each writes its own.
//!
//! *Not here:* which places a name leads to (unit tests beside that code).

mod files;

use std::sync::Mutex;

use ocm::environment::Environment;
use ocm::image::Digest;
use ocm::image::place::digest_tag;
use ocm::transfer::{Class, Ending};
use ocm::workflow::Redirects;
use ocm::workflow::sync::Outcome;

use crate::support::fault::{Fault, every};
use crate::support::images::{Image, Layout, push};
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class as Asked, Proxy};
use crate::support::registry::Registry;
use crate::support::tools::Tool;
use crate::workflows::lab::{Heard, Lab};

/// A registry that nobody can reach (RFC 2606).
const ORIGIN: &str = "docker://origin.invalid/team/app:1";

/// Sends the runs of `lab` to `mirrors` for what is called `origin.invalid/…`; `more` stands in the `[[registry]]` table. A mirror is
/// its location, and lines that belong to it.
pub(crate) fn redirect(lab: &mut Lab, more: &str, mirrors: &[(&str, &str)]) {
    let mirrors = mirrors.iter().map(|(location, more)| format!("[[registry.mirror]]\nlocation = \"{location}\"\n{more}\n"));
    let text = format!("[[registry]]\nlocation = \"origin.invalid\"\n{more}\n{}", mirrors.collect::<String>());
    let file = lab.folder("registries.conf");
    std::fs::write(&file, text).expect("a file");
    lab.settings.redirects = Redirects::load(&Environment::default(), Some(&file)).expect("rules");
}

/// Why the one item of a run failed.
fn failure(outcome: &Outcome) -> String {
    match &outcome.report.items[0].ending {
        Ending::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The digest of the one item of a run.
fn digest(outcome: &Outcome) -> Option<Digest> {
    assert_eq!(outcome.class(), Class::Done, "{:?}", outcome.report);
    outcome.report.items[0].item.digest()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_there_is_read_from_its_mirror_and_stays_the_origin() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let mut lab = Lab::new();
    lab.fill(&near, "q/team/app", "1", &Image::generated(1, 300_000)).await;
    let proxy = Proxy::before(near.host());
    redirect(&mut lab, "", &[(&format!("{}/q", proxy.host()), "")]);
    let made = lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a set");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    assert_eq!(made.report.items[0].item.origin.to_string(), "origin.invalid/team/app:1");
    let blobs = proxy.log().iter().filter(|line| line.starts_with("GET") && line.contains("/blobs/")).count() as u64;
    assert_eq!(blobs, made.plan.blobs, "one GET for each blob: {:?}", proxy.log());
    let pushed = lab.sync(&[ORIGIN], &format!("docker://{}/mirror", far.host())).await.expect("pushed");
    assert_eq!(digest(&pushed), made.report.items[0].item.digest());
    assert_eq!(pushed.report.items[0].name.to_string(), format!("{}/mirror/team/app:1", far.host()));
    let receipt = std::fs::read_to_string(pushed.receipt.expect("a receipt")).expect("readable");
    assert!(receipt.contains("origin.invalid/team/app:1") && !receipt.contains(&proxy.host()), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mirror_has_not_or_does_not_give_comes_from_the_next() {
    let (Some(empty), Some(full)) = (Registry::start(), Registry::start()) else { return };
    let mut lab = Lab::new();
    lab.fill(&full, "team/app", "1", &Image::generated(1, 50_000)).await;
    let proxy = Proxy::before(empty.host());
    for (name, fault, warned) in [("absent", Fault::none(), false), ("failing", Fault::answer(500), true)] {
        let heard = Heard::of(&mut lab);
        proxy.set(every("HEAD", Asked::Manifest, fault));
        redirect(&mut lab, "", &[(&proxy.host(), ""), (full.host(), "")]);
        let made = lab.sync(&[ORIGIN], &lab.path(name)).await.expect("a set");
        assert_eq!(made.class(), Class::Done, "{name}: {:?}", made.report);
        assert_eq!(heard.has(&[&proxy.host(), "is passed over"]), warned, "{name}: {:?}", heard.lines());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_gives_out_in_the_middle_of_a_blob_is_followed_by_the_next_from_there() {
    let (Some(one), Some(two)) = (Registry::start(), Registry::start()) else { return };
    let mut lab = Lab::new();
    let layer = Layer::bytes(Random::new(5).noise(400_000)).media_type("application/vnd.oci.image.layer.v1.tar");
    for registry in [&one, &two] {
        lab.fill(registry, "team/app", "1", &Image::of([layer.clone()])).await;
    }
    let (first, second) = (Proxy::before(one.host()), Proxy::before(two.host()));
    let digest = Digest::of(&layer.stored()).to_string();
    let asked = Mutex::new(0);
    first.set(move |request| {
        let mut asked = asked.lock().expect("no panic while it is held");
        *asked += u32::from(request.path.ends_with(&digest));
        match (request.path.ends_with(&digest), *asked) {
            (true, 1) => Fault::none().cut_response_at(150_000),
            (true, _) => Fault::answer(503),
            (false, _) => Fault::none(),
        }
    });
    redirect(&mut lab, "", &[(&first.host(), ""), (&second.host(), "")]);
    let heard = Heard::of(&mut lab);
    let made = lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a set");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let rest = second.count("GET", Asked::Blob);
    assert!(rest.down_bytes <= 250_000, "only the rest comes from the second: {rest:?} {:?}", second.log());
    assert!(heard.has(&[&first.host(), "is passed over"]), "{:?}", heard.lines());
    // Where the others give out too, all of them are named.
    redirect(&mut lab, "", &[(&first.host(), ""), (&second.host(), "")]);
    second.set(every("GET", Asked::Blob, Fault::answer(502)));
    let why = failure(&lab.sync(&[ORIGIN], &lab.path("other")).await.expect("a report"));
    for words in ["none of 3 places has it", &first.host(), &second.host(), "origin.invalid"] {
        assert!(why.contains(words), "{words}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_every_place_that_was_asked() {
    let Some(empty) = Registry::start() else { return };
    let mut lab = Lab::new();
    redirect(&mut lab, "", &[(empty.host(), ""), ("one.invalid/x", "")]);
    let made = lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a report");
    let why = failure(&made);
    let absent = format!("{}/team/app: it is not there", empty.host());
    for words in ["image origin.invalid/team/app:1: none of 3 places has it", &absent, "one.invalid/v2/x/team/app", "origin.invalid/v2/"] {
        assert!(why.contains(words), "{words}: {why}");
    }
    lab.settings.redirects = lab.settings.redirects.clone().mirrors_only(true);
    let why = failure(&lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a report"));
    assert!(why.contains("none of 2 places") && why.contains(&absent) && why.contains("one.invalid"), "{why}");
    assert!(!why.contains("origin.invalid/v2/"), "{why}");
    redirect(&mut lab, "", &[(empty.host(), ""), (&format!("{}/x", empty.host()), "")]);
    lab.settings.redirects = lab.settings.redirects.clone().mirrors_only(true);
    let why = failure(&lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a report"));
    let host = empty.host();
    assert_eq!(why, format!("image origin.invalid/team/app:1: it is not in {host}/team/app or {host}/x/team/app"));
}

/// The places that skopeo says it tries, as the addresses of manifests there.
fn tried_by_skopeo(lab: &Lab, name: &str) -> Option<Vec<String>> {
    let mut skopeo = Tool::find("skopeo")?;
    skopeo.args(["--debug", "--registries-conf", &lab.path("registries.conf"), "inspect", "--retry-times", "0", name]);
    let said = String::from_utf8_lossy(&skopeo.output().expect("skopeo runs").stderr).into_owned();
    let places =
        said.lines().filter_map(|line| line.split_once("Trying to access \\\"")?.1.split_once("\\\"").map(|(place, _)| place.to_owned()));
    let address = |place: String| {
        let (host, path) = place.split_once('/').expect("a name");
        let (path, key) = path.split_once('@').or_else(|| path.split_once(':')).expect("a tag or digest");
        format!("https://{host}/v2/{path}/manifests/{key}")
    };
    Some(places.map(address).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_tries_the_same_places_in_the_same_order() {
    let mut lab = Lab::new();
    lab.settings.retry_times = 0;
    let (tags, digests) = ("pull-from-mirror = \"tag-only\"", "pull-from-mirror = \"digest-only\"");
    redirect(
        &mut lab,
        "prefix = \"origin.invalid/team\"",
        &[("one.invalid/x/y", ""), ("two.invalid/x", tags), ("three.invalid/x", digests)],
    );
    for name in [ORIGIN.to_owned(), format!("docker://origin.invalid/team/app@{}", Digest::of(b"x"))] {
        let Some(tried) = tried_by_skopeo(&lab, &name) else { return };
        let why = failure(&lab.sync(&[&name], &lab.path("disk")).await.expect("a report"));
        let places: Vec<Option<usize>> = tried.iter().map(|address| why.find(address)).collect();
        assert!(places.len() == 3 && places.is_sorted() && places.iter().all(Option::is_some), "{tried:?}\n{why}");
        assert!(why.contains("none of 3 places"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_registry_is_read_from_its_mirrors_alone() {
    let Some(near) = Registry::start() else { return };
    let mut lab = Lab::new();
    lab.fill(&near, "team/app", "1", &Image::generated(1, 50_000)).await;
    redirect(&mut lab, "blocked = true", &[(near.host(), "")]);
    digest(&lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a set"));
    for mirrors in [&[][..], &[(near.host(), "pull-from-mirror = \"digest-only\"")]] {
        redirect(&mut lab, "blocked = true", mirrors);
        let why = failure(&lab.sync(&[ORIGIN], &lab.path("none")).await.expect("a report"));
        let file = lab.path("registries.conf");
        assert_eq!(why, format!("origin.invalid/team/app: origin.invalid is blocked by {file}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_for_digests_is_not_asked_for_tags() {
    let (Some(digests), Some(all)) = (Registry::start(), Registry::start()) else { return };
    let mut lab = Lab::new();
    lab.fill(&digests, "team/app", "1", &Image::generated(1, 50_000)).await;
    let layout = Layout::new();
    let root = layout.image(&Image::generated(2, 50_000));
    push(&layout, &root, &format!("{}/team/app", all.host()), Some("1")).await;
    let proxy = Proxy::before(digests.host());
    redirect(&mut lab, "", &[(&proxy.host(), "pull-from-mirror = \"digest-only\""), (all.host(), "")]);
    let made = lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a set");
    assert_eq!((digest(&made), proxy.total().requests), (Some(root.digest), 0), "{:?}", proxy.log());
    let by_digest = format!("docker://origin.invalid/team/app@{}", root.digest);
    digest(&lab.sync(&[by_digest], &lab.path("other")).await.expect("a set"));
    assert!(proxy.total().requests > 0, "it is asked first, and has it not");
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_come_from_where_their_subject_is() {
    let (Some(one), Some(two)) = (Registry::start(), Registry::start()) else { return };
    let mut lab = Lab::new();
    lab.fill(&one, "team/app", "1", &Image::generated(1, 50_000)).await;
    let (layout, there) = (Layout::new(), format!("{}/team/app", two.host()));
    let root = layout.image(&Image::generated(2, 50_000));
    let signature = layout.artifact("application/vnd.example.signature", b"signed", Some(&root));
    push(&layout, &root, &there, Some("2")).await;
    push(&layout, &layout.index(std::slice::from_ref(&signature)), &there, Some(&digest_tag(&root.digest))).await;
    redirect(&mut lab, "", &[(one.host(), ""), (two.host(), "")]);
    let made = lab.sync(&[ORIGIN, "docker://origin.invalid/team/app:2"], &lab.path("disk")).await.expect("a set");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let attached: Vec<Vec<Digest>> =
        made.report.items.iter().map(|outcome| outcome.item.attached.iter().map(|attached| attached.digest).collect()).collect();
    assert_eq!(attached, [vec![], vec![signature.digest]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_place_that_is_called_insecure_is_believed_without_a_certificate() {
    let Some(near) = Registry::options().with_tls().start() else { return };
    let mut lab = Lab::new();
    lab.settings.src.tls_verify = Some(false);
    let layout = format!("oci:{}", lab.path("layout"));
    let made = Layout::at(&lab.folder("layout"));
    made.tag("x.test/team/app:1", &made.image(&Image::generated(1, 50_000)));
    lab.settings.dest.tls_verify = Some(false);
    lab.sync(&[&layout], &format!("docker://{}", near.host())).await.expect("filled");
    lab.settings.src.tls_verify = None;
    redirect(&mut lab, "", &[(near.host(), "")]);
    let why = failure(&lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a report"));
    assert!(why.contains("certificate"), "{why}");
    redirect(&mut lab, "", &[(near.host(), "insecure = true")]);
    digest(&lab.sync(&[ORIGIN], &lab.path("disk")).await.expect("a set"));
    lab.settings.src.tls_verify = Some(true);
    let strict = lab.sync(&[ORIGIN], &lab.path("strict")).await.expect("a report");
    assert!(failure(&strict).contains("certificate"), "what a person says goes before what a file says");
}
