//! [`Chain`]: a set with all the earlier ones that it needs, to be made one base of.
//!
//! **Invariants.** All of the chain is whole and at hand, or it is an error that names what is not.
//!
//! *Not here:* writing the base (`sink`), which set is meant (`workflow`).

use ocm_format::layout::Id;
use ocm_format::set::{Ancestor, Canonical, SetFiles};
use serde_json::{Value, json};

use super::shelf::{KnownSet, Shelf, lacks};
use super::source::ArchiveSource;
use crate::error::{Error, Result};

/// The key of the options of a base under which it says what it was made of.
const MERGED_FROM: &str = "mergedFrom";

/// A set, and the earlier ones that it needs.
pub struct Chain {
    /// All of it, read as one.
    pub source: ArchiveSource,
    /// The set and those before it, newest first.
    sets: Vec<Ancestor>,
}

impl Chain {
    /// The set `head` of one of the shelves, with what it needs from all of them.
    pub fn open(head: &KnownSet, shelves: &[&Shelf]) -> Result<Self> {
        let (shelf, set) = whole(Id(head.id), shelves).ok_or_else(|| not_whole(head, shelves))?;
        let source = ArchiveSource::open(shelf.path(), &[set], shelves)?;
        let facts = source.sets().first().ok_or_else(|| not_whole(head, shelves))?;
        let own = Ancestor { id: facts.manifest.set, root: facts.root, generation: facts.manifest.generation };
        let chain = usize::try_from(facts.manifest.needs.chain).unwrap_or(usize::MAX);
        let needed: Vec<Ancestor> = facts.manifest.ancestors.iter().take(chain).cloned().collect();
        let is_here = |set: &&Ancestor| whole(set.id, shelves).is_some_and(|(_, files)| files.root == Some(set.root));
        let missing: Vec<&Ancestor> = needed.iter().filter(|set| !is_here(set)).collect();
        if !missing.is_empty() {
            return Err(lacking(head.generation, &missing));
        }
        if let Some((destination, root)) = source.destinations().next() {
            let destination = destination.map_or_else(|| format!("a destination (receipt {root})"), str::to_owned);
            return Err(Error::needed(format!("set {} counts on what {destination} holds, which is in no set", head.generation))
                .hint("write a base on the near side, with --full"));
        }
        Ok(Self { sets: std::iter::once(own).chain(needed).collect(), source })
    }

    /// The generations of the sets, newest first.
    #[must_use]
    pub fn generations(&self) -> Vec<u32> {
        self.sets.iter().map(|set| set.generation).collect()
    }

    /// What the options of the base say of where it comes from.
    #[must_use]
    pub fn option(&self) -> (String, Value) {
        let set = |set: &Ancestor| json!({"id": set.id.to_string(), "root": set.root, "generation": set.generation});
        (MERGED_FROM.to_owned(), self.sets.iter().map(set).collect())
    }
}

/// The id of the set that a base with these options says the same as, where it was made of a chain.
pub(super) fn merged_from(options: &Canonical) -> Option<[u8; 16]> {
    let sets: Vec<Value> = options.member(MERGED_FROM)?;
    let id = sets.first()?.get("id")?.as_str()?;
    id.parse::<Id>().ok().map(|id| id.0)
}

/// The set of this id, where it is whole on one of the shelves.
fn whole<'a>(id: Id, shelves: &[&'a Shelf]) -> Option<(&'a Shelf, &'a SetFiles)> {
    shelves.iter().find_map(|shelf| Some((*shelf, shelf.set(id).filter(|set| set.is_complete())?)))
}

fn not_whole(head: &KnownSet, shelves: &[&Shelf]) -> Error {
    let found = shelves.iter().find_map(|shelf| shelf.set(Id(head.id)));
    let what = found.map_or_else(|| format!("set {} is not here", head.generation), lacks);
    Error::needed(format!("{what}, so nothing can be made of it")).hint("bring the volumes that are missing; `ocm gather` collects them")
}

fn lacking(head: u32, missing: &[&Ancestor]) -> Error {
    let numbers: Vec<String> = missing.iter().map(|set| set.generation.to_string()).collect();
    let sets = if numbers.len() == 1 { "set" } else { "sets" };
    let error = Error::needed(format!("set {head} needs {sets} {}, not all of which is here", numbers.join(", ")));
    let note = |error: Error, set: &&Ancestor| error.note(format!("bring:   set {} (id {}, root {})", set.generation, set.id, set.root));
    missing.iter().fold(error, note).hint("name the directories that they are in, beside the others")
}
