//! Receipts: what a destination holds, written by every push or made from a look at a registry; and sets that build on them.

mod since;

use std::collections::BTreeSet;
use std::path::Path;

use ocm::error::Error;
use ocm::image::{Digest, Receipt};
use ocm::transfer;
use ocm::workflow::receipt::{Outcome, Request, receipt};

use crate::support::fault::Fault;
use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::support::proxy::{Class, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

pub(crate) fn read(path: &Path) -> Receipt {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("a receipt")
}

type Sized = BTreeSet<(Digest, u64)>;

/// Digests and sizes, each of which must be there once and in order.
fn listed(stored: &[ocm::image::receipt::Stored]) -> Sized {
    assert!(stored.is_sorted_by_key(|stored| stored.digest) && stored.windows(2).all(|pair| pair[0] != pair[1]));
    stored.iter().map(|stored| (stored.digest, stored.size)).collect()
}

fn all_of(layout: &Layout, manifests: &[Digest]) -> (Sized, Sized) {
    let sized = |digest: Digest| (digest, layout.read(&digest).len() as u64);
    layout.digests().into_iter().map(sized).partition(|(digest, _)| manifests.contains(digest))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_of_a_push_says_what_the_destination_holds_also_of_what_was_there() {
    let Some(far) = Registry::start() else { return };
    let lab = Lab::new();
    let layout = Layout::at(&lab.folder("layout"));
    let base = Layer::tree(1, 50_000).gzip();
    let one = layout.image(&Image::of([base.clone(), Layer::tree(2, 9_000)]));
    let two = layout.image(&Image::of([base]).platform("linux/arm64"));
    let index = layout.index(&[one.clone(), two.clone()]);
    let signature = layout.artifact("application/x.sig", b"signed", Some(&index));
    layout.tag("registry.example/team/app:1", &index);
    layout.list_in_index(&signature, &[]);
    let target = format!("docker://{}/mirror", far.host());
    let from = format!("oci:{}", lab.path("layout"));
    let (manifests, blobs) = all_of(&layout, &[one.digest, two.digest, index.digest, signature.digest]);
    for run in ["new", "there already"] {
        let pushed = lab.sync(&[&from], &target).await.expect("pushed");
        let receipt = read(&pushed.receipt.expect("a receipt"));
        receipt.check().expect("it speaks of its destination alone");
        assert_eq!((listed(&receipt.manifests), listed(&receipt.blobs)), (manifests.clone(), blobs.clone()), "{run}");
        let repository = format!("{}/mirror/team/app", far.host());
        assert!(receipt.manifests.iter().chain(&receipt.blobs).all(|stored| stored.repository.to_string() == repository));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_like_the_one_before_asks_the_destination_for_no_manifest() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(far.host()));
    let mut from = Vec::new();
    for number in 0..3 {
        from.push(lab.fill(&near, "team/app", &number.to_string(), &Image::generated(number, 9_000)).await);
    }
    let target = format!("docker://{}/mirror", proxy.host());
    let push = async |from: &[String]| {
        proxy.forget();
        let pushed = lab.sync(from, &target).await.expect("pushed");
        let receipt = read(&pushed.receipt.expect("a receipt"));
        ((listed(&receipt.manifests), listed(&receipt.blobs)), proxy.count("GET", Class::Manifest).requests)
    };
    let (two, _) = push(&from[..2]).await;
    assert_eq!(push(&from[..2]).await, (two.clone(), 0), "nothing is new");
    let (three, asked) = push(&from).await;
    assert_eq!((three.0.len(), asked), (3, 2), "those that were there are read once more");
    let (less, _) = push(&from[..2]).await;
    assert_eq!(less, two, "what is not asked for is not in the receipt");
}

/// A look at what these places hold.
async fn look(lab: &Lab, places: &[String]) -> Result<Outcome, Error> {
    let places = places.iter().map(|place| place.parse().expect("a place")).collect();
    receipt(Request { places, to: None }, &lab.settings).await
}

fn names(receipt: &Receipt) -> Vec<String> {
    receipt.items.iter().map(|item| item.name.repository().path().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_registry_finds_what_the_receipts_of_its_pushes_say() {
    let Some(far) = Registry::start() else { return };
    let lab = Lab::new();
    let (layout, _) = crate::support::images::zoo();
    let from = format!("oci:{}", layout.path().display());
    let pushed = lab.sync(&[&from], &format!("docker://{}/mirror", far.host())).await.expect("pushed");
    let pushed = read(&pushed.receipt.expect("a receipt"));
    let host = format!("docker://{}", far.host());
    let repository = pushed.items[0].name.repository();
    let mirror = format!("{host}/mirror");
    let exact = format!("docker://{repository}");
    for (places, destination) in [
        (vec![host.clone()], &host),
        (vec![mirror.clone()], &mirror),
        (vec![exact.clone()], &exact),
        (vec![exact.clone(), mirror.clone()], &host),
    ] {
        let found = look(&lab, &places).await.expect("a receipt");
        assert_eq!((found.class(), &found.receipt.destination), (transfer::Class::Done, destination), "{:?}", found.unread);
        found.receipt.check().expect("it speaks of its destination alone");
        assert_eq!(listed(&found.receipt.manifests), listed(&pushed.manifests));
        assert_eq!(listed(&found.receipt.blobs), listed(&pushed.blobs));
        let shown = |receipt: &Receipt| receipt.items.iter().map(|item| (item.name.clone(), item.digest)).collect::<BTreeSet<_>>();
        assert_eq!(shown(&found.receipt), shown(&pushed));
    }
    let one = &pushed.items[0].name;
    let found = look(&lab, &[format!("docker://{one}")]).await.expect("a receipt").receipt;
    assert_eq!(names(&found), [repository.path()]);
    assert!(found.blobs.len() < pushed.blobs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_list_itself_wants_its_repositories_named() {
    let Some(far) = Registry::start() else { return };
    let lab = Lab::new();
    for name in ["a", "b", "c"] {
        lab.fill(&far, &format!("team/{name}"), "1", &Image::generated(1, 9_000)).await;
    }
    let proxy = Proxy::with(far.host(), |request| if request.path.contains("_catalog") { Fault::answer(401) } else { Fault::none() });
    let host = format!("docker://{}", proxy.host());
    for place in [host.clone(), format!("{host}/team")] {
        let refused = look(&lab, &[place]).await.expect_err("refused");
        assert!(refused.to_string().contains("does not list its repositories") && refused.to_string().contains("401"), "{refused}");
        assert!(refused.way_out().is_some_and(|way| way.contains("name repositories")), "{refused:?}");
    }
    let found = look(&lab, &[format!("{host}/team/a"), format!("{host}/team/c")]).await.expect("a receipt").receipt;
    assert_eq!((names(&found), found.destination), (vec!["team/a".to_owned(), "team/c".to_owned()], host));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_receipt_is_refused_with_a_way_out() {
    let Some(far) = Registry::start() else { return };
    let lab = Lab::new();
    let host = format!("docker://{}", far.host());
    for (places, words) in [
        (vec!["/mnt/disk".to_owned()], "only a registry has a receipt"),
        (vec![host.clone(), "docker://other.example".to_owned()], "a receipt is of one registry"),
        (vec![format!("{host}/nothing")], "there is no such repository"),
    ] {
        let error = look(&lab, &places).await.expect_err(words);
        assert!(error.to_string().contains(words) && error.way_out().is_some(), "{error:?}");
        assert_eq!(error.kind(), ocm::error::Kind::Usage);
    }
    let empty = look(&lab, &[host]).await.expect("an empty registry").receipt;
    assert!(empty.items.is_empty() && empty.blobs.is_empty());
    let gone = look(&lab, &[format!("docker://{}/nothing:1", far.host())]).await.expect("a receipt of nothing");
    assert_eq!((gone.class(), gone.unread.len()), (transfer::Class::Partial, 1));
}
