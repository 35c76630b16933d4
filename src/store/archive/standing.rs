//! [`Standing`]: how much of a set is here, and what is still to be brought.
//!
//! **Invariants.** The number of volumes is exact once the last volume or the catalogue was seen, anywhere; before, it is the
//! least that it can be.
//!
//! *Not here:* bringing volumes (`gather`).

use std::collections::{BTreeMap, BTreeSet};

use ocm_format::layout::{FLAG_LAST, Id, VolumeKind};
use ocm_format::set::{Found, SetFiles};
use serde::Serialize;

use super::gather::Key;
use super::listing::missing_parents;
use crate::image::Digest;

/// How much of a set is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its set id, 32 hex digits.
    pub set: String,
    /// Its generation.
    pub generation: u32,
    /// Its root, where its manifest is here.
    pub root: Option<Digest>,
    /// The name of its lineage, where that is known.
    pub lineage: Option<String>,
    /// How many of its volumes are here.
    pub have: u32,
    /// How many it has, at the least.
    pub of: u32,
    /// Whether it has exactly so many.
    pub exact: bool,
    /// The numbers known to be missing.
    pub missing: Vec<u32>,
    /// Whether it is all here.
    pub complete: bool,
    /// Earlier sets that it builds on and that are not here.
    pub parents_elsewhere: Vec<String>,
}

/// What headers and manifests told of sets, wherever they lie.
#[derive(Debug, Default)]
pub(super) struct Seen {
    sets: BTreeMap<Id, Facts>,
}

#[derive(Debug)]
struct Facts {
    generation: u32,
    count: Option<u32>,
    at_least: u32,
}

impl Seen {
    /// Takes in what the files of a set tell; only sets that are `offered` are reported.
    pub(super) fn take_in(&mut self, set: &SetFiles, offered: bool) {
        if offered {
            let facts = Facts { generation: set.header.generation, count: set.volume_count(), at_least: at_least(set) };
            self.sets.insert(set.id(), facts);
        }
    }

    /// How these sets stand, given what is `here` and which of that is known to be `bad`.
    pub(super) fn standing(&self, here: &Found, bad: &BTreeSet<Key>, lineages: &BTreeMap<Id, String>) -> Vec<Standing> {
        let mut all: Vec<Standing> = self.sets.iter().map(|(id, facts)| facts.standing(*id, here, bad, lineages)).collect();
        all.sort_by(|a, b| (&a.lineage, a.generation, &a.set).cmp(&(&b.lineage, b.generation, &b.set)));
        all
    }
}

impl Facts {
    fn standing(&self, id: Id, here: &Found, bad: &BTreeSet<Key>, lineages: &BTreeMap<Id, String>) -> Standing {
        let set = here.sets.iter().find(|set| set.id() == id);
        let usable = |number: &u32| !bad.contains(&(id, VolumeKind::Data, *number));
        let have: BTreeSet<u32> = set.iter().flat_map(|set| set.volumes.keys().copied()).filter(usable).collect();
        let of = self.count.unwrap_or(self.at_least);
        Standing {
            set: id.to_string(),
            generation: self.generation,
            root: set.and_then(|set| set.root),
            lineage: lineages.get(&id).cloned(),
            have: u32::try_from(have.len()).unwrap_or(u32::MAX),
            of,
            exact: self.count.is_some(),
            missing: (1..=of).filter(|number| !have.contains(number)).collect(),
            complete: set.is_some_and(SetFiles::is_complete) && have.len() as u64 == u64::from(of),
            parents_elsewhere: set.map_or(Vec::new(), |set| missing_parents(set, here)),
        }
    }
}

/// The least number of volumes that a set can have: a volume that is not the last one has one after it.
fn at_least(set: &SetFiles) -> u32 {
    let whole = set.volumes.values().map(|file| file.header.number.saturating_add(u32::from(file.footer.flags & FLAG_LAST == 0)));
    let broken = set.broken.iter().filter(|file| file.header.kind == VolumeKind::Data).map(|file| file.header.number);
    whole.chain(broken).max().unwrap_or(1)
}
