//! Layouts that other tools wrote are read, and those that ocm wrote are read by other tools.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use ocm::image::{Descriptor, Digest, Source};
use ocm::store::layout::{LayoutSink, LayoutSource};
use serde_json::Value;

use super::{names, repository};
use crate::conformance::given::{bring_to, contents, everything, item, whole};
use crate::support::images::{Layout, push, zoo};
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};

fn skopeo() -> Option<Command> {
    let mut skopeo = Tool::find("skopeo")?;
    skopeo.arg("--insecure-policy");
    Some(skopeo)
}

/// Checks that everything in the layout comes out of ocm as it is on the disk.
async fn read_all(path: &Path) -> LayoutSource {
    let (source, layout) = (LayoutSource::open(path, None).await.expect("a layout"), Layout::at(path));
    let contents = source.contents().await.expect("an answer").expect("a list");
    let roots = contents.items().iter().filter_map(|item| item.root.as_ref());
    let all: Vec<Descriptor> = roots.flat_map(|root| everything(&layout, root)).collect();
    for content in &all {
        let bytes = whole(&source, &repository(), content).await;
        assert!(content.digest.matches(&bytes) && bytes == layout.read(&content.digest), "{content:?}");
    }
    assert_eq!(all.iter().map(|one| one.digest).collect::<BTreeSet<_>>(), layout.digests().into_iter().collect());
    source
}

/// Writes the zoo with ocm, each kind under its tag.
async fn written(path: &Path) -> Vec<(&'static str, Descriptor)> {
    let (layout, kinds) = zoo();
    let name = |tag: &str| format!("quay.io/zoo/animal:{tag}").parse().expect("a name");
    let items: Vec<_> = kinds.iter().map(|(tag, root)| item(&name(tag), root)).collect();
    let sink = LayoutSink::open(path, None).await.expect("a sink");
    bring_to(&sink, &layout, &items).await;
    ocm::image::Sink::finish(Box::new(sink), &contents(&items)).await.expect("finished");
    kinds.into_iter().collect()
}

#[tokio::test]
async fn a_layout_written_by_skopeo_is_read() {
    let (Some(registry), Some(_)) = (Registry::start(), skopeo()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (layout, kinds) = zoo();
    for tag in ["single", "index"] {
        let name = format!("{}/zoo", registry.host());
        push(&layout, &kinds[tag], &name, Some(tag)).await;
        let mut skopeo = skopeo().expect("found before");
        skopeo.args(["copy", "--quiet", "--all", "--src-tls-verify=false", &format!("docker://{name}:{tag}")]);
        run(skopeo.arg(format!("oci:{}:{tag}", folder.path().join("made").display())));
    }
    let source = read_all(&folder.path().join("made")).await;
    assert_eq!(names(&source).await, ["localhost/made:index", "localhost/made:single"]);
    let found = source.resolve(&"localhost/made:index".parse().expect("a name")).await.expect("an answer").expect("a root");
    assert_eq!(found.digest, kinds["index"].digest);
}

#[tokio::test]
async fn a_layout_written_by_umoci_is_read() {
    let Some(mut umoci) = Tool::find("umoci") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made");
    run(umoci.args(["init", "--layout"]).arg(&path));
    for tag in ["first", "second"] {
        let mut umoci = Tool::find("umoci").expect("found before");
        run(umoci.args(["new", "--image"]).arg(format!("{}:{tag}", path.display())));
    }
    let source = read_all(&path).await;
    assert_eq!(names(&source).await, ["localhost/made:first", "localhost/made:second"]);
}

#[tokio::test]
async fn a_layout_written_by_buildah_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let buildah = |arguments: &[&str]| {
        let mut buildah = Tool::find("buildah")?;
        buildah.arg("--root").arg(folder.path().join("root")).arg("--runroot").arg(folder.path().join("run"));
        Some(run(buildah.args(["--storage-driver", "vfs"]).args(arguments)))
    };
    std::fs::create_dir_all(folder.path().join("tree")).expect("made");
    std::fs::write(folder.path().join("tree/file"), "content").expect("written");
    let Some(_) = buildah(&["from", "--name", "made", "scratch"]) else { return };
    buildah(&["copy", "made", &folder.path().join("tree").display().to_string(), "/"]);
    buildah(&["commit", "--quiet", "made", &format!("oci:{}:v1", folder.path().join("made").display())]);
    buildah(&["rm", "made"]);
    let source = read_all(&folder.path().join("made")).await;
    assert_eq!(names(&source).await, ["localhost/made:v1"]);
}

#[tokio::test]
async fn a_layout_written_by_ocm_is_read_by_skopeo() {
    let Some(_) = skopeo() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ocm");
    let kinds = written(&path).await;
    // Skopeo finds no image of a docker media type in any layout.
    for (tag, root) in kinds.iter().filter(|(_, root)| root.media_type.starts_with("application/vnd.oci.")) {
        let raw = run(skopeo().expect("found before").args(["inspect", "--raw"]).arg(format!("oci:{}:{tag}", path.display())));
        assert_eq!(Digest::of(raw.as_bytes()), root.digest, "{tag}");
    }
    let copied = folder.path().join("copied");
    let mut skopeo = skopeo().expect("found before");
    skopeo.args(["copy", "--quiet", "--all", "--preserve-digests"]);
    run(skopeo.arg(format!("oci:{}:index", path.display())).arg(format!("oci:{}:again", copied.display())));
    assert_eq!(names(&read_all(&copied).await).await, ["localhost/copied:again"]);
}

#[tokio::test]
async fn a_layout_written_by_ocm_is_read_by_umoci() {
    let Some(mut umoci) = Tool::find("umoci") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ocm");
    let kinds = written(&path).await;
    let tags = run(umoci.args(["list", "--layout"]).arg(&path));
    for (tag, _) in kinds {
        assert!(tags.lines().any(|line| line == tag), "{tag}: {tags}");
    }
    let mut umoci = Tool::find("umoci").expect("found before");
    let bundle = folder.path().join("bundle");
    run(umoci.args(["raw", "unpack", "--rootless", "--image", &format!("{}:single", path.display())]).arg(&bundle));
    assert!(std::fs::read_dir(bundle).expect("unpacked").next().is_some());
}

#[tokio::test]
async fn a_layout_written_by_ocm_is_read_by_crane() {
    let (Some(registry), Some(mut crane)) = (Registry::start(), Tool::find("crane")) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let layout = folder.path().join("ocm");
    let (made, kinds) = zoo();
    let sink = LayoutSink::open(&layout, None).await.expect("a sink");
    let items = [item(&"quay.io/zoo/animal:single".parse().expect("a name"), &kinds["single"])];
    bring_to(&sink, &made, &items).await;
    ocm::image::Sink::finish(Box::new(sink), &contents(&items)).await.expect("finished");
    let name = format!("{}/animal:1", registry.host());
    run(crane.args(["push", "--insecure"]).arg(&layout).arg(&name));
    let manifest: Value =
        serde_json::from_str(&run(Tool::find("crane").expect("found before").args(["manifest", "--insecure", &name]))).expect("JSON");
    assert_eq!(manifest, serde_json::from_slice::<Value>(&made.read(&kinds["single"].digest)).expect("JSON"));
}
