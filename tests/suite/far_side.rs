//! Deltas where they arrive: what they build on is taken from sets at hand, from `--base`, or from the destination itself; and what is
//! told where it is nowhere, damaged or a lie.
//!
//! *Not here:* how deltas are written (`format/tests/delta.rs`).

mod bad;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use ocm::error::Result;
use ocm::image::manifest::OCI_MANIFEST;
use ocm::image::{Descriptor, Digest};
use ocm::transfer::Class;
use ocm::workflow::sync::{Depth, Outcome, Request};
use serde_json::json;

use crate::support::images::{Layout, digest_by_skopeo, fetch_manifest, push};
use crate::support::layers::Random;
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};
use crate::workflows::lab::Lab;

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A registry on the near side with two generations of an image in repositories of different names, and one that stands alone; an
/// archive of both generations; and the far side.
struct Generations {
    lab: Lab,
    layout: Layout,
    near: Registry,
    far: Registry,
    /// The layer of the first generation that the second one builds on.
    old: Digest,
    /// The images of the second set: `team/new:2` and `team/alone:2`.
    roots: [Descriptor; 2],
    /// Where set 1 is once it was [taken away](Self::take_away).
    away: PathBuf,
}

impl Generations {
    /// Both generations in the archive `disk`, as patches.
    async fn new() -> Option<Self> {
        Self::at(Depth::Patch).await
    }

    async fn at(depth: Depth) -> Option<Self> {
        let (near, far) = (Registry::start()?, Registry::start()?);
        let (lab, layout) = (Lab::new(), Layout::new());
        let mut random = Random::new(3);
        let files: Vec<(String, Vec<u8>)> = (0..12).map(|n| (format!("usr/f{n}"), random.noise(60_000 + n * 1_000))).collect();
        let old = gzip(&tar(&files))?;
        // The next version: most files stay, one changes a little here and there, one is new.
        let mut changed = files.clone();
        (0..20).for_each(|n| changed[3].1[n * 3_000] ^= 0x55);
        changed.push(("usr/new".into(), random.noise(20_000)));
        let roots = [
            image(&layout, "one", std::slice::from_ref(&old)),
            image(&layout, "two", &[gzip(&tar(&changed))?]),
            image(&layout, "three", &[gzip(&tar(&[("alone".into(), random.noise(50_000))]))?]),
        ];
        for (root, name) in roots.iter().zip(["team/old:1", "team/new:2", "team/alone:2"]) {
            let (repository, tag) = name.split_once(':').expect("a tag");
            push(&layout, root, &format!("{}/{repository}", near.host()), Some(tag)).await;
        }
        let away = lab.folder("away");
        let [_, two, three] = roots;
        let made = Self { lab, layout, near, far, old: Digest::of(&old), roots: [two, three], away };
        let options = |request: &mut Request| {
            request.archive.only = true;
            request.archive.delta.depth = depth;
        };
        let first = made.lab.sync_with(&[made.place("old:1")], &made.lab.path("disk"), options).await.expect("set 1").set.expect("a set");
        assert_eq!(first.gzip.replayed.blobs, 1, "runs need a plain form that is listed");
        let from = [made.place("new:2"), made.place("alone:2")];
        let second = made.lab.sync_with(&from, &made.lab.path("disk"), options).await.expect("set 2").set.expect("a set");
        assert_eq!((second.generation, second.parent_generation(), second.depth), (2, Some(1), Some(depth)));
        assert!(second.stored_bytes < 300_000, "{depth:?}: {}", second.stored_bytes);
        Some(made)
    }

    fn place(&self, name: &str) -> String {
        format!("docker://{}/team/{name}", self.near.host())
    }

    fn target(&self) -> String {
        format!("docker://{}", self.far.host())
    }

    /// Pushes set 1 to the far registry.
    async fn push_first(&self) {
        let pushed = self.lab.sync(&[format!("{}@1", self.lab.path("disk"))], &self.target()).await.expect("set 1");
        assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    }

    /// Takes set 1 out of `disk`.
    fn take_away(&self) {
        std::fs::create_dir_all(&self.away).expect("a folder");
        for path in self.lab.snapshot("disk").into_keys().filter(|path| path.to_string_lossy().contains(".g0001-")) {
            std::fs::rename(&path, self.away.join(path.file_name().expect("a name"))).expect("moved");
        }
    }

    /// Pushes what is in `disk`.
    async fn push(&self, options: impl FnOnce(&mut Request)) -> Result<Outcome> {
        self.lab.sync_with(&[self.lab.path("disk")], &self.target(), options).await
    }

    /// Everything of the second set is in the far registry, bit for bit.
    async fn assert_arrived(&self) {
        for (root, name) in self.roots.iter().zip(["new", "alone"]) {
            let there = fetch_manifest(&format!("{}/team/{name}", self.far.host()), "2").await.expect("the image");
            assert!(there == self.layout.read(&root.digest), "{name}");
            if let Some(digest) = digest_by_skopeo(&format!("{}/team/{name}:2", self.far.host())) {
                assert_eq!(digest, root.digest);
            }
            for blob in blobs(&there) {
                let kept = std::fs::read(self.far.blob_file(&blob.to_string())).expect("the blob");
                assert!(kept == self.layout.read(&blob), "{name}: {blob}");
            }
        }
    }

    async fn has(&self, name: &str) -> bool {
        fetch_manifest(&format!("{}/team/{name}", self.far.host()), "2").await.is_some()
    }

    /// Nothing of the second set has come.
    async fn assert_nothing_came(&self) {
        assert!(!self.has("new").await && !self.has("alone").await);
        for root in &self.roots {
            let blobs = blobs(&self.layout.read(&root.digest));
            assert!(blobs.iter().all(|blob| !self.far.blob_file(&blob.to_string()).exists()), "not even a blob");
        }
    }
}

/// Configuration and layers of a manifest.
fn blobs(manifest: &[u8]) -> Vec<Digest> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).expect("a manifest");
    let layers = manifest["layers"].as_array().expect("layers").iter().chain([&manifest["config"]]);
    layers.map(|blob| blob["digest"].as_str().expect("a digest").parse().expect("a digest")).collect()
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        tar.append_data(&mut header, path, content.as_slice()).expect("memory");
    }
    tar.into_inner().expect("memory")
}

/// What gzip(1) makes of it; `None` where it is not installed.
fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write as _;
    let mut child = Tool::find("gzip")?.arg("-n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), plain.to_vec());
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    feed.join().expect("no panic").expect("it takes all");
    assert!(output.status.success());
    Some(output.stdout)
}

/// An image of layers as they are.
fn image(layout: &Layout, name: &str, layers: &[Vec<u8>]) -> Descriptor {
    let config = layout.blob("application/vnd.oci.image.config.v1+json", json!({ "name": name }).to_string().as_bytes());
    let layers: Vec<Descriptor> = layers.iter().map(|bytes| layout.blob(GZIP_LAYER, bytes)).collect();
    layout.manifest(OCI_MANIFEST, &json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}))
}

fn plain(_: &mut Request) {}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_whose_parent_is_only_in_the_registry_is_pushed_bit_for_bit() {
    for depth in [Depth::Chunk, Depth::Patch] {
        let Some(made) = Generations::at(depth).await else { return };
        made.push_first().await;
        made.take_away();
        let planned = made.push(|request| request.dry_run = true).await.expect("a plan");
        let back = planned.read_back.expect("an old blob is read back");
        assert_eq!((back.blobs, back.bytes), (1, made.layout.read(&made.old).len() as u64), "{depth:?}");
        assert!(back.spool_bytes > 600_000 && back.spool_bytes < 800_000, "{depth:?}: {back:?}");
        made.assert_nothing_came().await;
        let pushed = made.push(plain).await.expect("the registry has the rest");
        assert_eq!((pushed.class(), pushed.read_back), (Class::Done, Some(back)), "{:?}", pushed.report);
        made.assert_arrived().await;
        let left: Vec<_> =
            std::fs::read_dir(made.lab.folder("workspace")).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().contains("spool")), "{left:?}");
        // Once more there is nothing to do, and nothing to read.
        let again = made.push(plain).await.expect("nothing new");
        assert!(again.read_back.is_none() && again.report.bytes_moved == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_a_delta_is_pulled_by_others() {
    let Some(made) = Generations::new().await else { return };
    made.push_first().await;
    made.take_away();
    made.push(plain).await.expect("pushed");
    let from = format!("docker://{}/team/new:2", made.far.host());
    let to = made.lab.path("pulled");
    let Some(mut skopeo) = Tool::find("skopeo") else { return };
    run(skopeo.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", &from, &format!("dir:{to}")]));
    for blob in blobs(&made.layout.read(&made.roots[0].digest)) {
        assert!(std::fs::read(made.lab.folder("pulled").join(blob.hex())).expect("pulled") == made.layout.read(&blob));
    }
    let Some(mut regctl) = Tool::find("regctl") else { return };
    let host = made.far.host();
    run(Command::new(regctl.get_program()).args(["registry", "set", host, "--tls", "disabled"]).env("HOME", made.lab.folder("")));
    let digest = run(regctl.args(["image", "digest", &format!("{host}/team/new:2")]).env("HOME", made.lab.folder("")));
    assert_eq!(digest.trim(), made.roots[0].digest.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_beside_the_delta_or_named_by_base_needs_no_registry() {
    let Some(made) = Generations::new().await else { return };
    made.take_away();
    let away = made.away.clone();
    let pushed = made
        .push(|request| {
            request.base = vec![away];
            request.check_base = true;
        })
        .await
        .expect("set 1 is at hand");
    assert_eq!((pushed.class(), pushed.read_back), (Class::Done, None), "{:?}", pushed.report);
    made.assert_arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_a_base_as_a_registry_is() {
    let Some(made) = Generations::new().await else { return };
    let (disk, target) = (made.lab.path("disk"), format!("oci:{}", made.lab.path("layout")));
    made.lab.sync(&[format!("{disk}@1")], &target).await.expect("set 1");
    made.take_away();
    let brought = made.lab.sync_with(&[&disk], &target, |request| request.check_base = true).await.expect("set 2");
    assert_eq!((brought.class(), brought.read_back.map(|back| back.blobs)), (Class::Done, Some(1)), "{:?}", brought.report);
    for root in &made.roots {
        for blob in blobs(&made.layout.read(&root.digest)) {
            let kept = std::fs::read(made.lab.folder("layout/blobs/sha256").join(blob.hex())).expect("the blob");
            assert!(kept == made.layout.read(&blob));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_the_registry_has_in_another_repository_is_taken_over_from_there() {
    let (Some(near), Some(far)) = (Registry::start(), Registry::start()) else { return };
    let (lab, layout) = (Lab::new(), Layout::new());
    let base = Random::new(1).noise(200_000);
    let images = [image(&layout, "one", std::slice::from_ref(&base)), image(&layout, "two", &[base.clone(), Random::new(2).noise(1_000)])];
    for (root, name) in images.iter().zip(["one", "two"]) {
        push(&layout, root, &format!("{}/team/{name}", near.host()), Some("1")).await;
    }
    let (disk, target) = (lab.path("disk"), format!("docker://{}", far.host()));
    for name in ["one", "two"] {
        let only = |request: &mut Request| request.archive.only = true;
        lab.sync_with(&[format!("docker://{}/team/{name}:1", near.host())], &disk, only).await.expect("a set");
    }
    lab.sync(&[format!("{disk}@1")], &target).await.expect("set 1");
    lab.remove_set("disk", 1);
    let pushed = lab.sync(&[&disk], &target).await.expect("the base is in team/one");
    assert_eq!((pushed.class(), pushed.read_back), (Class::Done, None), "{:?}", pushed.report);
    assert!(pushed.report.bytes_moved < 10_000, "it was mounted: {}", pushed.report.bytes_moved);
    assert!(fetch_manifest(&format!("{}/team/two", far.host()), "1").await.expect("the image") == layout.read(&images[1].digest));
}
