//! [`Difference`]: what one place has and another has not: images by name, and content.
//!
//! **Invariants.** Names and digests decide; no content is read but manifests. An image that cannot be looked at is named as
//! such, and is neither the same nor another one.
//!
//! *Not here:* what must be done about it (the plan).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::parts::{blobs, is_child};
use crate::error::{Error, Result};
use crate::image::{Descriptor, Digest, Item, Receipt, Reference, Role, Source, State};

/// What the second of two places has and the first has not, and the other way round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Images that only the second one has.
    pub added: Vec<Named>,
    /// Images that only the first one has.
    pub removed: Vec<Named>,
    /// Names that stand for other images now.
    pub moved: Vec<Moved>,
    /// How many names stand for the same image.
    pub same: usize,
    /// Blobs that the images of the second one have, and none of the first one.
    pub blobs_added: Amount,
    /// Blobs that the images of the first one have, and none of the second one.
    pub blobs_removed: Amount,
    /// Images that could not be compared.
    pub unknown: Vec<Unknown>,
}

/// An image by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its name.
    pub name: Reference,
    /// What it is for.
    pub role: Role,
    /// The digest of its root.
    pub digest: Digest,
}

/// A name that stands for another image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The name.
    pub name: Reference,
    /// What the image is for.
    pub role: Role,
    /// The digest of the root in the first place.
    pub from: Digest,
    /// The digest of the root in the second one.
    pub to: Digest,
}

/// Some blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

/// An image that could not be looked at in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The place.
    pub place: String,
    /// Its name.
    pub name: Reference,
    /// Why.
    pub why: String,
}

type Key = (Reference, Role);

/// What a place has, as far as it is compared.
pub struct Held {
    /// What each name stands for; `None` where that is not known.
    names: BTreeMap<Key, Option<Digest>>,
    /// Configurations and layers, with their sizes.
    blobs: BTreeMap<Digest, u64>,
    unknown: Vec<Unknown>,
}

impl Held {
    /// Reads the manifests of these items of `source`; each is compared by the name beside it.
    pub async fn of(source: &dyn Source, items: &[(Reference, Item)]) -> Self {
        let mut held = Self { names: BTreeMap::new(), blobs: BTreeMap::new(), unknown: Vec::new() };
        let mut seen = BTreeSet::new();
        for (called, item) in items {
            let mut why = match &item.state {
                State::Missing(why) => Some(why.clone()),
                State::Complete => None,
            };
            if why.is_none() {
                why = held.read(source, item, &mut seen).await.err().map(|error| error.to_string());
            }
            held.names.insert((name(called), item.role), item.digest().filter(|_| item.is_complete()));
            held.unknown.extend(why.map(|why| Unknown { place: source.place(), name: called.clone(), why }));
        }
        held
    }

    /// What a receipt says that a destination shows and holds; images go by the names that they had where they came from.
    #[must_use]
    pub fn by(receipt: &Receipt) -> Self {
        let names = receipt.items.iter().map(|item| ((name(&item.origin), item.role), Some(item.digest))).collect();
        let blobs = receipt.blobs.iter().map(|stored| (stored.digest, stored.size)).collect();
        Self { names, blobs, unknown: Vec::new() }
    }

    /// Notes all blobs of an item. What an index lists and the place lacks was left out on purpose.
    async fn read(&mut self, source: &dyn Source, item: &Item, seen: &mut BTreeSet<Digest>) -> Result<()> {
        let mut waiting: Vec<Descriptor> = item.tops().cloned().collect();
        while let Some(wanted) = waiting.pop() {
            if seen.contains(&wanted.digest) {
                continue;
            }
            let Some(manifest) = source.manifest(item.origin.repository(), &wanted).await? else {
                if item.digest() == Some(wanted.digest) {
                    return Err(Error::needed(format!("manifest {} is not there", wanted.digest)));
                }
                continue;
            };
            seen.insert(wanted.digest);
            self.blobs.extend(blobs(&manifest).map(|blob| (blob.digest, blob.size)));
            waiting.extend(manifest.children().iter().filter(|child| is_child(child)).cloned());
        }
        Ok(())
    }

    /// The blobs that the other one has not.
    fn without(&self, other: &Self) -> Amount {
        let only = self.blobs.iter().filter(|(digest, _)| !other.blobs.contains_key(digest));
        only.fold(Amount::default(), |sum, (_, bytes)| Amount { blobs: sum.blobs + 1, bytes: sum.bytes.saturating_add(*bytes) })
    }

    /// The images that the other one has no image for by that name.
    fn names_without(&self, other: &Self) -> Vec<Named> {
        let only = self.names.iter().filter(|(key, _)| !other.names.contains_key(key));
        only.filter_map(|((name, role), digest)| Some(Named { name: name.clone(), role: *role, digest: (*digest)? })).collect()
    }
}

impl Difference {
    /// How `second` differs from `first`.
    #[must_use]
    pub fn between(first: Held, second: Held) -> Self {
        let mut difference = Self {
            added: second.names_without(&first),
            removed: first.names_without(&second),
            moved: Vec::new(),
            same: 0,
            blobs_added: second.without(&first),
            blobs_removed: first.without(&second),
            unknown: first.unknown,
        };
        difference.unknown.extend(second.unknown);
        for (key, digest) in first.names {
            let (Some(from), Some(Some(to))) = (digest, second.names.get(&key).copied()) else { continue };
            let (name, role) = key;
            match from == to {
                true => difference.same += 1,
                false => difference.moved.push(Moved { name, role, from, to }),
            }
        }
        difference
    }
}

/// The name that images are compared by: the tag, where there is one, whatever digest it was pinned to.
#[must_use]
pub fn name(origin: &Reference) -> Reference {
    let tagged = origin.tag().and_then(|tag| origin.repository().tagged(tag).ok());
    tagged.unwrap_or_else(|| origin.clone().or_latest())
}
