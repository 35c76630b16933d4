//! [`Memory`]: images in memory, for tests and small tools.
//!
//! **Invariants.** Clones share one content. A name that one of them was told is seen only after its `finish`. Blobs
//! are checked before they are kept.
//!
//! *Not here:* any limit on what is kept; what belongs on a disk goes into a layout or an archive.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::family::{Family, gathered, is_complete};
use crate::error::{Error, Result};
use crate::image::ends::{Moved, Rest};
use crate::image::{Blob, Body, Contents, Descriptor, Digest, Item, Manifest, Reference, Repository, Sink, Source};

/// A place in memory. Content is kept by digest, whatever the repository.
#[derive(Default)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    /// Names that wait for `finish`.
    pointed: Mutex<BTreeMap<Reference, Digest>>,
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), pointed: Mutex::default() }
    }
}

/// What a [`Memory`] keeps.
#[derive(Default)]
struct Kept {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, Manifest>,
    family: Family,
    names: BTreeMap<Reference, Digest>,
}

impl Memory {
    /// Keeps a blob, and describes it.
    pub fn insert_blob(&self, media_type: &str, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::new(media_type, Digest::of(&bytes), bytes.len() as u64);
        self.kept().blobs.insert(descriptor.digest, bytes);
        descriptor
    }

    /// Keeps a blob by a digest that need not be its own: a place that lies.
    #[cfg(test)]
    pub(crate) fn insert_blob_as(&self, digest: Digest, bytes: impl Into<Bytes>) {
        self.kept().blobs.insert(digest, bytes.into());
    }

    /// Keeps a manifest.
    pub fn insert_manifest(&self, manifest: &Manifest) {
        let mut kept = self.kept();
        kept.family.add(manifest);
        kept.manifests.insert(manifest.digest(), manifest.clone());
    }

    /// Makes a name stand for a digest, at once.
    pub fn insert_name(&self, name: &Reference, root: Digest) {
        self.kept().names.insert(tag_name(name), root);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

/// Every change is one insertion, so the content is whole even if another task panicked with it in hand.
fn lock<T>(content: &Mutex<T>) -> MutexGuard<'_, T> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The form in which a name is kept: a tag alone where there is one.
fn tag_name(name: &Reference) -> Reference {
    let name = name.clone().or_latest();
    let tagged = name.tag().and_then(|tag| name.repository().tagged(tag).ok());
    tagged.unwrap_or(name)
}

impl Kept {
    fn item(&self, name: &Reference, root: &Digest) -> Item {
        Item {
            root: self.manifests.get(root).map(described),
            attached: self.family.attached(root),
            platforms: self.family.platforms(root),
            ..Item::image(name.clone())
        }
    }

    fn is_complete(&self, root: &Manifest) -> Result<bool> {
        let load = |wanted: &Descriptor| Ok(self.manifests.get(&wanted.digest).cloned());
        is_complete(root.descriptor(), load, |blob| Ok(self.blobs.contains_key(&blob.digest)))
    }
}

/// What a name answers with: no annotations, which belong to the document.
fn described(manifest: &Manifest) -> Descriptor {
    Descriptor { annotations: None, ..manifest.descriptor().clone() }
}

#[async_trait]
impl Source for Memory {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        let kept = self.kept();
        let root = name.digest().or_else(|| kept.names.get(&tag_name(name)).copied());
        Ok(root.and_then(|root| kept.manifests.get(&root)).map(described))
    }

    async fn manifest(&self, _: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        Ok(self.kept().manifests.get(&wanted.digest).cloned())
    }

    async fn blob_size(&self, _: &Repository, blob: &Digest) -> Result<Option<u64>> {
        Ok(self.kept().blobs.get(blob).map(|bytes| bytes.len() as u64))
    }

    async fn read(&self, _: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        let Some(bytes) = self.kept().blobs.get(&blob.digest).cloned() else { return Ok(None) };
        if range.start > range.end || range.end > bytes.len() as u64 {
            let len = bytes.len();
            return Err(Error::failed(format!("blob {} in memory: it has {len} bytes, not bytes {range:?}", blob.digest)));
        }
        // Both ends are at most the length of a buffer in memory.
        Ok(Some(Body::from_bytes(bytes.slice(range.start as usize..range.end as usize))))
    }

    async fn referrers(&self, _: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        Ok(self.kept().family.referrers(subject))
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        let kept = self.kept();
        let mut names = kept.names.keys().filter(|name| name.repository() == repository).peekable();
        let known = names.peek().is_some();
        Ok(known.then(|| names.filter_map(|name| name.tag().map(str::to_owned)).collect()))
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        let kept = self.kept();
        let items = kept.names.iter().map(|(name, root)| kept.item(name, root)).collect();
        Ok(Some(Contents::new(gathered(items, |root| kept.family.tree(root)))))
    }
}

#[async_trait]
impl Sink for Memory {
    fn place(&self) -> String {
        Source::place(self)
    }

    fn shares_blobs(&self) -> bool {
        true
    }

    async fn current(&self, name: &Reference) -> Result<Option<Digest>> {
        let kept = self.kept();
        let root = kept.names.get(&tag_name(name)).and_then(|root| kept.manifests.get(root));
        root.map_or(Ok(None), |root| Ok(kept.is_complete(root)?.then(|| root.digest())))
    }

    async fn has(&self, _: &Repository, content: &Descriptor) -> Result<bool> {
        let kept = self.kept();
        Ok(kept.blobs.contains_key(&content.digest) || kept.manifests.contains_key(&content.digest))
    }

    async fn put(&self, _: &Repository, blob: &Blob, moved: &Moved) -> Result<Rest> {
        let descriptor = blob.descriptor();
        let bytes = blob.whole().await?.collect(descriptor.size, "blob").await?;
        moved(descriptor.size);
        self.kept().blobs.insert(descriptor.digest, bytes);
        Ok(None)
    }

    async fn put_manifest(&self, _: &Repository, manifest: &Manifest) -> Result<Rest> {
        self.insert_manifest(manifest);
        Ok(None)
    }

    async fn point(&self, name: &Reference, root: &Manifest) -> Result<Rest> {
        lock(&self.pointed).insert(tag_name(name), root.digest());
        Ok(None)
    }

    async fn finish(self: Box<Self>, _: &Contents) -> Result<()> {
        let pointed = std::mem::take(&mut *lock(&self.pointed));
        self.kept().names.extend(pointed);
        Ok(())
    }
}
