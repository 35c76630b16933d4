//! [`Index`]: the list of images in a layout, `index.json`.
//!
//! **Invariants.** Entries that are not ours are written again byte for byte. What is added replaces what has the
//! same name in its place, so that the same additions give the same bytes.
//!
//! *Not here:* reading and writing the file (`files`), and the documents that the entries stand for (`source`).

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::image::descriptor::Annotations;
use crate::image::manifest::OCI_INDEX;
use crate::image::place::{layout_name, tag_of};
use crate::image::{Descriptor, Digest, Reference};

/// The annotation with the full name of an image.
const FULL_NAME: &str = "io.containerd.image.name";

/// The annotation by which most tools find an image (OCI image-spec, "Pre-Defined Annotation Keys").
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An `index.json`.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    outside: Outside,
}

/// One manifest of the list.
#[derive(Debug)]
pub(super) struct Entry {
    /// What the list says of it, without annotations.
    pub(super) root: Descriptor,
    /// Its full name, where its annotations give one.
    pub(super) name: Option<Reference>,
    /// The short name that tools find it by.
    pub(super) ref_name: Option<String>,
    raw: Box<RawValue>,
}

/// What stands around the list, kept as it was found.
#[derive(Debug, Default)]
struct Outside {
    artifact_type: Option<Box<RawValue>>,
    subject: Option<Box<RawValue>>,
    annotations: Option<Box<RawValue>>,
}

/// The JSON of an index, as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    #[serde(default)]
    manifests: Option<Vec<Wire>>,
    artifact_type: Option<Box<RawValue>>,
    subject: Option<Box<RawValue>>,
    annotations: Option<Box<RawValue>>,
}

/// An entry of an index: its text, and what it says. One that says nothing valid ends the reading at once, so that
/// a hostile list cannot grow in memory.
struct Wire {
    raw: Box<RawValue>,
    descriptor: Descriptor,
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let descriptor = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { raw, descriptor })
    }
}

/// The JSON of an index, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    schema_version: u32,
    media_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a RawValue>,
    manifests: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a RawValue>,
}

impl Index {
    /// Reads an index; `folder` names the layout where an image has no more than a tag.
    pub(super) fn parse(bytes: &[u8], folder: &str) -> Result<Self> {
        let read: Read = serde_json::from_slice(bytes).map_err(|error| Error::damaged(error.to_string()))?;
        let entries = read.manifests.unwrap_or_default().into_iter().map(|wire| Entry::read(wire, folder)).collect();
        let outside = Outside { artifact_type: read.artifact_type, subject: read.subject, annotations: read.annotations };
        Ok(Self { entries, outside })
    }

    /// The entries, in the order of the file.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry by this name: the last one, as of all lists in which a name comes twice.
    pub(super) fn named(&self, name: &Reference) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.name.as_ref() == Some(name))
    }

    /// The entry with this short name.
    pub(super) fn called(&self, ref_name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.ref_name.as_deref() == Some(ref_name))
    }

    /// Adds an entry in the place of those that `replaced` says it replaces.
    pub(super) fn put(&mut self, entry: Entry, replaced: impl Fn(&Entry) -> bool) {
        let place = self.entries.iter().position(&replaced).unwrap_or(self.entries.len());
        self.entries.retain(|there| !replaced(there));
        self.entries.insert(place, entry);
    }

    /// Adds an entry without a name, unless its manifest is listed already.
    pub(super) fn list(&mut self, entry: Entry) {
        if self.entries.iter().all(|there| there.root.digest != entry.root.digest) {
            self.entries.push(entry);
        }
    }

    /// The file's bytes.
    pub(super) fn to_bytes(&self) -> Result<Bytes> {
        let written = Written {
            schema_version: 2,
            media_type: OCI_INDEX,
            artifact_type: self.outside.artifact_type.as_deref(),
            manifests: self.entries.iter().map(|entry| &*entry.raw).collect(),
            subject: self.outside.subject.as_deref(),
            annotations: self.outside.annotations.as_deref(),
        };
        serde_json::to_vec(&written).map(Bytes::from).map_err(unwritable)
    }
}

impl Entry {
    fn read(wire: Wire, folder: &str) -> Self {
        let descriptor = wire.descriptor;
        let (full, ref_name) = (descriptor.annotation(FULL_NAME), descriptor.annotation(REF_NAME).map(str::to_owned));
        let name = name_of(full, ref_name.as_deref(), folder, &descriptor.digest);
        Self { root: Descriptor { annotations: None, ..descriptor }, name, ref_name, raw: wire.raw }
    }

    /// An entry for a named root. `ref_name` is the short name that was asked for; by default it is the tag.
    pub(super) fn of_name(name: &Reference, ref_name: Option<&str>, root: &Descriptor) -> Result<Self> {
        let short = ref_name.map_or_else(|| tag_of(name, &root.digest), str::to_owned);
        let names = [(FULL_NAME.to_owned(), name.to_string()), (REF_NAME.to_owned(), short.clone())];
        let entry = Self::of_root(Descriptor { annotations: Some(Annotations::from(names)), ..root.clone() })?;
        Ok(Self { name: Some(name.clone()), ref_name: Some(short), ..entry })
    }

    /// An entry without a name.
    pub(super) fn of_root(root: Descriptor) -> Result<Self> {
        let raw = serde_json::value::to_raw_value(&root).map_err(unwritable)?;
        Ok(Self { root: Descriptor { annotations: None, ..root }, name: None, ref_name: None, raw })
    }
}

/// The name that annotations give, as far as one can be read from them: many tools take any text.
fn name_of(full: Option<&str>, ref_name: Option<&str>, folder: &str, root: &Digest) -> Option<Reference> {
    let read = |full: Option<&str>, short: Option<&str>| {
        let said = full.is_some() || short.is_some();
        layout_name(full, short, folder, root).ok().filter(|_| said)
    };
    read(full, ref_name).or_else(|| read(None, ref_name))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::failed(format!("index.json: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, content: &[u8]) -> Entry {
        let root = Descriptor::new("m", Digest::of(content), content.len() as u64);
        Entry::of_name(&name.parse().expect("a name"), None, &root).expect("an entry")
    }

    #[test]
    fn what_others_wrote_stays_as_it_is() {
        let theirs = format!(
            r#"{{"digest":"{}","size": 1, "data":"YQ==","annotations":{{"org.opencontainers.image.ref.name":"a+b"}}}}"#,
            Digest::of(b"a")
        );
        let file = format!(r#"{{"schemaVersion":2,"manifests":[{theirs}],"annotations":{{"x": "y"}}}}"#);
        let mut index = Index::parse(file.as_bytes(), "f").expect("an index");
        assert_eq!(index.entries()[0].name, None, "a+b is no name, and no reason to stop");
        let added = entry("quay.io/a:1", b"b");
        index.put(added, |_| false);
        let written = String::from_utf8(index.to_bytes().expect("bytes").to_vec()).expect("text");
        assert!(written.contains(&theirs) && written.contains(r#""annotations":{"x": "y"}"#), "{written}");
    }

    #[test]
    fn the_same_additions_give_the_same_bytes() {
        let mut index = Index::default();
        let add = |index: &mut Index| {
            for (name, content) in [("quay.io/a:1", b"a"), ("quay.io/b:1", b"b")] {
                let added = entry(name, content);
                let name = added.name.clone();
                index.put(added, |there| there.name == name);
            }
            index.list(Entry::of_root(Descriptor::new("m", Digest::of(b"s"), 1)).expect("an entry"));
            index.to_bytes().expect("bytes")
        };
        let first = add(&mut index);
        let mut again = Index::parse(&first, "f").expect("an index");
        assert_eq!(add(&mut again), first);
        assert_eq!(again.entries().len(), 3);
    }

    #[test]
    fn an_index_that_is_none_is_refused_with_its_reason() {
        for (json, reason) in [
            ("[]", "invalid length"),
            ("{", "EOF"),
            (r#"{"manifests":[{"size":1}]}"#, "missing field `digest`"),
            (r#"{"manifests":[{"digest":"sha256:../..","size":1}]}"#, "64 lower-case"),
            (r#"{"manifests":[{"digest":"md5:00","size":1}]}"#, "not supported"),
        ] {
            let error = Index::parse(json.as_bytes(), "f").expect_err(json);
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert_eq!(Index::parse(br#"{"manifests":null}"#, "f").expect("empty").entries().len(), 0);
    }
}
