//! Archives to look into: which sets are meant, and files that come and go while somebody looks.
//!
//! *Not here:* what is built on it (`mount`, `serve`).

use std::path::PathBuf;
use std::time::Duration;

use ocm::error::{Kind, Result};
use ocm::image::inside::{Form, Inside, Made};
use ocm::image::{Digest, State};
use ocm::store::archive::{Meant, OpenSets};

use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::workflows::lab::Lab;

/// Longer than files are taken to be as they were.
const A_WHILE: Duration = Duration::from_millis(1_100);

fn meant(places: &[(PathBuf, Option<u32>)]) -> Meant {
    Meant { places: places.to_vec(), all_sets: false, base: Vec::new(), cache_bytes: 1 << 20, admit: None }
}

fn open(lab: &Lab, names: &[(&str, Option<u32>)]) -> Result<OpenSets> {
    meant(&names.iter().map(|(name, generation)| (lab.folder(name), *generation)).collect::<Vec<_>>()).open()
}

/// Two generations in `disk`, each of some volumes: the second has a layer more. The layers, lowest first: one is stored as it is, one as
/// gzip, one as zstd.
async fn two_sets() -> (Lab, Vec<Layer>) {
    let lab = Lab::new();
    let layers = vec![Layer::tree(0, 300_000).tar(), Layer::tree(1, 300_000), Layer::tree(2, 300_000).zstd()];
    let layout = Layout::at(&lab.folder("layout"));
    for (tag, count) in [("1", 2), ("2", 3)] {
        layout.tag(tag, &layout.image(&Image::of(layers[..count].to_vec())));
        let from = format!("oci:{}:{tag}", lab.path("layout"));
        lab.sync_with(&[from], &lab.path("disk"), |request| request.archive.volume_bytes = 150_000).await.expect("synced");
    }
    (lab, layers)
}

fn whole(inside: &dyn Inside, digest: &Digest, form: Form) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let part = inside.read(digest, form, all.len() as u64, 50_000)?;
        if part.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&part);
    }
}

/// Every blob that can be read and is what its digest says, and those that cannot.
fn readable(inside: &dyn Inside) -> (Vec<Digest>, Vec<Kind>) {
    let (mut read, mut failed) = (Vec::new(), Vec::new());
    for (digest, bytes) in inside.blobs().expect("a list") {
        match whole(inside, &digest, Form::Stored) {
            Ok(content) => {
                assert!(content.len() as u64 == bytes && digest.matches(&content));
                read.push(digest);
            }
            Err(error) => failed.push(error.kind()),
        }
    }
    (read, failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_blobs_are_there_in_each_form() {
    let (lab, layers) = two_sets().await;
    let opened = open(&lab, &[("disk", None)]).expect("opened");
    assert_eq!((opened.sets.len(), opened.sets[0].generation(), opened.passed_over.len()), (1, 2, 0));
    let inside = opened.inside.as_ref();
    let (read, failed) = readable(inside);
    assert!(read.len() >= 5 && failed.is_empty());
    let of = |layer: &Layer| inside.blob(&Digest::of(&layer.stored())).expect("an answer").expect("a blob");
    let (tar, zstd) = (of(&layers[0]), of(&layers[2]));
    assert_eq!((tar.made, tar.plain_bytes), (Made::Stored, Some(layers[0].plain().len() as u64)));
    assert_eq!((zstd.made, zstd.plain_bytes), (Made::Stored, None));
    for layer in &layers {
        let digest = Digest::of(&layer.stored());
        if of(layer).plain_bytes.is_some() {
            assert!(whole(inside, &digest, Form::Plain).expect("plain") == layer.plain());
        }
        assert!(inside.lies(&digest).expect("places").iter().all(|place| place.here));
    }
    assert_eq!(inside.blob(&Digest::of(b"nowhere")).expect("an answer"), None);
    assert!(inside.health().is_empty());
    let sizes = inside.sizes().expect("sizes");
    let bytes: u64 = inside.blobs().expect("a list").iter().map(|(_, bytes)| bytes).sum();
    assert!(sizes.plain_bytes >= bytes && sizes.stored_bytes > 0 && sizes.blobs == read.len() as u64, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_or_all_sets_can_be_meant() {
    let (lab, _) = two_sets().await;
    let names = |opened: &OpenSets| opened.inside.contents().items().iter().map(|item| item.origin.to_string()).collect::<Vec<_>>();
    let first = open(&lab, &[("disk", Some(1))]).expect("opened");
    assert_eq!((first.sets[0].generation(), names(&first).len()), (1, 1));
    let all = Meant { all_sets: true, ..meant(&[(lab.folder("disk"), None)]) }.open().expect("opened");
    assert_eq!((all.sets.len(), names(&all).len()), (2, 2));
    assert!(all.inside.contents().items().iter().all(|item| item.state == State::Complete));
    assert_eq!(all.inside.documents().expect("documents").len(), 2);
    let Err(error) = open(&lab, &[("disk", Some(7))]) else { panic!("there is no set 7") };
    assert_eq!(error.kind(), Kind::Usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volumes_of_a_set_may_be_spread_over_places() {
    let (lab, _) = two_sets().await;
    std::fs::create_dir(lab.folder("other")).expect("a folder");
    for file in std::fs::read_dir(lab.folder("disk")).expect("a folder").flatten() {
        if file.file_name().to_string_lossy().contains(".v002.") {
            std::fs::rename(file.path(), lab.folder("other").join(file.file_name())).expect("moved");
        }
    }
    let opened = open(&lab, &[("disk", None), ("other", None)]).expect("opened");
    assert!(readable(opened.inside.as_ref()).1.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_away_hurts_what_is_in_it_until_it_is_back() {
    let (lab, _) = two_sets().await;
    let all = readable(open(&lab, &[("disk", None)]).expect("opened").inside.as_ref()).0;
    let volumes = || std::fs::read_dir(lab.folder("disk")).expect("a folder").flatten();
    let volume = volumes()
        .find(|file| file.file_name().to_string_lossy().contains("g0001") && file.file_name().to_string_lossy().contains(".v001."));
    let (volume, away) = (volume.expect("a volume").path(), lab.folder("away"));
    std::fs::rename(&volume, &away).expect("taken away");
    let opened = open(&lab, &[("disk", Some(2))]).expect("opened");
    let inside = opened.inside.as_ref();
    let (read, failed) = readable(inside);
    assert!(read.len() < all.len() && !read.is_empty());
    assert!(failed.iter().all(|kind| *kind == Kind::Needed), "{failed:?}");
    assert!(inside.health().iter().any(|ailment| !ailment.damaged && ailment.what == "set 1 volume 1"), "{:?}", inside.health());

    std::fs::copy(&away, &volume).expect("back");
    std::thread::sleep(A_WHILE);
    // The first blob that fails is the one that finds out.
    let hurt = all.iter().find(|digest| !read.contains(digest)).expect("one was hurt");
    assert!(hurt.matches(&whole(inside, hurt, Form::Stored).expect("mended")));
    assert_eq!(readable(inside), (all, Vec::new()));
    assert!(inside.health().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_was_damaged_and_copied_anew_is_read_afresh() {
    let (lab, _) = two_sets().await;
    let volumes: Vec<PathBuf> = std::fs::read_dir(lab.folder("disk")).expect("a folder").flatten().map(|file| file.path()).collect();
    let volume = volumes.iter().find(|path| path.to_string_lossy().contains(".v001.")).expect("a volume");
    let sound = std::fs::read(volume).expect("a file");
    let mut hurt = sound.clone();
    let middle = hurt.len() / 3;
    hurt[middle..middle + 20_000].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(volume, &hurt).expect("damaged");
    let opened = open(&lab, &[("disk", None)]).expect("opened");
    let (_, failed) = readable(opened.inside.as_ref());
    assert!(failed.contains(&Kind::Damaged), "{failed:?}");
    std::fs::write(volume, &sound).expect("mended");
    std::thread::sleep(A_WHILE);
    let all = opened.inside.blobs().expect("a list");
    let mended = all.iter().filter(|(digest, _)| whole(opened.inside.as_ref(), digest, Form::Stored).is_ok()).count();
    assert_eq!(mended, all.len());
}
