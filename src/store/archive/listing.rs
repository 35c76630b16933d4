//! [`Listing`]: what an archive holds: sets, volumes, images.
//!
//! **Invariants.** Only headers, indexes and documents are read. A size that cannot be known, because what tells it
//! lies elsewhere, is absent, not wrong.
//!
//! *Not here:* one image in full (`view`), whether bytes are sound (`check`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ocm_format::layout::{Id, Parent};
use ocm_format::set::{Found, ParentSet, SetFiles};
use serde::Serialize;

use super::document;
use super::shelf::Shelf;
use super::signed::{Admit, admit_chosen};
use super::source::ArchiveSource;
use crate::error::Result;
use crate::image::{Contents, Descriptor, Digest, Item, Manifest, Platform, Reference, Role, State};

/// What an archive holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The archive.
    pub path: PathBuf,
    /// Its sets, grouped by lineage, newest first.
    pub sets: Vec<SetLine>,
    /// The images of the newest usable set of each lineage, or of the generation asked for.
    pub images: Vec<ImageLine>,
    /// The sum of the sizes of all that these images need, each blob counted once, in bytes.
    pub blob_bytes: u64,
    /// Other files that look like volumes, with what they are.
    pub strangers: Vec<FileNote>,
}

/// A file, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileNote {
    /// The file.
    pub path: PathBuf,
    /// What is to be said.
    pub why: String,
}

/// One set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetLine {
    /// The id of its lineage.
    pub lineage_id: String,
    /// The name of its lineage; absent where its manifest is not here.
    pub lineage: Option<String>,
    /// Its set id.
    pub id: String,
    /// Its generation.
    pub generation: u32,
    /// When it was made, RFC 3339 in UTC.
    pub time: String,
    /// Its root, where its manifest is here.
    pub root: Option<Digest>,
    /// The keys that the signatures in it say to be by; whether that is true was not checked. Filled by who can read signatures.
    pub signed_by: Vec<String>,
    /// These signatures.
    #[serde(skip)]
    pub signatures: Vec<Vec<u8>>,
    /// What it builds on.
    pub parent: SetParent,
    /// The size that each of its volumes stays below, in bytes.
    pub cap_bytes: u64,
    /// Numbers of the volumes that are here.
    pub here: Vec<u32>,
    /// Numbers of the volumes that are known and not here.
    pub elsewhere: Vec<u32>,
    /// Those of them that were handed on and let go when they were written.
    pub released: Vec<u32>,
    /// How many volumes it has, where that is known.
    pub volumes: Option<u32>,
    /// Numbers of the parity volumes that are here.
    pub parity: Vec<u32>,
    /// Whether everything earlier that it builds on is here.
    pub parents_here: bool,
    /// The sum of the sizes of the volumes that are here, in bytes.
    pub stored_bytes: u64,
    /// How many items it lists.
    pub items: usize,
    /// How many of them are complete.
    pub items_complete: usize,
    /// Files of it that cannot be used, with the reason.
    pub broken: Vec<FileNote>,
}

/// What a set builds on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SetParent {
    /// Nothing: it is a base.
    Base,
    /// An earlier set.
    Set {
        /// Its set id.
        id: String,
        /// Its generation, where that is known.
        generation: Option<u32>,
    },
    /// What a destination holds.
    Receipt {
        /// The destination, where that is known.
        destination: Option<String>,
    },
}

/// One image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageLine {
    /// Its name.
    pub name: Reference,
    /// What it is for.
    pub role: Role,
    /// The digest of its root; absent where it is missing.
    pub digest: Option<Digest>,
    /// Its platforms, for an index; that of its configuration for a single image.
    pub platforms: Vec<Platform>,
    /// The sum of the sizes of all that it needs, in bytes; absent where that is not known.
    pub bytes: Option<u64>,
    /// What only it needs, of all images listed, in bytes.
    pub unique_bytes: Option<u64>,
    /// The generation of the set that lists it.
    pub set: u32,
    /// Why it is not complete.
    pub missing: Option<String>,
}

/// Lists an archive. Images are those of `generation`, or of the newest usable set of each lineage.
pub fn list(shelf: &Shelf, generation: Option<u32>) -> Result<Listing> {
    let found = shelf.found();
    let chosen = chosen(shelf, generation)?;
    let mut listing = Listing {
        path: shelf.path().to_owned(),
        sets: found.sets.iter().map(|set| set_line(set, Some(shelf))).collect(),
        images: Vec::new(),
        blob_bytes: 0,
        strangers: found.strangers.iter().map(|(path, error)| FileNote { path: path.clone(), why: error.message().to_owned() }).collect(),
    };
    if !chosen.is_empty() {
        let source = ArchiveSource::open(shelf.path(), &chosen, &[shelf])?;
        (listing.images, listing.blob_bytes) = images(&source);
    }
    Ok(listing)
}

/// The sets whose images are shown: of each lineage the newest whole one, else the newest one that says what it lists.
fn chosen(shelf: &Shelf, generation: Option<u32>) -> Result<Vec<&SetFiles>> {
    let sets = &shelf.found().sets;
    if generation.is_some() || sets.is_empty() {
        return Ok(shelf.select(generation)?.sets);
    }
    let lineages: BTreeSet<Id> = sets.iter().map(|set| set.header.lineage).collect();
    let of = |lineage| sets.iter().filter(move |set| set.header.lineage == lineage && set.manifest.is_some());
    Ok(lineages.into_iter().filter_map(|lineage| of(lineage).find(|set| set.is_complete()).or_else(|| of(lineage).next())).collect())
}

/// The same, but that a generation asked for may lack volumes too, as long as it says what it lists; never none.
pub(super) fn telling(shelf: &Shelf, generation: Option<u32>) -> Result<Vec<&SetFiles>> {
    let tells = |set: &&SetFiles| Some(set.header.generation) == generation && set.manifest.is_some();
    let sets: Vec<&SetFiles> = match generation {
        None => chosen(shelf, None)?,
        Some(_) => shelf.found().sets.iter().filter(tells).collect(),
    };
    if sets.is_empty() { Ok(shelf.select(generation)?.sets) } else { Ok(sets) }
}

/// The sets whose images are looked at, as a source; content of them may be elsewhere.
pub fn source(shelf: &Shelf, generation: Option<u32>) -> Result<ArchiveSource> {
    ArchiveSource::open(shelf.path(), &telling(shelf, generation)?, &[shelf])
}

/// Lets `judge` refuse these sets; then leaves only them on the shelf, and what they list as what they build on.
pub fn admit(judge: &Admit, shelf: &mut Shelf, generation: Option<u32>) -> Result<()> {
    let meant: BTreeSet<Id> = telling(shelf, generation)?.iter().map(|set| set.id()).collect();
    admit_chosen(judge, &meant, &mut [shelf])
}

/// What is to be said of one set, which lies on `shelf` or is looked at alone.
pub(super) fn set_line(set: &SetFiles, shelf: Option<&Shelf>) -> SetLine {
    let contents = contents(set);
    let broken = set.broken.iter().map(|file| FileNote { path: file.path.clone(), why: file.error.message().to_owned() });
    SetLine {
        lineage_id: set.header.lineage.to_string(),
        lineage: set.manifest.as_ref().map(|manifest| manifest.lineage.name.clone()),
        id: set.id().to_string(),
        generation: set.header.generation,
        time: rfc3339(set.header.time),
        root: set.root,
        signed_by: Vec::new(),
        signatures: set.signatures.iter().map(|signature| signature.bytes.clone()).collect(),
        parent: parent(set),
        cap_bytes: set.header.cap,
        here: set.volumes.keys().copied().collect(),
        elsewhere: set.lacking().numbers,
        released: shelf.map_or(Vec::new(), |shelf| shelf.let_go(set)),
        volumes: set.volume_count(),
        parity: set.parity.keys().copied().collect(),
        parents_here: shelf.map_or(set.header.parent == Parent::None, |shelf| missing_parents(set, shelf.found()).is_empty()),
        stored_bytes: set.volumes.values().map(|volume| volume.footer.file_bytes).sum(),
        items: contents.content().count(),
        items_complete: contents.content().filter(|item| item.is_complete()).count(),
        broken: broken.collect(),
    }
}

fn parent(set: &SetFiles) -> SetParent {
    let said = set.manifest.as_ref().and_then(|manifest| manifest.parent.as_ref());
    match set.header.parent {
        Parent::None => SetParent::Base,
        Parent::Receipt { .. } => {
            let destination = match said {
                Some(ParentSet::Receipt { destination, .. }) => destination.clone(),
                _ => None,
            };
            SetParent::Receipt { destination }
        }
        Parent::Set { id, .. } => {
            let generation = match said {
                Some(ParentSet::Set { generation, .. }) => Some(*generation),
                _ => None,
            };
            SetParent::Set { id: id.to_string(), generation }
        }
    }
}

/// The earlier sets that are needed and not whole here, nearest first: what a person calls them.
pub(super) fn missing_parents(set: &SetFiles, here: &Found) -> Vec<String> {
    let mut missing = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(set);
    while let Some(set) = next.take().filter(|set| seen.insert(set.id())) {
        if set.manifest.as_ref().is_some_and(|manifest| manifest.needs.blobs == 0) {
            break;
        }
        match (set.header.parent, parent(set)) {
            (Parent::Set { id, root }, SetParent::Set { generation, .. }) => {
                next = here.sets.iter().find(|set| set.id() == id).filter(|parent| parent.is_complete() && parent.root == Some(root));
                if next.is_none() {
                    let number = generation.map_or(String::new(), |generation| format!(" {generation}"));
                    missing.push(format!("set{number} (id {id}, root {root})"));
                }
            }
            (Parent::Receipt { root }, SetParent::Receipt { destination: Some(destination) }) => {
                missing.push(format!("what {destination} holds (receipt {root})"));
            }
            (Parent::Receipt { root }, _) => missing.push(format!("the destination whose receipt is {root}")),
            _ => {}
        }
    }
    missing
}

/// Seconds since 1970 as RFC 3339 in UTC.
pub(super) fn rfc3339(time: u64) -> String {
    let time = i64::try_from(time).ok().and_then(|time| jiff::Timestamp::from_second(time).ok());
    time.unwrap_or_default().to_string()
}

/// What a blob weighs, and which item alone needs it.
struct Weight {
    bytes: u64,
    owner: Option<usize>,
}

/// The lines of all items, and the bytes of all that they need, each blob counted once.
fn images(source: &ArchiveSource) -> (Vec<ImageLine>, u64) {
    let mut lines = Vec::new();
    let mut weights: BTreeMap<Digest, Weight> = BTreeMap::new();
    for set in source.sets() {
        for item in set.contents.content() {
            let needs = needs(source, item).ok();
            let at = lines.len();
            for (digest, bytes) in needs.iter().flatten() {
                let weight = weights.entry(*digest).or_insert(Weight { bytes: *bytes, owner: Some(at) });
                weight.owner = weight.owner.filter(|owner| *owner == at);
            }
            lines.push(line(source, item, set.manifest.generation, needs.as_ref()));
        }
    }
    for weight in weights.values() {
        if let Some(unique) = weight.owner.and_then(|owner| lines.get_mut(owner)?.unique_bytes.as_mut()) {
            *unique = unique.saturating_add(weight.bytes);
        }
    }
    (lines, weights.values().fold(0, |sum, weight| sum.saturating_add(weight.bytes)))
}

fn line(source: &ArchiveSource, item: &Item, set: u32, needs: Option<&BTreeMap<Digest, u64>>) -> ImageLine {
    let needs = needs.filter(|_| item.is_complete());
    let missing = match &item.state {
        State::Missing(why) => Some(why.clone()),
        State::Complete => None,
    };
    ImageLine {
        name: item.origin.clone(),
        role: item.role,
        digest: item.digest(),
        platforms: platforms(source, item),
        bytes: needs.map(|needs| needs.values().fold(0u64, |sum, bytes| sum.saturating_add(*bytes))),
        unique_bytes: needs.map(|_| 0),
        set,
        missing,
    }
}

/// All that an item needs, with sizes: manifests, configurations, layers, and what is attached. What an index lists
/// and the set lacks was left out on purpose.
fn needs(source: &ArchiveSource, item: &Item) -> Result<BTreeMap<Digest, u64>> {
    let mut needs = BTreeMap::new();
    let mut waiting: Vec<Descriptor> = item.tops().cloned().collect();
    while let Some(wanted) = waiting.pop() {
        if needs.contains_key(&wanted.digest) {
            continue;
        }
        let Some(manifest) = source.manifest_now(&wanted)? else { continue };
        needs.insert(wanted.digest, manifest.descriptor().size);
        needs.extend(manifest.blobs().map(|blob| (blob.digest, blob.size)));
        waiting.extend_from_slice(manifest.children());
    }
    Ok(needs)
}

/// The platforms of an item: those of its index, or the one that the configuration of a single image names.
fn platforms(source: &ArchiveSource, item: &Item) -> Vec<Platform> {
    if !item.platforms.is_empty() {
        return item.platforms.clone();
    }
    let manifest = item.root.as_ref().and_then(|root| source.manifest_now(root).ok().flatten());
    manifest.as_ref().and_then(|manifest| platform(source, manifest)).into_iter().collect()
}

/// The platform that the configuration of an image names.
pub(super) fn platform(source: &ArchiveSource, manifest: &Manifest) -> Option<Platform> {
    let config = super::view::config_of(manifest)?;
    let document = source.document_now(&config.digest).ok()??;
    let platform: Platform = serde_json::from_slice(&document).ok()?;
    (!platform.is_unknown()).then_some(platform)
}

/// What a set lists, where its manifest is here.
pub(super) fn contents(set: &SetFiles) -> Contents {
    set.manifest.as_ref().and_then(|manifest| document::contents(manifest).ok()).unwrap_or_default()
}
