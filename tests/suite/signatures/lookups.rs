//! How often a source is asked for attachments, what refusals and failures mean, and what a person can say.

use std::collections::BTreeSet;

use ocm::image::Attachments;

use super::*;
use crate::support::fault::Fault;
use crate::support::proxy::Proxy;
use crate::workflows::lab::Heard;

fn removed(request: &mut ocm::workflow::sync::Request) {
    request.attachments.removed = true;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_each_manifest_is_asked_for_once() {
    let Some(scene) = Scene::new().await else { return };
    let proxy = Proxy::before(scene.near.host());
    // The second tag of the same image asks for nothing more.
    push(&scene.signer.layout, &scene.root, &format!("{}/team/app", scene.near.host()), Some("latest")).await;
    let from = ["1", "latest"].map(|tag| format!("docker://{}/team/app:{tag}", proxy.host()));
    let made = scene.lab().sync(&from, &scene.lab().path("disk")).await.expect("a set");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let asked: Vec<String> =
        proxy.log().into_iter().filter(|line| line.starts_with("HEAD") && line.contains("/manifests/sha256-")).collect();
    // Three manifests, three kinds; and what might sign the SBOM.
    assert_eq!((asked.len(), asked.iter().collect::<BTreeSet<_>>().len()), (10, 10), "{asked:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_signatures_a_run_with_nothing_new_asks_once_for_each_image() {
    let (Some(signer), Some(near), Some(far)) = (Signer::new(), Registry::start(), Registry::start()) else { return };
    let at = format!("{}/team/app", near.host());
    for (seed, tag) in [(1, "1"), (2, "2"), (3, "3")] {
        let image = signer.image(&at, tag, seed).await;
        signer.attach(&at, Attachment::Signature, &image).await;
    }
    let proxy = Proxy::before(near.host());
    let from = ["1", "2", "3"].map(|tag| format!("docker://{}/team/app:{tag}", proxy.host()));
    let to = format!("docker://{}", far.host());
    let first = signer.lab.sync_with(&from, &to, removed).await.expect("pushed");
    assert_eq!((first.class(), first.signatures), (Class::Done, None));
    assert!(proxy.log().iter().all(|line| !line.contains("sha256-") && !line.contains("referrers")), "{:?}", proxy.log());
    proxy.forget();
    let again = signer.lab.sync_with(&from, &to, removed).await.expect("nothing new");
    assert_eq!((again.plan.images_there, proxy.total().requests), (3, 3), "{:?}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_or_failing_lookup_is_told_and_the_image_travels() {
    let Some(mut scene) = Scene::new().await else { return };
    let proxy = Proxy::before(scene.near.host());
    let from = format!("docker://{}/team/app:1", proxy.host());
    for status in [403, 500] {
        proxy.set(move |request| if request.path.ends_with(".sig") { Fault::answer(status) } else { Fault::none() });
        let heard = Heard::of(&mut scene.signer.lab);
        let made = scene.lab().sync(&[&from], &scene.lab().path(&status.to_string())).await.expect("a set");
        assert_eq!((made.class(), made.signatures), (Class::Done, Some(Signatures { signed: 0, unsigned: 0, unknown: 1 })));
        assert!(heard.has(&["whether it has a signature cannot be told", &status.to_string()]), "{:?}", heard.lines());
        assert_eq!(made.report.items[0].item.tagged.len(), 2, "the attestation and the SBOM");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_a_required_signature_fails_alone() {
    let Some(scene) = Scene::new().await else { return };
    let at = format!("{}/team/app", scene.near.host());
    scene.signer.image(&at, "2", 5).await;
    let layout = &scene.signer.layout;
    let referred = scene.signer.image(&at, "3", 6).await;
    let notation = layout.artifact("application/vnd.cncf.notary.signature", b"signed", Some(&referred));
    let list = layout.index(std::slice::from_ref(&notation));
    push(layout, &list, &at, Some(&ocm::image::place::digest_tag(&referred.digest))).await;
    let from = ["1", "2", "3"].map(|tag| format!("docker://{at}:{tag}"));
    let required = Attachments { required: [Attachment::Signature].into(), removed: false };
    let made = scene.lab().sync_with(&from, &scene.lab().path("disk"), |request| request.attachments = required).await.expect("a set");
    assert_eq!(made.class(), Class::Partial);
    let failed: Vec<bool> = made.report.items.iter().map(|item| item.has_failed()).collect();
    assert_eq!(failed, [false, true, false], "{:?}", made.report);
}

#[test]
fn what_shall_be_left_behind_cannot_be_required() {
    let home = Home::new();
    let (code, _, err) = home.run(&["sync", "--remove-signatures", "--require-attached", "sig,att", "docker://a.invalid/b:1", "disk"]);
    assert!(code == Some(2) && err.contains("--require-attached asks for what --remove-signatures leaves behind"), "{code:?} {err}");
    let (code, _, err) = home.run(&["sync", "--require-attached", "seal", "docker://a.invalid/b:1", "disk"]);
    assert!(code == Some(2) && err.contains("is nothing that images have attached"), "{code:?} {err}");
}
