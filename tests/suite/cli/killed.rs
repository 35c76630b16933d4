//! A run that is killed, and the one after it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::archive::volume;
use super::{Ocm, Said};
use crate::support::images::{Image, Layout, push};
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class, Proxy};
use crate::support::registry::Registry;

const MIB: u64 = 1 << 20;
/// Twelve layers of this size, so that a tenth and 64 MiB are about half of all.
const LAYER_BYTES: u64 = 13 * MIB;

/// Fills a registry with an image of layers that do not compress; how it is named behind `proxy`.
fn fill(registry: &Registry, proxy: &Proxy) -> String {
    let layer =
        |seed| Layer::bytes(Random::new(seed).noise(LAYER_BYTES as usize)).media_type("application/vnd.oci.image.layer.v1.tar+gzip");
    let layout = Layout::new();
    let root = layout.image(&Image::of((0..12).map(layer)));
    let pushed = async { push(&layout, &root, &format!("{}/team/app", registry.host()), Some("1")).await };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(pushed);
    format!("docker://{}/team/app:1", proxy.host())
}

/// Blob bytes that came through.
fn fetched(proxy: &Proxy) -> u64 {
    proxy.count("GET", Class::Blob).down_bytes
}

/// What a person sees in a folder.
fn visible(folder: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    names.filter(|name| !name.starts_with('.') && !name.ends_with(".partial")).collect()
}

#[test]
fn a_program_that_is_killed_at_ninety_percent_goes_on_and_shows_nothing_half() {
    let Some(near) = Registry::start() else { return };
    let (ocm, proxy) = (Ocm::new(), Proxy::before(near.host()));
    let (from, disk) = (fill(&near, &proxy), ocm.path("disk"));
    let all = 12 * LAYER_BYTES;
    let mut run = ocm.command(&["sync", "-q", &from, &disk]);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ocm runs");
    let begun = Instant::now();
    while fetched(&proxy) < all * 9 / 10 {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().expect("a state").is_none(), "{} came", fetched(&proxy));
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("SIGKILL");
    let end = child.wait().expect("its end");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end), Some(9), "{end}");
    assert_eq!(visible(Path::new(&disk)), [""; 0]);
    let half = ocm.run(&["ls", &disk]);
    assert!(half.code == Some(2) && half.err.contains("there is no ocm archive here"), "{half:?}");

    proxy.forget();
    let again = Said::of(&ocm.command(&["sync", &from, &disk]).output().expect("ocm runs"));
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.err.contains("going on with the set that an interrupted run has begun"), "{again:?}");
    assert!(fetched(&proxy) <= all / 10 + 64 * MIB, "{} of {all} bytes were fetched again", fetched(&proxy));
    assert_eq!(visible(Path::new(&disk)).len(), 2, "a volume and its sums");
    let verified = ocm.run(&["verify", &disk]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let out = ocm.run(&["sync", &disk, &format!("oci:{}", ocm.path("out"))]);
    assert!(out.code == Some(0) && out.out.starts_with("1 image to "), "{out:?}");
}

#[test]
fn a_volume_in_the_making_beside_whole_sets_is_no_damage() {
    let ocm = Ocm::new();
    let layout = Layout::at(&ocm.home.path().join("layout"));
    layout.tag("registry.example/team/one:1", &layout.image(&Image::generated(1, 100_000)));
    assert_eq!(ocm.run(&["sync", "oci:layout", "disk"]).code, Some(0));
    let whole = std::fs::read(volume(&ocm.path("disk"))).expect("a volume");
    std::fs::write(ocm.home.path().join("disk/disk.g0002-00000000.v001.ocm.tar.partial"), &whole[..whole.len() / 2])
        .expect("half a volume");
    let verified = ocm.run(&["verify", "disk"]);
    assert!(verified.code == Some(0) && verified.out.lines().count() == 2, "{verified:?}");
    assert!(ocm.run(&["ls", "disk"]).out.starts_with("disk   1 set   1 volume, all here"));
}

/// Every file and folder in a folder and in its scratch folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let below = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    below(folder).chain(below(&folder.join(".ocm"))).collect()
}

/// Takes away the disk, and the workspace that knows of it.
fn forget(ocm: &Ocm) {
    for folder in ["disk", ".local"] {
        std::fs::remove_dir_all(ocm.home.path().join(folder)).expect("removed");
    }
}

/// How often the next test kills: `OCM_NIGHTLY` has the number that is promised.
fn kills() -> u32 {
    if std::env::var_os("OCM_NIGHTLY").is_some() { 200 } else { 20 }
}

#[test]
fn a_program_that_is_killed_at_any_time_never_shows_half_a_set_and_always_comes_to_its_end() {
    let ocm = Ocm::new();
    let layout = Layout::at(&ocm.home.path().join("layout"));
    let root = layout.image(&Image::of((0..6).map(|seed| Layer::tree(seed, 1_500_000).gzip())));
    layout.tag("registry.example/team/app:1", &root);
    let arguments = ["sync", "oci:layout", "disk", "--volume-size", "16MiB"];
    let begun = Instant::now();
    assert_eq!(ocm.run(&arguments).code, Some(0));
    let whole = begun.elapsed();
    let disk = ocm.home.path().join("disk");
    forget(&ocm);
    let (mut random, mut ends) = (Random::new(7), 0);
    for kill in 0..kills() {
        let mut child = ocm.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ocm runs");
        let share = u32::from(random.noise(1)[0]);
        std::thread::sleep(whole * share / 255);
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        if disk.is_dir() && visible(&disk).iter().any(|name| name.ends_with(".ocm.tar")) {
            // Its last volume has its name: then the set is all there, and the next run has little or nothing to do.
            let verified = ocm.run(&["verify", "disk"]);
            assert_eq!(verified.code, Some(0), "kill {kill}: {verified:?}");
            let next = ocm.run(&arguments);
            assert_eq!(next.code, Some(0), "kill {kill}: {next:?}, {:?}", files(&disk));
            // With what is known of the set: the next one is the first again.
            forget(&ocm);
            ends += 1;
        }
    }
    let last = ocm.run(&arguments);
    assert_eq!(last.code, Some(0), "{last:?}");
    assert_eq!(ocm.run(&["verify", "disk"]).code, Some(0));
    assert_eq!(ocm.run(&["sync", "disk", "oci:out"]).code, Some(0));
    let index = std::fs::read_to_string(ocm.home.path().join("out/index.json")).expect("an index");
    assert!(index.contains(&root.digest.to_string()), "the image is what it was: {index}");
    assert!(ends > 0 || kills() < 100, "no run came near its end");
}
