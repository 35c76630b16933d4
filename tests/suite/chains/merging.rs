//! One base of a chain: it gives what the chain gives, and takes its place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ocm::error::{Error, Kind, Result};
use ocm::image::Contents;
use ocm::store::archive::{ArchiveSource, Packing, Shelf};
use ocm::workflow::sync::merge::{Request, merge};
use ocm::workflow::sync::{Outcome, ParentOutcome, SetOutcome};

use crate::support::images::{Image, Layout};
use crate::support::layers::{Layer, Random};
use crate::workflows::lab::Lab;

const NAME: &str = "registry.example/team/app";

/// A lab, and the images of each generation of a chain as seeds of their layers.
struct Generations {
    lab: Lab,
    random: Random,
    images: BTreeMap<u64, Vec<u64>>,
    made: u64,
}

impl Generations {
    fn new(seed: u64) -> Self {
        Self { lab: Lab::new(), random: Random::new(seed), images: BTreeMap::new(), made: 0 }
    }

    /// Adds an image, takes one away, changes layers of some; writes that as a set.
    async fn next(&mut self) -> SetOutcome {
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
        let folder = format!("layout-{}", self.made);
        let layout = Layout::at(&self.lab.folder(&folder));
        for (name, seeds) in &self.images {
            let layers = seeds.iter().map(|seed| if seed % 5 == 0 { layer(*seed).tar() } else { layer(*seed).gzip() });
            layout.tag(&format!("{NAME}:{name}"), &layout.image(&Image::of(layers)));
        }
        let from = [format!("oci:{}", self.lab.path(&folder))];
        let only = |request: &mut ocm::workflow::sync::Request| request.archive.only = true;
        let made = self.lab.sync_with(&from, &self.lab.path("disk"), only).await.expect("a run");
        made.set.expect("a set: each generation has a new image")
    }

    async fn merge(&self, from: &[&str], to: &str) -> Result<Outcome> {
        let from = from.iter().map(|name| (self.lab.folder(name), None)).collect();
        let packing = Packing { level: 3, ..Packing::default() };
        let request = Request { from, to: self.lab.folder(to), lineage: None, volume_bytes: 1 << 20, packing };
        merge(request, &self.lab.settings).await
    }

    fn contents(&self, name: &str) -> Contents {
        let shelf = Shelf::open(&self.lab.folder(name)).expect("a shelf");
        let selection = shelf.select(None).expect("sets");
        ArchiveSource::open(shelf.path(), &selection.sets, &[&shelf]).expect("a source").listed().clone()
    }

    /// Every blob that an archive gives, written into a layout by its digest.
    async fn blobs(&self, archive: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let to = format!("out-of-{archive}");
        self.lab.sync(&[self.lab.path(archive)], &format!("oci:{}", self.lab.path(&to))).await.expect("all of it");
        let folder = self.lab.folder(&to).join("blobs");
        let files = self.lab.snapshot(&to).into_iter();
        files.filter_map(|(path, content)| Some((path.strip_prefix(&folder).ok()?.to_owned(), content))).collect()
    }
}

fn layer(seed: u64) -> Layer {
    Layer::tree(seed, 3_000 + 700 * seed as usize)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_made_of_20_random_generations_gives_every_blob_that_the_chain_gives() {
    let mut chain = Generations::new(7);
    let mut newest = chain.next().await;
    for _ in 1..20 {
        newest = chain.next().await;
    }
    assert!(newest.chain > 1, "{}", newest.chain);
    let before = chain.lab.snapshot("disk");
    let base = chain.merge(&["disk"], "base").await.expect("a merge").set.expect("a base");
    assert_eq!((base.generation, base.lineage.as_str(), base.chain), (20, "disk", 0));
    assert!(base.parent.is_none() && base.id != newest.id);
    assert_eq!(base.merged_from.len() as u64, newest.chain + 1);
    assert_eq!(chain.contents("base"), chain.contents("disk"));
    assert_eq!(chain.lab.snapshot("disk"), before, "the chain stays as it is");
    let of_chain = chain.blobs("disk").await;
    assert_eq!(chain.blobs("base").await, of_chain);
    assert!(of_chain.len() > 10, "{}", of_chain.len());
    // It takes the place of the chain, here and for the lineage as a whole.
    let more = Layout::at(&chain.lab.folder("more"));
    more.tag(&format!("{NAME}:more"), &more.image(&Image::of([layer(1).gzip(), layer(41).gzip()])));
    for (name, to, generation) in [(Some("disk".to_owned()), "third", 21), (None, "base", 22)] {
        let name = |request: &mut ocm::workflow::sync::Request| request.archive.lineage = name;
        let from = [format!("oci:{}", chain.lab.path("more"))];
        let next = chain.lab.sync_with(&from, &chain.lab.path(to), name).await.expect("a run").set.expect("a set");
        let Some(ParentOutcome::Set { id, .. }) = &next.parent else { panic!("{:?}", next.parent) };
        assert_eq!((id, next.generation, next.chain), (&base.id, generation, 1), "{to}");
    }
}

fn assert_refused(refused: Result<Outcome>, kind: Kind, words: &[&str]) -> Error {
    let error = refused.expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(words.iter().all(|word| error.to_string().contains(word)) && error.way_out().is_some(), "{error:?}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_lacks_a_set_is_refused_with_its_name_and_found_beside() {
    let mut chain = Generations::new(3);
    for _ in 0..4 {
        chain.next().await;
    }
    std::fs::create_dir(chain.lab.folder("other")).expect("a folder");
    for (path, content) in chain.lab.snapshot("disk") {
        if path.to_string_lossy().contains(".g0002-") {
            std::fs::write(chain.lab.folder("other").join(path.file_name().expect("a name")), content).expect("written");
            std::fs::remove_file(path).expect("moved");
        }
    }
    let error = assert_refused(chain.merge(&["disk"], "base").await, Kind::Needed, &["set 4 needs set 2"]);
    assert!(error.notes().iter().any(|note| note.contains("bring:   set 2")), "{error:?}");
    assert!(!chain.lab.folder("base").exists(), "nothing is written");
    let base = chain.merge(&["disk", "other"], "base").await.expect("a merge").set.expect("a base");
    assert_eq!((base.generation, base.merged_from), (4, vec![4, 3, 2, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_not_put_beside_what_it_is_made_of() {
    let mut chain = Generations::new(5);
    chain.next().await;
    chain.next().await;
    assert_refused(chain.merge(&["disk"], "disk").await, Kind::Usage, &["set 2 of \"disk\" is there already"]);
    assert_refused(chain.merge(&["nothing"], "base").await, Kind::Usage, &["there is no set here"]);
}
