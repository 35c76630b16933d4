//! OCI layouts beyond what every place does: names, what is attached, damage, and what a killed run leaves.
//!
//! *Not here:* layouts that others write or read (`layouts::others`), the rules of all places (`conformance`).

mod others;
mod writing;

use std::fs;
use std::path::Path;

use ocm::error::{Error, Kind};
use ocm::image::manifest::OCI_MANIFEST;
use ocm::image::{Contents, Descriptor, Digest, Repository, Source};
use ocm::store::layout::LayoutSource;
use serde_json::json;

use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;

const FULL_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

async fn open(layout: &Layout) -> LayoutSource {
    LayoutSource::open(layout.path(), None).await.expect("a layout")
}

async fn refused(path: &Path, reference: Option<&str>) -> Error {
    LayoutSource::open(path, reference).await.err().expect("a refusal")
}

async fn contents(source: &LayoutSource) -> Contents {
    source.contents().await.expect("an answer").expect("a list")
}

async fn names(source: &LayoutSource) -> Vec<String> {
    contents(source).await.items().iter().map(|item| item.origin.to_string()).collect()
}

fn repository() -> Repository {
    "localhost/layout".parse().expect("a repository")
}

#[tokio::test]
async fn images_are_named_by_their_annotations_or_their_digest() {
    let layout = Layout::new();
    let roots: Vec<Descriptor> = (0..5).map(|seed| layout.image(&Image::generated(seed, 2000))).collect();
    layout.list_in_index(&roots[0], &[(FULL_NAME, "docker.io/library/nginx:1"), (REF_NAME, "1")]);
    layout.list_in_index(&roots[1], &[(REF_NAME, "1")]);
    layout.list_in_index(&roots[2], &[(REF_NAME, "quay.io/a/b:2")]);
    layout.list_in_index(&roots[3], &[(REF_NAME, "no+name")]);
    layout.list_in_index(&roots[4], &[]);
    let source = open(&layout).await;
    let mut expected = vec!["docker.io/library/nginx:1".to_owned(), "localhost/layout:1".to_owned(), "quay.io/a/b:2".to_owned()];
    expected.extend(roots[3..].iter().map(|root| format!("localhost/layout@{}", root.digest)));
    expected.sort();
    let mut found = names(&source).await;
    found.sort();
    assert_eq!(found, expected);
    for name in found {
        let name = name.parse().expect("a name");
        assert!(source.resolve(&name).await.expect("an answer").is_some(), "{name}");
    }
    assert_eq!(source.tags(&repository()).await.expect("an answer"), Some(vec!["1".to_owned()]));
}

#[tokio::test]
async fn one_image_is_chosen_by_name_by_annotation_by_tag_or_by_digest() {
    let layout = Layout::new();
    let [nginx, app] = [1, 2].map(|seed| layout.image(&Image::generated(seed, 2000)));
    layout.list_in_index(&nginx, &[(FULL_NAME, "docker.io/library/nginx:1.27"), (REF_NAME, "1.27")]);
    layout.list_in_index(&app, &[(REF_NAME, "quay.io/team/app:2")]);
    let digest = app.digest.to_string();
    for (reference, name) in [
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("1.27", "docker.io/library/nginx:1.27"),
        ("quay.io/team/app:2", "quay.io/team/app:2"),
        ("2", "quay.io/team/app:2"),
        (&digest, "quay.io/team/app:2"),
    ] {
        let source = LayoutSource::open(layout.path(), Some(reference)).await.expect(reference);
        assert_eq!(names(&source).await, [name], "{reference}");
        assert_eq!(source.tags(&"quay.io/none".parse().expect("a repository")).await.expect("an answer"), None);
    }
    let error = refused(layout.path(), Some("3")).await;
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.way_out().expect("a hint").contains("quay.io/team/app:2"), "{error:?}");
    layout.list_in_index(&app, &[(FULL_NAME, "docker.io/library/other:1.27"), (REF_NAME, "1.27")]);
    let error = refused(layout.path(), Some("1.27")).await;
    assert!(error.kind() == Kind::Usage && error.way_out().expect("a hint").contains("other:1.27"), "{error:?}");
}

#[tokio::test]
async fn what_refers_to_an_image_is_no_image_however_it_is_listed() {
    let layout = Layout::new();
    let child = layout.image(&Image::generated(1, 2000));
    let root = layout.index(std::slice::from_ref(&child));
    let listed = layout.artifact("application/x.listed", b"a", Some(&child));
    let of_listed = layout.artifact("application/x.deep", b"b", Some(&listed));
    let by_tag = layout.artifact("application/x.tagged", b"c", Some(&root));
    layout.list_in_index(&of_listed, &[]);
    layout.list_in_index(&listed, &[]);
    layout.tag("1", &root);
    layout.tag(&format!("sha256-{}", root.digest.hex()), &layout.index(std::slice::from_ref(&by_tag)));
    for reference in [None, Some("1")] {
        let source = LayoutSource::open(layout.path(), reference).await.expect("a layout");
        let contents = contents(&source).await;
        let [item] = contents.items() else { panic!("{contents:?}") };
        let attached: Vec<Digest> = item.attached.iter().map(|one| one.digest).collect();
        assert!(attached.len() == 3 && [&listed, &of_listed, &by_tag].iter().all(|one| attached.contains(&one.digest)), "{attached:?}");
        assert!(attached.iter().position(|one| *one == listed.digest) < attached.iter().position(|one| *one == of_listed.digest));
        let referrers = source.referrers(&repository(), &root.digest).await.expect("an answer");
        assert_eq!(referrers.iter().map(|one| one.digest).collect::<Vec<_>>(), [by_tag.digest]);
    }
}

#[tokio::test]
async fn what_refers_to_something_that_is_not_here_is_listed_itself() {
    let layout = Layout::new();
    let elsewhere = Layout::new().image(&Image::generated(1, 2000));
    let note = layout.artifact("application/x.note", b"n", Some(&elsewhere));
    layout.list_in_index(&note, &[]);
    let by_digest = layout.image(&Image::generated(2, 2000));
    layout.tag(&format!("sha256-{}", by_digest.digest.hex()), &by_digest);
    let mut expected = vec![format!("localhost/layout@{}", note.digest), format!("localhost/layout:sha256-{}", by_digest.digest.hex())];
    expected.sort();
    let mut found = names(&open(&layout).await).await;
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_blob_of_another_size_is_damage_that_names_the_file() {
    let layout = Layout::new();
    layout.tag("1", &layout.image(&Image::of([Layer::bytes("0123456789").tar()])));
    let blob = layout.blob("t", b"0123456789");
    for content in ["012345678", "0123456789a"] {
        fs::write(layout.blob_file(&blob.digest), content).expect("written");
        let error = open(&layout).await.read(&repository(), &blob, 0..4).await.err().expect("damage");
        assert_eq!(error.kind(), Kind::Damaged);
        assert!(error.to_string().contains(&blob.digest.hex()) && error.to_string().contains("says 10"), "{error}");
    }
    fs::remove_file(layout.blob_file(&blob.digest)).expect("removed");
    assert!(open(&layout).await.read(&repository(), &blob, 0..4).await.expect("an answer").is_none());
    fs::create_dir(layout.blob_file(&blob.digest)).expect("made");
    assert!(open(&layout).await.read(&repository(), &blob, 0..4).await.is_err());
}

#[tokio::test]
async fn a_damaged_manifest_fails_alone() {
    let layout = Layout::new();
    let [good, bad, absent] = [1, 2, 3].map(|seed| layout.image(&Image::generated(seed, 2000)));
    [("good", &good), ("bad", &bad), ("absent", &absent)].iter().for_each(|(tag, root)| layout.tag(tag, root));
    let mut bytes = layout.read(&bad.digest);
    bytes[40] ^= 1;
    fs::write(layout.blob_file(&bad.digest), bytes).expect("written");
    fs::remove_file(layout.blob_file(&absent.digest)).expect("removed");
    let source = open(&layout).await;
    let contents = contents(&source).await;
    let complete: Vec<(&str, bool)> = contents.items().iter().map(|item| (item.origin.tag().expect("a tag"), item.is_complete())).collect();
    assert_eq!(complete, [("absent", false), ("bad", true), ("good", true)]);
    let error = source.manifest(&repository(), &bad).await.expect_err("damage");
    assert!(error.kind() == Kind::Damaged && error.to_string().contains(&bad.digest.hex()), "{error}");
    assert!(source.manifest(&repository(), &good).await.expect("an answer").is_some());
    assert!(source.manifest(&repository(), &absent).await.expect("an answer").is_none());
    assert!(source.referrers(&repository(), &good.digest).await.is_err(), "the damaged one may have referred to it");
}

#[tokio::test]
async fn documents_that_are_too_large_are_not_read() {
    let layout = Layout::new();
    let large = layout.manifest(OCI_MANIFEST, &json!({ "pad": "x".repeat(5 << 20) }));
    let error = open(&layout).await.manifest(&repository(), &large).await.expect_err("a refusal");
    assert!(error.to_string().contains("more than the 4194304"), "{error}");
    for (file, len) in [("index.json", 65 << 20), ("oci-layout", 5 << 10)] {
        let layout = Layout::new();
        let file = fs::OpenOptions::new().write(true).open(layout.path().join(file)).expect("opened");
        file.set_len(len).expect("stretched");
        assert!(refused(layout.path(), None).await.to_string().contains("are more than the"));
    }
}

#[tokio::test]
async fn what_is_no_layout_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = refused(&folder.path().join("none"), None).await;
    assert!(error.kind() == Kind::Usage && error.to_string().contains("no such directory"), "{error}");
    assert!(refused(folder.path(), None).await.to_string().contains("not an OCI layout"));
    for (marker, reason) in [(r#"{"imageLayoutVersion":"2.0.0"}"#, "2.0.0"), ("{}", "missing field"), ("", "EOF")] {
        fs::write(folder.path().join("oci-layout"), marker).expect("written");
        assert!(refused(folder.path(), None).await.to_string().contains(reason), "{marker}");
    }
}

#[tokio::test]
async fn a_blob_may_be_a_symbolic_link() {
    let layout = Layout::new();
    let root = layout.image(&Image::generated(1, 2000));
    layout.tag("1", &root);
    let (file, moved) = (layout.blob_file(&root.digest), layout.path().join("elsewhere"));
    fs::rename(&file, &moved).expect("moved");
    std::os::unix::fs::symlink(&moved, &file).expect("linked");
    assert!(open(&layout).await.manifest(&repository(), &root).await.expect("an answer").is_some());
}
