//! [`Needs`]: what the items of a set refer to: manifests, and blobs by size.
//!
//! **Invariants.** Every manifest is walked once. A manifest that is listed and was left out on purpose (a platform that
//! was not wanted) needs nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::image::{Contents, Descriptor, Digest, Manifest};

/// What items refer to.
#[derive(Debug, Clone, Default)]
pub(super) struct Needs {
    /// Blobs that are no manifests, and their sizes.
    pub(super) blobs: BTreeMap<Digest, u64>,
    /// Manifests, in the order in which a walk meets them.
    pub(super) manifests: Vec<Manifest>,
    seen: BTreeSet<Digest>,
}

impl Needs {
    /// What the complete items of `contents` refer to; `read` gives a manifest, `None` where it was left out.
    pub(super) fn of(contents: &Contents, read: impl Fn(&Descriptor) -> Result<Option<Manifest>>) -> Result<Self> {
        let mut needs = Self::default();
        for item in contents.items().iter().filter(|item| item.is_complete()) {
            let mut ahead: Vec<Descriptor> = item.tops().cloned().collect();
            while let Some(next) = ahead.pop() {
                if !needs.seen.insert(next.digest) {
                    continue;
                }
                let Some(manifest) = read(&next)? else { continue };
                ahead.extend(manifest.children().iter().cloned());
                needs.take(manifest);
            }
        }
        Ok(needs)
    }

    /// Takes in what one manifest refers to.
    pub(super) fn take(&mut self, manifest: Manifest) {
        self.blobs.extend(manifest.blobs().map(|blob| (blob.digest, blob.size)));
        self.manifests.push(manifest);
    }
}
