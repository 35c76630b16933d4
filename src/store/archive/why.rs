//! [`Why`]: which images need a piece of an archive.
//!
//! **Invariants.** Only manifests and indexes are read. An image of which it cannot be told is named as such, never passed over.
//!
//! *Not here:* how a piece is named (`asked`), whether bytes are sound (`check`).

use std::collections::{BTreeMap, BTreeSet};

use ocm_format::layout::Id;
use ocm_format::set::SetFiles;
use serde::Serialize;

use super::asked::{Asked, Beginning};
use super::listing;
use super::parts::{Part, parts};
use super::shelf::Shelf;
use super::view::{Lies, Opened};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Item, Reference, Role};

/// Which images need a piece of an archive.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The content that was asked about, where it was not a volume.
    pub digest: Option<Digest>,
    /// The volumes that it lies in, or that were asked about.
    pub volumes: Vec<Lies>,
    /// The generations of the sets whose images were looked at.
    pub sets: Vec<u32>,
    /// The images that need it.
    pub images: Vec<Needing>,
    /// Images of which it cannot be told.
    pub unknown: Vec<Unknown>,
}

/// An image that needs what was asked about.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Needing {
    /// Its name.
    pub name: Reference,
    /// What it is for.
    pub role: Role,
    /// The generation of the set that lists it.
    pub set: u32,
    /// What of it that is.
    pub parts: Vec<NeededPart>,
}

/// A part of an image that is, or lies in, what was asked about.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NeededPart {
    /// The part.
    #[serde(flatten)]
    pub part: Part,
    /// Whether it is not certain: the records of it are not here, nor is the volume.
    pub perhaps: bool,
}

/// An image of which it cannot be told.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unknown {
    /// Its name.
    pub name: Reference,
    /// The generation of the set that lists it.
    pub set: u32,
    /// Why.
    pub why: String,
}

/// The images of `generation`, or of the newest usable set of each lineage, that need what is `asked` about.
pub fn why(shelf: &Shelf, generation: Option<u32>, asked: &Asked) -> Result<Why> {
    let chosen = listing::telling(shelf, generation)?;
    let opened = Opened::of(shelf, &chosen)?;
    match asked {
        Asked::Content(begins) => content(shelf, &chosen, &opened, begins),
        Asked::Number(number) => {
            let wanted = chosen.iter().filter(|set| may_have(set, *number)).map(|set| (set.id(), *number)).collect();
            volumes(shelf, &opened, wanted, &chosen).ok_or_else(|| no_volume(shelf, &chosen, *number))
        }
        Asked::File(name) => {
            let wanted = named(shelf, name).into_iter().collect();
            volumes(shelf, &opened, wanted, &chosen).ok_or_else(|| no_file(shelf, name))
        }
    }
}

fn content(shelf: &Shelf, chosen: &[&SetFiles], opened: &Opened, begins: &Beginning) -> Result<Why> {
    let mut found = BTreeSet::new();
    let mut why = look(opened, |part| {
        let is_it = begins.is_of(&part.digest);
        if is_it {
            found.insert(part.digest);
        }
        Ok(is_it.then_some(false))
    });
    if found.is_empty() {
        found = elsewhere(shelf, chosen, opened, begins)?;
    }
    let mut digests = found.iter();
    match (digests.next(), digests.next()) {
        (Some(digest), None) => why.digest = Some(*digest),
        (Some(_), Some(_)) => return Err(ambiguous(shelf, begins, &found)),
        (None, _) => return Err(no_content(shelf, begins, &why)),
    }
    why.volumes = why.digest.map(|digest| opened.lies(&digest)).unwrap_or_default();
    Ok(why)
}

/// Content that begins so and that no image looked at needs: that of other sets, or what only the indexes know.
fn elsewhere(shelf: &Shelf, chosen: &[&SetFiles], opened: &Opened, begins: &Beginning) -> Result<BTreeSet<Digest>> {
    let mut found = BTreeSet::new();
    let is_other = |set: &&SetFiles| set.manifest.is_some() && chosen.iter().all(|chosen| chosen.id() != set.id());
    let others: Vec<&SetFiles> = shelf.found().sets.iter().filter(is_other).collect();
    look(&Opened::of(shelf, &others)?, |part| {
        if begins.is_of(&part.digest) {
            found.insert(part.digest);
        }
        Ok(None)
    });
    if let Some(digest) = begins.whole().filter(|_| found.is_empty())
        && opened.source.holds(&digest)?
    {
        found.insert(digest);
    }
    Ok(found)
}

/// What needs these volumes; `None` where there are none.
fn volumes(shelf: &Shelf, opened: &Opened, wanted: BTreeSet<(Id, u32)>, chosen: &[&SetFiles]) -> Option<Why> {
    let is_here = |(id, number): &(Id, u32)| shelf.set(*id).is_some_and(|set| set.volumes.contains_key(number));
    let all_here = wanted.iter().all(is_here);
    let mut known: BTreeMap<Digest, Option<bool>> = BTreeMap::new();
    let mut lies_there = |part: &Part| {
        if let Some(known) = known.get(&part.digest) {
            return Ok(*known);
        }
        let answer = match opened.source.volumes_of(&part.digest) {
            Ok(volumes) => (!volumes.is_disjoint(&wanted)).then_some(false),
            Err(error) if error.kind() == Kind::Needed => (!all_here).then_some(true),
            Err(error) => return Err(error),
        };
        known.insert(part.digest, answer);
        Ok(answer)
    };
    let mut why = look(opened, &mut lies_there);
    why.volumes = wanted
        .iter()
        .map(|(id, number)| Lies { set: generation_of(shelf, chosen, *id), volume: *number, here: is_here(&(*id, *number)) })
        .collect();
    (!wanted.is_empty()).then_some(why)
}

/// Looks at every part of every image. `is_it` says whether a part is what was asked about, and then whether that is not certain.
fn look(opened: &Opened, mut is_it: impl FnMut(&Part) -> Result<Option<bool>>) -> Why {
    let mut why = Why { digest: None, volumes: Vec::new(), sets: Vec::new(), images: Vec::new(), unknown: Vec::new() };
    for set in opened.source.sets() {
        why.sets.push(set.generation());
        for item in set.contents.items().iter().filter(|item| item.is_complete()) {
            match needed(opened, item, &mut is_it) {
                Ok(parts) if parts.is_empty() => {}
                Ok(parts) => why.images.push(Needing { name: item.origin.clone(), role: item.role, set: set.generation(), parts }),
                Err(error) => why.unknown.push(Unknown { name: item.origin.clone(), set: set.generation(), why: error.to_string() }),
            }
        }
    }
    why
}

fn needed(opened: &Opened, item: &Item, is_it: &mut impl FnMut(&Part) -> Result<Option<bool>>) -> Result<Vec<NeededPart>> {
    let mut needed = Vec::new();
    for part in parts(&opened.source, item)? {
        if let Some(perhaps) = is_it(&part)? {
            needed.push(NeededPart { part, perhaps });
        }
    }
    Ok(needed)
}

/// Whether a set has, or may have, a volume of this number.
fn may_have(set: &SetFiles, number: u32) -> bool {
    set.volume_count().map_or(set.volumes.contains_key(&number) || set.lacking().numbers.contains(&number), |count| number <= count)
}

/// The volume whose file is called so: one that is here, or one that the name itself tells of, in a set that is known here.
fn named(shelf: &Shelf, name: &str) -> Option<(Id, u32)> {
    let sets = &shelf.found().sets;
    let is_called = |path: &std::path::Path| path.file_name().is_some_and(|there| there == name);
    let files = sets.iter().flat_map(|set| set.volumes.iter().map(|(number, file)| (set.id(), *number, file)));
    let here = files.into_iter().find(|(_, _, file)| is_called(&file.path)).map(|(id, number, _)| (id, number));
    here.or_else(|| {
        let (rest, number) = name.strip_suffix(".ocm.tar")?.rsplit_once(".v")?;
        let (_, id) = rest.rsplit_once(".g")?.1.split_once('-')?;
        let ancestors =
            sets.iter().filter_map(|set| set.manifest.as_ref()).flat_map(|manifest| manifest.ancestors.iter().map(|set| set.id));
        let mut ids = sets.iter().map(SetFiles::id).chain(ancestors);
        let id = ids.find(|known| !id.is_empty() && known.to_string().starts_with(id))?;
        let number = number.parse().ok()?;
        shelf.set(id).is_none_or(|set| may_have(set, number)).then_some((id, number))
    })
}

fn generation_of(shelf: &Shelf, chosen: &[&SetFiles], id: Id) -> u32 {
    let ancestors = chosen.iter().filter_map(|set| set.manifest.as_ref()).flat_map(|manifest| &manifest.ancestors);
    let ancestor = || ancestors.into_iter().find(|set| set.id == id).map(|set| set.generation);
    shelf.set(id).map(|set| set.header.generation).or_else(ancestor).unwrap_or_default()
}

fn ambiguous(shelf: &Shelf, begins: &Beginning, found: &BTreeSet<Digest>) -> Error {
    const SHOWN: usize = 4;
    let error = Error::usage(format!("{}: {} digests begin with {begins}", shelf.path().display(), found.len()));
    found.iter().take(SHOWN).fold(error, |error, digest| error.note(digest.to_string())).hint("write more digits of the one that is meant")
}

fn no_content(shelf: &Shelf, begins: &Beginning, why: &Why) -> Error {
    let path = shelf.path().display();
    let error = Error::usage(format!("{path}: there is no content with the digest {begins} here"))
        .hint(format!("`ocm inspect {path} IMAGE` shows the digests of an image"));
    match why.unknown.first() {
        Some(first) => {
            error.note(format!("{} of the images could not be looked at, first {}: {}", why.unknown.len(), first.name, first.why))
        }
        None => error,
    }
}

fn no_volume(shelf: &Shelf, chosen: &[&SetFiles], number: u32) -> Error {
    let path = shelf.path().display();
    let has = |set: &&SetFiles| match set.volume_count() {
        Some(1) => format!("set {} has volume 1 alone", set.header.generation),
        Some(count) => format!("set {} has volumes 1 to {count}", set.header.generation),
        None => format!("the last volume of set {} is not here", set.header.generation),
    };
    let sets: Vec<String> = chosen.iter().map(has).collect();
    Error::usage(format!("{path}: there is no volume {number}; {}", sets.join(", ")))
        .hint("a volume of an earlier set goes by the name of its file, or by its number in DIR@N")
}

fn no_file(shelf: &Shelf, name: &str) -> Error {
    let path = shelf.path().display();
    Error::usage(format!("{path}: {name} is no data volume of a set that is known here"))
        .hint(format!("see what there is with `ocm ls {path}`"))
}
