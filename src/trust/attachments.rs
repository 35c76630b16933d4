//! [`Attachments`]: the sigstore signatures of one manifest, as cosign keeps them: below a tag of the same repository.
//!
//! **Invariants.** They are read from where the image is read. Payloads have their digests; there are at most
//! [`MAX_SIGNATURES`] of at most [`MAX_SIGNATURE_BYTES`].
//!
//! *Not here:* whether one counts (`judge`). Bundles that refer to an image (cosign 3): not supported yet.

use bytes::Bytes;

use super::lookaside::{MAX_SIGNATURE_BYTES, MAX_SIGNATURES};
use crate::error::{Error, Result};
use crate::image::manifest::Parts;
use crate::image::place::digest_tag;
use crate::image::{Descriptor, Digest, Reference, Repository, Source};

/// What a layer is that holds what was signed.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation with its signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// The signatures below one tag.
pub(super) struct Attachments<'a> {
    source: &'a dyn Source,
    repository: &'a Repository,
    layers: Vec<Descriptor>,
}

impl<'a> Attachments<'a> {
    /// Looks for the signatures of `digest`; `None` where there are none.
    pub(super) async fn find(source: &'a dyn Source, repository: &'a Repository, digest: &Digest) -> Result<Option<Self>> {
        let tag = tag(repository, digest)?;
        let Some(root) = source.resolve(&tag).await? else { return Ok(None) };
        let absent = || Error::failed(format!("signatures {tag}: their manifest is not in {}", source.place()));
        let manifest = source.manifest(repository, &root).await?.ok_or_else(absent)?;
        let Parts::Image { layers, .. } = manifest.parts() else { return Ok(None) };
        let layers: Vec<Descriptor> = layers.iter().filter(|layer| layer.media_type == PAYLOAD).cloned().collect();
        if layers.len() > MAX_SIGNATURES {
            return Err(Error::failed(format!("signatures {tag}: they are more than the {MAX_SIGNATURES} that are looked at")));
        }
        Ok(Some(Self { source, repository, layers }))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    /// One of them: what was signed, and the signature.
    pub(super) async fn signature(&self, number: usize) -> Result<(Bytes, &str)> {
        let layer = &self.layers[number];
        let (what, place) = (format!("signature {}", layer.digest), self.source.place());
        if layer.size > MAX_SIGNATURE_BYTES {
            return Err(Error::failed(format!("{what}: its {} bytes are more than the {MAX_SIGNATURE_BYTES} that are taken", layer.size)));
        }
        let absent = || Error::failed(format!("{what}: it is not in {place}"));
        let body = self.source.read(self.repository, layer, 0..layer.size).await?.ok_or_else(absent)?;
        let payload = body.verified(layer.digest, place.clone()).collect(MAX_SIGNATURE_BYTES, &what).await?;
        Ok((payload, layer.annotation(SIGNATURE).unwrap_or_default()))
    }
}

/// The name below which cosign keeps the signatures of a manifest.
pub(super) fn tag(repository: &Repository, digest: &Digest) -> Result<Reference> {
    repository.tagged(&format!("{}.sig", digest_tag(digest)))
}
