//! The files that make a mount an OCI layout: `oci-layout` and `index.json`.
//!
//! **Invariants.** `index.json` lists every item that has a root, under its full name (`io.containerd.image.name`) and under a short one
//! (`org.opencontainers.image.ref.name`) that no other item has: its tag, or its full name where two images have that tag. Referrers that
//! are at hand are listed without a name, what is attached by a tag under that.
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
    let named = named(contents, &is_here);
    let mut tags: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, tag, _) in &named {
        *tags.entry(tag).or_default() += 1;
    }
    let mut manifests: Vec<Descriptor> = named
        .iter()
        .map(|(full, tag, root)| {
            let (full, tag) = (full.clone(), tag.clone());
            let short = if tags.get(tag.as_str()) == Some(&1) { tag } else { full.clone() };
            let names = [("io.containerd.image.name", full), ("org.opencontainers.image.ref.name", short)];
            let annotations = names.map(|(key, name)| (key.to_owned(), name));
            Descriptor { annotations: Some(Annotations::from(annotations)), ..(*root).clone() }
        })
        .collect();
    let mut listed: BTreeSet<Digest> = manifests.iter().map(|root| root.digest).collect();
    let attached = contents.content().flat_map(|item| &item.attached);
    manifests.extend(attached.filter(|referrer| is_here(&referrer.digest) && listed.insert(referrer.digest)).cloned());
    let index = Index { schema_version: 2, media_type: OCI_INDEX, manifests };
    serde_json::to_vec(&index).map(Bytes::from).map_err(|error| Error::failed(format!("index.json: {error}")))
}

/// What has a name: its full name, its tag, and what it stands for. What is attached by a tag is listed once, if it is at hand.
fn named(contents: &Contents, is_here: impl Fn(&Digest) -> bool) -> Vec<(String, String, &Descriptor)> {
    let images = contents.content().filter_map(|item| {
        let root = item.root.as_ref()?;
        Some((item.origin.to_string(), tag_of(&item.origin, &root.digest), root))
    });
    let mut named: Vec<_> = images.collect();
    let mut names: BTreeSet<String> = named.iter().map(|(full, ..)| full.clone()).collect();
    for item in contents.content() {
        for tagged in item.tagged.iter().filter(|tagged| is_here(&tagged.root.digest)) {
            let full = format!("{}:{}", item.origin.repository(), tagged.tag);
            if names.insert(full.clone()) {
                named.push((full, tagged.tag.clone(), &tagged.root));
            }
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Item, Tagged};

    #[test]
    fn every_image_has_a_short_name_of_its_own() {
        let item = |name: &str| Item {
            root: Some(Descriptor::new("m", Digest::of(name.as_bytes()), 1)),
            ..Item::image(name.parse().expect(name))
        };
        let here = Descriptor::new("m", Digest::of(b"here"), 1);
        let attached = vec![here.clone(), Descriptor::new("m", Digest::of(b"gone"), 1)];
        let tagged = |tag: &str| Tagged { tag: format!("{tag}.sig"), root: Descriptor::new("m", Digest::of(tag.as_bytes()), 1) };
        let items = [
            item("quay.io/a:1"),
            Item { attached, tagged: vec![tagged("here"), tagged("gone")], ..item("quay.io/b:1") },
            item("nginx:1.27"),
            Item::image("quay.io/lost:1".parse().expect("a name")),
        ];
        let index = index(&Contents::new(items), |digest| *digest == here.digest).expect("an index");
        let index: serde_json::Value = serde_json::from_slice(&index).expect("json");
        let name = |key: &str, entry: &serde_json::Value| entry["annotations"][key].as_str().map(str::to_owned);
        let entries = index["manifests"].as_array().expect("a list");
        let names: Vec<_> = entries.iter().map(|entry| name("org.opencontainers.image.ref.name", entry)).collect();
        let expected = ["1.27", "quay.io/a:1", "quay.io/b:1", "here.sig"].map(|name| Some(name.to_owned()));
        assert_eq!(names, expected, "what is attached and has a name is not listed once more without one");
        assert_eq!(name("io.containerd.image.name", &entries[0]).as_deref(), Some("docker.io/library/nginx:1.27"));
        assert_eq!(entries[3]["digest"].as_str(), Some(here.digest.to_string().as_str()));
    }
}
