//! Tests of what a plan finds in images.

use super::*;

#[tokio::test]
async fn only_wanted_platforms_are_carried_with_their_attestations() {
    let lab = Lab::default();
    let (_, children) = lab.multi("quay.io/a:x", &["linux/amd64", "linux/arm64/v8"]);
    let about = |image: &Descriptor, text: &str| Descriptor {
        platform: Some(Platform { os: "unknown".into(), architecture: "unknown".into(), variant: None }),
        annotations: Some([("vnd.docker.reference.digest".to_owned(), image.digest.to_string())].into()),
        ..lab.image("quay.io/a", &[text])
    };
    let (of_amd, of_arm) = (about(&children[0], "amd sbom"), about(&children[1], "arm sbom"));
    let root = lab.index("quay.io/a:1", &[children[0].clone(), children[1].clone(), of_amd.clone(), of_arm.clone()]);
    lab.attach("quay.io/a", &children[0], "sig of amd");
    let arm_signature = lab.attach("quay.io/a", &children[1], "sig of arm");
    let plan = plan(vec![with_platforms(want(&lab, "quay.io/a:1", &root), &["linux/arm64"])], &Lab::default()).await;
    let brought: Vec<Digest> = plan
        .steps()
        .iter()
        .filter_map(|step| if let Work::Manifest { manifest, .. } = &step.work { Some(manifest.digest()) } else { None })
        .collect();
    assert_eq!(brought, [children[1].digest, of_arm.digest, root.digest, arm_signature.digest]);
    assert_eq!(plan.items()[0].item.platforms, [platform("linux/arm64/v8")]);
    let Work::Name { root: named, .. } = &plan.steps().last().expect("a name").work else { panic!("{plan:?}") };
    assert_eq!(named.digest(), root.digest, "the index is unchanged");
}

#[tokio::test]
async fn an_index_without_any_wanted_platform_is_missing_and_says_what_it_has() {
    let lab = Lab::default();
    let (root, _) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let single = lab.image("quay.io/b:1", &["base"]);
    let wanted = [want(&lab, "quay.io/a:1", &root), want(&lab, "quay.io/b:1", &single)];
    let plan = plan(wanted.map(|one| with_platforms(one, &["linux/s390x"])).into(), &Lab::default()).await;
    assert_eq!(why(&plan, 0), "image quay.io/a:1: no platform linux/s390x; it has linux/amd64, linux/arm64");
    assert!(matches!(plan.items()[1].fate, Fate::Bring), "a single image is taken as it is");
    assert_eq!((plan.summary().images, plan.summary().images_missing), (1, 1));
}

#[tokio::test]
async fn a_listed_manifest_that_is_absent_fails_its_item_and_no_other() {
    let lab = Lab::default();
    let (root, children) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let other = lab.image("quay.io/b:1", &["x"]);
    lab.forget(children[1].digest);
    let broken = want(&lab, "quay.io/a:1", &root);
    let plan_of = |one: Wanted| vec![one, want(&lab, "quay.io/b:1", &other)];
    let sink = Lab::default();
    let failed = plan(plan_of(broken.clone()), &sink).await;
    assert_eq!(why(&failed, 0), format!("image quay.io/a:1: its manifest {} is not in lab", children[1].digest));
    assert!(matches!(&failed.items()[0].item.state, State::Missing(why) if why.contains(&children[1].digest.to_string())));
    assert!(failed.steps().iter().all(|step| step.items == [1]));
    let sparse = plan(plan_of(Wanted { sparse: true, ..broken.clone() }), &sink).await;
    assert_eq!(sparse.items()[0].item.platforms, [platform("linux/amd64")]);
    let chosen = plan(plan_of(with_platforms(broken, &["linux/amd64"])), &sink).await;
    assert!(matches!(chosen.items()[0].fate, Fate::Bring));
}

#[tokio::test]
async fn pinned_items_keep_what_they_list_and_ask_for_nothing() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let image = lab.image("quay.io/a:1", &["base"]);
    let signature = lab.attach("quay.io/a", &image, "sig");
    lab.attach("quay.io/a", &image, "came later");
    let mut wanted = Wanted { pinned: true, ..want(&lab, "quay.io/a:1", &image) };
    wanted.item.attached = vec![signature.clone()];
    let first = plan(vec![wanted.clone()], &sink).await;
    assert_eq!(first.items()[0].item.attached, std::slice::from_ref(&signature));
    carry_out(first, &sink).await;
    assert!(lab.log("referrers").is_empty());
    lab.state().log.clear();
    assert!(plan(vec![wanted.clone()], &sink).await.steps().is_empty());
    assert!(lab.log("").is_empty(), "nothing is read for what is there");
    sink.forget(signature.digest);
    assert_eq!(plan(vec![wanted], &sink).await.summary().manifests, 1);
}

#[tokio::test]
async fn a_referrer_that_is_none_is_left_out() {
    let lab = Lab::default();
    let image = lab.image("quay.io/a:1", &["base"]);
    let (stranger, gone) = (lab.image("quay.io/a:2", &["other"]), lab.attach("quay.io/a", &image, "gone"));
    lab.forget(gone.digest);
    lab.state().referrers.push((image.digest, stranger));
    lab.state().referrers.push((image.digest, image.clone()));
    let plan = plan(vec![want(&lab, "quay.io/a:1", &image)], &Lab::default()).await;
    assert_eq!((plan.items()[0].item.attached.len(), plan.summary().manifests), (0, 1));
}

#[tokio::test]
async fn nesting_without_end_and_manifests_that_lie_end_with_an_error() {
    let lab = Lab::default();
    let nest = |levels: usize| {
        let image = lab.image("quay.io/a", &["base"]);
        (0..levels).fold(image, |child, _| lab.index("quay.io/a", &[child]))
    };
    let (good, deep) = (nest(8), nest(9));
    let (one, two) = (lab.index("quay.io/l:1", &[]), lab.image("quay.io/l:2", &["x"]));
    let looped = lab.index("quay.io/l:3", std::slice::from_ref(&two));
    let documents = lab.state().documents.clone();
    lab.state().documents.insert(two.digest, documents[&looped.digest].clone());
    let wanted = vec![
        want(&lab, "quay.io/a:1", &good),
        want(&lab, "quay.io/b:1", &deep),
        want(&lab, "quay.io/l:3", &looped),
        want(&lab, "quay.io/l:1", &one),
    ];
    let wanted = wanted
        .into_iter()
        .enumerate()
        .map(|(at, one)| Wanted { item: Item { origin: name(if at < 2 { "quay.io/a:1" } else { "quay.io/l:3" }), ..one.item }, ..one });
    let plan = plan(wanted.collect(), &Lab::default()).await;
    assert!(matches!(plan.items()[0].fate, Fate::Bring));
    assert!(why(&plan, 1).contains("nest deeper than 8, at sha256:"), "{}", why(&plan, 1));
    assert_eq!(why(&plan, 2), format!("manifest {} from lab: what came is {}", two.digest, looped.digest));
    assert!(matches!(plan.items()[3].fate, Fate::Bring), "an empty index is an index");
}

#[tokio::test]
async fn an_index_with_longer_ways_down_than_it_seems_is_refused_too() {
    let lab = Lab::default();
    let image = lab.image("quay.io/a", &["base"]);
    let mut chain = vec![lab.index("quay.io/a", &[image])];
    for _ in 0..9 {
        chain.push(lab.index("quay.io/a", &[chain[chain.len() - 1].clone()]));
    }
    chain.reverse();
    let root = lab.index("quay.io/a:1", &chain);
    let plan = plan(vec![want(&lab, "quay.io/a:1", &root)], &Lab::default()).await;
    assert!(why(&plan, 0).contains("nest deeper than 8"));
}

#[tokio::test]
async fn other_content_that_an_index_lists_travels_as_blobs_of_it() {
    let lab = Lab::default();
    let layer = lab.blob(name("quay.io/cache").repository(), super::lab::LAYER, "cached layer");
    let root = lab.index("quay.io/cache:1", std::slice::from_ref(&layer));
    let plan = plan(vec![want(&lab, "quay.io/cache:1", &root)], &Lab::default()).await;
    assert_eq!(
        steps(&plan, &[("layer", layer.digest), ("root", root.digest)]),
        ["blob layer 12 []", "manifest root [0]", "name cache [0, 1]"]
    );
}
