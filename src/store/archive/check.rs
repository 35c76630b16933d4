//! [`check`]: is every byte of an archive sound, and everything here that belongs to it?
//!
//! **Invariants.** Nothing is written. Damage never stops the check; images that it hurts are named, also those of later sets that build
//! on what is damaged. A file that is named alone is judged alone.
//!
//! *Not here:* what the findings mean for the run (`workflow`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ocm_format::check::{Damage, Options, Progress, Report};
use ocm_format::error::Kind;
use ocm_format::layout::{Id, Parent, VolumeKind};
use ocm_format::set::{self, SetFiles};
use serde::Serialize;

use super::copy::evict;
use super::listing::{self, FileNote, SetLine, contents};
use super::repair::{Lacking, assess};
use super::shelf::Shelf;
use super::signed::Signed;
use super::source::ArchiveSource;
use crate::error::{Error, Result};
use crate::image::manifest::Parts;
use crate::image::{Descriptor, Digest, Item, Manifest, Reference};
use crate::monitor::{Event, SharedMonitor};

/// What is to be checked.
#[derive(Debug)]
pub struct Request {
    /// Archive directories, with the generation that alone is checked.
    pub shelves: Vec<(Shelf, Option<u32>)>,
    /// Single files.
    pub files: Vec<PathBuf>,
    /// Only headers, footers, indexes, set manifests and sizes of files.
    pub quick: bool,
    /// Parents and released volumes that are elsewhere count as missing.
    pub complete: bool,
    /// Everything is read from the medium, past what memory holds of it.
    pub after_write: bool,
    /// Threads that hash, beside the one that reads.
    pub threads: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Each set, in the order of the paths, newest first.
    pub sets: Vec<SetVerdict>,
    /// Files that look like volumes and cannot be told to any set.
    pub strangers: Vec<FileNote>,
    /// Whether only headers, footers, indexes, set manifests and sizes were read.
    pub quick: bool,
}

/// What was found of one set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetVerdict {
    /// The set.
    pub set: SetLine,
    /// Whether single files of it were judged, not the set as a whole.
    pub files_alone: bool,
    /// Its files that were read.
    pub files: Vec<FileVerdict>,
    /// What is wrong, by volume and offset.
    pub damage: Vec<DamageLine>,
    /// How much more is wrong than is listed.
    pub more_damage: u64,
    /// Images that cannot be given back, and why.
    pub hurt: Vec<Hurt>,
    /// Numbers of volumes that are not here and should be.
    pub missing_volumes: Vec<u32>,
    /// Whether there may be more volumes than are known.
    pub last_unknown: bool,
    /// Earlier sets that it needs and that are not here.
    pub parents_elsewhere: Vec<String>,
    /// Whether these count as missing.
    pub parents_wanted: bool,
    /// Images of which only some platforms were taken.
    pub sparse_images: usize,
    /// Whether data volumes that are damaged or missing can be made again, where there are any and all was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repairable>,
}

/// Whether lost data volumes can be made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repairable {
    /// Whether what is here is enough.
    pub here: bool,
    /// How many sound parity volumes are here.
    pub parity_volumes: u32,
    /// The numbers of the data volumes that are lost.
    pub volumes: Vec<u32>,
    /// What must be brought, if it is not enough.
    pub lacking: Vec<Lacking>,
}

/// What was found of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileVerdict {
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Its number within its kind.
    pub number: u32,
    /// Its size, in bytes.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Whether nothing is wrong with it.
    pub sound: bool,
}

/// What a file of a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A data volume.
    Volume,
    /// A parity volume.
    Parity,
    /// A volume of the catalogue.
    Catalogue,
}

/// One place that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DamageLine {
    /// What kind of fault it is.
    pub fault: Fault,
    /// The file.
    pub path: Option<PathBuf>,
    /// What the file is, and its number.
    pub volume: Option<(FileKind, u32)>,
    /// Where it begins in the file.
    pub offset: u64,
    /// How many bytes it may reach over; 0 where that is not known.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// Bytes are not what they must be, or cannot be read.
    Damaged,
    /// This program cannot judge it.
    Unsupported,
}

/// An image that cannot be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hurt {
    /// Its name.
    pub image: Reference,
    /// Which parts of it are hurt: `manifest`, `config`, `layer 4`.
    pub parts: Vec<String>,
}

/// Checks what `request` names.
pub fn check(request: &Request, monitor: &SharedMonitor) -> Result<Verdict> {
    let alone = set::group(request.files.iter().cloned());
    let mut checked: Vec<(&SetFiles, Option<&Shelf>)> = Vec::new();
    for (shelf, generation) in &request.shelves {
        let sets = chosen(shelf, *generation)?;
        checked.extend(sets.into_iter().map(|set| (set, Some(shelf))));
    }
    checked.extend(alone.sets.iter().map(|set| (set, None)));
    if !request.quick {
        monitor.event(Event::Total { bytes: checked.iter().flat_map(|(set, _)| read_files(set)).map(|file| file.footer.file_bytes).sum() });
    }
    if request.after_write {
        checked.iter().flat_map(|(set, _)| read_files(set)).try_for_each(|file| write_out(&file.path))?;
    }
    let mut verdict = Verdict { quick: request.quick, ..Verdict::default() };
    let checks: Vec<Checking> = checked.into_iter().map(|(set, shelf)| Checking { set, shelf, request, monitor }).collect();
    let (sets, lost): (Vec<SetVerdict>, Vec<BTreeSet<Digest>>) = checks.iter().map(Checking::run).unzip();
    verdict.sets = sets;
    name_hurt(&checks, lost, &mut verdict.sets);
    // A file that is of no set is not of the one that is asked for.
    let whole = request.shelves.iter().filter(|(_, generation)| generation.is_none());
    let strangers = whole.flat_map(|(shelf, _)| &shelf.found().strangers).chain(&alone.strangers);
    verdict.strangers = strangers.map(|(path, error)| FileNote { path: path.clone(), why: error.message().to_owned() }).collect();
    Ok(verdict)
}

/// What is signed of the sets that `request` names, as far as their manifests are here.
pub fn signed(request: &Request) -> Result<Vec<Signed>> {
    let alone = set::group(request.files.iter().cloned());
    let mut all = Vec::new();
    for (shelf, generation) in &request.shelves {
        let sets = chosen(shelf, *generation)?.into_iter().filter(|set| set.manifest.is_some());
        all.extend(sets.map(|set| Signed::of(set, shelf.path())).collect::<Result<Vec<_>>>()?);
    }
    let alone = alone.sets.iter().filter(|set| set.manifest.is_some());
    all.extend(alone.map(|set| Signed::of(set, Path::new(""))).collect::<Result<Vec<_>>>()?);
    Ok(all)
}

/// Names the images that are hurt by what is `lost` in their set, or in those that it builds on as far as they were checked.
fn name_hurt(checks: &[Checking<'_>], lost: Vec<BTreeSet<Digest>>, verdicts: &mut [SetVerdict]) {
    let mut all: Vec<_> = checks.iter().zip(lost).zip(verdicts).collect();
    all.sort_by_key(|((checking, _), _)| checking.set.header.generation);
    let mut known: BTreeMap<Id, BTreeSet<Digest>> = BTreeMap::new();
    for ((checking, mut lost), verdict) in all {
        let set = checking.set;
        if let Parent::Set { id, .. } = set.header.parent
            && let Some(earlier) = known.get(&id).filter(|earlier| checking.shelf.is_some() && !earlier.is_empty())
        {
            lost.extend(ocm_format::check::spread(set, earlier));
        }
        verdict.hurt = checking.hurt(&lost);
        known.insert(set.id(), lost);
    }
}

/// The sets of a shelf that are checked. A directory without any archive, or without that set, is an error.
fn chosen(shelf: &Shelf, generation: Option<u32>) -> Result<Vec<&SetFiles>> {
    let wanted = |set: &&SetFiles| generation.is_none_or(|wanted| set.header.generation == wanted);
    let sets: Vec<&SetFiles> = shelf.found().sets.iter().filter(wanted).collect();
    if sets.is_empty() && (generation.is_some() || shelf.found().strangers.is_empty()) {
        shelf.select(generation)?;
    }
    Ok(sets)
}

/// Has a file written out, and lets go of what memory holds of it, so that what is read is what the medium holds.
fn write_out(path: &Path) -> Result<()> {
    use std::io::ErrorKind::{InvalidInput, NotFound, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    match synced {
        // Nothing can be waiting to be written there; and what cannot be opened is reported when it is read.
        Err(error) if ![InvalidInput, NotFound, PermissionDenied, ReadOnlyFilesystem, Unsupported].contains(&error.kind()) => {
            Err(Error::io(path.display(), &error).hint("look after this medium, or write to another one"))
        }
        _ => {
            evict(path);
            Ok(())
        }
    }
}

/// The files of a set that a check reads.
fn read_files(set: &SetFiles) -> impl Iterator<Item = &set::VolumeFile> {
    set.volumes.values().chain(set.catalogues.values()).chain(set.parity.values()).chain(&set.spares)
}

/// The check of one set.
struct Checking<'a> {
    set: &'a SetFiles,
    /// The directory that it lies in; none where single files are judged.
    shelf: Option<&'a Shelf>,
    request: &'a Request,
    monitor: &'a SharedMonitor,
}

impl Checking<'_> {
    /// What is found in the set itself, and the blobs that it cannot give because of it.
    fn run(&self) -> (SetVerdict, BTreeSet<Digest>) {
        let clock = RefCell::new(Clock::default());
        let options = Options { quick: self.request.quick, deep: false, threads: self.request.threads };
        let mut on_progress = |progress: Progress| {
            self.tell(&clock, progress);
            ControlFlow::Continue(())
        };
        let report = ocm_format::check::check(self.set, &[], options, &mut on_progress);
        let (lacking, released) = (self.set.lacking(), self.released());
        let whole = self.shelf.is_some();
        let (missing, wrong): (Vec<_>, Vec<_>) = report.damage.iter().partition(|damage| damage.kind == Kind::Missing);
        let relevant = || wrong.iter().chain(missing.iter().filter(|damage| whole && !is_one_of(damage, &released)));
        let blobs: BTreeSet<Digest> = relevant().flat_map(|damage| damage.blobs.iter().copied()).collect();
        let verdict = SetVerdict {
            set: self.line(),
            files_alone: !whole,
            files: self.files(&wrong, &clock.into_inner()),
            damage: wrong.iter().map(|damage| damage_line(damage)).collect(),
            more_damage: report.more,
            hurt: Vec::new(),
            missing_volumes: lacking.numbers.into_iter().filter(|number| whole && !released.contains(number)).collect(),
            last_unknown: whole && lacking.more,
            parents_elsewhere: self.shelf.map_or(Vec::new(), |shelf| listing::missing_parents(self.set, shelf.found())),
            parents_wanted: self.request.complete,
            sparse_images: contents(self.set).items().iter().filter(|item| !item.wanted.is_empty()).count(),
            repair: self.repairable(&report),
        };
        (verdict, blobs)
    }

    /// Whether what is lost can be made again here; nothing where nothing is lost, or that is not known.
    fn repairable(&self, report: &Report) -> Option<Repairable> {
        let shelf = self.shelf.filter(|_| !self.request.quick)?;
        // What cannot be told is not said: the damage itself is.
        let found = assess(shelf, self.set, report, &[], self.monitor.as_ref(), &AtomicBool::new(false)).ok()?;
        let lacking: Vec<Lacking> = found.wanted.iter().map(|wanted| Lacking::of(wanted, self.set)).collect();
        let mut volumes: BTreeSet<u32> = found.damaged.keys().copied().collect();
        volumes.extend(lacking.iter().map(|lacking| lacking.volume));
        let (parity_volumes, volumes) = (found.parity_volumes(), volumes.into_iter().collect::<Vec<_>>());
        (!volumes.is_empty()).then_some(Repairable { here: lacking.is_empty(), parity_volumes, volumes, lacking })
    }

    /// The volumes that were let go, where that is all right.
    fn released(&self) -> Vec<u32> {
        self.shelf.filter(|_| !self.request.complete).map_or(Vec::new(), |shelf| shelf.let_go(self.set))
    }

    fn line(&self) -> SetLine {
        listing::set_line(self.set, self.shelf)
    }

    /// Tells how many bytes of which volume were read since the last time.
    fn tell(&self, clock: &RefCell<Clock>, progress: Progress) {
        let fresh = clock.borrow_mut().advance(&progress);
        let name = format!("set {} volume {}", self.set.header.generation, progress.volume);
        if !self.request.quick {
            self.monitor.event(Event::Moved { image: &name, bytes: fresh });
        }
    }

    fn files(&self, wrong: &[&Damage], clock: &Clock) -> Vec<FileVerdict> {
        let verdict = |file: &set::VolumeFile| FileVerdict {
            path: file.path.clone(),
            kind: file_kind(file.header.kind),
            number: file.header.number,
            bytes: file.footer.file_bytes,
            milliseconds: clock.spans.get(&file.header.number).map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
            sound: wrong.iter().all(|damage| damage.file.as_deref() != Some(file.path.as_path())),
        };
        read_files(self.set).map(verdict).collect()
    }

    /// The images that need any of these blobs.
    fn hurt(&self, blobs: &BTreeSet<Digest>) -> Vec<Hurt> {
        if blobs.is_empty() || self.set.manifest.is_none() {
            return Vec::new();
        }
        let shelves: Vec<&Shelf> = self.shelf.into_iter().collect();
        let Ok(source) = ArchiveSource::open(Path::new(""), &[self.set], &shelves) else { return Vec::new() };
        let contents = contents(self.set);
        let complete = contents.items().iter().filter(|item| item.is_complete());
        let hurt = complete.map(|item| Hurt { image: item.origin.clone(), parts: hurt_parts(&source, item, blobs) });
        hurt.filter(|hurt| !hurt.parts.is_empty()).collect()
    }
}

/// Whether damage is of one of these data volumes.
fn is_one_of(damage: &Damage, numbers: &[u32]) -> bool {
    damage.volume.is_some_and(|(kind, number)| kind == VolumeKind::Data && numbers.contains(&number))
}

/// Which parts of an item are among `blobs`, or cannot be read.
fn hurt_parts(source: &ArchiveSource, item: &Item, blobs: &BTreeSet<Digest>) -> Vec<String> {
    let (mut parts, mut seen) = (Vec::new(), BTreeSet::new());
    let mut waiting: Vec<Descriptor> = item.tops().cloned().collect();
    while let Some(wanted) = waiting.pop() {
        if !seen.insert(wanted.digest) {
            continue;
        }
        match source.manifest_now(&wanted) {
            Ok(Some(manifest)) => {
                parts.extend(hurt_blobs(&manifest, blobs));
                waiting.extend_from_slice(manifest.children());
            }
            Ok(None) if !blobs.contains(&wanted.digest) => {}
            Ok(None) | Err(_) => parts.push("manifest".to_owned()),
        }
    }
    parts.sort();
    parts.dedup();
    parts
}

fn hurt_blobs(manifest: &Manifest, blobs: &BTreeSet<Digest>) -> Vec<String> {
    let mut parts = Vec::new();
    if let Parts::Image { config, layers } = manifest.parts() {
        parts.extend(config.iter().filter(|config| blobs.contains(&config.digest)).map(|_| "config".to_owned()));
        let layers = layers.iter().enumerate().filter(|(_, layer)| blobs.contains(&layer.digest));
        parts.extend(layers.map(|(at, _)| format!("layer {}", at + 1)));
    }
    if blobs.contains(&manifest.digest()) {
        parts.push("manifest".to_owned());
    }
    parts
}

fn damage_line(damage: &Damage) -> DamageLine {
    let fault = match damage.kind {
        Kind::Version | Kind::Unsupported => Fault::Unsupported,
        _ => Fault::Damaged,
    };
    DamageLine {
        fault,
        path: damage.file.clone(),
        volume: damage.volume.map(|(kind, number)| (file_kind(kind), number)),
        offset: damage.offset,
        bytes: damage.bytes,
        what: damage.what.clone(),
    }
}

pub(super) fn file_kind(kind: VolumeKind) -> FileKind {
    match kind {
        VolumeKind::Data => FileKind::Volume,
        VolumeKind::Parity => FileKind::Parity,
        VolumeKind::Catalogue => FileKind::Catalogue,
    }
}

/// How long each volume took.
struct Clock {
    done_bytes: u64,
    since: Instant,
    spans: BTreeMap<u32, Duration>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { done_bytes: 0, since: Instant::now(), spans: BTreeMap::new() }
    }
}

impl Clock {
    /// Counts the time since the last call for this volume, and answers the bytes since then.
    fn advance(&mut self, progress: &Progress) -> u64 {
        let now = Instant::now();
        *self.spans.entry(progress.volume).or_default() += now.saturating_duration_since(self.since);
        self.since = now;
        progress.done_bytes.saturating_sub(std::mem::replace(&mut self.done_bytes, progress.done_bytes))
    }
}
