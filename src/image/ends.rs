//! [`Source`] and [`Sink`]: the two ends that content moves between.
//!
//! **Invariants.** Absence is `Ok(None)`; an error means "we do not know". A [`Body`] yields exactly the bytes that
//! were asked for, or fails. A name becomes visible last, and what a sink was given counts only once
//! [`Sink::finish`] has returned.
//!
//! *Not here:* the order of steps (`plan`) and who runs them (`transfer`).

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream, StreamExt as _};

use super::{Contents, Descriptor, Digest, Manifest, Reference, Repository};
use crate::error::{Error, Result};

/// A place that content can be had from.
#[async_trait]
pub trait Source: Send + Sync {
    /// What a person calls this place.
    fn place(&self) -> String;

    /// Where this place looks for a name, as a person is told of it; one place alone is itself.
    fn place_of(&self, _: &Reference) -> String {
        self.place()
    }

    /// The manifest that a name stands for: by its digest where it has one, else by its tag, else by `latest`.
    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>>;

    /// The manifest or index with this digest. The size of `wanted` may be 0 where nobody told it.
    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>>;

    /// The size of a blob of which nothing but the digest is known, in bytes; `None` where it is not in that repository.
    async fn blob_size(&self, _: &Repository, blob: &Digest) -> Result<Option<u64>> {
        Err(Error::failed(format!("blob {blob}: {} cannot tell how large it is", self.place())))
    }

    /// Bytes `range` of a blob. The content is not checked against the digest here, because it may be a part:
    /// [`Blob::whole`] does that.
    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>>;

    /// The plain form of a blob, which is the blob decompressed, checked as it is given; `None` where this place has nothing but
    /// the blob itself. It is asked for where making the blob would cost more.
    async fn plain(&self, _: &Repository, _: &Descriptor) -> Result<Option<Body>> {
        Ok(None)
    }

    /// The manifests that refer to `subject`, as the referrers API lists them.
    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>>;

    /// All tags of a repository, sorted; `None` where there is no such repository.
    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>>;

    /// Everything that this place holds; `None` where it cannot list itself (a registry).
    async fn contents(&self) -> Result<Option<Contents>>;
}

/// A place that content can be brought to. One run uses it from many tasks at once.
#[async_trait]
pub trait Sink: Send + Sync {
    /// What a person calls this place.
    fn place(&self) -> String;

    /// Whether a blob that is here for one repository is here for all (an archive, a layout), so that it is brought
    /// once; in a registry it is brought or mounted for each.
    fn shares_blobs(&self) -> bool;

    /// Whether [`Sink::point`] brings the manifest along, so that one that gets a name need not be brought before (a registry).
    fn names_bring_manifests(&self) -> bool {
        false
    }

    /// What a name stands for here now, with everything that it refers to; `None` where it must be brought. An
    /// archive in the making has no names yet and always answers `None`.
    async fn current(&self, name: &Reference) -> Result<Option<Digest>>;

    /// Whether the manifest or blob is in that repository already (in an archive: anywhere in what it builds on).
    async fn has(&self, repository: &Repository, content: &Descriptor) -> Result<bool>;

    /// Brings a blob to a repository, checked. Runs for many blobs at once; what must be done in the order of the
    /// plan is left in the returned [`Rest`]. Every part that arrived is told to `moved`, in bytes.
    async fn put(&self, repository: &Repository, blob: &Blob, moved: &Moved) -> Result<Rest>;

    /// Brings a manifest to a repository, after everything that it refers to.
    async fn put_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<Rest>;

    /// Makes a name stand for a manifest that is there.
    async fn point(&self, name: &Reference, root: &Manifest) -> Result<Rest>;

    /// Makes everything durable and visible. `contents` is what the place shall say that it holds, where it keeps
    /// such a list. Only after this returned may anything older be let go.
    async fn finish(self: Box<Self>, contents: &Contents) -> Result<()>;
}

/// What is left of a step and must be done in the order of the plan; `None` where nothing is.
pub type Rest = Option<BoxFuture<'static, Result<()>>>;

/// Hears of every part of a blob that arrived, in bytes.
pub type Moved = Arc<dyn Fn(u64) + Send + Sync>;

/// A blob that can be had, as often as it takes: where it is, and what it must be.
#[derive(Clone)]
pub struct Blob {
    source: Arc<dyn Source>,
    repository: Repository,
    descriptor: Descriptor,
}

impl Blob {
    /// The blob `descriptor` of `repository` in `source`.
    pub fn new(source: Arc<dyn Source>, repository: Repository, descriptor: Descriptor) -> Self {
        Self { source, repository, descriptor }
    }

    /// Media type, digest, size.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The repository that it is read from; in a registry, it can be mounted from there.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What a person calls the place that it comes from.
    #[must_use]
    pub fn place(&self) -> String {
        self.source.place()
    }

    /// The bytes in `range`, unchecked.
    pub async fn read(&self, range: Range<u64>) -> Result<Body> {
        let absent = || Error::failed(format!("blob {} of {}: it is not there", self.descriptor.digest, self.repository));
        self.source.read(&self.repository, &self.descriptor, range).await?.ok_or_else(absent)
    }

    /// The plain form, where the place has it.
    pub async fn plain(&self) -> Result<Option<Body>> {
        self.source.plain(&self.repository, &self.descriptor).await
    }

    /// All bytes; the last ones come only if the whole has its digest.
    pub async fn whole(&self) -> Result<Body> {
        let body = self.read(0..self.descriptor.size).await?;
        Ok(body.verified(self.descriptor.digest, self.place()))
    }
}

/// Bytes that stream in, of known number.
pub struct Body {
    len: u64,
    parts: Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>,
}

impl Body {
    /// A stream of exactly `len` bytes: one that ends early or goes on is an error, told with `what` it is of.
    pub fn new(len: u64, what: impl Into<String>, parts: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        let state = (Box::pin(parts), 0u64, what.into());
        let counted = stream::try_unfold(state, move |(mut parts, seen, what)| async move {
            let Some(part) = parts.next().await.transpose()? else {
                return if seen == len { Ok(None) } else { Err(Error::failed(format!("{what}: it ended after {seen} of {len} bytes"))) };
            };
            let seen = seen + part.len() as u64;
            if seen > len {
                return Err(Error::damaged(format!("{what}: it is longer than the {len} bytes announced")));
            }
            Ok(Some((part, (parts, seen, what))))
        });
        Self { len, parts: Box::pin(counted) }
    }

    /// A body that is in memory already.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self { len: bytes.len() as u64, parts: Box::pin(stream::iter([Ok(bytes)])) }
    }

    /// The number of bytes in all.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a body of no bytes is nothing special")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.parts.next().await.transpose()
    }

    /// This body, which fails in place of its last part if the whole has another digest.
    #[must_use]
    pub fn verified(self, digest: Digest, place: String) -> Self {
        let state = (self.parts, digest.hasher(), None::<Bytes>, place);
        let parts = stream::try_unfold(state, move |(mut parts, mut hasher, held, place)| async move {
            let mut held = held;
            loop {
                let next: Option<Bytes> = parts.next().await.transpose()?;
                if let Some(part) = &next {
                    hasher.update(part);
                } else if hasher.clone().finish() != digest {
                    return Err(Error::damaged(format!("blob {digest} from {place}: the content does not match its digest")));
                }
                match (held.take(), next) {
                    (None, None) => return Ok(None),
                    (None, Some(part)) => held = Some(part),
                    (Some(ready), next) => return Ok(Some((ready, (parts, hasher, next, place)))),
                }
            }
        });
        Self { len: self.len, parts: Box::pin(parts) }
    }

    /// All bytes at once, if they are at most `limit`.
    pub async fn collect(mut self, limit: u64, what: &str) -> Result<Bytes> {
        if self.len > limit {
            return Err(Error::failed(format!("{what}: {} bytes are more than the {limit} that are taken", self.len)));
        }
        let mut all = BytesMut::new();
        while let Some(part) = self.next().await? {
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    }

    /// The parts as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(parts: &[&'static [u8]]) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn a_body_that_is_short_or_long_fails() {
        let all = Body::new(4, "x", parts(&[b"ab", b"cd"])).collect(4, "x").await.expect("exact");
        assert_eq!(&all[..], b"abcd");
        let short = Body::new(5, "x", parts(&[b"ab", b"cd"])).collect(9, "x").await.expect_err("short");
        assert!(short.to_string().contains("after 4 of 5"), "{short}");
        let long = Body::new(3, "x", parts(&[b"ab", b"cd"])).collect(9, "x").await.expect_err("long");
        assert!(long.to_string().contains("longer than"), "{long}");
    }

    #[tokio::test]
    async fn a_body_with_another_digest_never_gives_its_last_part() {
        let mut body = Body::new(4, "x", parts(&[b"ab", b"cd"])).verified(Digest::of(b"abce"), "here".into());
        assert_eq!(body.next().await.expect("the first part"), Some(Bytes::from_static(b"ab")));
        assert!(body.next().await.expect_err("damage").to_string().contains("does not match"));
        let empty = Body::new(0, "x", parts(&[])).verified(Digest::of(b""), "here".into());
        assert_eq!(empty.collect(0, "x").await.expect("empty").len(), 0);
    }
}
