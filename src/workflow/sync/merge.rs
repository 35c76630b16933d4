//! [`merge`]: makes one base of a chain of sets.
//!
//! **Invariants.** The base lists what the newest set lists, and gives the same blobs; it goes by the same lineage and generation.
//! The chain stays as it is.
//!
//! *Not here:* what a chain is (`store::archive`).

use std::path::PathBuf;

use super::lineage::{Line, newest, one_lineage};
use super::origins::Origins;
use super::to_archive::{self, Fixed};
use super::{ArchiveOptions, Delta, Outcome, Packing, Settings};
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::store::archive::{Chain, KnownSet, Shelf};
use crate::workflow::blocking;
use crate::workspace::Workspace;

/// What is to be merged, and where to.
#[derive(Debug, Clone)]
pub struct Request {
    /// The archive directories that hold the chain, with the generation that is its newest, where that is said; at least one.
    pub from: Vec<(PathBuf, Option<u32>)>,
    /// The archive directory that gets the base.
    pub to: PathBuf,
    /// The name of the lineage, where there are several.
    pub lineage: Option<String>,
    /// The size that every file stays strictly below, in bytes.
    pub volume_bytes: u64,
    /// How content is packed.
    pub packing: Packing,
}

/// Makes one base of the newest set there, and all that it needs.
pub async fn merge(request: Request, settings: &Settings) -> Result<Outcome> {
    let workspace = Workspace::new(settings.workspace());
    let (from, to, lineage) = (request.from.clone(), request.to.clone(), request.lineage.clone());
    let (head, chain) = blocking(move || open(&from, &to, lineage.as_deref())).await?;
    let line = Line { lineage: Some(head.lineage), name: head.name, generation: head.generation, parent: None };
    let fixed = Fixed { line: Some(line), options: [chain.option()].into_iter().collect(), merged_from: chain.generations(), again: None };
    let origins = Origins::of(chain.source);
    to_archive::bring(&sync_of(&request), &request.to, &origins, settings, &workspace, fixed).await
}

/// The chain, by its newest set.
fn open(from: &[(PathBuf, Option<u32>)], to: &std::path::Path, lineage: Option<&str>) -> Result<(KnownSet, Chain)> {
    let (mut shelves, mut sets) = (Vec::new(), Vec::new());
    for (path, generation) in from {
        let shelf = Shelf::open(path)?;
        let known = shelf.known_sets().into_iter().filter(|set| generation.is_none_or(|wanted| set.generation == wanted));
        sets.extend(known.filter(|set| lineage.is_none_or(|name| set.name == name)));
        shelves.push(shelf);
    }
    let names: Vec<String> = from.iter().map(|(path, _)| path.display().to_string()).collect();
    let place = PathBuf::from(names.join(", "));
    one_lineage(&place, &sets)?;
    let Some(head) = newest(sets.iter())? else {
        let error = Error::usage(format!("{}: there is no set here that could be merged", place.display()));
        return Err(error.hint("name the archive directories that hold the chain, and last where to"));
    };
    let there = Shelf::open(to)?.known_sets();
    if let Some(set) = there.iter().find(|set| set.lineage == head.lineage && set.generation >= head.generation) {
        let (to, name, generation) = (to.display(), &set.name, set.generation);
        return Err(
            Error::usage(format!("{to}: set {generation} of {name:?} is there already")).hint("name another directory for the base")
        );
    }
    let shelves: Vec<&Shelf> = shelves.iter().collect();
    let chain = Chain::open(&head, &shelves)?;
    Ok((head, chain))
}

/// The sync that a merge is.
fn sync_of(request: &Request) -> super::Request {
    let place = |(path, generation): &(PathBuf, Option<u32>)| Location::Archive { path: path.clone(), generation: *generation };
    super::Request {
        from: request.from.iter().map(place).collect(),
        wishes: None,
        to: Location::Archive { path: request.to.clone(), generation: None },
        all_tags: false,
        platforms: Vec::new(),
        keep_host: false,
        attachments: Default::default(),
        max_nested_paths: None,
        salvage: false,
        allow_older: true,
        base: Vec::new(),
        check_base: false,
        archive: ArchiveOptions {
            volume_bytes: request.volume_bytes,
            since: None,
            full: true,
            lineage: None,
            only: true,
            refresh: false,
            packing: request.packing,
            delta: Delta::default(),
            parity: None,
            on_volume: None,
            release: false,
        },
        publish: Default::default(),
        dry_run: false,
    }
}
