//! The documents that a set carries beside its content: `oci-layout`, `index.json`, items.
//!
//! **Invariants.** Same items, same bytes. The index lists every complete item by its name, what is attached to it by a tag under
//! that, and what refers to it without a name (OCI image-spec 1.1, "Image Layout").

use std::collections::BTreeSet;

use ocm_format::set::{Canonical, SetManifest};
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
    let complete = || contents.items().iter().filter(|item| item.is_complete());
    let mut names: BTreeSet<String> = complete().map(|item| item.origin.to_string()).collect();
    for item in complete() {
        let Some(root) = &item.root else { continue };
        listed.push(named(root, item.origin.to_string(), &tag_of(&item.origin, &root.digest)));
        for referrer in &item.attached {
            if attached.insert(referrer.digest) {
                listed.push(referrer.clone());
            }
        }
        for tagged in &item.tagged {
            let name = format!("{}:{}", item.origin.repository(), tagged.tag);
            if names.insert(name.clone()) {
                listed.push(named(&tagged.root, name, &tagged.tag));
            }
        }
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": to_value(&listed)?});
    serde_json::to_vec(&index).map_err(|error| Error::failed(format!("index.json: {error}")))
}

/// An entry with a full name and a tag.
fn named(root: &Descriptor, full: String, tag: &str) -> Descriptor {
    let names = [("io.containerd.image.name".to_owned(), full), ("org.opencontainers.image.ref.name".to_owned(), tag.to_owned())];
    Descriptor { annotations: Some(Annotations::from(names)), ..root.clone() }
}

/// The items as they stand in the set manifest.
pub(super) fn items(contents: &Contents) -> Result<Canonical> {
    canonical(&to_value(contents)?)
}

/// What stands in the set manifest for `value`.
pub(super) fn canonical(value: &Value) -> Result<Canonical> {
    Canonical::of(value).map_err(|error| Error::failed(format!("the set manifest: {}", error.message())))
}

/// The items of a set.
pub(super) fn contents(manifest: &SetManifest) -> Result<Contents> {
    let read = manifest.items.read();
    read.map_err(|error| Error::damaged(format!("set {}: its items cannot be read: {error}", manifest.set)))
}

fn to_value(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::failed(format!("the set manifest: {error}")))
}
