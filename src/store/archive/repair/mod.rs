//! [`repair`]: rebuilds lost and damaged volumes, or says what must be brought for that.
//!
//! **Invariants.** Nothing is changed in place: a new file is proved in every byte, and by root and size, before it gets the name of what
//! it replaces, and what it replaces stays, in the folder `damaged`. With another folder named, nothing is written beside the set.
//!
//! *Not here:* what is damaged (`assess`), names and places (`place`), answering tickets (`answer`).

mod answer;
mod assess;
mod place;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ocm_format::layout::{Header, VolumeKind};
use ocm_format::mend::{Patch, Ticket, Wanted};
use ocm_format::parity;
use ocm_format::set::SetFiles;
use ocm_format::set::name::file_name;
use serde::Serialize;

pub use self::answer::{Answer, answer};
pub(super) use self::assess::assess;
use self::assess::{Assessment, lineage_of};
use self::place::Place;
use super::check::FileKind;
use super::parity::{Amount, unless_stopped};
use super::shelf::Shelf;
use super::{Lock, told};
use crate::durable::write_whole;
use crate::error::{Error, Result};
use crate::monitor::{Event, Monitor};

/// What is to be repaired, and how.
#[derive(Debug)]
pub struct Request {
    /// The archive directory.
    pub shelf: Shelf,
    /// The generation that alone is repaired.
    pub generation: Option<u32>,
    /// Where new files go, if not beside the set.
    pub to: Option<PathBuf>,
    /// Where what must be brought is written down.
    pub ticket: Option<PathBuf>,
    /// Patches that were brought.
    pub with: Vec<PathBuf>,
    /// Threads that hash.
    pub threads: usize,
}

/// What became of a set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetOutcome {
    /// Its id, 32 hex digits.
    pub set: String,
    /// Its generation.
    pub generation: u32,
    /// How many parity volumes of it could be used.
    pub parity_volumes: u32,
    /// What was rebuilt.
    pub rebuilt: Vec<Rebuilt>,
    /// What did not come out as it must.
    pub failed: Vec<Failed>,
    /// What must be brought.
    pub lacking: Vec<Lacking>,
    /// The ticket that asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<PathBuf>,
    /// What else is wrong, and cannot be repaired here.
    pub problems: Vec<String>,
}

/// A volume that was rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebuilt {
    /// What it is.
    pub kind: FileKind,
    /// Its number within its kind.
    pub number: u32,
    /// The new file.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Where the damaged file is now; absent where there was none, or where it stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
}

/// A volume that did not come out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// What it is.
    pub kind: FileKind,
    /// Its number within its kind.
    pub number: u32,
    /// The reason.
    pub why: String,
}

/// Bytes that must be brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lacking {
    /// The number of the data volume, or of the first.
    pub volume: u32,
    /// Where they begin; absent where the whole volume is lacking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many they are, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether all volumes after it are lacking too.
    pub and_after: bool,
}

impl Lacking {
    pub(super) fn of(wanted: &Wanted, set: &SetFiles) -> Self {
        let size = |number: u32| set.manifest.as_ref().and_then(|manifest| manifest.volume(number)).map(|entry| entry.bytes);
        let and_after = matches!(wanted, Wanted::From { .. });
        let (offset, bytes) = match wanted {
            Wanted::Range { range, .. } => (Some(range.start), Some(range.end - range.start)),
            Wanted::Whole { volume } => (None, size(*volume)),
            Wanted::From { .. } => (None, None),
        };
        Self { volume: wanted.volume(), offset, bytes, and_after }
    }
}

/// Repairs the sets of an archive.
pub fn repair(request: &Request, monitor: &dyn Monitor, stop: &AtomicBool) -> Result<Vec<SetOutcome>> {
    let patches = request.with.iter().map(|path| open_patch(path)).collect::<Result<Vec<_>>>()?;
    let wanted = |set: &&SetFiles| request.generation.is_none_or(|wanted| set.header.generation == wanted);
    let sets: Vec<&SetFiles> = request.shelf.found().sets.iter().filter(wanted).collect();
    if sets.is_empty() {
        request.shelf.select(request.generation)?;
    }
    if let Some(patch) = patches.iter().find(|patch| !sets.iter().any(|set| set.id() == patch.set())) {
        let text = format!("{}: it is for set {}, which is not here", patch.path().display(), patch.set());
        return Err(Error::usage(text).hint("name the archive that its ticket was written for"));
    }
    let repairs = sets.into_iter().map(|set| Repair { request, set, monitor, stop }.run(&patches));
    let mut outcomes = repairs.collect::<Result<Vec<_>>>()?;
    write_ticket(request, &mut outcomes)?;
    Ok(outcomes.into_iter().map(|(outcome, _)| outcome).collect())
}

fn open_patch(path: &Path) -> Result<Patch> {
    let patch = Patch::open(path).and_then(|patch| patch.check().map(|()| patch));
    patch.map_err(|error| told(&error).hint("copy the patch again from where it was made"))
}

/// Tells of bytes as they are read, until it is to stop.
fn moving<'a>(monitor: &'a dyn Monitor, name: &'a str, stop: &'a AtomicBool) -> impl FnMut(u64) -> ControlFlow<()> + 'a {
    move |bytes| {
        monitor.event(Event::Moved { image: name, bytes });
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Writes the ticket of the one set that lacks something.
fn write_ticket(request: &Request, outcomes: &mut [(SetOutcome, Option<Ticket>)]) -> Result<()> {
    let Some(path) = &request.ticket else { return Ok(()) };
    let mut lacking = outcomes.iter_mut().filter_map(|(outcome, ticket)| Some((outcome, ticket.as_ref()?)));
    let Some((outcome, ticket)) = lacking.next() else { return Ok(()) };
    if let Some((other, _)) = lacking.next() {
        let text = format!("sets {} and {} both lack something, and a ticket is for one", outcome.generation, other.generation);
        return Err(Error::usage(text).hint("name one set: DIR@N"));
    }
    write_whole(path, ticket.to_text().as_bytes())?;
    outcome.ticket = Some(path.clone());
    Ok(())
}

/// The repair of one set.
struct Repair<'a> {
    request: &'a Request,
    set: &'a SetFiles,
    monitor: &'a dyn Monitor,
    stop: &'a AtomicBool,
}

impl Repair<'_> {
    fn run(&self, patches: &[Patch]) -> Result<(SetOutcome, Option<Ticket>)> {
        let own: Vec<Patch> = patches.iter().filter(|patch| patch.set() == self.set.id()).cloned().collect();
        let report = self.check()?;
        let mut assessment = assess(&self.request.shelf, self.set, &report, &own, self.monitor, self.stop)?;
        let root = self.set.root.or(assessment.root());
        own.iter().try_for_each(|patch| patch.expect(self.set.id(), root)).map_err(|error| told(&error))?;
        let mut outcome = SetOutcome {
            set: self.set.id().to_string(),
            generation: self.set.header.generation,
            parity_volumes: assessment.parity_volumes(),
            rebuilt: Vec::new(),
            failed: Vec::new(),
            lacking: assessment.wanted.iter().map(|wanted| Lacking::of(wanted, self.set)).collect(),
            ticket: None,
            problems: std::mem::take(&mut assessment.problems),
        };
        if assessment.wanted.is_empty() {
            self.mend(assessment, &mut outcome)?;
            return Ok((outcome, None));
        }
        outcome.problems.append(&mut assessment.parity_problems);
        let wanted = std::mem::take(&mut assessment.wanted);
        let ticket = Ticket { set: self.set.id(), generation: self.set.header.generation, root, wanted };
        Ok((outcome, Some(ticket)))
    }

    /// Reads every byte of the set.
    fn check(&self) -> Result<ocm_format::check::Report> {
        let name = format!("set {}", self.set.header.generation);
        let options = ocm_format::check::Options { quick: false, deep: false, threads: self.request.threads };
        let (mut done, mut moved) = (0, moving(self.monitor, &name, self.stop));
        let mut on_progress = |progress: ocm_format::check::Progress| {
            let fresh = progress.done_bytes.saturating_sub(std::mem::replace(&mut done, progress.done_bytes));
            moved(fresh)
        };
        let report = ocm_format::check::check(self.set, &[], options, &mut on_progress);
        if report.stopped { Err(unless_stopped(Error::failed("the check was stopped"), self.stop)) } else { Ok(report) }
    }

    /// Makes new files of what is damaged.
    fn mend(&self, mut assessment: Assessment, outcome: &mut SetOutcome) -> Result<()> {
        let parity = self.parity_wanted(&assessment);
        if parity.is_empty() {
            outcome.problems.append(&mut assessment.parity_problems);
        }
        if assessment.damaged.is_empty() && parity.is_empty() {
            return Ok(());
        }
        let to = self.request.to.as_deref().unwrap_or(self.request.shelf.path());
        std::fs::create_dir_all(to).map_err(|error| Error::io(to.display(), &error))?;
        let lock = Lock::take(to, &format!("process {}", std::process::id()));
        let _lock = lock.map_err(|error| if self.request.to.is_some() { error } else { error.hint("name another folder with --to") })?;
        let place = Place::new(self.request, self.set, to)?;
        let sizes: Vec<u64> = assessment.damaged.values().map(|expected| expected.bytes).collect();
        place.check_room(&sizes)?;
        self.make(&mut assessment, &place)?;
        for (number, expected) in &assessment.damaged {
            match place.prove(*number, expected, assessment.root())? {
                None => outcome.rebuilt.push(place.put(*number, expected.bytes)?),
                Some(why) => outcome.failed.push(Failed { kind: FileKind::Volume, number: *number, why }),
            }
        }
        if outcome.failed.is_empty() && !parity.is_empty() {
            self.mend_parity(&place, &assessment, &parity, outcome)?;
        }
        Ok(())
    }

    /// Writes the damaged data volumes anew, hidden.
    fn make(&self, assessment: &mut Assessment, place: &Place<'_>) -> Result<()> {
        let failed = |error: ocm_format::error::Error| unless_stopped(told(&error), self.stop);
        let targets: BTreeMap<u32, std::fs::File> =
            assessment.damaged.keys().map(|number| Ok((*number, place.begin(*number)?))).collect::<Result<_>>()?;
        if targets.is_empty() {
            return Ok(());
        }
        let name = format!("repair of set {}", self.set.header.generation);
        let mut on_bytes = moving(self.monitor, &name, self.stop);
        match &mut assessment.parity {
            Some((group, survey)) => {
                self.monitor.event(Event::Started { image: &name, bytes: group.shape.shard_bytes });
                parity::rebuild(group, survey, &targets, &mut on_bytes).map_err(failed)?;
            }
            None => {
                for (number, file) in &targets {
                    let expected = assessment.damaged.get(number).map_or(0, |expected| expected.bytes);
                    let holder = assessment.holders.get(number).cloned().unwrap_or_default();
                    ocm_format::mend::lay_over(&holder, expected, file).map_err(failed)?;
                }
            }
        }
        self.monitor.event(Event::Ended { image: &name, complete: true });
        targets.into_values().try_for_each(|file| file.sync_all()).map_err(|error| Error::io(place.folder().display(), &error))
    }

    /// The numbers of the parity volumes that are to be made again: none where no file of one is here, for then they are elsewhere.
    fn parity_wanted(&self, assessment: &Assessment) -> Vec<u32> {
        let options = self.set.manifest.as_ref().and_then(|manifest| Amount::of_options(&manifest.options));
        let count = self.set.volume_count().unwrap_or_default();
        let all = assessment.parity.as_ref().map(|(group, _)| group.shape.parity).or(options.map(|amount| amount.of(count)));
        let all = 1..=all.unwrap_or(0);
        let lineage = lineage_of(self.set);
        let name = |number| file_name(&lineage, &Header { kind: VolumeKind::Parity, number, ..self.set.header });
        let is_broken = self.set.broken.iter().any(|file| file.header.kind == VolumeKind::Parity);
        let is_here =
            !self.set.parity.is_empty() || is_broken || all.clone().any(|number| self.request.shelf.path().join(name(number)).exists());
        all.filter(|number| is_here && !assessment.sound_parity.contains(number)).collect()
    }

    /// Makes parity volumes again, where they come out as the others are.
    fn mend_parity(&self, place: &Place<'_>, assessment: &Assessment, numbers: &[u32], outcome: &mut SetOutcome) -> Result<()> {
        match self.parity_files(place, assessment, numbers) {
            Ok(rebuilt) => outcome.rebuilt.extend(rebuilt),
            Err(error) if error.kind() == crate::error::Kind::Interrupted => return Err(error),
            Err(error) => {
                let failed = |number: &u32| Failed { kind: FileKind::Parity, number: *number, why: error.to_string() };
                outcome.failed.extend(numbers.iter().map(failed));
            }
        }
        Ok(())
    }

    fn parity_files(&self, place: &Place<'_>, assessment: &Assessment, numbers: &[u32]) -> Result<Vec<Rebuilt>> {
        let set = place.set_again()?;
        let volumes = place.volumes(&set, &assessment.damaged)?;
        let known = assessment.parity.as_ref().map(|(group, _)| &group.header);
        let all = known.map_or_else(|| numbers.iter().max().copied().unwrap_or(0), |header| header.parity);
        let plan = super::parity::plan(&set, volumes, all)?;
        if known.is_some_and(|header| header != plan.parity()) {
            return Err(Error::usage("the others were made by another version of ocm, which lays them out in another way"));
        }
        let names = numbers.iter().map(|number| (*number, super::parity::name_of(&set, &plan, *number)));
        let partials: BTreeMap<u32, PathBuf> = names.clone().map(|(number, name)| (number, place.hidden(&name))).collect();
        super::parity::write(&set, &plan, place.folder(), &partials, self.monitor, self.stop)?;
        names.map(|(number, name)| place.put_parity(number, &name)).collect()
    }
}
