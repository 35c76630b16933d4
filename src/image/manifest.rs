//! [`Manifest`]: image manifests and indexes of OCI and Docker, read for their descriptors, kept as they came.
//!
//! **Invariants.** The original bytes are never written anew: what is pushed is what was fetched. Reading is lenient
//! where real manifests are (a missing media type, `null` lists), strict where content would be lost.
//!
//! *Not here:* image configurations, and who needs which platform (`collect`).

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use super::descriptor::Annotations;
use super::{Descriptor, Digest, Verified};
use crate::error::{Error, Result};

/// The largest manifest or index that is read, in bytes (the limit that registries set themselves).
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Artifact manifest of a release candidate of OCI 1.1; still met in registries.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// Every media type that a registry is asked for when a manifest is fetched.
pub const ACCEPTED: [&str; 5] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, OCI_ARTIFACT];

/// Whether `media_type` is one of a manifest or index.
#[must_use]
pub fn is_manifest_type(media_type: &str) -> bool {
    ACCEPTED.contains(&media_type) || media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
}

/// A manifest or index: its bytes, and what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    bytes: Verified<Bytes>,
    descriptor: Descriptor,
    parts: Parts,
    subject: Option<Descriptor>,
}

/// What a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// One image or artifact: its configuration, then its layers in order.
    Image {
        /// The configuration; absent in artifact manifests of the release candidate.
        config: Option<Descriptor>,
        /// Layers or blobs, lowest first.
        layers: Vec<Descriptor>,
    },
    /// An index: further manifests, in order.
    Index {
        /// The manifests listed.
        manifests: Vec<Descriptor>,
    },
}

/// What stands in the JSON of any kind of manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    blobs: Vec<Descriptor>,
    #[serde(default, deserialize_with = "present")]
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<Annotations>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list that is there, also when it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Descriptor>>, D::Error> {
    null_is_empty(deserializer).map(Some)
}

impl Manifest {
    /// Reads a manifest. `media_type` is what the place that it came from said of it; empty if it said nothing.
    pub fn parse(bytes: Verified<Bytes>, media_type: &str) -> Result<Self> {
        let digest = bytes.digest();
        let wrong = |why: String| Error::damaged(format!("manifest {digest}: {why}"));
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if wire.schema_version == Some(1)
            || wire.fs_layers.is_some()
            || media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
        {
            return Err(Error::failed(format!("manifest {digest}: docker schema 1 is not supported"))
                .hint("push the image again with a current tool: it will be schema 2 or OCI"));
        }
        let said = if is_manifest_type(media_type) { Some(media_type.to_owned()) } else { None };
        if let (Some(inner), Some(outer)) = (&wire.media_type, &said)
            && inner != outer
        {
            return Err(wrong(format!("it was announced as {outer} and says itself that it is {inner}")));
        }
        let kind = wire.media_type.clone().or(said).unwrap_or_else(|| guess(&wire).to_owned());
        let (config_type, is_list) = (wire.config.as_ref().map(|config| config.media_type.clone()), wire.manifests.is_some());
        let parts = match (kind.as_str(), wire.manifests) {
            (OCI_INDEX | DOCKER_LIST, manifests) => Parts::Index { manifests: manifests.unwrap_or_default() },
            (OCI_MANIFEST | DOCKER_MANIFEST, None) => {
                let config = wire.config.ok_or_else(|| wrong("it has no config".into()))?;
                Parts::Image { config: Some(config), layers: wire.layers }
            }
            (OCI_ARTIFACT, None) => Parts::Image { config: None, layers: wire.blobs },
            (other, _) if is_list => return Err(wrong(format!("it is called {other} and lists manifests"))),
            (other, _) => return Err(wrong(format!("media type {other} is no manifest that ocm knows"))),
        };
        let descriptor = Descriptor {
            artifact_type: wire.artifact_type.or_else(|| artifact_type_of(config_type, wire.subject.is_some())),
            annotations: wire.annotations,
            ..Descriptor::new(kind, digest, bytes.len() as u64)
        };
        Ok(Self { bytes, descriptor, parts, subject: wire.subject })
    }

    /// The original bytes.
    #[must_use]
    pub fn bytes(&self) -> &Verified<Bytes> {
        &self.bytes
    }

    /// Media type, digest and size of this manifest; with the artifact type and annotations that the referrers API
    /// reports of it.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The digest of the original bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    /// What it refers to.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The manifests that an index lists; none for an image.
    #[must_use]
    pub fn children(&self) -> &[Descriptor] {
        match &self.parts {
            Parts::Index { manifests } => manifests,
            Parts::Image { .. } => &[],
        }
    }

    /// The blobs that must be where this manifest is: config and layers, without foreign ones.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, layers) = match &self.parts {
            Parts::Image { config, layers } => (config.as_ref(), layers.as_slice()),
            Parts::Index { .. } => (None, &[][..]),
        };
        config.into_iter().chain(layers).filter(|blob| !blob.is_foreign())
    }

    /// The manifest that this one is attached to, as a referrer.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }
}

fn guess(wire: &Wire) -> &'static str {
    match (&wire.manifests, &wire.config) {
        (Some(_), _) => OCI_INDEX,
        (None, Some(config)) if config.media_type.starts_with("application/vnd.docker.") => DOCKER_MANIFEST,
        _ => OCI_MANIFEST,
    }
}

/// The artifact type of a referrer that has no field for it is its config's media type (OCI distribution-spec,
/// "Listing Referrers").
fn artifact_type_of(config_type: Option<String>, refers: bool) -> Option<String> {
    config_type.filter(|kind| refers && !kind.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, media_type: &str) -> Result<Manifest> {
        Manifest::parse(Verified::own(Bytes::copy_from_slice(json.as_bytes())), media_type)
    }

    fn described(kind: &str) -> String {
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":3}}"#, Digest::of(b"abc"))
    }

    #[test]
    fn oddities_of_real_manifests_are_read() {
        let config = described("application/vnd.oci.image.config.v1+json");
        let image = parse(&format!(r#"{{"schemaVersion":2,"config":{config},"layers":null}}"#), "").expect("an image");
        assert_eq!(image.descriptor().media_type, OCI_MANIFEST);
        assert_eq!(image.blobs().count(), 1);
        let index = parse(r#"{"schemaVersion":2,"manifests":null}"#, "").expect("an index");
        assert_eq!(index.parts(), &Parts::Index { manifests: vec![] });
        let docker = described("application/vnd.docker.container.image.v1+json");
        let docker = parse(&format!(r#"{{"config":{docker}}}"#), "text/plain").expect("an image");
        assert_eq!(docker.descriptor().media_type, DOCKER_MANIFEST);
    }

    #[test]
    fn a_foreign_layer_stays_a_descriptor() {
        let config = described("c");
        let foreign = format!(
            r#"{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"{}","size":3,"urls":["https://x/y"]}}"#,
            Digest::of(b"far")
        );
        let image = parse(&format!(r#"{{"config":{config},"layers":[{foreign}]}}"#), OCI_MANIFEST).expect("an image");
        assert_eq!(image.blobs().count(), 1);
    }

    #[test]
    fn a_referrer_without_artifact_type_has_that_of_its_config() {
        let (config, subject) = (described("application/x.sig"), described(OCI_MANIFEST));
        let image = parse(&format!(r#"{{"config":{config},"subject":{subject}}}"#), OCI_MANIFEST).expect("an artifact");
        assert_eq!(image.descriptor().artifact_type.as_deref(), Some("application/x.sig"));
        assert!(image.subject().is_some());
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_reason() {
        for (json, kind, reason) in [
            ("[]", "", "invalid length"),
            ("{", "", "EOF"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, "", "schema 1"),
            (r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#, OCI_MANIFEST, "announced as"),
            (r#"{"mediaType":"application/x"}"#, "", "application/x"),
            (r#"{"manifests":[]}"#, OCI_MANIFEST, "lists manifests"),
            (r#"{}"#, OCI_MANIFEST, "no config"),
        ] {
            let error = parse(json, kind).expect_err(json).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
