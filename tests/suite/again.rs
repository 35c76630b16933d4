//! A set that was lost, written once more: the same bytes, or what is gone, by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ocm::error::{Error, Kind, Result};
use ocm::store::archive::ParentData;
use ocm::workflow::sync::again::{Request, again};
use ocm::workflow::sync::{Outcome, SetOutcome};

use crate::serve::Home;
use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

const CAP: u64 = 128 << 10;

/// A registry, and a disk with two sets of several volumes made from it; the second builds on the first.
struct Lost {
    near: Registry,
    lab: Lab,
    set: SetOutcome,
}

impl Lost {
    async fn new() -> Option<Self> {
        let near = Registry::start()?;
        let lab = Lab::new();
        let base = Layer::tree(1, 600_000);
        // Each has a file that is like that of the others.
        let more = |seed: u64| {
            let mut text = Random::new(5).text(500_000);
            text.splice(250_000..250_000, format!("version {seed}").into_bytes());
            Layer::files(&[("etc/large".to_owned(), text), (format!("etc/{seed}"), Random::new(seed).noise(200_000))])
        };
        let small = |request: &mut ocm::workflow::sync::Request| request.archive.volume_bytes = CAP;
        let one = lab.fill(&near, "team/app", "1", &Image::of([base.clone().gzip(), more(2).tar()])).await;
        lab.sync_with(&[one], &lab.path("disk"), small).await.expect("set 1");
        lab.fill(&near, "team/app", "2", &Image::of([base.gzip(), more(3).tar()])).await;
        lab.fill(&near, "team/db", "1", &Image::of([more(4).tar()])).await;
        let from = [format!("docker://{}/team/app", near.host()), format!("docker://{}/team/db:1", near.host())];
        let all = |request: &mut ocm::workflow::sync::Request| (request.archive.volume_bytes, request.all_tags) = (CAP, true);
        let set = lab.sync_with(&from, &lab.path("disk"), all).await.expect("set 2").set.expect("a set");
        assert!(set.volumes.len() > 2 && set.chain == 1, "{set:?}");
        Some(Self { near, lab, set })
    }

    async fn again(&self, volume: Option<u32>, to: &str) -> Result<Outcome> {
        let (folder, to) = (self.lab.folder("disk"), self.lab.folder(to));
        again(Request { folder, generation: 2, volume, to, data: ParentData::Beside }, &self.lab.settings).await
    }

    /// The files of set 2 beside the others.
    fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        self.lab.archive(folder).into_iter().filter(|(name, _)| name.contains(".g0002-")).collect()
    }

    fn assert_nothing(&self, folder: &str) {
        assert!(self.lab.folder(folder).read_dir().is_ok_and(|mut entries| entries.next().is_none()), "nothing is left of it");
    }
}

fn assert_error(refused: Result<Outcome>, kind: Kind, words: &[&str]) -> Error {
    let error = refused.expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(words.iter().all(|word| error.to_string().contains(word)) && error.way_out().is_some(), "{error:?}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_set_comes_out_byte_for_byte_whatever_its_names_stand_for_now() {
    let Some(mut lost) = Lost::new().await else { return };
    let files = lost.files("disk");
    lost.lab.remove_set("disk", 2);
    lost.lab.fill(&lost.near, "team/app", "2", &Image::generated(77, 40_000)).await;
    lost.lab.fill(&lost.near, "team/app", "3", &Image::generated(78, 40_000)).await;
    lost.lab.settings.now += 1_000_000;
    lost.lab.settings.random = [1; 16];
    let made = lost.again(None, "out").await.expect("written again").set.expect("a set");
    assert_eq!((made.root, &made.id), (lost.set.root, &lost.set.id));
    let again = lost.files("out");
    assert_eq!(again.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    assert!(again == files, "the same bytes");
    assert!(made.volumes.iter().all(|volume| volume.path.exists() && volume.path.starts_with(lost.lab.folder("out"))), "{made:?}");
    let number = made.volumes.len() as u32 - 1;
    let one = lost.again(Some(number), "one").await.expect("written again").set.expect("a set");
    assert_eq!(one.volumes.len(), 1);
    let name = one.volumes[0].path.file_name().expect("a name").to_string_lossy().into_owned();
    let expected = BTreeMap::from([(name.clone(), files[&name].clone())]);
    assert!(lost.lab.archive("one") == expected && one.volumes[0].number == number, "that volume alone");
    assert_error(lost.again(None, "out").await, Kind::Usage, &["it is there already"]);
    assert!(lost.files("out") == files, "what was there stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_at_the_source_is_named_and_nothing_is_written() {
    let Some(lost) = Lost::new().await else { return };
    std::fs::remove_dir_all(lost.near.storage().join("docker/registry/v2/repositories/team/db")).expect("removed");
    std::fs::create_dir(lost.lab.folder("out")).expect("a folder");
    let error = assert_error(lost.again(None, "out").await, Kind::Needed, &["set 2 cannot be written again", "1 of its images"]);
    assert!(error.notes().iter().any(|note| note.contains("gone: ") && note.contains("team/db:1")), "{error:?}");
    lost.assert_nothing("out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_comes_out_otherwise_gets_no_name() {
    let Some(lost) = Lost::new().await else { return };
    // Without the data of set 1, and what was noted of it, the delta is of whole blobs.
    lost.lab.remove_set("disk", 1);
    for (path, _) in lost.lab.snapshot("workspace/catalogues") {
        if path.to_string_lossy().contains(".g0001-") && !path.to_string_lossy().ends_with(".ocm.tar") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    std::fs::create_dir(lost.lab.folder("out")).expect("a folder");
    let root = lost.set.root.to_string();
    let error = assert_error(lost.again(None, "out").await, Kind::Failed, &["set 2 came out with root", &root]);
    assert!(error.notes().iter().any(|note| note.contains("at hand in another way")), "{error:?}");
    lost.assert_nothing("out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_nothing_tells_of_is_asked_for() {
    let Some(lost) = Lost::new().await else { return };
    let wrong =
        Request { folder: lost.lab.folder("disk"), generation: 7, volume: None, to: lost.lab.folder("out"), data: ParentData::Beside };
    assert_error(again(wrong, &lost.lab.settings).await, Kind::Needed, &["disk@7", "nothing tells of that set"]);
    let elsewhere =
        Request { folder: lost.lab.folder("other"), generation: 2, volume: None, to: lost.lab.folder("out"), data: ParentData::Beside };
    assert_error(again(elsewhere, &lost.lab.settings).await, Kind::Needed, &["other@2"]);
    assert_error(lost.again(Some(99), "out").await, Kind::Usage, &["set 2 has no volume 99"]);
}

/// Runs the program as whoever has this mask, language and time zone.
fn run_as(home: &Home, umask: &str, language: &str, zone: &str, arguments: &[&str]) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ocm")]).args(arguments);
    shell.env_clear().env("HOME", home.path("")).env("LC_ALL", language).env("LANG", language).env("TZ", zone);
    let said = shell.output().expect("sh runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// The files of an archive by name, without what is hidden.
fn files(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = Path::new(folder).read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let files = entries.filter(|path| path.is_file() && !name(path).starts_with('.'));
    files.map(|path| (name(&path), std::fs::read(&path).expect("content"))).collect()
}

#[test]
fn language_time_zone_mask_and_threads_change_no_byte_of_a_set() {
    let (home, layout) = (Home::new(), Layout::new());
    let (from, disk, out) = (format!("oci:{}", layout.path().display()), home.path("disk"), home.path("out"));
    for generation in 1..=2 {
        let image = Image::of([Layer::tree(1, 400_000).gzip(), Layer::tree(10 + generation, 300_000).tar(), Layer::tree(5, 20_000).zstd()]);
        layout.tag(&format!("registry.example/team/app:{generation}"), &layout.image(&image));
        run_as(&home, "022", "C.UTF-8", "UTC", &["sync", "-q", "--jobs", "1", &from, &disk]);
        run_as(
            &home,
            "077",
            "tr_TR.UTF-8",
            "Pacific/Apia",
            &["sync", "-q", "--jobs", "8", "--again", &format!("{disk}@{generation}"), &out],
        );
    }
    let made = files(&disk);
    assert!(made.len() >= 4, "{:?}", made.keys());
    assert!(files(&out) == made, "{:?} and {:?}", files(&out).keys(), made.keys());
}
