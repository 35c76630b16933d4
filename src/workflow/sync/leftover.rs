//! What an interrupted run has left in an archive directory: a set to go on with, or the last steps of a finished one.
//!
//! **Invariants.** The caller holds the lock of the directory, but for a dry run, which changes nothing here.
//!
//! *Not here:* how a set goes on (`store::archive`).

use std::path::{Path, PathBuf};

use super::command::Command;
use super::parity;
use super::{Request, Settings};
use crate::error::Result;
use crate::monitor::Event;
use crate::store::archive::{self, SetFacts, Shelf, Unfinished};
use crate::workflow::blocking;
use crate::workspace::{Released, Workspace};

/// Does what is left to be done for a set whose last volume has its name: its catalogue, handing it over, tidying up. Says
/// which lineage the set is of, where there was one.
pub(super) async fn complete(request: &Request, folder: &Path, settings: &Settings, workspace: &Workspace) -> Result<Option<[u8; 16]>> {
    let (request, workspace, there) = (request.clone(), workspace.clone(), folder.to_owned());
    let finished = blocking(move || {
        let folder = there;
        let Some(unfinished) = Unfinished::load(&folder)? else { return Ok(None) };
        let Some(set) = finished(&unfinished, &folder, &workspace.catalogues())? else { return Ok(None) };
        let command = Command::of(&request, &workspace, released(set.id(), set.lineage_name(), set.generation(), &folder));
        archive::complete(&folder, &set, workspace.catalogues(), handing(command.clone()))?;
        let beside = catalogue_of(&unfinished, &folder)?;
        hand_over_catalogue(command.as_ref(), &folder, beside)?;
        Ok(Some(set))
    })
    .await?;
    if let Some(set) = &finished {
        parity::complete(folder, set, settings).await?;
        Unfinished::discard(folder, None)?;
    }
    Ok(finished.map(|set| {
        let note = format!("set {} was finished by a run that was interrupted; its last steps are done now", set.generation());
        settings.monitor.event(Event::Note(&note));
        set.lineage_bytes()
    }))
}

/// The plan of an interrupted run, if this is the same request.
pub(super) fn resumable(folder: &Path, key: &str, settings: &Settings) -> Result<Option<Unfinished>> {
    let Some(unfinished) = Unfinished::load(folder)? else { return Ok(None) };
    let (place, monitor) = (folder.display(), &settings.monitor);
    if unfinished.request == key {
        monitor.event(Event::Note(&format!("{place}: going on with the set that an interrupted run has begun")));
        return Ok(Some(unfinished));
    }
    monitor.event(Event::Warning(&format!("{place}: an interrupted run of another request lies here; what it had fetched is not used")));
    Ok(None)
}

/// What is let go of a set, before anything is.
pub(super) fn released(set: String, lineage: &str, generation: u32, folder: &Path) -> Released {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    Released { set, lineage: lineage.to_owned(), generation, folder, files: Vec::new() }
}

/// A command as the writer calls it.
pub(super) fn handing(command: Option<Command>) -> archive::HandOver {
    Box::new(move |volume| command.as_ref().map_or(Ok(false), |command| command.run(volume)))
}

/// Runs the command for the files of a catalogue, given with their numbers; says which of them are left. The plan in `folder`
/// keeps which of them it was run for, so that it is run once for each, also where a run stops between two.
pub(super) fn hand_over_catalogue(command: Option<&Command>, folder: &Path, files: Vec<(u32, PathBuf)>) -> Result<Vec<PathBuf>> {
    let Some(command) = command else { return Ok(files.into_iter().map(|(_, path)| path).collect()) };
    let (mut plan, mut left) = (Unfinished::load(folder)?, Vec::new());
    for (number, path) in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let done = plan.as_ref().is_some_and(|plan| plan.handed_on.contains(&name));
        let gone = !done && command.run_for_catalogue(number, &path)?;
        if let Some(plan) = plan.as_mut().filter(|_| !done) {
            plan.handed_on.push(name);
            plan.save(folder)?;
        }
        if !gone {
            left.push(path);
        }
    }
    Ok(left)
}

/// The set of a plan, where it is finished: no volume is in the making, and its manifest is here or was kept in the workspace.
fn finished(unfinished: &Unfinished, folder: &Path, catalogues: &Path) -> Result<Option<SetFacts>> {
    if unfinished.is_in_the_making(folder)? {
        return Ok(None);
    }
    for place in [folder, catalogues] {
        let shelf = Shelf::open(place)?;
        let set = shelf.found().sets.iter().find(|set| set.id().to_string() == unfinished.set && set.manifest.is_some());
        if let Some(set) = set {
            return SetFacts::of(set).map(Some);
        }
    }
    Ok(None)
}

/// The files of the catalogue beside the volumes, with their numbers.
fn catalogue_of(unfinished: &Unfinished, folder: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let shelf = Shelf::open(folder)?;
    let set = shelf.found().sets.iter().find(|set| set.id().to_string() == unfinished.set);
    Ok(set.iter().flat_map(|set| &set.catalogues).map(|(number, file)| (*number, file.path.clone())).collect())
}
