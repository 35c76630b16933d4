//! What a layout looks like after runs that wrote to it, also when they were cut short.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocm::error::{Error, Kind};
use ocm::image::{Blob, Contents, Descriptor, Digest, Item, Sink};
use ocm::store::layout::LayoutSink;
use serde_json::Value;
use tempfile::TempDir;

use super::{REF_NAME, names, open, repository};
use crate::conformance::given::{Given, bring_to, contents, item, moved_nothing, parsed};
use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};

/// A place for a layout, with nothing in it.
fn nowhere() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("layout");
    (folder, path)
}

async fn sink(path: &Path, reference: Option<&str>) -> LayoutSink {
    LayoutSink::open(path, reference).await.expect("a sink")
}

async fn refused(path: &Path, reference: Option<&str>) -> Error {
    LayoutSink::open(path, reference).await.err().expect("a refusal")
}

async fn bring(path: &Path, reference: Option<&str>, layout: &Layout, items: &[Item]) {
    let sink = sink(path, reference).await;
    bring_to(&sink, layout, items).await;
    Box::new(sink).finish(&contents(items)).await.expect("finished");
}

fn named(name: &str, root: &Descriptor) -> Item {
    item(&name.parse().expect("a name"), root)
}

fn entries(path: &Path) -> Vec<Value> {
    let index: Value = serde_json::from_slice(&fs::read(path.join("index.json")).expect("an index")).expect("JSON");
    index["manifests"].as_array().expect("a list").clone()
}

/// `ref.name` and full name of each entry.
fn listed(path: &Path) -> Vec<(String, String)> {
    let text = |entry: &Value, key: &str| entry["annotations"][key].as_str().unwrap_or_default().to_owned();
    entries(path).iter().map(|entry| (text(entry, REF_NAME), text(entry, super::FULL_NAME))).collect()
}

fn pair(ref_name: &str, full: &str) -> (String, String) {
    (ref_name.to_owned(), full.to_owned())
}

fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> = paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

#[tokio::test]
async fn images_get_their_tag_and_their_full_name() {
    let (layout, (_folder, path)) = (Layout::new(), nowhere());
    let root = layout.image(&Image::generated(1, 2000));
    let by_digest = format!("quay.io/b@{}", root.digest);
    let items = [named("nginx:1.27", &root), named(&format!("quay.io/a:2@{}", root.digest), &root), named(&by_digest, &root)];
    bring(&path, None, &layout, &items).await;
    let digest_tag = format!("sha256-{}", root.digest.hex());
    assert_eq!(listed(&path), [pair("1.27", "docker.io/library/nginx:1.27"), pair("2", "quay.io/a:2"), pair(&digest_tag, &by_digest)]);
    let reread = Layout::at(&path);
    assert_eq!(names(&open(&reread).await).await, ["docker.io/library/nginx:1.27", "quay.io/a:2", &by_digest]);
}

#[tokio::test]
async fn a_reference_of_the_person_names_the_one_image() {
    for (reference, full) in [("mine", "quay.io/a:mine"), ("quay.io/my/own:3", "quay.io/my/own:3")] {
        let (layout, (_folder, path)) = (Layout::new(), nowhere());
        let [first, second] = [1, 2].map(|seed| layout.image(&Image::generated(seed, 2000)));
        bring(&path, Some(reference), &layout, &[named("quay.io/other:1", &first)]).await;
        bring(&path, Some(reference), &layout, &[named("quay.io/a:1", &second)]).await;
        assert_eq!(listed(&path), [pair(reference, full)], "the later image took the name of the earlier");
        let again = sink(&path, Some(reference)).await;
        assert_eq!(again.current(&"quay.io/a:1".parse().expect("a name")).await.expect("an answer"), Some(second.digest));
        again.point(&"quay.io/a:1".parse().expect("a name"), &parsed(&layout, &second)).await.expect("one image");
        let two = again.point(&"quay.io/b:9".parse().expect("a name"), &parsed(&layout, &first)).await;
        assert_eq!(two.map(drop).is_err(), reference == "mine", "with a full name both are the same name");
    }
    assert_eq!(refused(&nowhere().1, Some("No Name")).await.kind(), Kind::Usage);
}

#[tokio::test]
async fn what_others_listed_stays_and_the_same_name_is_replaced() {
    let layout = Layout::new();
    let [theirs, old, new] = [1, 2, 3].map(|seed| layout.image(&Image::generated(seed, 2000)));
    let target = Layout::new();
    target.list_in_index(&theirs, &[(REF_NAME, "v9"), ("org.example", "kept")]);
    bring(target.path(), None, &layout, &[named("quay.io/a:1", &old), named("quay.io/b:1", &old)]).await;
    bring(target.path(), None, &layout, &[named("quay.io/a:1", &new)]).await;
    assert_eq!(listed(target.path()), [pair("v9", ""), pair("1", "quay.io/a:1"), pair("1", "quay.io/b:1")]);
    let entries = entries(target.path());
    assert_eq!(entries[0]["annotations"]["org.example"], "kept");
    assert_eq!(entries[1]["digest"], new.digest.to_string());
}

#[tokio::test]
async fn what_is_attached_is_listed_without_a_name() {
    let (layout, (_folder, path)) = (Layout::new(), nowhere());
    let root = layout.image(&Image::generated(1, 2000));
    let note = layout.artifact("application/x.note", b"n", Some(&root));
    let item = Item { attached: vec![note.clone()], ..named("quay.io/a:1", &root) };
    for _ in 0..2 {
        bring(&path, None, &layout, std::slice::from_ref(&item)).await;
        let [_, attached] = &entries(&path)[..] else { panic!("{:?}", entries(&path)) };
        assert_eq!(attached["digest"], note.digest.to_string());
        assert_eq!((&attached["artifactType"], &attached["annotations"]), (&"application/x.note".into(), &Value::Null));
    }
}

#[tokio::test]
async fn a_run_with_nothing_new_writes_nothing() {
    let (layout, (_folder, path)) = (Layout::new(), nowhere());
    let items = [named("quay.io/a:1", &layout.image(&Image::generated(1, 2000)))];
    let inodes = || files(&path).iter().map(|file| fs::metadata(file).expect("a file").ino()).collect::<Vec<_>>();
    bring(&path, None, &layout, &items).await;
    let before = inodes();
    bring(&path, None, &layout, &items).await;
    assert_eq!(inodes(), before);
}

#[tokio::test]
async fn opening_a_place_writes_nothing_and_asking_neither() {
    let (_folder, path) = nowhere();
    let sink = sink(&path, None).await;
    let absent = Descriptor::new("t", Digest::of(b"x"), 1);
    assert!(!sink.has(&repository(), &absent).await.expect("an answer"));
    assert_eq!(sink.current(&"quay.io/a:1".parse().expect("a name")).await.expect("an answer"), None);
    assert!(!path.exists());
}

#[tokio::test]
async fn only_a_layout_or_an_empty_directory_is_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    sink(folder.path(), None).await;
    fs::write(folder.path().join(".tmp-7-0"), "left by a run that was killed").expect("written");
    sink(folder.path(), None).await;
    fs::write(folder.path().join("thesis.txt"), "mine").expect("written");
    let error = refused(folder.path(), None).await;
    assert!(error.kind() == Kind::Usage && error.way_out().is_some(), "{error:?}");
    assert_eq!(refused(&folder.path().join("thesis.txt"), None).await.kind(), Kind::Usage);
}

#[tokio::test]
async fn a_run_that_was_cut_short_leaves_the_old_images_and_the_next_one_clears_up() {
    let (layout, (_folder, path)) = (Layout::new(), nowhere());
    let (old, noise) = (layout.image(&Image::generated(1, 2000)), Random::new(4).noise(400_000));
    bring(&path, None, &layout, &[named("quay.io/a:1", &old)]).await;
    let index = fs::read(path.join("index.json")).expect("an index");
    let new = layout.image(&Image::of([Layer::bytes(noise).tar()]));
    let cut = sink(&path, None).await;
    bring_to(&cut, &layout, &[named("quay.io/a:1", &new)]).await;
    drop(cut);
    fs::write(path.join("blobs/sha256/.tmp-1-0"), "half a blob").expect("written");
    fs::write(path.join(".tmp-1-0"), "half an index").expect("written");
    assert_eq!(fs::read(path.join("index.json")).expect("an index"), index);
    assert_eq!(open(&Layout::at(&path)).await.resolve_tag("1").await, Some(old.digest));
    bring(&path, None, &layout, &[named("quay.io/a:1", &new)]).await;
    assert!(!files(&path).iter().any(|file| file.to_string_lossy().contains(".tmp-")));
    assert_eq!(open(&Layout::at(&path)).await.resolve_tag("1").await, Some(new.digest));
}

#[tokio::test]
async fn a_blob_that_fails_leaves_no_file() {
    let (_folder, path) = nowhere();
    let sink = sink(&path, None).await;
    let wrong = Arc::new(Given::claiming(Digest::of(b"abc"), b"abd"));
    let blob = Blob::new(wrong, repository(), Descriptor::new("t", Digest::of(b"abc"), 3));
    assert!(sink.put(&repository(), &blob, &moved_nothing()).await.is_err());
    assert_eq!(files(&path.join("blobs")), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn damage_that_shows_is_repaired_by_the_next_run() {
    let (layout, (_folder, path)) = (Layout::new(), nowhere());
    let root = layout.image(&Image::of([Layer::bytes("0123456789").tar()]));
    let items = [named("quay.io/a:1", &root)];
    bring(&path, None, &layout, &items).await;
    let written = Layout::at(&path);
    let blob = Digest::of(b"0123456789");
    let name = "quay.io/a:1".parse().expect("a name");
    for (digest, damaged) in [(blob, b"01234".to_vec()), (root.digest, layout.read(&root.digest).to_ascii_uppercase())] {
        fs::write(written.blob_file(&digest), damaged).expect("written");
        assert_eq!(sink(&path, None).await.current(&name).await.expect("an answer"), None, "{digest}");
        bring(&path, None, &layout, &items).await;
        assert_eq!(written.read(&digest), layout.read(&digest));
    }
    assert_eq!(sink(&path, None).await.current(&name).await.expect("an answer"), Some(root.digest));
}

#[tokio::test]
async fn an_index_child_that_refers_to_its_sibling_is_not_listed_beside_its_index() {
    let (layout, (_folder, path)) = (Layout::new(), nowhere());
    let child = layout.image(&Image::generated(1, 2000));
    let attestation = layout.artifact("application/x.attestation", b"a", Some(&child));
    let root = layout.index(&[child, attestation]);
    bring(&path, None, &layout, &[named("quay.io/a:1", &root)]).await;
    assert_eq!(entries(&path).len(), 1);
    assert_eq!(names(&open(&Layout::at(&path)).await).await, ["quay.io/a:1"]);
}

#[tokio::test]
async fn a_layout_without_images_is_one() {
    let (_folder, path) = nowhere();
    Box::new(sink(&path, None).await).finish(&Contents::default()).await.expect("finished");
    assert!(path.join("blobs/sha256").is_dir());
    assert_eq!(names(&open(&Layout::at(&path)).await).await, Vec::<String>::new());
}

/// What the tag of `quay.io/a` stands for.
trait ResolveTag {
    async fn resolve_tag(&self, tag: &str) -> Option<Digest>;
}

impl ResolveTag for ocm::store::layout::LayoutSource {
    async fn resolve_tag(&self, tag: &str) -> Option<Digest> {
        let name = format!("quay.io/a:{tag}").parse().expect("a name");
        ocm::image::Source::resolve(self, &name).await.expect("an answer").map(|root| root.digest)
    }
}
