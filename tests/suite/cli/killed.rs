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
