//! [`Line`]: which lineage a new set continues, and which set it builds on (semantics A.5, G.5).
//!
//! **Invariants.** The same archive and options give the same answer. Where two answers are possible, the person is asked.

use std::path::{Path, PathBuf};

use super::parent::Parent;
use super::{ArchiveOptions, Settings};
use crate::error::{Error, Result};
use crate::monitor::{Event, Monitor};
use crate::store::archive::{Holding, KnownSet, Shelf};
use crate::workflow::signing::receipt;

/// Where a new set stands.
pub(super) struct Line {
    /// The lineage id; `None` where a lineage begins.
    pub(super) lineage: Option<[u8; 16]>,
    /// The name of the lineage.
    pub(super) name: String,
    /// The generation of the new set.
    pub(super) generation: u32,
    /// What it builds on.
    pub(super) parent: Option<Parent>,
}

impl Line {
    /// Finds the place of a new set in the archive on `shelf`; `known` are the catalogues of sets made here. `finished` is the lineage of a
    /// set that was finished here just now: it is gone on with, also where all files of that set were let go.
    pub(super) fn find(
        shelf: &Shelf,
        known: &Shelf,
        options: &ArchiveOptions,
        finished: Option<[u8; 16]>,
        settings: &Settings,
    ) -> Result<Self> {
        let here = shelf.known_sets();
        let all: Vec<KnownSet> = here.iter().cloned().chain(known.known_sets()).collect();
        let since = options.since_receipt();
        let holding = since.map(|since| receipt::admitted(since, &settings.authority)).transpose()?;
        let base = match (&options.since, &options.lineage) {
            (Some(since), _) if holding.is_none() && !is_date(since) => {
                return Self::since_place(Path::new(since), &all, [shelf, known], options);
            }
            (_, Some(name)) => newest(all.iter().filter(|set| set.name == *name))?,
            (_, None) if finished.is_some() => newest(all.iter().filter(|set| Some(set.lineage) == finished))?,
            (_, None) => {
                one_lineage(shelf.path(), &here)?;
                let named = || holding.as_ref().map_or(Ok(None), |holding| named_by(holding, &all));
                newest(here.iter())?.map_or_else(named, |set| Ok(Some(set)))?
            }
        };
        let Some(newest) = base else {
            hint_at(&all, settings.monitor.as_ref());
            let name = options.lineage.clone().unwrap_or_else(|| folder_name(shelf.path()));
            return Ok(Self { lineage: None, name, generation: 1, parent: holding.map(Parent::Destination) });
        };
        let generation = next_generation(&all, newest.lineage);
        let mut line = Self { lineage: Some(newest.lineage), name: newest.name.clone(), generation, parent: None };
        if options.full {
            return Ok(line);
        }
        if let Some(holding) = holding {
            return Ok(Self { parent: Some(Parent::Destination(holding)), ..line });
        }
        let parent = match &options.since {
            Some(date) => all
                .iter()
                .filter(|set| set.lineage == newest.lineage && set.time < midnight(date))
                .max_by_key(|set| set.generation)
                .cloned(),
            None => Some(newest),
        };
        let data = data_of(options)?;
        let shelves: Vec<&Shelf> = std::iter::once(shelf).chain(&data).chain([known]).collect();
        line.parent = parent.map(|set| Parent::open(&set, &shelves)).transpose()?;
        Ok(line)
    }

    /// A set that builds on the newest one at another place: an archive, or one file of its catalogue. What it refers to may lie
    /// on the `others`: beside the new set, and among the catalogues of sets made here.
    fn since_place(path: &Path, all: &[KnownSet], others: [&Shelf; 2], options: &ArchiveOptions) -> Result<Self> {
        let (path, generation) = match path.to_str().map(str::parse) {
            Some(Ok(crate::image::place::Location::Archive { path, generation })) => (path, generation),
            _ => (path.to_owned(), None),
        };
        let shelf = Shelf::open(&path)?;
        let [beside, known] = others;
        let there = shelf.known_sets();
        let wanted = there.iter().filter(|set| generation.is_none_or(|wanted| set.generation == wanted));
        let wanted: Vec<&KnownSet> = wanted.filter(|set| options.lineage.as_ref().is_none_or(|name| set.name == *name)).collect();
        one_lineage(&path, wanted.iter().copied())?;
        let nothing = || {
            Error::usage(format!("--since {}: there is no set whose manifest is there", path.display()))
                .hint("name an archive, a catalogue, or a date like 2026-11-01")
        };
        let newest = newest(wanted.into_iter())?.ok_or_else(nothing)?;
        let generation = next_generation(all.iter().chain(&there), newest.lineage);
        let data = data_of(options)?;
        let shelves: Vec<&Shelf> = [&shelf, beside].into_iter().chain(&data).chain([known]).collect();
        let parent = Some(Parent::open(&newest, &shelves)?);
        Ok(Self { lineage: Some(newest.lineage), name: newest.name, generation, parent })
    }
}

/// The newest set of the lineage that a receipt names sets of, as far as they are known.
fn named_by(holding: &Holding, all: &[KnownSet]) -> Result<Option<KnownSet>> {
    let receipt = holding.receipt();
    let is_named = |set: &&KnownSet| receipt.items.iter().any(|item| item.set.as_deref() == Some(&set.id_text()));
    let named: Vec<&KnownSet> = all.iter().filter(is_named).collect();
    one_lineage(Path::new(&receipt.destination), named.iter().copied())?;
    newest(all.iter().filter(|set| named.iter().any(|named| named.lineage == set.lineage)))
}

/// The directories with data of earlier sets that a person names.
fn data_of(options: &ArchiveOptions) -> Result<Vec<Shelf>> {
    let open = |path: &PathBuf| {
        if path.exists() {
            return Shelf::open(path);
        }
        let error = Error::usage(format!("--parent-data {}: there is no such directory", path.display()));
        Err(error.hint("name an archive directory, or say auto, registry or none"))
    };
    options.delta.folders().map(open).collect()
}

/// The newest of these sets; two of the same generation are two heads.
pub(super) fn newest<'a>(sets: impl Iterator<Item = &'a KnownSet>) -> Result<Option<KnownSet>> {
    let mut newest: Option<&KnownSet> = None;
    for set in sets {
        match newest {
            // A base that was made of a chain says the same as the newest set of that, and needs less.
            Some(there) if there.generation == set.generation && set.merged_from == Some(there.id) => newest = Some(set),
            Some(there) if there.generation == set.generation && there.merged_from == Some(set.id) => {}
            Some(there) if there.generation == set.generation && there.id != set.id => {
                return Err(Error::usage(format!("lineage {:?} has two sets {}", set.name, set.generation))
                    .hint("say which one to build on with --since"));
            }
            Some(there) if there.generation >= set.generation => {}
            _ => newest = Some(set),
        }
    }
    Ok(newest.cloned())
}

pub(super) fn one_lineage<'a>(place: &Path, sets: impl IntoIterator<Item = &'a KnownSet>) -> Result<()> {
    let mut names: Vec<(&str, [u8; 16])> = sets.into_iter().map(|set| (set.name.as_str(), set.lineage)).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] | [_] => Ok(()),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(Error::usage(format!("{}: it holds sets of several lineages: {}", place.display(), names.join(", ")))
                .hint("say which one with --for NAME"))
        }
    }
}

fn next_generation<'a>(sets: impl IntoIterator<Item = &'a KnownSet>, lineage: [u8; 16]) -> u32 {
    let generations = sets.into_iter().filter(|set| set.lineage == lineage).map(|set| set.generation);
    generations.max().unwrap_or(0).saturating_add(1)
}

/// In an empty directory a base is written; who has sets elsewhere may have meant a delta.
fn hint_at(known: &[KnownSet], monitor: &dyn Monitor) {
    let mut names: Vec<&str> = known.iter().map(|set| set.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        monitor.event(Event::Note(&format!(
            "a new lineage begins here; for a delta on one made before say --for NAME ({})",
            names.join(", ")
        )));
    }
}

fn folder_name(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "archive".to_owned())
}

fn is_date(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok()
}

/// The midnight UTC that a date begins with, in seconds since 1970.
fn midnight(date: &str) -> u64 {
    let midnight = date.parse::<jiff::civil::Date>().ok().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    midnight.and_then(|midnight| u64::try_from(midnight.timestamp().as_second()).ok()).unwrap_or(0)
}
