//! What others got wrong: signatures that were lost in silence, or looked for under names that they do not have.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_a_signature_is_not_made_by_replacing_text_of_the_name() {
    let (Some(signer), Some(near)) = (Signer::new(), Registry::start()) else { return };
    let port = near.host().rsplit(':').next().expect("a port").to_owned();
    let mut from = Vec::new();
    for (seed, (repository, tag)) in (1..).zip([("ubi9/ubi", "9"), ("x", port.as_str())]) {
        let at = format!("{}/{repository}", near.host());
        let image = signer.image(&at, tag, seed).await;
        signer.attach(&at, Attachment::Signature, &image).await;
        from.push(format!("docker://{at}:{tag}"));
    }
    let made = signer.lab.sync(&from, &signer.lab.path("disk")).await.expect("a set");
    assert_eq!(made.signatures.map(|signatures| signatures.signed), Some(2), "{:?}", made.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_signature_does_not_cost_the_archive() {
    let (Some(scene), Some(far)) = (Scene::new().await, Registry::start()) else { return };
    let at = format!("{}/team/app", scene.near.host());
    scene.signer.image(&at, "2", 5).await;
    let (from, disk) = ([scene.from(), format!("docker://{at}:2")], scene.lab().path("disk"));
    let expected = Some(Signatures { signed: 1, unsigned: 1, unknown: 0 });
    let made = scene.lab().sync(&from, &disk).await.expect("a set");
    assert_eq!((made.class(), made.signatures), (Class::Done, expected));
    let pushed = scene.lab().sync(&[&disk], &format!("docker://{}", far.host())).await.expect("pushed");
    assert_eq!((pushed.class(), pushed.signatures), (Class::Done, expected));
    scene.assert_there(&format!("{}/team/app", far.host())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_are_no_images_where_all_tags_are_taken_and_none_is_lost() {
    let (Some(scene), Some(far)) = (Scene::new().await, Registry::start()) else { return };
    let at = format!("{}/team/app", scene.near.host());
    let gone = Descriptor::new(scene.root.media_type.clone(), Digest::of(b"an image that was deleted"), 1);
    let orphan = scene.signer.attach(&at, Attachment::Signature, &gone).await;
    let all = |request: &mut ocm::workflow::sync::Request| request.all_tags = true;
    let to = format!("docker://{}", far.host());
    let made = scene.lab().sync_with(&[format!("docker://{at}")], &to, all).await.expect("pushed");
    let tags: Vec<_> = made.report.items.iter().filter_map(|outcome| outcome.name.tag()).collect();
    assert_eq!(tags, ["1", &orphan.tag]);
    scene.assert_there(&format!("{}/team/app", far.host())).await;
}
