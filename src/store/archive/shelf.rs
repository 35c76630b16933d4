//! [`Shelf`]: an archive directory: which sets are in it, and which of them a person means.
//!
//! **Invariants.** A set is meant only if all of its volumes are here. A newer one that lacks volumes is named, never
//! passed over in silence (semantics A.3).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ocm_format::layout::{Id, VolumeKind};
use ocm_format::set::{self, Found, SetFiles};

use super::foreign::foreign;
use super::told;
use crate::error::{Error, Result};

/// The sets of an archive directory, of several together, or of one file.
#[derive(Debug)]
pub struct Shelf {
    path: PathBuf,
    found: Found,
    let_go: BTreeMap<Id, BTreeSet<u32>>,
}

/// Volumes of a set that were handed on and let go when they were written: they are elsewhere, not missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGo {
    /// The set id, 32 hex digits.
    pub set: String,
    /// The numbers of its data volumes that were let go.
    pub volumes: Vec<u32>,
}

/// The sets that a person means.
#[derive(Debug)]
pub struct Selection<'a> {
    /// One of each lineage, whole.
    pub sets: Vec<&'a SetFiles>,
    /// Sets that are newer and lack volumes, as text for a person.
    pub newer: Vec<String>,
}

/// A set whose manifest is here, with or without its volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSet {
    /// The set id.
    pub id: [u8; 16],
    /// The lineage id.
    pub lineage: [u8; 16],
    /// The name of the lineage.
    pub name: String,
    /// The generation, from 1.
    pub generation: u32,
    /// The time, in seconds since 1970.
    pub time: u64,
    /// The id of the set that it says the same as, where it is a base made of the chain of that one.
    pub merged_from: Option<[u8; 16]>,
}

impl KnownSet {
    /// The set id, 32 hex digits.
    #[must_use]
    pub fn id_text(&self) -> String {
        Id(self.id).to_string()
    }
}

impl Shelf {
    /// Looks into a directory, or at one file. A directory that is not there is an empty shelf.
    pub fn open(path: &Path) -> Result<Self> {
        let found = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => set::scan(path).map_err(|error| told(&error))?,
            Ok(_) => set::group([path.to_owned()]),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::default(),
            Err(error) => return Err(Error::io(path.display(), &error)),
        };
        Ok(Self { path: path.to_owned(), found, let_go: BTreeMap::new() })
    }

    /// Looks into several directories or files at once: the volumes of a set may be spread over them. The first one gives its name.
    pub fn open_together(paths: &[PathBuf]) -> Result<Self> {
        if let [path] = paths {
            return Self::open(path);
        }
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(set::files(path).map_err(|error| told(&error))?);
            } else {
                files.push(path.clone());
            }
        }
        let path = paths.first().cloned().unwrap_or_default();
        Ok(Self { path, found: set::group(files), let_go: BTreeMap::new() })
    }

    /// The sets of which a file is at `path`.
    pub fn sets_at<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a SetFiles> {
        let files = |set: &'a SetFiles| set.volumes.values().chain(set.catalogues.values());
        self.found.sets.iter().filter(move |set| files(set).any(|file| file.path.starts_with(path)))
    }

    /// Looks into a directory of which it is known what was let go. The catalogue of such a set speaks for it where nothing
    /// here does; it is one of those on `catalogues`.
    pub fn open_knowing(path: &Path, known: &[LetGo], catalogues: &Self) -> Result<Self> {
        let mut shelf = Self::open(path)?;
        let mut told_by = Vec::new();
        for known in known {
            let speaks = |set: &&SetFiles| set.id().to_string() == known.set && set.manifest.is_some();
            let here = shelf.found.sets.iter().find(speaks);
            let Some(set) = here.or_else(|| catalogues.found.sets.iter().find(speaks)) else { continue };
            shelf.let_go.insert(set.id(), known.volumes.iter().copied().collect());
            if here.is_none() {
                told_by.extend(set.catalogues.values().map(|file| file.path.clone()));
            }
        }
        if !told_by.is_empty() {
            let here = if path.is_dir() { set::files(path).map_err(|error| told(&error))? } else { Vec::new() };
            shelf.found = set::group(here.into_iter().chain(told_by));
        }
        Ok(shelf)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that was found.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Lets go of the sets that are not wanted.
    pub(super) fn keep(&mut self, wanted: impl FnMut(&SetFiles) -> bool) {
        self.found.sets.retain(wanted);
    }

    /// The sets that `generation` means: that one, or the newest whole one of each lineage.
    pub fn select(&self, generation: Option<u32>) -> Result<Selection<'_>> {
        let (mut selection, mut damaged) = (Selection { sets: Vec::new(), newer: Vec::new() }, false);
        let mut lineages: Vec<Id> = self.found.sets.iter().map(|set| set.header.lineage).collect();
        lineages.dedup();
        for lineage in lineages {
            let wanted = |set: &&SetFiles| set.header.lineage == lineage && generation.is_none_or(|wanted| set.header.generation == wanted);
            for set in self.found.sets.iter().filter(wanted) {
                if set.is_complete() {
                    selection.sets.push(set);
                    break;
                }
                selection.newer.push(lacks(set));
                damaged |= !set.broken.is_empty() || !set.problems.is_empty();
            }
        }
        if selection.sets.is_empty() { Err(self.nothing(generation, &selection.newer, damaged)) } else { Ok(selection) }
    }

    /// The numbers of the volumes of a set that are not here because they were let go.
    #[must_use]
    pub fn let_go(&self, set: &SetFiles) -> Vec<u32> {
        let is_broken = |number: &u32| set.broken.iter().any(|file| (file.header.kind, file.header.number) == (VolumeKind::Data, *number));
        let known = self.let_go.get(&set.id());
        let gone = set.lacking().numbers.into_iter().filter(|number| known.is_some_and(|known| known.contains(number)));
        gone.filter(|number| !is_broken(number)).collect()
    }

    /// The sets whose manifests are here.
    #[must_use]
    pub fn known_sets(&self) -> Vec<KnownSet> {
        let known = |set: &SetFiles| {
            let manifest = set.manifest.as_ref()?;
            let (id, lineage, name) = (manifest.set.0, manifest.lineage.id.0, manifest.lineage.name.clone());
            let merged_from = super::chain::merged_from(&manifest.options);
            Some(KnownSet { id, lineage, name, generation: manifest.generation, time: manifest.time, merged_from })
        };
        self.found.sets.iter().filter_map(known).collect()
    }

    /// The set with this id.
    #[must_use]
    pub fn set(&self, id: Id) -> Option<&SetFiles> {
        self.found.sets.iter().find(|set| set.id() == id)
    }

    fn nothing(&self, generation: Option<u32>, lacking: &[String], damaged: bool) -> Error {
        let path = self.path.display();
        if let Some(first) = lacking.first().filter(|_| damaged) {
            return Error::damaged(format!("{path}: {first}")).hint("copy the files that are named again, or bring another copy of them");
        }
        if let Some(first) = lacking.first() {
            let error = Error::needed(format!("{path}: {first}"));
            return error.hint("bring the volumes that are missing; `ocm gather` collects them from several media");
        }
        if let (Some(generation), false) = (generation, self.found.sets.is_empty()) {
            let here: Vec<String> = self.found.sets.iter().map(|set| set.header.generation.to_string()).collect();
            return Error::usage(format!("{path}: there is no set {generation} here; there is set {}", here.join(", ")));
        }
        match self.found.strangers.first() {
            Some((_, error)) => told(error).context(format!("{path}: no archive can be read here")),
            None if !self.path.exists() => {
                Error::usage(format!("{path}: there is no such directory")).hint("name an archive directory, docker://… or oci:…")
            }
            None => match foreign(&self.path).first() {
                Some(file) => of_oc_mirror(file),
                None => Error::usage(format!("{path}: there is no ocm archive here"))
                    .hint("an archive is a directory with files NAME.g0001-….ocm.tar"),
            },
        }
    }
}

/// What is to be said of an archive of oc-mirror that somebody wants to read.
fn of_oc_mirror(file: &Path) -> Error {
    Error::usage(format!("{}: it is an archive of oc-mirror, which ocm cannot read yet", file.display()))
        .note("nothing in it was touched")
        .hint("push it with oc-mirror --v2, or make it anew with the same configuration: ocm sync -c FILE DIR")
}

/// What a set lacks, for a person.
pub(super) fn lacks(set: &SetFiles) -> String {
    let lacking = set.lacking();
    let numbers: Vec<String> = lacking.numbers.iter().map(u32::to_string).collect();
    let what = match (numbers.as_slice(), lacking.more) {
        ([], _) => "its last volume".to_owned(),
        ([one], false) => format!("volume {one} of {}", set.volume_count().unwrap_or_default()),
        (some, false) => format!("volumes {} of {}", some.join(", "), set.volume_count().unwrap_or_default()),
        (some, true) => format!("volume {} and its last one", some.join(", ")),
    };
    let broken = set.broken.iter().map(|file| format!("; {}: {}", file.path.display(), file.error.message()));
    let problems = set.problems.iter().map(|error| format!("; {error}"));
    format!("set {} lacks {what}{}", set.header.generation, broken.chain(problems).collect::<String>())
}
