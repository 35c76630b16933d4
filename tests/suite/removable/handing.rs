//! Volumes that are handed on as they are written: burnt, moved, let go.
//!
//! *Not here:* gathering them on the other side, but for one whole way.

use std::path::{Path, PathBuf};

use ocm::image::Digest;
use ocm::transfer::Class;
use ocm::workflow::Settings;
use ocm::workflow::sync::{Request, SetOutcome, sync};
use ocm::workspace::Workspace;

use super::shop::{CAP, Shop, stock};
use crate::workflows::lab::Heard;

/// One call of the command: kind, number, bytes, digest, path.
type Call = (String, u32, u64, String, PathBuf);

/// What is run for each file: it is noted, `then` is done.
fn command(log: &Path, then: &str) -> String {
    let log = log.display();
    format!("echo $OCM_VOLUME_KIND $OCM_VOLUME_NUMBER $OCM_VOLUME_BYTES $OCM_VOLUME_SHA256 $OCM_VOLUME >> {log}; {then}")
}

fn calls(log: &Path) -> Vec<Call> {
    let call = |line: &str| {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let [kind, number, bytes, sum, path] = words[..] else { panic!("{line:?}") };
        (kind.to_owned(), number.parse().expect("a number"), bytes.parse().expect("bytes"), sum.to_owned(), PathBuf::from(path))
    };
    std::fs::read_to_string(log).unwrap_or_default().lines().map(call).collect()
}

/// A request that writes the images of the shop into `archive`, with this command.
fn handing(shop: &Shop, archive: &str, command: String, release: bool) -> Request {
    let from = format!("oci:{}", shop.layout.path().display());
    let mut request = shop.lab.request(&[from], &shop.lab.path(archive));
    (request.archive.volume_bytes, request.archive.on_volume, request.archive.release) = (CAP, Some(command), release);
    request
}

/// The settings of the near side, which knows nothing of the archive that the shop has.
fn near(shop: &Shop) -> Settings {
    Settings { workspace: Some(shop.lab.folder("near")), ..shop.lab.settings.clone() }
}

/// What the near side knows.
fn workspace(shop: &Shop) -> Workspace {
    Workspace::new(shop.lab.folder("near"))
}

/// The set that such a run writes.
async fn handed(shop: &Shop, archive: &str, command: String, release: bool) -> SetOutcome {
    let made = sync(handing(shop, archive, command, release), &near(shop)).await.expect("a run");
    assert_eq!(made.class(), Class::Done);
    made.set.expect("a set")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_told_what_it_is_given() {
    let shop = Shop::small().await;
    let log = shop.lab.folder("log");
    let set = handed(&shop, "other/disk", command(&log, "true"), false).await;
    let calls = calls(&log);
    let files = set.volumes.len() + set.catalogue.iter().filter(|path| path.starts_with(shop.lab.folder("other"))).count();
    assert_eq!(calls.len(), files);
    for (at, (kind, number, bytes, sum, path)) in calls.iter().enumerate() {
        let expected = if at < set.volumes.len() { ("volume", at + 1) } else { ("catalogue", at + 1 - set.volumes.len()) };
        assert_eq!((kind.as_str(), *number as usize), expected);
        let content = std::fs::read(path).expect("it stays");
        assert_eq!((content.len() as u64, Digest::of(&content).hex()), (*bytes, sum.clone()));
        assert!(path.is_absolute());
    }
    assert!(set.volumes.iter().all(|volume| !volume.released));
    assert_eq!(workspace(&shop).released(&set.id).expect("readable"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_release_the_folder_never_holds_more_than_one_volume() {
    let shop = Shop::small().await;
    let (log, held) = (shop.lab.folder("log"), shop.lab.folder("held"));
    let count = format!("ls $(dirname $OCM_VOLUME) | grep -c '[.]ocm[.]tar' >> {}", held.display());
    let set = handed(&shop, "other/disk", command(&log, &count), true).await;
    let held = std::fs::read_to_string(held).expect("counted");
    assert_eq!(held.lines().count(), calls(&log).len());
    // The last volume is handed on once the catalogue is there.
    let most: usize = held.lines().map(|line| line.parse().expect("a number")).max().expect("a volume");
    assert!(most <= 2 && held.lines().take(set.volumes.len() - 1).all(|line| line == "1"), "{held}");
    assert!(stock(&shop.lab.folder("other/disk")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_failures_of_the_command_the_media_hold_what_an_uninterrupted_run_writes() {
    let shop = Shop::small().await;
    let (log, good) = (shop.lab.folder("log"), shop.lab.folder("good"));
    let disc = shop.lab.folder("disc");
    std::fs::create_dir(&disc).expect("a folder");
    let burn = |fails: &str| {
        let fails = format!("if [ $OCM_VOLUME_KIND-$OCM_VOLUME_NUMBER = {fails} ]; then exit 3; fi");
        let burnt = format!("cp $OCM_VOLUME {} && echo $OCM_VOLUME_KIND-$OCM_VOLUME_NUMBER >> {}", disc.display(), good.display());
        command(&log, &format!("{fails}; {burnt}"))
    };
    // With a command too: one that may take volumes away makes other bytes than none.
    let elsewhere = Settings { workspace: Some(shop.lab.folder("elsewhere")), ..near(&shop) };
    let whole = sync(handing(&shop, "whole/disk", "true".into(), false), &elsewhere).await.expect("a run").set.expect("a set");
    let last = whole.volumes.len();
    for fails in ["volume-1", "volume-3", "volume-3", &format!("volume-{last}"), "catalogue-1"] {
        let error = sync(handing(&shop, "other/disk", burn(fails), true), &near(&shop)).await.expect_err(fails);
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        let calls = calls(&log);
        let (kind, number, ..) = calls.last().expect("a call");
        assert_eq!(format!("{kind}-{number}"), fails, "it stops there");
    }
    sync(handing(&shop, "other/disk", burn("nothing"), true), &near(&shop)).await.expect("it goes on");
    let good = std::fs::read_to_string(good).expect("a list");
    let expected: Vec<String> = (1..=last).map(|number| format!("volume-{number}")).chain(["catalogue-1".to_owned()]).collect();
    assert_eq!(good.lines().collect::<Vec<_>>(), expected, "each file was burnt once");
    assert!(stock(&disc) == stock(&shop.lab.folder("whole/disk")), "the same bytes as in one go");
    assert!(stock(&shop.lab.folder("other/disk")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_of_a_catalogue_is_handed_on_once_also_where_a_later_one_fails() {
    // Many small volumes have a catalogue that does not fit into one file.
    let shop = Shop::new(3_000_000, CAP).await;
    let log = shop.lab.folder("log");
    let run = |fails: &str| {
        let then = format!("[ $OCM_VOLUME_KIND-$OCM_VOLUME_NUMBER != {fails} ]");
        let mut request = handing(&shop, "other/disk", command(&log, &then), false);
        request.archive.volume_bytes = 64 << 10;
        request
    };
    let error = sync(run("catalogue-2"), &near(&shop)).await.expect_err("it fails at the second file");
    assert!(error.to_string().contains(".c002.ocm.tar"), "{error}");
    sync(run("nothing"), &near(&shop)).await.expect("it goes on");
    let calls = calls(&log);
    let times = |wanted: u32| calls.iter().filter(|(kind, number, ..)| kind == "catalogue" && *number == wanted).count();
    let files = super::shop::files_of(&shop.lab.folder("other/disk"), ".c0").len();
    assert!(files >= 2);
    assert_eq!((times(1), times(2)), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_handed_on_volume_by_volume_is_gathered_elsewhere_and_usable() {
    let shop = Shop::small().await;
    let media = shop.lab.path("media");
    let burn =
        format!("mkdir -p {media}/$OCM_VOLUME_KIND-$OCM_VOLUME_NUMBER && cp $OCM_VOLUME {media}/$OCM_VOLUME_KIND-$OCM_VOLUME_NUMBER/");
    let set = handed(&shop, "staging", burn, true).await;
    for number in (1..=set.volumes.len()).rev() {
        let outcome = shop.gather(&[&shop.lab.folder(&format!("media/volume-{number}"))]).await.expect("gathered");
        assert_eq!(outcome.class(), if number == 1 { Class::Done } else { Class::Needed }, "{outcome:?}");
        assert!(outcome.sets[0].exact, "the last volume came first");
    }
    shop.assert_usable("srv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_let_go_is_known_to_be_elsewhere() {
    let shop = Shop::small().await;
    let media = shop.lab.folder("media");
    std::fs::create_dir(&media).expect("a folder");
    let workspace = workspace(&shop);
    // A command that moves the file away lets go of it as well.
    for (archive, then, release) in
        [("one/disk", "true".to_owned(), true), ("two/disk", format!("mv $OCM_VOLUME {}", media.display()), false)]
    {
        let set = handed(&shop, archive, then, release).await;
        let released = workspace.released(&set.id).expect("readable").expect("a note");
        assert_eq!((released.lineage.as_str(), released.generation), ("disk", 1));
        let numbers: Vec<u32> = (1..=set.volumes.len() as u32).collect();
        assert_eq!(released.volumes(), numbers);
        assert!(set.volumes.iter().all(|volume| volume.released && !volume.path.exists()));
        for volume in &set.volumes {
            let note = released.file(&volume.path.file_name().expect("a name").to_string_lossy()).expect("a note of it").clone();
            assert_eq!((note.number, note.bytes, note.sha256), (volume.number, volume.bytes, volume.sha256));
        }
        assert_eq!(released.files.iter().filter(|file| !file.data).count(), 1, "the catalogue too");
        assert_eq!(
            workspace.released_from(&shop.lab.folder(archive)).expect("readable").first().map(|found| found.set.clone()),
            Some(set.id)
        );
        // Both folders are called `disk`, so it is the same set; the note is made anew for the other one.
        workspace.forget_released(&released.set).expect("forgotten");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_let_go_of_a_set_that_is_given_up_is_named_and_forgotten() {
    let mut shop = Shop::small().await;
    let heard = Heard::of(&mut shop.lab);
    let fails = "[ $OCM_VOLUME_NUMBER = 1 ]".to_owned();
    sync(handing(&shop, "staging", fails, true), &near(&shop)).await.expect_err("it fails at volume 2");
    let workspace = workspace(&shop);
    let given_up = workspace.released_from(&shop.lab.folder("staging")).expect("readable");
    assert_eq!(given_up.iter().map(|released| released.volumes()).collect::<Vec<_>>(), [[1]]);
    let mut other = handing(&shop, "staging", "true".to_owned(), false);
    other.archive.packing.level = 4;
    sync(other, &near(&shop)).await.expect("another set");
    assert!(heard.has(&["v001.ocm.tar", "handed on for a set that was never finished"]), "{:?}", heard.lines());
    assert!(workspace.released_from(&shop.lab.folder("staging")).expect("readable").is_empty());
}
