//! [`Given`]: content to bring, and the steps that bring it, as the transfer takes them.
//!
//! *Not here:* making images (`support::images`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use ocm::error::Result;
use ocm::image::ends::{Moved, Rest};
use ocm::image::{Blob, Body, Contents, Descriptor, Digest, Item, Manifest, Reference, Repository, Sink, Source, Verified};

use super::places::Place;
use crate::support::images::Layout;

/// Blobs by the digest that they are said to have.
pub(crate) struct Given(BTreeMap<Digest, Bytes>);

impl Given {
    /// All blobs of a layout.
    pub(crate) fn of(layout: &Layout) -> Self {
        Self(layout.digests().into_iter().map(|digest| (digest, layout.read(&digest).into())).collect())
    }

    /// One blob that is said to have this digest.
    pub(crate) fn claiming(digest: Digest, bytes: &[u8]) -> Self {
        Self(BTreeMap::from([(digest, Bytes::copy_from_slice(bytes))]))
    }
}

#[async_trait]
impl Source for Given {
    fn place(&self) -> String {
        "given".to_owned()
    }

    async fn resolve(&self, _: &Reference) -> Result<Option<Descriptor>> {
        Ok(None)
    }

    async fn manifest(&self, _: &Repository, _: &Descriptor) -> Result<Option<Manifest>> {
        Ok(None)
    }

    /// In two parts where there are two; as many bytes as there are, whatever was asked for.
    async fn read(&self, _: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        let Some(bytes) = self.0.get(&blob.digest) else { return Ok(None) };
        let rest = if range.end == blob.size {
            bytes.slice(range.start as usize..)
        } else {
            bytes.slice(range.start as usize..range.end as usize)
        };
        let half = rest.len() / 2;
        let parts = stream::iter([Ok(rest.slice(..half)), Ok(rest.slice(half..))]);
        Ok(Some(Body::new(range.end - range.start, "given", parts)))
    }

    async fn referrers(&self, _: &Repository, _: &Digest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }

    async fn tags(&self, _: &Repository) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        Ok(None)
    }
}

/// The name with this tag.
pub(super) fn tagged(place: &dyn Place, tag: &str) -> Reference {
    place.repository().tagged(tag).expect("a tag")
}

/// The item that `name` is to stand for.
pub(crate) fn item(name: &Reference, root: &Descriptor) -> Item {
    Item { root: Some(root.clone()), ..Item::image(name.clone()) }
}

/// What `finish` is told.
pub(crate) fn contents(items: &[Item]) -> Contents {
    Contents::new(items.iter().cloned())
}

/// A listener that does not listen.
pub(crate) fn moved_nothing() -> Moved {
    Arc::new(|_| {})
}

/// Does what a step left to do.
pub(crate) async fn settle(rest: Rest) -> Result<()> {
    match rest {
        Some(rest) => rest.await,
        None => Ok(()),
    }
}

/// One run: brings these items with all that they need, names last, and finishes.
pub(super) async fn bring(place: &dyn Place, layout: &Layout, items: &[Item]) {
    let sink = place.sink().await;
    bring_to(&*sink, layout, items).await;
    sink.finish(&contents(items)).await.expect("finished");
}

/// As [`bring`], without finishing.
pub(crate) async fn bring_to(sink: &dyn Sink, layout: &Layout, items: &[Item]) {
    let given: Arc<dyn Source> = Arc::new(Given::of(layout));
    for item in items {
        for wanted in item.root.iter().chain(&item.attached) {
            bring_manifest(sink, item.origin.repository(), layout, &given, wanted).await;
        }
    }
    for item in items {
        let root = parsed(layout, item.root.as_ref().expect("a root"));
        settle(sink.point(&item.origin, &root).await.expect("pointed")).await.expect("settled");
    }
}

async fn bring_manifest(sink: &dyn Sink, repository: &Repository, layout: &Layout, given: &Arc<dyn Source>, wanted: &Descriptor) {
    let manifest = parsed(layout, wanted);
    for child in manifest.children() {
        Box::pin(bring_manifest(sink, repository, layout, given, child)).await;
    }
    for descriptor in manifest.blobs() {
        let blob = Blob::new(Arc::clone(given), repository.clone(), descriptor.clone());
        settle(sink.put(repository, &blob, &moved_nothing()).await.expect("put")).await.expect("settled");
    }
    settle(sink.put_manifest(repository, &manifest).await.expect("put")).await.expect("settled");
}

/// The manifest that a layout has.
pub(crate) fn parsed(layout: &Layout, wanted: &Descriptor) -> Manifest {
    let bytes = Verified::check(layout.read(&wanted.digest).into(), wanted, "given").expect("a sound manifest");
    Manifest::parse(bytes, &wanted.media_type).expect("a manifest")
}

/// A root and everything below it that a place must hold.
pub(crate) fn everything(layout: &Layout, root: &Descriptor) -> Vec<Descriptor> {
    let manifest = parsed(layout, root);
    let below = manifest.children().iter().flat_map(|child| everything(layout, child));
    [root.clone()].into_iter().chain(below).chain(manifest.blobs().cloned()).collect()
}

/// All bytes of a manifest or blob as the source has it.
pub(crate) async fn whole(source: &dyn Source, repository: &Repository, content: &Descriptor) -> Vec<u8> {
    let absent = "it was brought";
    if content.is_manifest() {
        return source.manifest(repository, content).await.expect("an answer").expect(absent).bytes().to_vec();
    }
    let body = source.read(repository, content, 0..content.size).await.expect("an answer").expect(absent);
    body.collect(content.size, "blob").await.expect("all bytes").to_vec()
}
