//! [`Generations`]: a chain of sets of images that change at random.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ocm::image::Contents;
use ocm::store::archive::{ArchiveSource, Shelf};
use ocm::transfer::Class;
use ocm::workflow::sync::{Request, SetOutcome};

use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};
use crate::workflows::lab::Lab;

/// The repository of all images.
pub(super) const NAME: &str = "registry.example/team/app";

/// A lab, and the images of each generation of a chain as seeds of their layers.
pub(super) struct Generations {
    pub(super) lab: Lab,
    random: Random,
    images: BTreeMap<u64, Vec<u64>>,
    made: u64,
}

impl Generations {
    pub(super) fn new(seed: u64) -> Self {
        Self { lab: Lab::new(), random: Random::new(seed), images: BTreeMap::new(), made: 0 }
    }

    /// Adds an image, takes one away, changes layers of some; writes that as a set.
    pub(super) async fn next(&mut self) -> SetOutcome {
        self.made += 1;
        let fresh = |random: &mut Random| 1 + random.below(40);
        let count = 1 + self.random.below(4);
        let layers = (0..count).map(|_| fresh(&mut self.random)).collect();
        self.images.insert(self.made, layers);
        if self.images.len() > 3 && self.random.below(3) == 0 {
            let gone = self.random.below(self.images.len() as u64) as usize;
            let gone = *self.images.keys().nth(gone).expect("one of them");
            self.images.remove(&gone);
        }
        for layers in self.images.values_mut() {
            if self.random.below(3) == 0 {
                let at = self.random.below(layers.len() as u64) as usize;
                layers[at] = fresh(&mut self.random);
            }
        }
        self.write_next().await
    }

    /// Writes one image of these layers as a set, and nothing else.
    pub(super) async fn next_of(&mut self, layers: &[u64]) -> SetOutcome {
        self.made += 1;
        self.images = BTreeMap::from([(self.made, layers.to_vec())]);
        self.write_next().await
    }

    async fn write_next(&self) -> SetOutcome {
        let layout = Layout::at(&self.lab.folder(&layout_of(self.made)));
        for (name, seeds) in &self.images {
            let layers = seeds.iter().map(|seed| if seed % 2 == 0 { layer(*seed).tar() } else { layer(*seed).gzip() });
            layout.tag(&format!("{NAME}:{name}"), &layout.image(&Image::of(layers)));
        }
        self.write(self.made, "disk").await
    }

    /// Writes the next set of an archive: what there was in a generation.
    pub(super) async fn write(&self, generation: u64, to: &str) -> SetOutcome {
        let from = [format!("oci:{}", self.lab.path(&layout_of(generation)))];
        let only = |request: &mut Request| request.archive.only = true;
        let made = self.lab.sync_with(&from, &self.lab.path(to), only).await.expect("a run");
        assert_eq!(made.class(), Class::Done, "{:?}", made.report);
        made.set.expect("a set: each generation has a new image")
    }

    /// Every blob of a generation.
    pub(super) fn state(&self, generation: u64) -> BTreeMap<PathBuf, Vec<u8>> {
        self.blobs_in(&layout_of(generation))
    }

    /// What a set of an archive lists: the newest one, where no generation is named.
    pub(super) fn contents(&self, name: &str, generation: Option<u32>) -> Contents {
        let shelf = Shelf::open(&self.lab.folder(name)).expect("a shelf");
        let selection = shelf.select(generation).expect("sets");
        ArchiveSource::open(shelf.path(), &selection.sets, &[&shelf]).expect("a source").listed().clone()
    }

    /// Every blob that an archive gives, written into a layout by its digest.
    pub(super) async fn blobs(&self, archive: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        self.blobs_with(archive, &format!("out-of-{archive}"), |_| {}).await
    }

    /// The same of one that is read as far as it can be.
    pub(super) async fn recovered(&self, archive: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        self.blobs_with(archive, &format!("recovered-from-{archive}"), |request| request.salvage = true).await
    }

    async fn blobs_with(&self, archive: &str, to: &str, options: impl FnOnce(&mut Request)) -> BTreeMap<PathBuf, Vec<u8>> {
        let made = self.lab.sync_with(&[self.lab.path(archive)], &format!("oci:{}", self.lab.path(to)), options).await.expect("a run");
        assert_eq!(made.class(), Class::Done, "{archive}: {:?}", made.report);
        self.blobs_in(to)
    }

    fn blobs_in(&self, layout: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = self.lab.folder(layout).join("blobs");
        let files = self.lab.snapshot(layout).into_iter();
        files.filter_map(|(path, content)| Some((path.strip_prefix(&folder).ok()?.to_owned(), content))).collect()
    }
}

/// The folder of the layout that a generation is written from.
fn layout_of(generation: u64) -> String {
    format!("layout-{generation}")
}

/// A layer: of every eight in a row, one for each kind of content; those of one kind are versions of it. Those of even numbers are stored
/// in a way that deltas can be made of.
pub(super) fn layer(seed: u64) -> Layer {
    let mut random = Random::new(seed % 8);
    let (kept, mut changed) = (random.noise(8_000), random.text(20_000));
    (0..changed.len()).step_by(5_000).for_each(|at| changed[at] = seed as u8);
    let own = Random::new(seed).noise(100 * seed as usize);
    Layer::files(&[("usr/kept".to_owned(), kept), ("usr/changed".to_owned(), changed), (format!("usr/{seed}"), own)])
}
