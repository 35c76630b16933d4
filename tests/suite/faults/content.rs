//! Registries that hold or send bad content.

use ocm::image::manifest::OCI_INDEX;
use ocm::image::{Descriptor, Digest};
use ocm::transfer::Class;
use serde_json::json;

use super::{assert_hints, assert_only, assert_says, failure};
use crate::support::fault::{Fault, every, nth};
use crate::support::images::{Image, Layout, fetch_manifest, push};
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

/// A registry with a good image and another one, which each test makes bad.
struct Pair {
    near: Registry,
    lab: Lab,
    layout: Layout,
    bad: Descriptor,
    layer: Digest,
}

impl Pair {
    async fn new() -> Option<Self> {
        let near = Registry::start()?;
        let (lab, layout) = (Lab::new(), Layout::new());
        lab.fill(&near, "team/good", "1", &Image::generated(1, 60_000)).await;
        let layer = Layer::tree(50, 200_000).gzip();
        let bad = layout.image(&Image::of([layer.clone()]));
        push(&layout, &bad, &format!("{}/team/bad", near.host()), Some("1")).await;
        Some(Self { near, lab, layout, bad, layer: Digest::of(&layer.stored()) })
    }

    fn from(&self, host: &str) -> [String; 2] {
        ["good", "bad"].map(|name| format!("docker://{host}/team/{name}:1"))
    }

    /// Into an archive, and straight into a registry: both must come to the same.
    async fn assert_refused(&self, host: &str, class: Class, words: &[&str], hint: Option<&str>) {
        let Some(far) = Registry::start() else { return };
        for to in [self.lab.path("disk"), format!("docker://{}/mirror", far.host())] {
            let made = self.lab.sync(&self.from(host), &to).await.expect("a run");
            assert_only(&made, "team/bad", class);
            let error = failure(&made, "team/bad");
            assert_says(error, words);
            hint.into_iter().for_each(|hint| assert_hints(error, hint));
        }
        assert!(fetch_manifest(&format!("{}/mirror/team/good", far.host()), "1").await.is_some());
        assert!(fetch_manifest(&format!("{}/mirror/team/bad", far.host()), "1").await.is_none());
        let again = self.lab.sync(&[self.lab.path("disk")], &format!("docker://{}/again", far.host())).await.expect("the good one");
        assert_only(&again, "team/bad", Class::Partial);
        assert!(fetch_manifest(&format!("{}/again/team/bad", far.host()), "1").await.is_none());
    }

    /// Changes the file in which the registry keeps a blob or manifest.
    fn change(&self, digest: &Digest, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.near.blob_file(&digest.to_string());
        let mut bytes = std::fs::read(&path).expect("the blob");
        change(&mut bytes);
        std::fs::write(path, bytes).expect("changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_with_a_wrong_digest_fails_its_image_alone() {
    let Some(pair) = Pair::new().await else { return };
    pair.change(&pair.layer, |bytes| bytes[1000] ^= 1);
    let words: &[&str] = &[&pair.layer.to_string(), pair.near.host(), "the content does not match its digest"];
    pair.assert_refused(pair.near.host(), Class::Damaged, words, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_too_short_or_too_long_fails_its_image_alone() {
    for change in [(|bytes: &mut Vec<u8>| bytes.truncate(1000)) as fn(&mut Vec<u8>), |bytes| bytes.extend([0u8; 1000])] {
        let Some(pair) = Pair::new().await else { return };
        let size = std::fs::metadata(pair.near.blob_file(&pair.layer.to_string())).expect("the blob").len();
        pair.change(&pair.layer, change);
        let words: &[&str] = &[&pair.layer.to_string(), "team/bad", "the registry sends", &format!("its descriptor says {size}")];
        pair.assert_refused(pair.near.host(), Class::Damaged, words, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_not_there_fails_its_image_alone() {
    let Some(pair) = Pair::new().await else { return };
    std::fs::remove_file(pair.near.blob_file(&pair.layer.to_string())).expect("removed");
    let words: &[&str] = &[&pair.layer.to_string(), "team/bad", "it is not there"];
    pair.assert_refused(pair.near.host(), Class::Partial, words, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_image_is_not_there_fails_alone() {
    let Some(pair) = Pair::new().await else { return };
    let arm = pair.layout.image(&Image::generated(9, 20_000).platform("linux/arm64"));
    let index = pair.layout.index(&[pair.bad.clone(), arm.clone()]);
    push(&pair.layout, &index, &format!("{}/team/bad", pair.near.host()), Some("1")).await;
    std::fs::remove_file(pair.near.blob_file(&arm.digest.to_string())).expect("removed");
    let words: &[&str] = &["team/bad:1", &arm.digest.to_string(), &format!("is not in {}", pair.near.host())];
    pair.assert_refused(pair.near.host(), Class::Partial, words, Some("--platform")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_nest_too_deep_are_refused() {
    let Some(pair) = Pair::new().await else { return };
    let mut root = pair.bad.clone();
    for _ in 0..12 {
        root = pair.layout.index(&[root]);
    }
    push(&pair.layout, &root, &format!("{}/team/bad", pair.near.host()), Some("1")).await;
    pair.assert_refused(pair.near.host(), Class::Partial, &["team/bad:1", "its indexes nest deeper than 8"], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_300_mb_is_refused_before_it_is_read() {
    let Some(pair) = Pair::new().await else { return };
    let proxy = Proxy::with(pair.near.host(), {
        let digest = pair.bad.digest.to_string();
        move |request| match request.class == About::Manifest && (request.path.contains("bad") || request.path.contains(&digest)) {
            true => Fault::none().header("Content-Length", "314572800"),
            false => Fault::none(),
        }
    });
    let words: &[&str] = &["team/bad", "314572800 bytes are more than the 4194304 that are taken"];
    pair.assert_refused(&proxy.host(), Class::Partial, words, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_schema_1_image_is_refused_by_name() {
    let Some(pair) = Pair::new().await else { return };
    let proxy = Proxy::with(pair.near.host(), |request| {
        let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        let is_bad = request.class == About::Manifest && request.path.contains("team/bad");
        if is_bad { Fault::none().header("Content-Type", kind) } else { Fault::none() }
    });
    pair.assert_refused(&proxy.host(), Class::Partial, &["team/bad", "docker schema 1 is not supported"], Some("push the image again"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_a_wrong_digest_is_refused() {
    let Some(pair) = Pair::new().await else { return };
    let proxy = Proxy::with(pair.near.host(), |request| {
        let is_bad = request.class == About::Manifest && request.method == "GET" && request.path.contains("team/bad");
        if is_bad { Fault::none().flip_at(2) } else { Fault::none() }
    });
    let words: &[&str] = &[&pair.bad.digest.to_string(), "team/bad", "the content does not match its digest"];
    pair.assert_refused(&proxy.host(), Class::Damaged, words, None).await;
}

/// A tar entry header of `kind` for `size` bytes, with a checksum that holds.
fn entry(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).expect("a name");
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Uncompressed layers that are no sound tar, or a strange one.
fn strange_layers() -> Vec<(&'static str, Vec<u8>)> {
    let sound = Layer::tree(7, 300_000).tar().stored();
    let garbage = Random::new(3).noise(300_000);
    let pax = |bytes: usize| {
        let record = format!("{bytes} comment={}\n", "x".repeat(bytes - bytes.to_string().len() - 10));
        let mut out = entry("pax", b'x', record.len() as u64);
        out.extend(record.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
        [out, sound.clone()].concat()
    };
    vec![
        ("cut in a header", sound[..512 * 40 + 100].to_vec()),
        ("cut in a file", sound[..sound.len() / 2 + 77].to_vec()),
        ("garbage after a sound beginning", [&sound[..512 * 20], &garbage[..]].concat()),
        ("garbage with the magic of a tar", [entry("a", b'0', 5), garbage.clone()].concat()),
        ("a length beyond the end", [entry("a", b'0', 1 << 32), sound.clone()].concat()),
        ("megabytes of pax records", pax(3 << 20)),
        ("a pax header without an end", [entry("pax", b'x', 8 << 20), garbage].concat()),
        ("one header alone", entry("a", b'5', 0)),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 100_000]),
        ("data after the end", [sound.clone(), vec![0; 1024], b"appended".to_vec()].concat()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_are_no_sound_tar_come_back_bit_for_bit() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let lab = Lab::new();
    let mut from = Vec::new();
    for (n, (_, layer)) in strange_layers().into_iter().enumerate() {
        let layer = Layer::bytes(layer).media_type("application/vnd.oci.image.layer.v1.tar");
        from.push(lab.fill(&near, &format!("team/app{n}"), "1", &Image::of([layer])).await);
    }
    let made = lab.sync(&from, &lab.path("disk")).await.expect("mirrored");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let pushed = lab.sync(&[lab.path("disk")], &format!("docker://{}", far.host())).await.expect("pushed");
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    for (n, (what, layer)) in strange_layers().into_iter().enumerate() {
        assert!(fetch_manifest(&format!("{}/team/app{n}", far.host()), "1").await.is_some(), "{what}");
        let there = std::fs::read(far.blob_file(&Digest::of(&layer).to_string())).expect("the layer");
        assert!(there == layer, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storms_and_cuts_on_the_way_there_and_back_are_weathered_without_help() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let mut lab = Lab::new();
    lab.settings.retry_times = 8;
    for n in 0..4 {
        lab.fill(&near, &format!("team/app{n}"), "1", &Image::generated(n, 400_000)).await;
    }
    let rule = |seed: u64| {
        let stormy = crate::support::fault::sometimes(seed, 25, Fault::answer(503));
        let busy = nth("GET", About::Blob, 3, Fault::answer(429).retry_after(1));
        let cut = crate::support::fault::sometimes(seed + 1, 25, Fault::none().cut_response_at(10_000));
        let cut_up = crate::support::fault::sometimes(seed + 2, 20, Fault::none().cut_upload_at(5_000));
        let refused = crate::support::fault::sometimes(seed + 3, 10, Fault::refused());
        move |request: &crate::support::proxy::Request| {
            let busy = busy(request);
            match (request.before % 4, request.class) {
                _ if request.method == "GET" && request.class == About::Blob && request.before == 3 => busy,
                (0, _) => stormy(request),
                (1, About::Blob) => cut(request),
                (2, About::Upload) => cut_up(request),
                (3, _) => refused(request),
                _ => Fault::none(),
            }
        }
    };
    let (before, behind) = (Proxy::with(near.host(), rule(1)), Proxy::with(far.host(), rule(100)));
    let from: Vec<String> = (0..4).map(|n| format!("docker://{}/team/app{n}:1", before.host())).collect();
    let made = lab.sync(&from, &lab.path("disk")).await.expect("mirrored");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let pushed = lab.sync(&[lab.path("disk")], &format!("docker://{}", behind.host())).await.expect("pushed");
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    for n in 0..4 {
        assert!(fetch_manifest(&format!("{}/team/app{n}", far.host()), "1").await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stays_unavailable_is_named_with_its_last_answer() {
    let Some(pair) = Pair::new().await else { return };
    let proxy = Proxy::with(pair.near.host(), every("GET", About::Blob, Fault::answer(503)));
    let made = pair.lab.sync(&pair.from(&proxy.host()), &pair.lab.path("disk")).await.expect("a run");
    assert_eq!((made.class(), made.set.is_none()), (Class::Failed, true));
    assert_says(failure(&made, "team/bad"), &["503", &proxy.host(), "tried 3 times"]);
    // Nothing is visible, and the next run needs no help.
    assert!(pair.lab.archive("disk").keys().all(|name| name.ends_with(".partial")), "{:?}", pair.lab.archive("disk").keys());
    proxy.set(|_| Fault::none());
    let made = pair.lab.sync(&pair.from(&proxy.host()), &pair.lab.path("disk")).await.expect("a run");
    assert_eq!(made.class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_platform_is_mirrored_alone_and_one_that_nobody_has_is_named() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let (lab, layout) = (Lab::new(), Layout::new());
    let amd = layout.image(&Image::generated(1, 80_000));
    let arm = layout.image(&Image::generated(2, 80_000).platform("linux/arm64"));
    // As buildx writes them: an attestation stands in the index as an image of platform unknown/unknown.
    let attestation = layout.image(&Image::of([Layer::bytes(&b"{}"[..])]).platform("unknown/unknown"));
    let index = layout.manifest(
        OCI_INDEX,
        &json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [amd, arm, Descriptor {
            annotations: Some(std::collections::BTreeMap::from([
                ("vnd.docker.reference.digest".to_owned(), amd.digest.to_string()),
                ("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned()),
            ])),
            ..attestation.clone()
        }]}),
    );
    push(&layout, &index, &format!("{}/team/multi", near.host()), Some("1")).await;
    let single = lab.fill(&near, "team/single", "1", &Image::generated(5, 20_000)).await;
    let from = [format!("docker://{}/team/multi:1", near.host()), single];
    let platforms =
        |text: &'static str| move |request: &mut ocm::workflow::sync::Request| request.platforms = vec![text.parse().expect("a platform")];
    let made = lab.sync_with(&from, &lab.path("disk"), platforms("linux/arm64")).await.expect("mirrored");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    // The index is as it was, and only the wanted platform is there.
    let out = lab.sync(&[lab.path("disk")], &format!("oci:{}", lab.path("layout"))).await.expect("a layout takes it");
    assert_eq!(out.class(), Class::Done, "{:?}", out.report);
    let there = |digest: &Digest| lab.folder("layout/blobs/sha256").join(digest.hex()).exists();
    assert_eq!([&index, &arm, &amd].map(|one| there(&one.digest)), [true, true, false]);
    // This registry takes no index whose platforms are not all there; the other image comes through.
    let pushed = lab.sync(&[lab.path("disk")], &format!("docker://{}", far.host())).await.expect("pushed");
    assert_only(&pushed, "team/multi", Class::Partial);
    let error = failure(&pushed, "team/multi");
    assert_says(error, &["team/multi", far.host()]);
    assert!(error.notes().iter().any(|note| note.contains("takes no index whose platforms are not all there")), "{error:?}");
    assert_hints(error, "mirror all platforms");
    assert!(fetch_manifest(&format!("{}/team/multi", far.host()), "1").await.is_none());
    let none = lab.sync_with(&from, &lab.path("other"), platforms("linux/s390x")).await.expect("a run");
    assert_says(failure(&none, "team/multi"), &["team/multi:1", "no platform linux/s390x; it has linux/amd64, linux/arm64"]);
    assert_only(&none, "team/multi", Class::Partial);
}
