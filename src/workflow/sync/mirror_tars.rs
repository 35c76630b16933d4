//! [`settle`]: leaves an archive directory as oc-mirror leaves one, under whose name ocm runs (semantics H.1).
//!
//! **Invariants.** A set in the making is not touched: the run that goes on with it comes first.
//!
//! *Not here:* how files are moved and called (`store::archive`).

use std::collections::BTreeSet;
use std::path::Path;

use super::lineage::{newest, one_lineage};
use crate::error::{Error, Result};
use crate::image::{Digest, Reference};
pub use crate::store::archive::MirrorTars;
use crate::store::archive::foreign::foreign;
use crate::store::archive::{ArchiveSource, Lock, Shelf, Unfinished, settle_as};
use crate::workspace::Workspace;

/// Leaves exactly the newest set in `folder`, as `mirror_000001.tar` and so on; earlier ones move to `workspace`. Where a run
/// was interrupted, or no set is, nothing is done.
pub fn settle(folder: &Path, workspace: &Workspace) -> Result<MirrorTars> {
    if !folder.is_dir() {
        return Ok(MirrorTars::default());
    }
    let _lock = Lock::take(folder, &format!("process {}", std::process::id()))?;
    let sets = Shelf::open(folder)?.known_sets();
    one_lineage(folder, &sets)?;
    match newest(sets.iter())? {
        Some(newest) if Unfinished::load(folder)?.is_none() => settle_as(folder, &newest, &workspace.old_sets()),
        _ => Ok(MirrorTars::default()),
    }
}

/// The lineage that a workspace continues: that of the newest set made there; `None` where none was.
pub fn lineage(workspace: &Workspace) -> Result<Option<String>> {
    let known = Shelf::open_together(&workspace.known_sets()?)?.known_sets();
    Ok(known.into_iter().max_by_key(|set| (set.time, set.generation)).map(|set| set.name))
}

/// What the newest set made in a workspace lists; nothing where none was.
pub fn listed(workspace: &Workspace) -> Result<BTreeSet<(Reference, Digest)>> {
    let shelf = Shelf::open_together(&workspace.known_sets()?)?;
    let Some(newest) = shelf.known_sets().into_iter().max_by_key(|set| (set.time, set.generation)) else { return Ok(BTreeSet::new()) };
    let source = ArchiveSource::of_known(&newest, &[&shelf])?;
    let items = source.sets().iter().flat_map(|set| set.contents.items());
    Ok(items.filter_map(|item| Some((item.origin.clone(), item.digest()?))).collect())
}

/// Fails where there is no archive in `folder`; one of oc-mirror is named.
pub fn find(folder: &Path) -> Result<()> {
    let shelf = Shelf::open(folder)?;
    if !shelf.found().sets.is_empty() || !shelf.found().strangers.is_empty() {
        return Ok(());
    }
    let nothing = Error::failed(format!("no tar archives matching \"mirror_[0-9]{{6}}\\.tar\" found in \"{}\"", folder.display()));
    match (foreign(folder).is_empty(), shelf.select(None).map(|_| ())) {
        (false, Err(theirs)) => Err(theirs),
        _ => Err(nothing.hint("name the directory that the archives were copied to")),
    }
}
