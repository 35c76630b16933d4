//! [`Descriptor`]: what a manifest says of a piece of content: media type, digest, size.
//!
//! **Invariants.** A descriptor describes; it never proves. Proof is [`Verified`](super::Verified).
//!
//! *Not here:* the documents that descriptors stand in (`manifest`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Platform};

/// Annotations: sorted, so that what we write is the same every time.
pub type Annotations = BTreeMap<String, String>;

/// A content descriptor (OCI image-spec, "Content Descriptors"), as far as ocm acts on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the content; empty where the author left it out.
    #[serde(default)]
    pub media_type: String,
    /// The digest of the stored bytes.
    pub digest: Digest,
    /// The number of stored bytes.
    pub size: u64,
    /// What an artifact is, where the content is an artifact manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The platform of an image in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// Where foreign content may be fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
}

impl Descriptor {
    /// A descriptor of these three alone.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self { media_type: media_type.into(), digest, size, artifact_type: None, platform: None, annotations: None, urls: None }
    }

    /// The annotation `key`, where it is set.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether the content is a manifest or an index, which registries keep apart from blobs.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        super::manifest::is_manifest_type(&self.media_type)
    }

    /// Whether this is a layer that registries do not hold: it stays a descriptor wherever the image goes
    /// (docker `foreign` and OCI `nondistributable` layers with `urls`).
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        let kind = &self.media_type;
        (kind.contains(".foreign.") || kind.contains(".nondistributable.")) && self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}
