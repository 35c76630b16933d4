//! [`SetManifest`]: what SET.json says (SPEC section 8).
//!
//! **Invariants.** [`SetManifest::to_bytes`] and [`SetManifest::parse`] are inverse; the set root is the SHA-256 of
//! these bytes. Volumes are in order of their numbers, from 1 without a gap. Unknown keys are kept and ignored.
//!
//! *Not here:* what `items` and `options` mean.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::canonical::Canonical;
use super::json;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layout::{self, DRAFT, Id, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_VOLUMES, MIN_CAP, Parent, VERSION};

const FORMAT: &str = "ocm-archive";
/// The most ancestors that a set names.
pub const MAX_ANCESTORS: usize = 64;
/// The most names of features that are read, and the most keys (SPEC section 14).
const MAX_NAMES: usize = 1_024;
const ITEMS: &str = "items";
const OPTIONS: &str = "options";
/// The other keys, as [`Wire`] has them.
const KEYS: [&str; 15] = [
    "ancestors",
    "cap",
    "draft",
    "features",
    "format",
    "generation",
    "index",
    "lineage",
    "needs",
    "parent",
    "set",
    "time",
    "version",
    "volumes",
    "writer",
];

/// What SET.json says.
#[derive(Debug, Clone, PartialEq)]
pub struct SetManifest {
    /// Names of the feature bits set, sorted.
    pub features: Vec<String>,
    /// The set id.
    pub set: Id,
    /// When the set was made, in seconds since 1970.
    pub time: u64,
    /// The size that each volume stays strictly below, in bytes.
    pub cap: u64,
    /// The generation, from 1.
    pub generation: u32,
    /// The lineage that the set belongs to.
    pub lineage: Lineage,
    /// What the set builds on.
    pub parent: Option<ParentSet>,
    /// The sets before it, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// What it needs of earlier sets.
    pub needs: Needs,
    /// Its data volumes, in order.
    pub volumes: Vec<VolumeEntry>,
    /// `index.json` of the set.
    pub index: IndexEntry,
    /// What the set holds; opaque here.
    pub items: Canonical,
    /// What it was made with; opaque here.
    pub options: Canonical,
    /// Name and version of the program that wrote it.
    pub writer: String,
    /// Keys that this version does not know.
    pub others: BTreeMap<String, Canonical>,
}

/// Sets that follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The id of the lineage.
    #[serde(with = "id_text")]
    pub id: Id,
    /// Its name, for people.
    pub name: String,
}

/// What a set builds on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", try_from = "ParentWire")]
pub enum ParentSet {
    /// An earlier set.
    Set {
        /// Its set id.
        #[serde(with = "id_text")]
        id: Id,
        /// Its set root.
        root: Digest,
        /// Its generation.
        generation: u32,
    },
    /// What a destination holds.
    Receipt {
        /// The SHA-256 of the receipt, in canonical form.
        root: Digest,
        /// The destination, for people; only what it holds completes the set.
        #[serde(skip_serializing_if = "Option::is_none")]
        destination: Option<String>,
    },
}

/// A parent as it stands in the file. Read as an enum that a key tells apart, all that is there would be kept in memory first.
#[derive(Deserialize)]
struct ParentWire {
    kind: ParentKind,
    root: Digest,
    id: Option<String>,
    generation: Option<u32>,
    destination: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ParentKind {
    Set,
    Receipt,
}

impl TryFrom<ParentWire> for ParentSet {
    type Error = Error;

    fn try_from(wire: ParentWire) -> Result<Self> {
        let ParentWire { kind, root, id, generation, destination } = wire;
        let missing = |key: &str| Error::damaged(format!("missing field `{key}`"));
        Ok(match kind {
            ParentKind::Set => {
                let (id, generation) = (id.ok_or_else(|| missing("id"))?, generation.ok_or_else(|| missing("generation"))?);
                Self::Set { id: id.parse()?, root, generation }
            }
            ParentKind::Receipt => Self::Receipt { root, destination },
        })
    }
}

/// An earlier set of the same lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its set id.
    #[serde(with = "id_text")]
    pub id: Id,
    /// Its set root.
    pub root: Digest,
    /// Its generation.
    pub generation: u32,
}

/// What a set needs of earlier sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// How many blobs.
    pub blobs: u64,
    /// The sum of their sizes, in bytes.
    pub bytes: u64,
    /// The longest chain of sets.
    pub chain: u64,
    /// How deep prefixes are at the most of the frames that its blobs lie in, those of earlier sets too.
    pub depth: u8,
}

/// A data volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeEntry {
    /// Its number, from 1.
    #[serde(rename = "n")]
    pub number: u32,
    /// The size of the file, in bytes.
    #[serde(rename = "size")]
    pub bytes: u64,
    /// The volume root.
    pub root: Digest,
}

/// `index.json` of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size, in bytes.
    #[serde(rename = "size")]
    pub bytes: u64,
}

/// SET.json as it stands in the file, without what is opaque.
#[derive(Serialize, Deserialize)]
struct Wire {
    format: String,
    version: u16,
    draft: u16,
    #[serde(deserialize_with = "names")]
    features: Vec<String>,
    #[serde(with = "id_text")]
    set: Id,
    time: u64,
    cap: u64,
    generation: u32,
    lineage: Lineage,
    // `null` is an answer, silence is none.
    #[serde(deserialize_with = "Option::deserialize")]
    parent: Option<ParentSet>,
    ancestors: Vec<Ancestor>,
    needs: Needs,
    volumes: Vec<VolumeEntry>,
    index: IndexEntry,
    writer: String,
}

impl SetManifest {
    /// Reads SET.json; refuses all but the canonical form, another version, and what contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let members = json::members(bytes, MAX_DOCUMENT_BYTES, MAX_NAMES, "SET.json")?;
        check_version(&members)?;
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| Error::damaged(format!("SET.json: {error}")))?;
        let unknown = members.into_iter().filter(|(key, _)| !KEYS.contains(&key.as_ref()));
        let mut others: BTreeMap<String, Canonical> = unknown.map(|(key, text)| (key.into_owned(), Canonical::found(text))).collect();
        let mut opaque = |key| others.remove(key).ok_or_else(|| Error::damaged(format!("SET.json: missing field `{key}`")));
        let (items, options) = (opaque(ITEMS)?, opaque(OPTIONS)?);
        let manifest = Self {
            features: wire.features,
            set: wire.set,
            time: wire.time,
            cap: wire.cap,
            generation: wire.generation,
            lineage: wire.lineage,
            parent: wire.parent,
            ancestors: wire.ancestors,
            needs: wire.needs,
            volumes: wire.volumes,
            index: wire.index,
            items,
            options,
            writer: wire.writer,
            others,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// The canonical bytes of SET.json.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check()?;
        let wire = serde_json::to_value(Wire::from(self)).map_err(|error| Error::new(Kind::Usage, format!("SET.json: {error}")))?;
        let wire = json::to_bytes(&wire).map_err(|error| error.context("SET.json"))?;
        let mut members = json::members(&wire, MAX_DOCUMENT_BYTES, MAX_NAMES, "SET.json")?;
        members.extend([(ITEMS.into(), self.items.as_str()), (OPTIONS.into(), self.options.as_str())]);
        members.extend(self.others.iter().map(|(key, value)| (key.into(), value.as_str())));
        let bytes = json::object(members).map_err(|error| error.context("SET.json"))?;
        crate::error::cap(crate::codec::length(&bytes), MAX_DOCUMENT_BYTES, "SET.json")?;
        Ok(bytes)
    }

    /// The entry of volume `number`.
    #[must_use]
    pub fn volume(&self, number: u32) -> Option<&VolumeEntry> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.volumes.get(at)
    }

    /// The parent as headers state it.
    #[must_use]
    pub fn parent_in_header(&self) -> Parent {
        match &self.parent {
            None => Parent::None,
            Some(ParentSet::Set { id, root, .. }) => Parent::Set { id: *id, root: *root },
            Some(ParentSet::Receipt { root, .. }) => Parent::Receipt { root: *root },
        }
    }

    fn check(&self) -> Result<()> {
        let wrong = |why: &str| Err(Error::damaged(format!("SET.json: {why}")));
        let most_volumes = usize::try_from(MAX_VOLUMES).unwrap_or(usize::MAX);
        if self.ancestors.len() > MAX_ANCESTORS || self.volumes.len() > most_volumes {
            return Err(Error::limit("SET.json: it names more ancestors or volumes than the format allows"));
        }
        if self.needs.depth > MAX_DEPTH {
            return Err(Error::limit("SET.json: its prefixes are deeper than the format allows"));
        }
        if self.generation == 0 || self.cap < MIN_CAP {
            return wrong("generation or cap is out of bounds");
        }
        if !self.features.is_sorted_by(|a, b| a < b) {
            return wrong("its features are not sorted");
        }
        if self.volumes.is_empty() || !(1..).zip(&self.volumes).all(|(number, volume)| volume.number == number) {
            return wrong("its volumes are not numbered from 1");
        }
        if self.volumes.iter().any(|volume| volume.bytes >= self.cap) {
            return wrong("a volume is not below the cap");
        }
        Ok(())
    }
}

/// Another version may have other keys, so it is looked at first.
fn check_version(members: &json::Members<'_>) -> Result<()> {
    let text = |wanted| members.iter().find(|(key, _)| key == wanted).map(|(_, text)| *text);
    if text("format").map(|text| text.trim_matches('"')) != Some(FORMAT) {
        return Err(Error::damaged("SET.json: its format is not \"ocm-archive\""));
    }
    let number = |key| text(key)?.parse().ok();
    match (number("version"), number("draft")) {
        (Some(version), Some(draft)) => layout::check_version(version, draft, "SET.json"),
        _ => Err(Error::damaged("SET.json: it states no version")),
    }
}

impl From<&SetManifest> for Wire {
    fn from(set: &SetManifest) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            draft: DRAFT,
            features: set.features.clone(),
            set: set.set,
            time: set.time,
            cap: set.cap,
            generation: set.generation,
            lineage: set.lineage.clone(),
            parent: set.parent.clone(),
            ancestors: set.ancestors.clone(),
            needs: set.needs,
            volumes: set.volumes.clone(),
            index: set.index,
            writer: set.writer.clone(),
        }
    }
}

/// A list of texts of at most [`MAX_NAMES`]: a short text takes more room than it has in the file.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of names")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Self::Value, A::Error> {
            let mut names = Vec::new();
            while let Some(name) = list.next_element()? {
                if names.len() >= MAX_NAMES {
                    return Err(A::Error::custom(format!("more than {MAX_NAMES} names")));
                }
                names.push(name);
            }
            Ok(names)
        }
    }
    deserializer.deserialize_seq(Names)
}

/// An id is 32 hex digits in JSON.
mod id_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::layout::Id;

    pub(super) fn serialize<S: Serializer>(id: &Id, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(value: serde_json::Value) -> Canonical {
        Canonical::of(&value).expect("canonical")
    }

    fn sample() -> SetManifest {
        let root = Digest::of(b"root");
        let parent = ParentSet::Set { id: Id([2; 16]), root, generation: 6 };
        SetManifest {
            features: vec![],
            set: Id([1; 16]),
            time: 1_700_000_000,
            cap: MIN_CAP,
            generation: 7,
            lineage: Lineage { id: Id([3; 16]), name: "lab".into() },
            parent: Some(parent),
            ancestors: vec![Ancestor { id: Id([2; 16]), root, generation: 6 }],
            needs: Needs { blobs: 1, bytes: 2, chain: 1, depth: 2 },
            volumes: vec![VolumeEntry { number: 1, bytes: 60_000, root }, VolumeEntry { number: 2, bytes: 9, root }],
            index: IndexEntry { digest: root, bytes: 5 },
            items: canonical(json!([{"name": "a", "é": [null, true, 3]}])),
            options: canonical(json!({})),
            writer: "ocm 0.1.0".into(),
            others: BTreeMap::from([("future".into(), canonical(json!({"x": 1})))]),
        }
    }

    #[test]
    fn a_manifest_comes_back() {
        let receipt = |destination| ParentSet::Receipt { root: Digest::of(b"receipt"), destination };
        for parent in [None, sample().parent, Some(receipt(None)), Some(receipt(Some("docker://lab".into())))] {
            let set = SetManifest { parent, ..sample() };
            assert_eq!(SetManifest::parse(&set.to_bytes().expect("bytes")).expect("a manifest"), set);
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let volume = |number, bytes| VolumeEntry { number, bytes, root: Digest::of(b"root") };
        for (set, why) in [
            (SetManifest { volumes: vec![volume(2, 9)], ..sample() }, "numbered"),
            (SetManifest { volumes: vec![], ..sample() }, "numbered"),
            (SetManifest { volumes: vec![volume(1, MIN_CAP)], ..sample() }, "below the cap"),
            (SetManifest { generation: 0, ..sample() }, "generation"),
            (SetManifest { features: vec!["b".into(), "a".into()], ..sample() }, "sorted"),
            (SetManifest { ancestors: vec![sample().ancestors.remove(0); 65], ..sample() }, "more ancestors"),
            (SetManifest { others: BTreeMap::from([("cap".into(), canonical(json!(1)))]), ..sample() }, "twice"),
            (SetManifest { needs: Needs { depth: MAX_DEPTH + 1, ..Needs::default() }, ..sample() }, "deeper"),
        ] {
            let error = set.to_bytes().expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_known_keys_are_those_that_are_written() {
        let set = SetManifest { others: BTreeMap::new(), ..sample() };
        let bytes = set.to_bytes().expect("bytes");
        let members = json::members(&bytes, MAX_DOCUMENT_BYTES, MAX_NAMES, "SET.json").expect("members");
        let written: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).filter(|key| ![ITEMS, OPTIONS].contains(key)).collect();
        assert_eq!(written, KEYS);
    }

    #[test]
    fn more_names_than_anybody_needs_are_refused() {
        let few = |count: usize| (0..count).map(|number| format!("{number:04}"));
        let with = |features: usize, others: usize| {
            let others = few(others).map(|key| (key, canonical(json!(0)))).collect();
            SetManifest { features: few(features).collect(), others, ..sample() }.to_bytes().expect("bytes")
        };
        let most = MAX_NAMES - KEYS.len() - 2;
        assert!(SetManifest::parse(&with(MAX_NAMES, most)).is_ok());
        for (bytes, why) in [(with(MAX_NAMES + 1, 0), "more than 1024 names"), (with(0, most + 1), "more than 1024 keys")] {
            let error = SetManifest::parse(&bytes).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn silence_about_the_parent_is_no_answer() {
        let base = SetManifest { parent: None, ..sample() };
        let text = String::from_utf8(base.to_bytes().expect("bytes")).expect("text");
        let error = SetManifest::parse(text.replace("\"parent\":null,", "").as_bytes()).expect_err("no parent is named");
        assert!(error.to_string().contains("missing field `parent`"), "{error}");
    }

    #[test]
    fn another_draft_is_refused_with_both_numbers() {
        let text = String::from_utf8(sample().to_bytes().expect("bytes")).expect("text");
        let other = text.replace(&format!("\"draft\":{DRAFT}"), "\"draft\":99");
        let error = SetManifest::parse(other.as_bytes()).expect_err("another draft");
        assert_eq!(error.kind(), Kind::Version);
        assert!(error.to_string().contains("draft 99"), "{error}");
    }
}
