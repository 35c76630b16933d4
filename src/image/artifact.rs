//! [`Artifact`]: a document of ours as an OCI artifact, so that it is kept like an image.
//!
//! **Invariants.** The same document makes the same bytes.
//!
//! *Not here:* what the document says.

use bytes::Bytes;

use super::manifest::OCI_MANIFEST;
use super::{Descriptor, Digest, Manifest, Reference, Repository, Verified};
use crate::error::Result;

/// The host that such artifacts are of. It is nobody's (RFC 2606), so none of them is ever looked for there.
pub const OWN_HOST: &str = "ocm.invalid";

/// The configuration of an artifact that has none (OCI image-spec, "Guidance for an empty descriptor").
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// What the annotation is called that says how a file was called.
pub const TITLE: &str = "org.opencontainers.image.title";

/// A document as an artifact: one manifest with one layer.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Its manifest.
    pub manifest: Manifest,
    /// What that refers to.
    pub blobs: Vec<(Descriptor, Bytes)>,
}

impl Artifact {
    /// The document `bytes` of a media type, as a file called `title`.
    pub fn of(artifact_type: &str, media_type: &str, title: &str, bytes: Bytes) -> Result<Self> {
        let described = |media_type: &str, bytes: &Bytes| Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64);
        let empty = Bytes::from_static(EMPTY);
        let (config, layer) = (described(EMPTY_TYPE, &empty), described(media_type, &bytes));
        let json = |one: &Descriptor| serde_json::json!({"mediaType": one.media_type, "digest": one.digest, "size": one.size});
        let mut titled = json(&layer);
        titled["annotations"] = serde_json::json!({TITLE: title});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": json(&config),
            "layers": [titled],
        });
        let manifest = Manifest::parse(Verified::own(manifest.to_string().into()), OCI_MANIFEST)?;
        Ok(Self { manifest, blobs: vec![(config, empty), (layer, bytes)] })
    }

    /// The name of the document with this number among those of its kind.
    pub fn name(kind: &str, number: usize) -> Result<Reference> {
        Repository::new(OWN_HOST, kind)?.tagged(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_an_artifact_of_one_layer() {
        let made = || Artifact::of("application/x", "text/yaml", "isc.yaml", Bytes::from_static(b"a: 1\n")).expect("an artifact");
        let artifact = made();
        assert_eq!(artifact.manifest.digest(), made().manifest.digest());
        let blobs: Vec<Digest> = artifact.manifest.blobs().map(|blob| blob.digest).collect();
        assert_eq!(blobs, artifact.blobs.iter().map(|(_, bytes)| Digest::of(bytes)).collect::<Vec<_>>());
        let layer = artifact.manifest.blobs().last().expect("a layer");
        assert_eq!((layer.annotation(TITLE), layer.size), (Some("isc.yaml"), 5));
        assert_eq!(Artifact::name("config", 2).expect("a name").to_string(), "ocm.invalid/config:2");
    }
}
