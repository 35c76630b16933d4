//! Receipts: what a destination holds, written by every push or made from a look at a registry.

use std::collections::BTreeSet;
use std::path::Path;

use ocm::image::{Digest, Receipt};

use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

pub(crate) fn read(path: &Path) -> Receipt {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("a receipt")
}

/// Digests and sizes, each of which must be there once and in order.
fn listed(stored: &[ocm::image::receipt::Stored]) -> BTreeSet<(Digest, u64)> {
    assert!(stored.is_sorted_by_key(|stored| stored.digest) && stored.windows(2).all(|pair| pair[0] != pair[1]));
    stored.iter().map(|stored| (stored.digest, stored.size)).collect()
}

fn all_of(layout: &Layout, manifests: &[Digest]) -> (BTreeSet<(Digest, u64)>, BTreeSet<(Digest, u64)>) {
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
