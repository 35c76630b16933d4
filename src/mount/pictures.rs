//! [`Pictures`]: what is in the directory of an image: its documents, its layers, its root file system; or one directory per platform.
//!
//! **Invariants.** What is shown of an index is what is at hand of it. A platform that cannot be read hurts its own directory alone.
//! Memory is bounded: manifests and trees are let go, and read again when they are asked for.
//!
//! *Not here:* where the directories of images are (`names`).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::cache::Cache;
use super::names::shown;
use super::numbers::{Image, MAX_LAYERS, MAX_PLATFORMS};
use super::plains::Plains;
use super::rootfs::Rootfs;
use crate::error::{Error, Result};
use crate::image::manifest::Parts;
use crate::image::{Descriptor, Digest, Inside, Manifest, Platform};

/// Memory for manifests, in bytes.
const MANIFESTS_BYTES: usize = 4 << 20;
/// Memory for trees of root file systems, in bytes. The one that was used last is held, however large it is.
const TREES_BYTES: usize = 12 << 20;

/// Looks into images.
pub(super) struct Pictures {
    inside: Arc<dyn Inside>,
    manifests: Cache<Digest, Manifest>,
    platforms: Cache<Digest, Vec<(String, Descriptor)>>,
    trees: Cache<Digest, Rootfs>,
}

impl Pictures {
    pub(super) fn new(inside: Arc<dyn Inside>) -> Self {
        Self { inside, manifests: Cache::new(MANIFESTS_BYTES), platforms: Cache::new(MANIFESTS_BYTES), trees: Cache::new(TREES_BYTES) }
    }

    /// The manifest or index of an image. None where there is no such platform.
    pub(super) fn manifest(&self, image: Image) -> Result<Option<Arc<Manifest>>> {
        let item = self.inside.contents().items().get(image.item as usize);
        let Some(root) = item.and_then(|item| item.root.as_ref()) else { return Ok(None) };
        let root = self.load(root)?;
        match image.platform.checked_sub(1) {
            None => Ok(Some(root)),
            Some(platform) => match self.platforms(&root)?.get(platform as usize) {
                Some((_, wanted)) => self.load(wanted).map(Some),
                None => Ok(None),
            },
        }
    }

    /// The platforms of an index, each with the name of its directory, in the order of the index; none of an image.
    pub(super) fn platforms(&self, index: &Manifest) -> Result<Arc<Vec<(String, Descriptor)>>> {
        self.platforms.get(index.digest(), || {
            let all = self.below(index)?;
            let weight = all.iter().map(|(name, _)| name.len() + size_of::<(String, Descriptor)>() + 64).sum();
            Ok((all, weight))
        })
    }

    /// The root file system of an image: of those of its layers that say that they are tars. When it is made, `told` hears how many names
    /// in it are too long to be shown.
    pub(super) fn rootfs(&self, manifest: &Manifest, plains: &Plains, told: impl Fn(usize)) -> Result<Arc<Rootfs>> {
        self.trees.get(manifest.digest(), || {
            let tars: Vec<&Descriptor> = layers(manifest).iter().filter(|layer| is_tar(layer)).collect();
            let rootfs =
                Rootfs::of(plains, &tars).map_err(|error| error.context(format!("root file system of image {}", manifest.digest())))?;
            if rootfs.unshown() > 0 {
                told(rootfs.unshown());
            }
            let weight = rootfs.weight();
            Ok((rootfs, weight))
        })
    }

    fn load(&self, wanted: &Descriptor) -> Result<Arc<Manifest>> {
        self.manifests.get(wanted.digest, || {
            let manifest = self.inside.manifest(wanted)?;
            let manifest =
                manifest.ok_or_else(|| Error::needed(format!("manifest {}: it is not in {}", wanted.digest, self.inside.place())))?;
            // What is read from it takes about as much again.
            let weight = 2 * manifest.bytes().len() + 256;
            Ok((manifest, weight))
        })
    }

    /// The images below an index, further indexes in it included, as far as they are at hand.
    fn below(&self, index: &Manifest) -> Result<Vec<(String, Descriptor)>> {
        let (mut all, mut names, mut seen) = (Vec::new(), BTreeSet::new(), BTreeSet::from([index.digest()]));
        let mut ahead: VecDeque<Descriptor> = index.children().iter().cloned().collect();
        while let Some(next) = ahead.pop_front() {
            let is_image = next.is_manifest() && !next.platform.as_ref().is_some_and(Platform::is_unknown);
            if !is_image || all.len() == MAX_PLATFORMS || !seen.insert(next.digest) || self.inside.blob(&next.digest)?.is_none() {
                continue;
            }
            // One that cannot be read is shown, and says so when it is looked into.
            if let Ok(manifest) = self.load(&next)
                && matches!(manifest.parts(), Parts::Index { .. })
            {
                ahead.extend(manifest.children().iter().cloned());
                continue;
            }
            let name = platform_name(&next, &names);
            names.insert(name.clone());
            all.push((name, next));
        }
        Ok(all)
    }
}

/// The layers of an image, lowest first.
pub(super) fn layers(manifest: &Manifest) -> &[Descriptor] {
    match manifest.parts() {
        Parts::Image { layers, .. } => &layers[..layers.len().min(MAX_LAYERS)],
        Parts::Index { .. } => &[],
    }
}

/// The configuration of an image.
pub(super) fn config(manifest: &Manifest) -> Option<&Descriptor> {
    match manifest.parts() {
        Parts::Image { config, .. } => config.as_ref(),
        Parts::Index { .. } => None,
    }
}

/// Whether some layer says that it is a tar, so that there is a root file system.
pub(super) fn has_files(manifest: &Manifest) -> bool {
    layers(manifest).iter().any(is_tar)
}

/// What the plain form of a layer is called: `02-9f2c41d07be1.tar`.
pub(super) fn layer_name(number: usize, layer: &Descriptor) -> String {
    format!("{number:02}-{}{}", layer.digest.short(), if is_tar(layer) { ".tar" } else { "" })
}

fn is_tar(layer: &Descriptor) -> bool {
    layer.media_type.is_empty() || layer.media_type.contains(".tar")
}

/// What the directory of a platform is called: `linux-arm64-v8`; with its digest where that is taken or not known.
fn platform_name(image: &Descriptor, taken: &BTreeSet<String>) -> String {
    let digest = image.digest.short();
    let Some(platform) = &image.platform else { return digest };
    let name = shown(&platform.to_string().replace('/', "-"));
    if taken.contains(&name) { shown(&format!("{name}-{digest}")) } else { name }
}
