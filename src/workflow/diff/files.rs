//! [`Inside`]: what changed inside images that moved, platform by platform.
//!
//! **Invariants.** One image is looked at after the other, so that no more than three trees are in memory. A layer that both images begin
//! with is read once. An image that cannot be read says why, and does not stop the others.
//!
//! *Not here:* trees and how they differ (`image::tree`), decompressing (`store::plain`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use super::Settings;
use crate::error::{Error, Result};
use crate::image::manifest::{MAX_MANIFEST_BYTES, Parts};
use crate::image::tree::{Changes, Layering};
use crate::image::{Blob, Descriptor, Digest, Item, Manifest, Platform, Reference, Repository, Role, Source, Tree};
use crate::monitor::Event;
use crate::plan::difference::{Moved, name};
use crate::store::plain;

/// How much of paths is kept in all, in bytes.
const PATHS_BYTES: usize = 128 << 20;

/// So many manifests are read of one image; an index for every platform there is has some dozens.
const MAX_MANIFESTS: usize = 4096;

/// What was found of an image under a name that moved, or of one of its platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inside {
    /// The name.
    pub name: Reference,
    /// What the image is for.
    pub role: Role,
    /// The platform, of an image for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Found {
    /// How the file system differs.
    Changes(Changes),
    /// Only one of the places has this platform.
    OnlyIn(Side),
    /// Why it could not be compared.
    Why(String),
}

/// One of the two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first one.
    A,
    /// The second one.
    B,
}

/// A place with its images, each beside the name that it is compared by.
pub(super) struct Images {
    pub(super) source: Arc<dyn Source>,
    pub(super) items: Vec<(Reference, Item)>,
}

/// An image of one platform, and where it is.
#[derive(Clone)]
struct Leaf {
    source: Arc<dyn Source>,
    repository: Repository,
    platform: Option<Platform>,
    manifest: Manifest,
}

/// Compares the files of all images that moved.
pub(super) async fn inside(moved: &[Moved], a: &Images, b: &Images, settings: &Settings) -> Vec<Inside> {
    let (mut all, mut room, total) = (Vec::new(), PATHS_BYTES, moved.len() as u64);
    for (done, moved) in (1..).zip(moved) {
        let inside = |platform, found| Inside { name: moved.name.clone(), role: moved.role, platform, found };
        let leaves = async { Ok::<_, Error>((a.leaves(moved, moved.from).await?, b.leaves(moved, moved.to).await?)) };
        let pairs = match leaves.await {
            Ok((first, second)) => paired(first, second).await,
            Err(error) => Err(error),
        };
        match pairs {
            Ok(pairs) => {
                for (platform, pair) in pairs {
                    all.extend(pair.found(&mut room).await.map(|found| inside(platform, found)));
                }
            }
            Err(error) => all.push(inside(None, Found::Why(error.to_string()))),
        }
        settings.monitor.event(Event::Counted { what: "comparing files", done, total });
    }
    all
}

impl Images {
    /// The images of each platform below the root that a name stands for. What an index lists and the place lacks was left out on purpose.
    async fn leaves(&self, moved: &Moved, root: Digest) -> Result<Vec<Leaf>> {
        let is_it =
            |(called, item): &&(Reference, Item)| item.role == moved.role && item.digest() == Some(root) && name(called) == moved.name;
        let gone = || Error::needed(format!("manifest {root} is not in {}", self.source.place()));
        let (_, item) = self.items.iter().find(is_it).ok_or_else(gone)?;
        let (mut leaves, mut seen) = (Vec::new(), BTreeSet::new());
        let mut ahead: VecDeque<Descriptor> = item.root.iter().cloned().collect();
        while let Some(wanted) = ahead.pop_front() {
            if !seen.insert(wanted.digest) {
                continue;
            }
            if seen.len() > MAX_MANIFESTS {
                return Err(Error::failed(format!("index {root} lists more than {MAX_MANIFESTS} manifests")));
            }
            let Some(manifest) = self.source.manifest(item.origin.repository(), &wanted).await? else {
                if wanted.digest == root {
                    return Err(gone());
                }
                continue;
            };
            let is_image = |child: &&Descriptor| child.is_manifest() && !child.platform.as_ref().is_some_and(Platform::is_unknown);
            ahead.extend(manifest.children().iter().filter(is_image).cloned());
            if matches!(manifest.parts(), Parts::Image { .. }) {
                let (source, repository) = (Arc::clone(&self.source), item.origin.repository().clone());
                leaves.push(Leaf { source, repository, platform: wanted.platform, manifest });
            }
        }
        Ok(leaves)
    }
}

/// Two images that are compared, or one that has no other.
enum Pair {
    Both(Box<(Leaf, Leaf)>),
    Only(Side),
}

/// Puts images of the same platform together. Two single ones are compared, whatever they are for.
async fn paired(mut first: Vec<Leaf>, mut second: Vec<Leaf>) -> Result<Vec<(Option<Platform>, Pair)>> {
    if first.len() == 1 && second.len() == 1 {
        return Ok(first.pop().into_iter().zip(second.pop()).map(|both| (None, Pair::Both(Box::new(both)))).collect());
    }
    let mut waiting: BTreeMap<Platform, VecDeque<Leaf>> = BTreeMap::new();
    for leaf in second {
        waiting.entry(leaf.platform().await?).or_default().push_back(leaf);
    }
    let mut pairs = Vec::new();
    for leaf in first {
        let platform = leaf.platform().await?;
        let pair = match waiting.get_mut(&platform).and_then(VecDeque::pop_front) {
            Some(other) => Pair::Both(Box::new((leaf, other))),
            None => Pair::Only(Side::A),
        };
        pairs.push((Some(platform), pair));
    }
    pairs.extend(
        waiting.into_iter().flat_map(|(platform, left)| left.into_iter().map(move |_| (Some(platform.clone()), Pair::Only(Side::B)))),
    );
    Ok(pairs)
}

impl Pair {
    /// What is to be told of it; nothing of images that are the same, and of artifacts without a file system.
    async fn found(self, room: &mut usize) -> Option<Found> {
        let (first, second) = match self {
            Self::Only(side) => return Some(Found::OnlyIn(side)),
            Self::Both(both) => *both,
        };
        if first.manifest.digest() == second.manifest.digest() || !(first.has_files() || second.has_files()) {
            return None;
        }
        Some(match changes(&first, &second, room).await {
            Ok(changes) => Found::Changes(changes),
            Err(error) => Found::Why(error.to_string()),
        })
    }
}

/// How the file systems of two images differ.
async fn changes(first: &Leaf, second: &Leaf, room: &mut usize) -> Result<Changes> {
    let (lower, upper) = (first.layers(), second.layers());
    let shared = lower.iter().zip(upper).take_while(|(one, other)| one.digest == other.digest).count();
    if shared == lower.len() && shared == upper.len() {
        return Ok(Changes::default());
    }
    let common = first.over(Tree::default(), &lower[..shared]).await?;
    let (old, new) = tokio::try_join!(first.over(common.clone(), &lower[shared..]), second.over(common, &upper[shared..]))?;
    Ok(Changes::between(&old, &new, room))
}

impl Leaf {
    fn layers(&self) -> &[Descriptor] {
        match self.manifest.parts() {
            Parts::Image { layers, .. } => layers,
            Parts::Index { .. } => &[],
        }
    }

    /// Whether some layer says that it is a tar.
    fn has_files(&self) -> bool {
        self.layers().iter().any(|layer| layer.media_type.is_empty() || layer.media_type.contains(".tar"))
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        Blob::new(Arc::clone(&self.source), self.repository.clone(), descriptor.clone())
    }

    /// The tree that these layers make over another one.
    async fn over(&self, mut tree: Tree, layers: &[Descriptor]) -> Result<Tree> {
        for layer in layers {
            let of_it = |error: Error| error.context(format!("layer {}", layer.digest));
            if layer.is_foreign() {
                return Err(of_it(Error::needed("registries do not hold it")));
            }
            let layering = plain::feed(&self.blob(layer), tree.layer(), Layering::push).await?;
            tree = layering.finish().map_err(of_it)?;
        }
        Ok(tree)
    }

    /// The platform that the index says, or the configuration; `linux/arm64` has but one variant that is left out by some.
    async fn platform(&self) -> Result<Platform> {
        let mut platform = match (&self.platform, self.manifest.parts()) {
            (None, Parts::Image { config: Some(config), .. }) => {
                let what = format!("configuration {}", config.digest);
                let bytes = self.blob(config).whole().await?.collect(MAX_MANIFEST_BYTES, &what).await?;
                serde_json::from_slice(&bytes).map_err(|error| Error::damaged(format!("{what}: {error}")))?
            }
            (platform, _) => platform.clone().unwrap_or_default(),
        };
        let is_usual = platform.architecture == "arm64" && platform.variant.as_deref() == Some("v8");
        platform.variant = platform.variant.filter(|variant| !is_usual && !variant.is_empty());
        Ok(platform)
    }
}
