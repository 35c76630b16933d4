//! What of a manifest is carried: blobs, children of the wanted platforms, and the attestations about them.
//!
//! **Invariants.** Nothing is left out but children of platforms that nobody wants, and what is about those.
//!
//! *Not here:* fetching any of it (`walk`).

use std::collections::HashSet;

use crate::image::manifest::Parts;
use crate::image::{Descriptor, Digest, Manifest, Platform};

/// The annotation by which an attestation in an index names the image that it is about (as buildkit writes it).
const ATTESTATION_OF: &str = "vnd.docker.reference.digest";

/// Whether what an index lists is a manifest. An index may list other content (build caches do): that is a blob of it.
pub(super) fn is_child(entry: &Descriptor) -> bool {
    entry.is_manifest() || entry.media_type.is_empty()
}

/// The blobs that must be where a manifest is.
pub(super) fn blobs(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let listed = manifest.children().iter().filter(|entry| !is_child(entry) && !entry.is_foreign());
    manifest.blobs().chain(listed)
}

/// What of an index is carried for those platforms; none means all. What has no platform is carried always, an
/// attestation with the image that it is about.
pub(super) fn carried<'m>(manifest: &'m Manifest, wanted: &[Platform]) -> Vec<&'m Descriptor> {
    let Parts::Index { manifests } = manifest.parts() else { return Vec::new() };
    let fits = |entry: &Descriptor| match entry.platform.as_ref().filter(|platform| !platform.is_unknown()) {
        Some(platform) => wanted.is_empty() || wanted.iter().any(|one| one.takes(platform)),
        None => true,
    };
    let (taken, left): (Vec<_>, Vec<_>) = manifests.iter().partition(|entry| fits(entry));
    let left: HashSet<Digest> = left.into_iter().map(|entry| entry.digest).collect();
    let kept: HashSet<Digest> = taken.iter().map(|entry| entry.digest).collect();
    let about = |entry: &Descriptor| entry.annotation(ATTESTATION_OF).and_then(|digest| digest.parse::<Digest>().ok());
    let about_left = |entry: &Descriptor| about(entry).is_some_and(|image| left.contains(&image) && !kept.contains(&image));
    taken.into_iter().filter(|entry| !about_left(entry)).collect()
}

/// The platforms that entries name, each once, in order.
pub(super) fn platforms_of<'d>(entries: impl Iterator<Item = &'d Descriptor>) -> Vec<Platform> {
    let mut seen = HashSet::new();
    let named = entries.filter_map(|entry| entry.platform.as_ref()).filter(|platform| !platform.is_unknown());
    named.filter(|platform| seen.insert(*platform)).cloned().collect()
}

pub(super) fn join(platforms: &[Platform]) -> String {
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}
