//! Runs that are interrupted, and go on.
//!
//! *Not here:* what damage of finished archives does (`faults`), which set a run builds on (`sets`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use ocm::error::Kind;
use ocm::image::Digest;
use ocm::transfer::Class;
use ocm::workflow::sync::{Outcome, Request, sync};

use crate::support::fault::{Fault, every};
use crate::support::images::{Image, Layout, push};
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::{Heard, Lab};

const MIB: u64 = 1 << 20;
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A layer that is announced as gzip, begins like gzip and does not compress.
fn packed(seed: u64, size_bytes: u64) -> Layer {
    let mut bytes = vec![0x1f, 0x8b];
    bytes.extend(Random::new(seed).noise(size_bytes as usize));
    Layer::bytes(bytes).media_type("application/vnd.oci.image.layer.v1.tar+gzip")
}

/// An uncompressed tar of a few large files.
fn large_tar(seed: u64, size_bytes: u64) -> Layer {
    let file = |n: u64| (format!("file-{n}"), Random::new(seed + n).noise((size_bytes / 4) as usize));
    Layer::files(&[file(1), file(2), file(3), file(4)]).tar()
}

/// Blob bytes that came through.
fn fetched(proxy: &Proxy) -> u64 {
    proxy.count("GET", About::Blob).down_bytes
}

/// Puts an image into a registry; how it is named as a place behind the proxy.
async fn fill(registry: &Registry, proxy: &Proxy, name: &str, image: &Image) -> String {
    let layout = Layout::new();
    let root = layout.image(image);
    push(&layout, &root, &format!("{}/team/{name}", registry.host()), Some("1")).await;
    format!("docker://{}/team/{name}:1", proxy.host())
}

/// The one file in a folder whose name ends so.
fn one(folder: &Path, end: &str) -> PathBuf {
    let files: Vec<PathBuf> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    let mut found = files.into_iter().filter(|path| path.to_string_lossy().ends_with(end));
    let (Some(path), None) = (found.next(), found.next()) else { panic!("not one {end} in {}", folder.display()) };
    path
}

/// Runs a request behind `proxy` until everything but this layer has come, and drops it then.
async fn cut_before(lab: &Lab, proxy: &Proxy, from: &[String], layer: &Layer, all: u64) {
    let (stored, digest) = (layer.stored().len() as u64, Digest::of(&layer.stored()).to_string());
    proxy.forget();
    proxy.set(move |request| if request.path.ends_with(&digest) { Fault::none().delay(FOR_EVER) } else { Fault::none() });
    lab.cut(lab.request(from, &lab.path("cut/disk")), || fetched(proxy) >= all - stored).await;
    proxy.forget();
    proxy.set(|_| Fault::none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_at_ninety_percent_fetches_ten_percent_again_and_makes_the_same_bytes() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let last = packed(6, 30 * MIB);
    let layers = [packed(1, 20 * MIB), packed(2, 140 * MIB), large_tar(3, 50 * MIB), packed(4, 60 * MIB), last.clone()];
    let from = [
        fill(&near, &proxy, "one", &Image::of(layers[..3].to_vec())).await,
        fill(&near, &proxy, "two", &Image::of(layers[2..].to_vec())).await,
    ];
    lab.sync(&from, &lab.path("whole/disk")).await.expect("a run that nobody stops");
    let all = fetched(&proxy);
    assert!(all >= 300 * MIB, "{all}");
    cut_before(&lab, &proxy, &from, &last, all).await;
    assert!(lab.archive("cut/disk").keys().all(|name| name.ends_with(".partial")), "nothing is visible yet");
    let again = lab.sync(&from, &lab.path("cut/disk")).await.expect("it goes on");
    assert!(fetched(&proxy) <= all / 10 + 64 * MIB, "{} of {all} bytes were fetched again", fetched(&proxy));
    let set = again.set.expect("a set");
    assert!(set.blob_bytes >= 300 * MIB, "the blobs of the first run count too: {}", set.blob_bytes);
    assert!(lab.archive("whole/disk") == lab.archive("cut/disk"));
    assert!(!lab.folder("cut/disk/.ocm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_uncompressed_layers_count_as_stored_before_the_set_ends() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let layers: Vec<Layer> = (0..8).map(|n| large_tar(10 * n, 20 * MIB)).collect();
    let from = [fill(&near, &proxy, "tars", &Image::of(layers.clone())).await];
    lab.sync(&from, &lab.path("whole/disk")).await.expect("a run that nobody stops");
    let all = fetched(&proxy);
    cut_before(&lab, &proxy, &from, &layers[7], all).await;
    lab.sync(&from, &lab.path("cut/disk")).await.expect("it goes on");
    assert!(fetched(&proxy) <= all / 8 + 64 * MIB, "{} of {all} bytes were fetched again", fetched(&proxy));
    assert!(lab.archive("whole/disk") == lab.archive("cut/disk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_that_goes_on_needs_of_its_parent_what_one_in_one_go_needs() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let base = Layer::tree(1, 300_000).gzip();
    let parent = [fill(&near, &proxy, "base", &Image::of([base.clone()])).await];
    // The first image is small and needs the parent; the second is large, so that the cut comes when the first is written.
    let layers: Vec<Layer> = (0..5).map(|n| packed(n, 6 * MIB)).collect();
    let from = [
        fill(&near, &proxy, "a", &Image::of([base, Layer::tree(2, 50_000).gzip()])).await,
        fill(&near, &proxy, "b", &Image::of(layers.clone())).await,
    ];
    for place in ["whole/disk", "cut/disk"] {
        lab.sync(&parent, &lab.path(place)).await.expect("the parent");
    }
    proxy.forget();
    lab.sync(&from, &lab.path("whole/disk")).await.expect("a run that nobody stops");
    let all = fetched(&proxy);
    // Both archives are of one lineage here; what the workspace knows of the first would make the second a third generation.
    std::fs::remove_dir_all(lab.folder("workspace")).expect("removed");
    cut_before(&lab, &proxy, &from, &layers[4], all).await;
    lab.sync(&from, &lab.path("cut/disk")).await.expect("it goes on");
    assert!(lab.archive("whole/disk") == lab.archive("cut/disk"));
}

/// A registry behind a proxy, with one image of small blobs; and an archive whose run was stopped at about half.
struct Half {
    near: Registry,
    proxy: Proxy,
    lab: Lab,
    from: Vec<String>,
    volume_bytes: u64,
}

/// One volume of packs below 4 MiB, so that much of what was fetched is in the file.
const ONE_VOLUME: u64 = 29 << 20;
/// Several volumes.
const MANY_VOLUMES: u64 = 9 << 20;

impl Half {
    async fn new() -> Option<Self> {
        Self::with(ONE_VOLUME).await
    }

    async fn with(volume_bytes: u64) -> Option<Self> {
        let near = Registry::start()?;
        let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
        let layers: Vec<Layer> = (0..24).map(|n| packed(n, MIB)).chain([large_tar(90, 4 * MIB)]).collect();
        let from = vec![fill(&near, &proxy, "app", &Image::of(layers.clone())).await];
        let half = Self { near, proxy, lab, from, volume_bytes };
        half.sync("whole/disk").await.expect("a run that nobody stops");
        half.proxy.forget();
        let late = Digest::of(&layers[18].stored()).to_string();
        half.proxy.set(move |request| if request.path.ends_with(&late) { Fault::none().delay(FOR_EVER) } else { Fault::none() });
        let written =
            || half.lab.folder("cut/disk").exists() && half.lab.archive("cut/disk").values().map(Vec::len).sum::<usize>() > 6 << 20;
        half.lab.cut(half.request("cut/disk"), written).await;
        half.proxy.set(|_| Fault::none());
        half.proxy.forget();
        Some(half)
    }

    fn request(&self, place: &str) -> Request {
        let mut request = self.lab.request(&self.from, &self.lab.path(place));
        request.archive.volume_bytes = self.volume_bytes;
        request
    }

    async fn sync(&self, place: &str) -> ocm::error::Result<Outcome> {
        sync(self.request(place), &self.lab.settings).await
    }

    fn folder(&self) -> PathBuf {
        self.lab.folder("cut/disk")
    }

    /// Goes on, and compares with the run that nobody stopped.
    async fn goes_on(&self) {
        let made = self.sync("cut/disk").await.expect("it goes on");
        assert_eq!(made.class(), Class::Done);
        assert!(self.lab.archive("whole/disk") == self.lab.archive("cut/disk"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_before_a_run_goes_on_stays_where_the_plan_has_it() {
    let Some(mut half) = Half::new().await else { return };
    let heard = Heard::of(&mut half.lab);
    fill(&half.near, &half.proxy, "app", &Image::generated(77, 100_000)).await;
    half.goes_on().await;
    assert!(heard.has(&["cut/disk", "going on with the set that an interrupted run has begun"]), "{:?}", heard.lines());
    let manifests = half.proxy.log().into_iter().filter(|line| line.ends_with("/manifests/1")).count();
    assert_eq!(manifests, 0, "the tag is not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_in_mid_run_gives_what_it_was_at_first() {
    let Some(near) = Registry::start() else { return };
    let lab = Lab::new();
    let layout = Layout::new();
    let (first, second) = (layout.image(&Image::generated(1, 50_000)), layout.image(&Image::generated(2, 50_000)));
    let name = format!("{}/team/app", near.host());
    push(&layout, &second, &name, None).await;
    push(&layout, &first, &name, Some("1")).await;
    let (upstream, moved) = (near.host().to_owned(), layout.read(&second.digest));
    let media_type = second.media_type.clone();
    // After the tag was asked for, it stands for something else.
    let proxy = Proxy::with(near.host(), move |request| {
        if request.class == About::Manifest && request.path.contains("sha256:") {
            put_manifest(&upstream, "/v2/team/app/manifests/1", &media_type, &moved);
        }
        Fault::none()
    });
    let from = format!("docker://{}/team/app:1", proxy.host());
    let made = lab.sync(&[&from], &lab.path("disk")).await.expect("mirrored");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    assert_eq!(made.report.items[0].item.digest(), Some(first.digest));
    let there = crate::support::images::fetch_manifest(&name, "1").await.expect("a manifest");
    assert_eq!(Digest::of(&there), second.digest, "the tag did move");
}

/// One request without any library, for use inside of a proxy.
fn put_manifest(host: &str, path: &str, media_type: &str, body: &[u8]) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(host).expect("the registry");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_does_not_go_on_with_what_lies_there_and_leaves_nothing_of_it() {
    let Some(mut half) = Half::new().await else { return };
    let heard = Heard::of(&mut half.lab);
    let other = fill(&half.near, &half.proxy, "other", &Image::generated(5, 80_000)).await;
    let made = half.lab.sync(&[&other], &half.lab.path("cut/disk")).await.expect("a set of its own");
    assert_eq!(made.set.expect("a set").items, 1);
    assert!(heard.has(&["cut/disk", "an interrupted run of another request lies here"]), "{:?}", heard.lines());
    let left: Vec<String> = half.lab.archive("cut/disk").into_keys().collect();
    assert_eq!(left.iter().filter(|name| name.ends_with(".ocm.tar")).count(), 1, "{left:?}");
    assert!(left.iter().all(|name| !name.ends_with(".partial")) && !half.folder().join(".ocm").exists(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_beside_an_unfinished_one_changes_nothing() {
    let Some(half) = Half::new().await else { return };
    let before = half.lab.snapshot("cut/disk");
    let mut request = half.request("cut/disk");
    request.dry_run = true;
    let dry = sync(request, &half.lab.settings).await.expect("a plan");
    assert!(dry.dry_run && dry.set.is_none());
    assert!(half.lab.snapshot("cut/disk") == before);
    half.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_garbled_journal_costs_work_and_never_content() {
    for garble in [
        (|path: &Path| std::fs::remove_file(path).expect("removed")) as fn(&Path),
        |path| std::fs::write(path, b"garbage").expect("written"),
        |path| {
            let bytes = std::fs::read(path).expect("the journal");
            std::fs::write(path, &bytes[..bytes.len() * 2 / 3]).expect("cut");
        },
        |path| {
            let mut bytes = std::fs::read(path).expect("the journal");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).expect("written");
        },
    ] {
        let Some(half) = Half::new().await else { return };
        garble(&one(&half.folder().join(".ocm"), ".journal"));
        half.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_garbled_plan_begins_a_new_set_and_leaves_no_rest_of_the_old_one() {
    for garble in [(|path: &Path| std::fs::remove_file(path).expect("removed")) as fn(&Path), |path| {
        std::fs::write(path, b"{\"request\": 7").expect("written");
    }] {
        let Some(mut half) = Half::new().await else { return };
        garble(&half.folder().join(".ocm/plan.json"));
        half.lab.settings.now += 60;
        let made = half.sync("cut/disk").await.expect("a new set");
        assert_eq!(made.set.expect("a set").generation, 1);
        let left: Vec<String> = half.lab.archive("cut/disk").into_keys().collect();
        assert!(left.iter().all(|name| !name.ends_with(".partial")), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_scratch_folder_the_rest_of_the_old_set_is_named_and_left() {
    let Some(mut half) = Half::new().await else { return };
    std::fs::remove_dir_all(half.folder().join(".ocm")).expect("removed");
    let heard = Heard::of(&mut half.lab);
    half.lab.settings.now += 60;
    half.sync("cut/disk").await.expect("a new set");
    let rest = one(&half.folder(), ".partial");
    assert!(heard.has(&[&rest.display().to_string(), "never finished", "can be removed"]), "{:?}", heard.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_that_tears_what_was_not_synced_costs_no_content() {
    // Each takes away something of what the system may lose: files that are not synced may lack or lose any of their pages.
    for (what, tear) in [
        ("the end is cut", (|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() * 2 / 3)) as fn(&mut Vec<u8>)),
        ("nothing is there", |bytes| bytes.clear()),
        ("pages are zero", |bytes| {
            let from = bytes.len() / 2 / 4096 * 4096;
            for page in bytes[from..].chunks_mut(4096).step_by(37) {
                page.fill(0);
            }
        }),
        ("one bit in the middle", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        }),
        ("it is longer than it was", |bytes| bytes.extend(vec![0; 100_000])),
    ] {
        let Some(half) = Half::new().await else { return };
        let path = one(&half.folder(), ".partial");
        let mut bytes = std::fs::read(&path).expect("the partial");
        assert!(bytes.len() > 3 << 20, "{what}: {}", bytes.len());
        tear(&mut bytes);
        std::fs::write(&path, bytes).expect("torn");
        half.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_waits_in_a_torn_file_is_fetched_again() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of([packed(1, 60 * MIB)])).await];
    proxy.set(every("GET", About::Blob, Fault::none().rate(40 * MIB)));
    lab.cut(lab.request(&from, &lab.path("disk")), || fetched(&proxy) > 20 * MIB).await;
    let waiting = one(&lab.folder("disk/.ocm"), ".0");
    let mut bytes = std::fs::read(&waiting).expect("the blob");
    assert!(bytes.len() > 16 << 20);
    bytes[1 << 20..(1 << 20) + 4096].fill(0);
    std::fs::write(&waiting, bytes).expect("torn");
    proxy.set(|_| Fault::none());
    let made = lab.sync(&from, &lab.path("disk")).await.expect("it goes on");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_after_its_last_volume_is_completed_by_the_next_one() {
    let Some(mut half) = Half::with(MANY_VOLUMES).await else { return };
    let names: Vec<String> = half.lab.archive("whole/disk").into_keys().collect();
    let volumes = names.iter().filter(|name| name.contains(".v0")).count();
    let mut request = half.request("cut/disk");
    request.archive.on_volume = Some(format!("[ $OCM_VOLUME_NUMBER != {volumes} ]"));
    let error = sync(request, &half.lab.settings).await.expect_err("the command fails at the last volume");
    assert!(error.to_string().contains(&format!("v00{volumes}.ocm.tar: it ended with exit status: 1")), "{error}");
    // As after a kill right behind the last rename: the sums, the catalogues and what comes after are not there.
    std::fs::remove_dir_all(half.lab.folder("workspace")).expect("removed");
    for name in names.iter().filter(|name| name.contains(".c0") || name.ends_with(".sha256")) {
        std::fs::remove_file(half.folder().join(name)).expect("removed");
    }
    let heard = Heard::of(&mut half.lab);
    let handed = half.lab.path("handed");
    let mut request = half.request("cut/disk");
    request.archive.on_volume = Some(format!("echo $OCM_VOLUME_KIND $OCM_VOLUME_NUMBER >> {handed}"));
    let made = sync(request, &half.lab.settings).await.expect("nothing new");
    assert!(made.set.is_none() && made.class() == Class::Done);
    assert!(heard.has(&["set 1 was finished by a run that was interrupted"]), "{:?}", heard.lines());
    assert!(half.lab.archive("whole/disk") == half.lab.archive("cut/disk"));
    assert!(!half.folder().join(".ocm").exists());
    let handed = std::fs::read_to_string(handed).expect("the command ran");
    assert_eq!(handed, format!("volume {volumes}\ncatalogue 1\n"), "only what was not handed over");
    assert_eq!(std::fs::read_dir(half.lab.folder("workspace/catalogues")).expect("kept").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_and_notes_of_a_finished_set_that_were_left_are_cleared_away() {
    let Some(half) = Half::new().await else { return };
    let (scratch, aside) = (half.folder().join(".ocm"), half.lab.folder("aside"));
    std::fs::create_dir(&aside).expect("a folder");
    let names = ["plan.json".to_owned(), one(&scratch, ".journal").file_name().expect("a name").to_string_lossy().into_owned()];
    names.iter().for_each(|name| assert!(std::fs::copy(scratch.join(name), aside.join(name)).is_ok()));
    half.goes_on().await;
    std::fs::create_dir_all(&scratch).expect("a folder");
    names.iter().for_each(|name| assert!(std::fs::copy(aside.join(name), scratch.join(name)).is_ok()));
    half.goes_on().await;
    assert!(!scratch.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_stops_at_its_volume_and_the_next_run_goes_on_there() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of((0..8).map(|n| packed(n, 2 * MIB)))).await];
    let log = lab.path("log");
    let run = |command: String| {
        let mut request = lab.request(&from, &lab.path("disk"));
        request.archive.volume_bytes = 4 << 20;
        (request.archive.on_volume, request.archive.release) = (Some(command), true);
        sync(request, &lab.settings)
    };
    let discs = lab.path("discs");
    std::fs::create_dir(&discs).expect("a folder");
    let burn = |fails_at: u32| {
        format!(
            "echo $OCM_VOLUME_KIND $OCM_VOLUME_NUMBER >> {log}; \
             if [ \"$OCM_VOLUME_NUMBER\" = {fails_at} ]; then exit 3; fi; cp $OCM_VOLUME {discs}/"
        )
    };
    let error = run(burn(2)).await.expect_err("it fails at volume 2");
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.to_string().contains(".v002.ocm.tar") && error.to_string().contains("exit status: 3"), "{error}");
    assert!(error.way_out().is_some_and(|hint| hint.contains("goes on at this volume")), "{error:?}");
    proxy.forget();
    let made = run(burn(0)).await.expect("it goes on").set.expect("a set");
    assert!(made.volumes.len() > 3 && made.volumes.iter().all(|volume| volume.released && !volume.path.exists()));
    assert!(fetched(&proxy) < 16 * MIB, "{}", fetched(&proxy));
    let log = std::fs::read_to_string(log).expect("a log");
    let numbers: Vec<&str> = log.lines().collect();
    assert_eq!(numbers[..3], ["volume 1", "volume 2", "volume 2"], "{log}");
    assert_eq!(numbers.iter().filter(|line| line.starts_with("volume")).count(), made.volumes.len() + 1, "each once more: {log}");
    assert!(log.ends_with("catalogue 1\n"), "{log}");
    // What was carried away is a whole archive.
    let far = lab.sync(&[&discs], &format!("oci:{}", lab.path("layout"))).await.expect("readable");
    assert_eq!(far.class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_while_a_volume_is_handed_over_hands_it_over_again() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of((0..8).map(|n| packed(n, 2 * MIB)))).await];
    let (log, gate) = (lab.folder("log"), lab.path("gate"));
    let command = format!("echo $OCM_VOLUME_NUMBER >> {}; while [ ! -e {gate} ]; do sleep 0.01; done; exit 1", log.display());
    let mut request = lab.request(&from, &lab.path("disk"));
    (request.archive.volume_bytes, request.archive.on_volume) = (4 << 20, Some(command));
    let open = gate.clone();
    let begun = log.clone();
    lab.cut(request, move || {
        let begun = begun.exists();
        if begun {
            std::fs::write(&open, "").expect("the gate");
        }
        begun
    })
    .await;
    let made = lab
        .sync_with(&from, &lab.path("disk"), |request| {
            (request.archive.volume_bytes, request.archive.on_volume) =
                (4 << 20, Some(format!("[ $OCM_VOLUME_KIND = catalogue ] || echo $OCM_VOLUME_NUMBER >> {}", log.display())));
        })
        .await
        .expect("it goes on");
    let log = std::fs::read_to_string(log).expect("a log");
    let twice = log.lines().filter(|line| *line == "1").count();
    assert_eq!(twice, 2, "{log}");
    assert_eq!(log.lines().filter(|line| !line.is_empty()).count(), made.set.expect("a set").volumes.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_gone_before_it_was_handed_over_is_named() {
    let Some(near) = Registry::start() else { return };
    let lab = Lab::new();
    let from = [lab.fill(&near, "team/app", "1", &Image::of((0..8).map(|n| packed(n, 2 * MIB)))).await];
    let run = |command: &str| {
        let mut request = lab.request(&from, &lab.path("disk"));
        (request.archive.volume_bytes, request.archive.on_volume) = (4 << 20, Some(command.to_owned()));
        sync(request, &lab.settings)
    };
    run("rm $OCM_VOLUME; exit 1").await.expect_err("it fails");
    let error = run("true").await.expect_err("the file is gone");
    assert_eq!(error.kind(), Kind::Needed);
    assert!(error.to_string().contains("v001.ocm.tar") && error.to_string().contains("its file is gone"), "{error}");
    assert!(error.way_out().is_some_and(|hint| hint.contains("remove the folder .ocm")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_on_one_directory_is_told_who_holds_it() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of([packed(1, 30 * MIB)])).await];
    proxy.set(every("GET", About::Blob, Fault::none().rate(20 * MIB)));
    let second = async {
        while fetched(&proxy) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let error = lab.sync(&from, &lab.path("disk")).await.expect_err("it is held");
        // A dry run only looks.
        lab.sync_with(&from, &lab.path("disk"), |request| request.dry_run = true).await.expect("a plan");
        error
    };
    let place = lab.path("disk");
    let (first, error) = tokio::join!(lab.sync(&from, &place), second);
    assert_eq!(first.expect("the first run is not disturbed").class(), Class::Done);
    assert_eq!(error.kind(), Kind::Failed);
    let holder = format!("process {}", std::process::id());
    let text = error.to_string();
    assert!([&place, "another run is writing here", &holder].iter().all(|word| text.contains(*word)), "{text}");
    assert!(error.way_out().is_some_and(|hint| hint.starts_with("wait until it has ended")), "{error:?}");
    let again = lab.sync(&from, &place).await.expect("the lock is free");
    assert!(again.set.is_none());
}
