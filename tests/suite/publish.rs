//! What is published for a cluster, in the hands of a client of the kind that its nodes have.
//!
//! **Invariants.** The registry that the images came from has ended before anything is pulled.
//!
//! *Not here:* what the documents say in each case (unit tests of `publish`).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ocm::image::Digest;
use ocm::publish::{IDMS_FILE, ITMS_FILE, Options, REGISTRIES_FILE, publish};
use ocm::workspace::Workspace;
use serde_yaml::Value;

use crate::support::images::{Image, Layout, push};
use crate::support::layers::Layer;
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};
use crate::workflows::lab::Lab;

/// An image as a cluster asks for it, and what it must get.
struct Asked {
    name: String,
    digest: Digest,
}

/// Puts images into `near`, mirrors them to `far` in several ways, and says what a cluster will ask for.
async fn mirror(lab: &Lab, near: &Registry, far: &Registry) -> Vec<Asked> {
    let layout = Layout::new();
    let mut asked = Vec::new();
    let mut below = Vec::new();
    for (seed, (path, tag, by_tag, by_digest)) in (1..).zip([
        ("team/app", "1", true, false),
        ("team/app", "2", false, true),
        ("team/app", "3", true, true),
        ("team/apparatus", "1", true, false),
        ("tools/kit", "1", true, false),
        ("tools/kit/plugin", "1", false, true),
        ("alone", "1", true, false),
    ]) {
        let root = layout.image(&Image::of([Layer::tree(seed, 20_000)]));
        let repository = format!("{}/{path}", near.host());
        push(&layout, &root, &repository, Some(tag)).await;
        let (tag, digest) = (format!("{repository}:{tag}"), format!("{repository}@{}", root.digest));
        below.push(match (by_tag, by_digest) {
            (true, true) => format!("docker://{tag}@{}", root.digest),
            (true, false) => format!("docker://{tag}"),
            (false, _) => format!("docker://{digest}"),
        });
        let names = by_tag.then_some(tag).into_iter().chain(by_digest.then_some(digest));
        asked.extend(names.map(|name| Asked { name, digest: root.digest }));
    }
    lab.sync(&below, &format!("docker://{}/mirror", far.host())).await.expect("mirrored");
    // One of the same repository goes elsewhere: its rule must not hide the others.
    let root = layout.image(&Image::of([Layer::tree(99, 20_000)]));
    let name = format!("{}/team/app:99", near.host());
    push(&layout, &root, &format!("{}/team/app", near.host()), Some("99")).await;
    lab.sync(&[format!("docker://{name}")], &format!("docker://{}/elsewhere/app:99", far.host())).await.expect("mirrored");
    asked.push(Asked { name, digest: root.digest });
    asked
}

/// What a node makes of the documents: for each source one registry, with the mirrors of all documents.
fn as_a_node_has_it(folder: &Path) -> String {
    let mut registries = BTreeMap::<String, String>::new();
    for (file, list, only) in [(IDMS_FILE, "imageDigestMirrors", "digest-only"), (ITMS_FILE, "imageTagMirrors", "tag-only")] {
        let text = std::fs::read_to_string(folder.join(file)).expect(file);
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document: Value = serde::Deserialize::deserialize(document).expect("yaml");
            for entry in document["spec"][list].as_sequence().expect(list) {
                let registry = registries.entry(entry["source"].as_str().expect("a source").to_owned()).or_default();
                for mirror in entry["mirrors"].as_sequence().expect("mirrors") {
                    let mirror = mirror.as_str().expect("a mirror");
                    *registry += &format!("[[registry.mirror]]\nlocation = \"{mirror}\"\npull-from-mirror = \"{only}\"\ninsecure = true\n");
                }
            }
        }
    }
    registries.iter().map(|(source, mirrors)| format!("[[registry]]\nlocation = \"{source}\"\n{mirrors}")).collect()
}

/// A pull of `name` into `folder`, by this configuration.
fn pull(mut skopeo: Command, conf: &Path, name: &str, folder: &Path) -> Command {
    skopeo.arg("--registries-conf").arg(conf).args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]);
    skopeo.arg(format!("docker://{name}")).arg(format!("dir:{}", folder.display()));
    skopeo
}

#[tokio::test(flavor = "multi_thread")]
async fn every_image_is_pulled_by_the_name_of_its_origin_when_that_is_gone() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    if Tool::find("skopeo").is_none() {
        return;
    }
    let lab = Lab::new();
    let asked = mirror(&lab, &near, &far).await;
    drop(near);
    let workspace = Workspace::new(lab.folder("workspace"));
    let receipts = workspace.all_receipts().expect("receipts");
    let options = Options { insecure: true, ..Options::default() };
    let folder = workspace.cluster_resources(&receipts[0].destination);
    let published = publish(&receipts, &options, &folder).expect("published");
    assert_eq!((published.files.len(), published.left_out.len()), (3, 0), "{published:?}");
    let (derived, empty) = (lab.folder("node.conf"), lab.folder("empty.conf"));
    std::fs::write(&derived, as_a_node_has_it(&folder)).expect("written");
    std::fs::write(&empty, "").expect("written");
    let skopeo = || Tool::find("skopeo").expect("there a moment ago");
    for conf in [derived, folder.join(REGISTRIES_FILE)] {
        for Asked { name, digest } in &asked {
            let pulled = tempfile::tempdir().expect("a folder");
            run(&mut pull(skopeo(), &conf, name, pulled.path()));
            let manifest = std::fs::read(pulled.path().join("manifest.json")).expect("a manifest");
            assert_eq!(Digest::of(&manifest), *digest, "{name}");
        }
    }
    let without = pull(skopeo(), &empty, &asked[0].name, &lab.folder("none")).output().expect("skopeo runs");
    assert!(!without.status.success(), "the origin is still there, so nothing was shown");
}
