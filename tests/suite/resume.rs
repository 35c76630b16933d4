//! Runs that are interrupted, and go on.
//!
//! *Not here:* what damage of finished archives does (`faults`), which set a run builds on (`sets`).

mod journals;
mod plans;
mod runs;
mod volumes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ocm::image::Digest;
use ocm::transfer::Class;
use ocm::workflow::sync::{Outcome, Request, sync};

use crate::support::fault::Fault;
use crate::support::images::{Image, Layout, push};
use crate::support::layers::{Layer, Random};
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

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
/// Several volumes, which are handed over.
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
        half.copy("cut/disk", "kept");
        Some(half)
    }

    /// Brings back what lay there when the run was stopped.
    fn stop_again(&self) {
        std::fs::remove_dir_all(self.folder()).expect("removed");
        self.copy("kept", "cut/disk");
    }

    fn copy(&self, from: &str, to: &str) {
        let (there, here) = (self.lab.folder(from), self.lab.folder(to));
        for (path, content) in self.lab.snapshot(from) {
            let path = here.join(path.strip_prefix(&there).expect("a file of it"));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a copy");
        }
    }

    fn request(&self, place: &str) -> Request {
        let mut request = self.lab.request(&self.from, &self.lab.path(place));
        request.archive.volume_bytes = self.volume_bytes;
        request.archive.on_volume = (self.volume_bytes == MANY_VOLUMES).then(|| "true".to_owned());
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
