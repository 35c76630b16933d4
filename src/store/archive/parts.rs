//! `parts`: what an item consists of, and what each piece is there for.
//!
//! **Invariants.** A piece is listed once for each image that it belongs to. What an index lists and the set lacks was left out
//! on purpose and is no part; nor are foreign layers, which are not carried.
//!
//! *Not here:* where the bytes of a part lie (`view`).

use std::collections::BTreeSet;

use serde::Serialize;

use super::listing::platform;
use super::source::ArchiveSource;
use crate::error::Result;
use crate::image::manifest::Parts;
use crate::image::{Descriptor, Digest, Item, Manifest, Platform};

/// A piece of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// What it is there for.
    #[serde(flatten)]
    pub what: What,
    /// The platform of the image that it belongs to, where that is known.
    pub platform: Option<Platform>,
    /// Whether it belongs to something that is attached to the item: a signature, an attestation.
    pub attached: bool,
    /// Its digest.
    pub digest: Digest,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// What a piece is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum What {
    /// A list of images.
    Index,
    /// The manifest of an image.
    Manifest,
    /// The configuration of an image.
    Config,
    /// A layer of an image.
    Layer {
        /// Its number, from 1 at the bottom.
        number: usize,
    },
    /// Content that an index lists beside images, as build caches have it.
    Blob,
}

/// All that an item consists of: what its name stands for, then what is attached; each manifest before what it refers to.
pub(super) fn parts(source: &ArchiveSource, item: &Item) -> Result<Vec<Part>> {
    let (mut parts, mut seen) = (Vec::new(), BTreeSet::new());
    let attached = item.attachments().rev().map(|attached| (attached.clone(), true));
    let mut waiting: Vec<(Descriptor, bool)> = attached.chain(item.root.iter().map(|root| (root.clone(), false))).collect();
    while let Some((wanted, attached)) = waiting.pop() {
        if !seen.insert(wanted.digest) {
            continue;
        }
        let Some(manifest) = source.manifest_now(&wanted)? else { continue };
        waiting.extend(manifest.children().iter().rev().filter(|child| is_manifest(child)).map(|child| (child.clone(), attached)));
        let named = wanted.platform.filter(|platform| !platform.is_unknown());
        let platform = named.or_else(|| platform(source, &manifest));
        let part = |(what, content): (What, &Descriptor)| Part {
            what,
            platform: platform.clone(),
            attached,
            digest: content.digest,
            bytes: content.size,
        };
        parts.extend(pieces(&manifest).map(part));
    }
    Ok(parts)
}

/// A manifest, and the blobs that it refers to.
fn pieces(manifest: &Manifest) -> impl Iterator<Item = (What, &Descriptor)> {
    let (own, config, layers) = match manifest.parts() {
        Parts::Image { config, layers } => (What::Manifest, config.as_ref(), layers.as_slice()),
        Parts::Index { .. } => (What::Index, None, &[][..]),
    };
    let layers = layers.iter().enumerate().map(|(at, layer)| (What::Layer { number: at + 1 }, layer));
    let listed = manifest.children().iter().filter(|child| !is_manifest(child)).map(|blob| (What::Blob, blob));
    let blobs = config.map(|config| (What::Config, config)).into_iter().chain(layers).chain(listed);
    std::iter::once((own, manifest.descriptor())).chain(blobs.filter(|(_, blob)| !blob.is_foreign()))
}

/// Whether what an index lists is a manifest; its author may have left the media type out.
fn is_manifest(listed: &Descriptor) -> bool {
    listed.is_manifest() || listed.media_type.is_empty()
}
