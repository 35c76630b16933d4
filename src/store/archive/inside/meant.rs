//! [`Meant`]: the sets that a person means to look into, in one place or several, and opening them as one.
//!
//! **Invariants.** The newest whole set of each lineage, a generation that was named, or all (semantics A.3). The volumes of a set may be
//! spread over the places. A set is read once, wherever else it lies.
//!
//! *Not here:* files that come and go (`mending`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ocm_format::layout::Id;
use ocm_format::reader::Options;
use ocm_format::set::SetFiles;

use super::mending::Mending;
use crate::error::Result;
use crate::image::Inside;
use crate::store::archive::shelf::lacks;
use crate::store::archive::signed::{Admit, admit_chosen};
use crate::store::archive::source::{ArchiveSource, SetFacts};
use crate::store::archive::{Shelf, told};

/// The sets that a person means.
#[derive(Clone)]
pub struct Meant {
    /// Archive directories or single files, with the generation that alone is meant there; at least one.
    pub places: Vec<(PathBuf, Option<u32>)>,
    /// All whole sets, not the newest of each lineage alone.
    pub all_sets: bool,
    /// More directories with what these sets build on.
    pub base: Vec<PathBuf>,
    /// What decoded content may take in memory, in bytes.
    pub cache_bytes: u64,
    /// Refuses sets that are not to be shown; with it, only what these vouch for is read.
    pub admit: Option<Admit>,
}

/// Sets that are open.
pub struct OpenSets {
    /// What is in them.
    pub inside: Arc<dyn Inside>,
    /// The sets.
    pub sets: Vec<SetFacts>,
    /// Sets that are passed over because they lack volumes, as text for a person.
    pub passed_over: Vec<String>,
}

impl Meant {
    /// Opens them. What is missing or damaged from now on is looked for again when it is asked for.
    pub fn open(self) -> Result<OpenSets> {
        let (source, passed_over) = self.source()?;
        let sets = source.sets().to_vec();
        Ok(OpenSets { inside: Arc::new(Mending::new(self, source)), sets, passed_over })
    }

    /// Opens them as they are now; says which sets are passed over.
    pub(super) fn source(&self) -> Result<(ArchiveSource, Vec<String>)> {
        let paths: Vec<PathBuf> = self.places.iter().map(|(path, _)| path.clone()).collect();
        let mut shelf = Shelf::open_together(&paths)?;
        let mut bases = self.base.iter().map(|path| Shelf::open(path)).collect::<Result<Vec<_>>>()?;
        let (mut chosen, mut passed_over) = (BTreeSet::new(), BTreeSet::new());
        for (path, generation) in &self.places {
            let here: Vec<&SetFiles> = shelf.sets_at(path).collect();
            let found = self.choose(&shelf, &here, *generation, &mut passed_over)?;
            chosen.extend(found);
        }
        if let Some(judge) = &self.admit {
            let mut shelves: Vec<&mut Shelf> = std::iter::once(&mut shelf).chain(&mut bases).collect();
            admit_chosen(judge, &chosen, &mut shelves)?;
        }
        let sets = || shelf.found().sets.iter();
        // In the order of the shelf: of each lineage the newest first.
        let chosen: Vec<&SetFiles> = sets().filter(|set| chosen.contains(&set.id())).collect();
        let shelves: Vec<&Shelf> = std::iter::once(&shelf).chain(&bases).collect();
        let options = Options { cache_bytes: self.cache_bytes, ..Options::default() };
        let source = ArchiveSource::open_with(shelf.path(), &chosen, &shelves, options)?;
        Ok((source, passed_over.into_iter().collect()))
    }

    fn choose(&self, shelf: &Shelf, here: &[&SetFiles], generation: Option<u32>, passed_over: &mut BTreeSet<String>) -> Result<Vec<Id>> {
        let known = |set: &&&SetFiles| set.manifest.is_some() && generation == Some(set.header.generation);
        let named: Vec<Id> = here.iter().filter(known).map(|set| set.id()).collect();
        // A generation that was named is shown as far as it is here, if its manifest is.
        if !named.is_empty() {
            return Ok(named);
        }
        let selection = shelf.select(generation)?;
        let mut ids: Vec<Id> = selection.sets.iter().map(|set| set.id()).collect();
        passed_over.extend(selection.newer.iter().map(|text| format!("{}: {text}", shelf.path().display())));
        if self.all_sets {
            let (whole, others): (Vec<&SetFiles>, Vec<&SetFiles>) = here.iter().partition(|set| set.is_complete());
            ids.extend(whole.iter().map(|set| set.id()));
            passed_over.extend(others.iter().map(|set| format!("{}: {}", shelf.path().display(), lacks(set))));
        }
        ids.retain(|id| here.iter().any(|set| set.id() == *id));
        Ok(ids)
    }

    /// All volumes at these places now, with what tells whether a file is the same.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in self.places.iter().map(|(path, _)| path).chain(&self.base) {
            if path.is_dir() {
                files.extend(ocm_format::set::files(path).map_err(|error| told(&error))?);
            } else {
                files.push(path.clone());
            }
        }
        Ok(files)
    }
}
