//! Which images need a blob or a volume of a real archive.

use ocm::error::{Error, Kind};
use ocm::image::Digest;
use ocm::workflow::why::{What, Why, why};
use ocm::workspace::Workspace;

use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::workflows::lab::Lab;

/// A lab with an archive `disk` of two sets. Set 1 lists `one`; set 2 lists `two` alone, an index of two platforms on the base
/// of `one`.
struct Disk {
    lab: Lab,
    base: Digest,
    old: Digest,
    index: Digest,
}

impl Disk {
    async fn new() -> Self {
        let lab = Lab::new();
        let layout = Layout::at(&lab.folder("layout"));
        let base = Layer::tree(1, 60_000).gzip();
        let one = layout.image(&Image::of([base.clone(), Layer::tree(2, 20_000)]));
        layout.tag("registry.example/team/one:1", &one);
        lab.sync(&[format!("oci:{}", lab.path("layout"))], &lab.path("disk")).await.expect("set 1");
        let layout = Layout::at(&lab.folder("second"));
        let of = |seed, platform| layout.image(&Image::of([base.clone(), Layer::tree(seed, 20_000)]).platform(platform));
        let index = layout.index(&[of(3, "linux/amd64"), of(4, "linux/arm64")]);
        layout.tag("registry.example/team/two:1", &index);
        let from = [format!("oci:{}", lab.path("second"))];
        lab.sync_with(&from, &lab.path("disk"), |request| request.archive.only = true).await.expect("set 2");
        let blob = |layer: &Layer| Digest::of(&layer.stored());
        Self { lab, base: blob(&base), old: blob(&Layer::tree(2, 20_000)), index: index.digest }
    }

    fn ask(&self, generation: Option<u32>, what: &str) -> Result<Why, Error> {
        let workspace = Workspace::new(self.lab.folder("workspace"));
        why(&self.lab.folder("disk"), generation, &what.parse().expect("a piece"), &workspace)
    }

    fn volume(&self, generation: u32) -> String {
        let mark = format!(".g{generation:04}-");
        let names = self.lab.archive("disk").into_keys();
        names.into_iter().find(|name| name.contains(&mark) && name.ends_with(".v001.ocm.tar")).expect("a volume")
    }
}

/// The last components of the names, with what the piece is in each.
fn said(why: &Why) -> Vec<(String, Vec<String>)> {
    let of = |image: &ocm::workflow::why::Needing| {
        let parts = image.parts.iter().map(|needed| {
            let what = match needed.part.what {
                What::Layer { number } => format!("layer {number}"),
                other => format!("{other:?}").to_lowercase(),
            };
            let platform = needed.part.platform.as_ref().map_or(String::new(), |platform| format!(" {}", platform.architecture));
            format!("{what}{platform}{}", if needed.perhaps { "?" } else { "" })
        });
        (image.name.repository().path().rsplit('/').next().unwrap_or_default().to_owned(), parts.collect())
    };
    why.images.iter().map(of).collect()
}

fn expected(image: &str, parts: &[&str]) -> Vec<(String, Vec<String>)> {
    vec![(image.to_owned(), parts.iter().map(|part| (*part).to_owned()).collect())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_needed_by_the_images_that_refer_to_it() {
    let disk = Disk::new().await;
    for (generation, digest, needs) in [
        (None, disk.base, expected("two", &["layer 1 amd64", "layer 1 arm64"])),
        (None, disk.index, expected("two", &["index"])),
        (Some(1), disk.base, expected("one", &["layer 1 amd64"])),
        (Some(1), disk.old, expected("one", &["layer 2 amd64"])),
        // It is in the archive, and no image of the newest set needs it.
        (None, disk.old, vec![]),
    ] {
        for text in [digest.to_string(), digest.hex()[..12].to_owned()] {
            let answer = disk.ask(generation, &text).expect(&text);
            assert_eq!((said(&answer), answer.digest), (needs.clone(), Some(digest)), "{generation:?} {text}");
            assert_eq!(answer.sets, [generation.unwrap_or(2)]);
        }
    }
    let lies: Vec<_> = disk.ask(None, &disk.base.to_string()).expect("an answer").volumes;
    assert_eq!(lies.iter().map(|lies| (lies.set, lies.volume, lies.here)).collect::<Vec<_>>(), [(1, 1, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_needed_by_the_images_that_have_content_in_it() {
    let disk = Disk::new().await;
    let (first, second) = (disk.volume(1), disk.volume(2));
    assert_eq!(said(&disk.ask(None, &first).expect("an answer")), expected("two", &["layer 1 amd64", "layer 1 arm64"]));
    let own = ["index", "manifest amd64", "config amd64", "layer 2 amd64", "manifest arm64", "config arm64", "layer 2 arm64"];
    for what in ["1", second.as_str()] {
        assert_eq!(said(&disk.ask(None, what).expect("an answer")), expected("two", &own), "{what}");
    }
    assert_eq!(said(&disk.ask(Some(1), &second).expect("an answer")), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_gone_is_weighed_by_its_name() {
    let disk = Disk::new().await;
    let first = disk.volume(1);
    std::fs::remove_file(disk.lab.folder("disk").join(&first)).expect("removed");
    let answer = disk.ask(None, &first).expect("an answer");
    assert_eq!(said(&answer), expected("two", &["layer 1 amd64?", "layer 1 arm64?"]));
    assert_eq!(answer.volumes.iter().map(|lies| (lies.set, lies.volume, lies.here)).collect::<Vec<_>>(), [(1, 1, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_mistake_of_the_question() {
    let disk = Disk::new().await;
    let nothing = Digest::of(b"nothing").to_string();
    for (generation, what, words) in [
        (None, nothing.as_str(), "there is no content with the digest sha256:"),
        (None, "9", "there is no volume 9; set 2 has volume 1 alone"),
        (None, "disk.g0009-00000000.v001.ocm.tar", "no data volume of a set that is known here"),
        (Some(7), "1", "there is no set 7"),
    ] {
        let error = disk.ask(generation, what).expect_err(what);
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(&disk.lab.path("disk")), "{text}");
        assert!(generation.is_some() || error.way_out().is_some(), "{error:?}");
    }
}
