//! The documents that a set carries beside its content: `oci-layout`, `index.json`, items.
//!
//! **Invariants.** Same items, same bytes. The index lists every complete item by its name, and what is attached to it
//! without one (OCI image-spec 1.1, "Image Layout").

use std::collections::BTreeSet;

use ocm_format::set::SetManifest;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::image::descriptor::Annotations;
use crate::image::manifest::OCI_INDEX;
use crate::image::place::tag_of;
use crate::image::{Contents, Descriptor};

/// `oci-layout`.
pub(super) const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// `index.json` of these items.
pub(super) fn index_json(contents: &Contents) -> Result<Vec<u8>> {
    let mut listed = Vec::new();
    let mut attached = BTreeSet::new();
    for item in contents.items() {
        let Some(root) = item.root.as_ref().filter(|_| item.is_complete()) else { continue };
        let tag = tag_of(&item.origin, &root.digest);
        let names =
            [("io.containerd.image.name".to_owned(), item.origin.to_string()), ("org.opencontainers.image.ref.name".to_owned(), tag)];
        listed.push(Descriptor { annotations: Some(Annotations::from(names)), ..root.clone() });
        for referrer in &item.attached {
            if attached.insert(referrer.digest) {
                listed.push(referrer.clone());
            }
        }
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": to_value(&listed)?});
    serde_json::to_vec(&index).map_err(|error| Error::failed(format!("index.json: {error}")))
}

/// The items as they stand in the set manifest.
pub(super) fn items(contents: &Contents) -> Result<Value> {
    to_value(contents)
}

/// The items of a set.
pub(super) fn contents(manifest: &SetManifest) -> Result<Contents> {
    let read = serde_json::from_value(manifest.items.clone());
    read.map_err(|error| Error::damaged(format!("set {}: its items cannot be read: {error}", manifest.set)))
}

fn to_value(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::failed(format!("the set manifest: {error}")))
}
