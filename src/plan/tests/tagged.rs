//! Tests of what is attached by tags.

use super::*;
use crate::image::{Attachment, Attachments, Tagged};

/// Attaches an image to a manifest of `quay.io/a` by its tag; answers that tag and what it stands for.
fn tag(lab: &Lab, kind: Attachment, subject: &Descriptor) -> Tagged {
    let tag = kind.tag(&subject.digest).expect("a tag");
    let root = lab.image(&format!("quay.io/a:{tag}"), &[&format!("{kind} of {}", subject.digest)]);
    Tagged { tag, root }
}

/// Keeps warnings.
#[derive(Default)]
struct Warned(std::sync::Mutex<Vec<String>>);

impl crate::monitor::Monitor for Warned {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().expect("no test panics with it in hand").push(text.to_owned());
        }
    }
}

fn requiring(kind: Attachment, wanted: Wanted) -> Wanted {
    Wanted { attachments: Attachments { required: [kind].into(), ..Attachments::default() }, ..wanted }
}

/// What a plan names, in order.
fn names(plan: &Plan) -> Vec<String> {
    let named = |step: &Step| if let Work::Name { name, .. } = &step.work { Some(name.to_string()) } else { None };
    plan.steps().iter().filter_map(named).collect()
}

#[tokio::test]
async fn attachments_of_every_kind_and_of_children_are_named_before_the_image() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let (root, children) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let tags = [
        tag(&lab, Attachment::Signature, &children[0]),
        tag(&lab, Attachment::Sbom, &children[1]),
        tag(&lab, Attachment::Signature, &root),
        tag(&lab, Attachment::Attestation, &root),
    ];
    let of_sbom = tag(&lab, Attachment::Signature, &tags[1].root);
    let first = plan(vec![want(&lab, "quay.io/a:1", &root)], &sink).await;
    let expected: Vec<Tagged> = tags.into_iter().chain([of_sbom]).collect();
    assert_eq!(first.items()[0].item.tagged, expected);
    let named = expected.iter().map(|tagged| format!("reg:5000/a:{}", tagged.tag)).chain(["reg:5000/a:1".to_owned()]);
    assert_eq!(names(&first), named.collect::<Vec<_>>());
    assert_eq!(lab.log("resolve").len(), 3 * 3 + 1, "each kind of each manifest, and what signs the SBOM: {:?}", lab.log("resolve"));
    assert_eq!(first.items()[0].signed, Some(Signed::Yes));
    let contents = first.contents();
    carry_out(first, &sink).await;
    let again = plan(vec![want(&lab, "quay.io/a:1", &root)], &sink).await;
    assert!(again.steps().is_empty() && again.contents() == contents, "{again:?}");
}

#[tokio::test]
async fn platforms_that_are_not_carried_bring_no_signatures_of_theirs() {
    let lab = Lab::default();
    let (root, children) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let (of_amd, of_arm) = (tag(&lab, Attachment::Signature, &children[0]), tag(&lab, Attachment::Signature, &children[1]));
    let asked = with_platforms(want(&lab, "quay.io/a:1", &root), &["linux/arm64"]);
    let mut pinned = Wanted { pinned: true, ..asked.clone() };
    pinned.item.tagged = vec![of_amd, of_arm.clone()];
    for wanted in [asked, pinned] {
        let plan = plan(vec![wanted], &Lab::default()).await;
        assert_eq!(plan.items()[0].item.tagged, std::slice::from_ref(&of_arm));
        assert_eq!(plan.items()[0].signed, Some(Signed::No), "the root itself is not");
    }
}

#[tokio::test]
async fn what_is_pinned_as_attached_by_a_tag_is_brought_without_asking() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let image = lab.image("quay.io/a:1", &["base"]);
    let signature = tag(&lab, Attachment::Signature, &image);
    tag(&lab, Attachment::Attestation, &image);
    let mut wanted = Wanted { pinned: true, ..want(&lab, "quay.io/a:1", &image) };
    wanted.item.tagged = vec![signature.clone()];
    let first = plan(vec![wanted.clone()], &sink).await;
    assert_eq!((first.items()[0].item.tagged.as_slice(), lab.log("resolve").len()), (std::slice::from_ref(&signature), 0));
    carry_out(first, &sink).await;
    assert!(plan(vec![wanted.clone()], &sink).await.steps().is_empty());
    sink.state().names.remove(&name(&format!("reg:5000/a:{}", signature.tag)));
    let named = plan(vec![wanted.clone()], &sink).await;
    assert_eq!(names(&named), [format!("reg:5000/a:{}", signature.tag)], "a tag that was lost comes back");
    lab.forget(signature.root.digest);
    assert!(why(&plan(vec![wanted], &Lab::default()).await, 0).contains(&signature.root.digest.to_string()));
}

#[tokio::test]
async fn a_signature_that_came_later_follows_without_the_image() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let image = lab.image("quay.io/a:1", &["base"]);
    carry_out(plan(vec![want(&lab, "quay.io/a:1", &image)], &sink).await, &sink).await;
    let signature = tag(&lab, Attachment::Signature, &image);
    let plan = plan(vec![want(&lab, "quay.io/a:1", &image)], &sink).await;
    assert!(matches!(plan.items()[0].fate, Fate::Bring));
    assert_eq!((names(&plan), plan.summary().manifests), (vec![format!("reg:5000/a:{}", signature.tag)], 1));
}

#[tokio::test]
async fn a_lookup_that_fails_costs_no_image_and_is_told_once() {
    let lab = Lab::default();
    let (image, other) = (lab.image("quay.io/a:1", &["base"]), lab.image("quay.io/a:2", &["other"]));
    lab.trouble(".sig", Trouble::Fail(Error::failed("no route to quay.io")));
    let both = vec![want(&lab, "quay.io/a:1", &image), want(&lab, "quay.io/a:2", &other)];
    let (sink, heard) = (Lab::default(), Arc::<Warned>::default());
    let made = Plan::make(both, &sink, 3, &(heard.clone() as SharedMonitor)).await.expect("a plan");
    for planned in made.items() {
        assert!(matches!(planned.fate, Fate::Bring) && planned.signed == Some(Signed::Unknown), "{planned:?}");
    }
    let told = heard.0.lock().expect("no test panics with it in hand").clone();
    assert!(told.len() == 1 && told[0].contains("whether it has a signature cannot be told"), "{told:?}");
    let required = plan(vec![requiring(Attachment::Signature, want(&lab, "quay.io/a:1", &image))], &sink).await;
    assert_eq!(why(&required, 0), "image quay.io/a:1: whether it has the signature that is required cannot be told in lab");
}

#[tokio::test]
async fn one_attachment_that_cannot_be_read_leaves_the_others() {
    let lab = Lab::default();
    let image = lab.image("quay.io/a:1", &["base"]);
    let (signature, sbom) = (tag(&lab, Attachment::Signature, &image), tag(&lab, Attachment::Sbom, &image));
    lab.trouble(format!("manifest {}", sbom.root.digest), Trouble::Fail(Error::failed("cut")));
    let plan = plan(vec![want(&lab, "quay.io/a:1", &image)], &Lab::default()).await;
    assert_eq!(plan.items()[0].item.tagged, [signature]);
}

#[tokio::test]
async fn removed_attachments_are_neither_brought_nor_asked_for() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let image = lab.image("quay.io/a:1", &["base"]);
    let signature = tag(&lab, Attachment::Signature, &image);
    let referrer = lab.attach("quay.io/a", &image, "sig");
    let removed = Attachments { removed: true, ..Attachments::default() };
    let asked = Wanted { attachments: removed, ..want(&lab, "quay.io/a:1", &image) };
    let mut pinned = Wanted { pinned: true, ..asked.clone() };
    (pinned.item.tagged, pinned.item.attached) = (vec![signature], vec![referrer]);
    for wanted in [asked, pinned] {
        let plan = plan(vec![wanted], &sink).await;
        let planned = &plan.items()[0];
        assert!(planned.item.attachments().next().is_none() && planned.signed.is_none() && plan.summary().manifests == 1, "{plan:?}");
    }
    assert!(lab.log("resolve").is_empty() && lab.log("referrers").is_empty());
}

#[tokio::test]
async fn what_lacks_a_required_attachment_fails_alone() {
    let lab = Lab::default();
    let (root, children) = lab.multi("quay.io/a:1", &["linux/amd64"]);
    let signed = lab.image("quay.io/a:2", &["signed"]);
    tag(&lab, Attachment::Signature, &signed);
    tag(&lab, Attachment::Signature, &children[0]);
    let required = |at: &str, root: &Descriptor| requiring(Attachment::Signature, want(&lab, at, root));
    let plan = plan(vec![required("quay.io/a:1", &root), required("quay.io/a:2", &signed)], &Lab::default()).await;
    assert_eq!(why(&plan, 0), "image quay.io/a:1: it has no signature in lab, and one is required", "that of a child is not of the root");
    assert!(matches!(plan.items()[1].fate, Fate::Bring));
}

#[tokio::test]
async fn a_tag_that_leads_into_its_own_image_does_no_harm() {
    let lab = Lab::default();
    let image = lab.image("quay.io/a:1", &["base"]);
    let tag = Attachment::Signature.tag(&image.digest).expect("a tag");
    lab.state().names.insert(name(&format!("quay.io/a:{tag}")), image.digest);
    let sink = Lab::default();
    let first = plan(vec![want(&lab, "quay.io/a:1", &image)], &sink).await;
    assert_eq!((names(&first).len(), first.summary().manifests), (2, 1));
    carry_out(first, &sink).await;
    assert!(plan(vec![want(&lab, "quay.io/a:1", &image)], &sink).await.steps().is_empty());
}
