//! The files that make a mount an OCI layout: `oci-layout` and `index.json`.
//!
//! **Invariants.** `index.json` lists every item that has a root, under its full name (`io.containerd.image.name`) and under a short one
//! (`org.opencontainers.image.ref.name`) that no other item has: its tag, or its full name where two images have that tag. Referrers that
//! are at hand are listed without a name.
//!
//! *Not here:* the blobs that they stand for (`view`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::image::descriptor::Annotations;
use crate::image::manifest::OCI_INDEX;
use crate::image::place::tag_of;
use crate::image::{Contents, Descriptor, Digest};

/// What `oci-layout` says.
pub(super) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

/// `index.json` of these contents; `is_here` says which referrers are at hand.
pub(super) fn index(contents: &Contents, is_here: impl Fn(&Digest) -> bool) -> Result<Bytes> {
    let named = || contents.items().iter().filter_map(|item| Some((item, item.root.as_ref()?)));
    let mut tags: BTreeMap<String, usize> = BTreeMap::new();
    for (item, root) in named() {
        *tags.entry(tag_of(&item.origin, &root.digest)).or_default() += 1;
    }
    let mut manifests: Vec<Descriptor> = named()
        .map(|(item, root)| {
            let full = item.origin.to_string();
            let tag = tag_of(&item.origin, &root.digest);
            let short = if tags.get(&tag) == Some(&1) { tag } else { full.clone() };
            let names = [("io.containerd.image.name", full), ("org.opencontainers.image.ref.name", short)];
            let annotations = names.map(|(key, name)| (key.to_owned(), name));
            Descriptor { annotations: Some(Annotations::from(annotations)), ..root.clone() }
        })
        .collect();
    let mut listed: BTreeSet<Digest> = manifests.iter().map(|root| root.digest).collect();
    let attached = contents.items().iter().flat_map(|item| &item.attached);
    manifests.extend(attached.filter(|referrer| is_here(&referrer.digest) && listed.insert(referrer.digest)).cloned());
    let index = Index { schema_version: 2, media_type: OCI_INDEX, manifests };
    serde_json::to_vec(&index).map(Bytes::from).map_err(|error| Error::failed(format!("index.json: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Item;

    #[test]
    fn every_image_has_a_short_name_of_its_own() {
        let item = |name: &str| Item {
            root: Some(Descriptor::new("m", Digest::of(name.as_bytes()), 1)),
            ..Item::image(name.parse().expect(name))
        };
        let here = Descriptor::new("m", Digest::of(b"here"), 1);
        let attached = vec![here.clone(), Descriptor::new("m", Digest::of(b"gone"), 1)];
        let items = [
            item("quay.io/a:1"),
            Item { attached, ..item("quay.io/b:1") },
            item("nginx:1.27"),
            Item::image("quay.io/lost:1".parse().expect("a name")),
        ];
        let index = index(&Contents::new(items), |digest| *digest == here.digest).expect("an index");
        let index: serde_json::Value = serde_json::from_slice(&index).expect("json");
        let name = |key: &str, entry: &serde_json::Value| entry["annotations"][key].as_str().map(str::to_owned);
        let entries = index["manifests"].as_array().expect("a list");
        let names: Vec<_> = entries.iter().map(|entry| name("org.opencontainers.image.ref.name", entry)).collect();
        assert_eq!(names, [Some("1.27".to_owned()), Some("quay.io/a:1".to_owned()), Some("quay.io/b:1".to_owned()), None]);
        assert_eq!(name("io.containerd.image.name", &entries[0]).as_deref(), Some("docker.io/library/nginx:1.27"));
        assert_eq!(entries[3]["digest"].as_str(), Some(here.digest.to_string().as_str()));
    }
}
