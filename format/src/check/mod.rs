//! [`check`]: walks everything that a set consists of, and reports all damage at once.
//!
//! **Invariants.** Every byte of every volume is accounted for, so no flipped bit goes unseen: tar headers regenerate,
//! paddings are zero, frames and members match their hashes, records and index say the same, and nothing is left over.
//! Damage never stops the walk. Memory is bounded: what is listed of damage is limited, and the rest is counted.
//!
//! *Not here:* repair, and what blobs mean to images.

mod hurt;
mod packs;
mod parity;
mod records;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::cache::lock;
use crate::digest::Digest;
use crate::error::{Error, Kind};
use crate::index::read::IndexCache;
use crate::layout::{FLAG_LAST, VolumeKind};
use crate::reader::{Options as ReaderOptions, Reader};
use crate::set::{SetFiles, VolumeFile};
use crate::volume::Volume;

/// How many places of damage are listed; more are counted.
const MAX_LISTED: usize = 10_000;

/// How much is checked.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Only headers, footers, directories, SET.json and the sizes of files.
    pub quick: bool,
    /// Also the digest of every blob, made from its frames.
    pub deep: bool,
    /// Threads that hash, beside the one that reads.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
        Self { quick: false, deep: false, threads }
    }
}

/// A place that is not as it must be.
#[derive(Debug, Clone)]
pub struct Damage {
    /// The class of the fault: damaged, incomplete, missing, not readable …
    pub kind: Kind,
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// Kind and number of the volume, where it is known.
    pub volume: Option<(VolumeKind, u32)>,
    /// Where it begins in the file.
    pub offset: u64,
    /// How many bytes it may reach over; 0 where that is not known.
    pub bytes: u64,
    /// What is wrong, in lower case.
    pub what: String,
    /// The blobs of this set that cannot be given back because of it, in order.
    pub blobs: Vec<Digest>,
    reach: Vec<Reach>,
}

/// What is lost with a damaged place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// No content: it is about structure, or about what is not known.
    Nothing,
    /// Bytes of the stream of a volume.
    Stream { volume: u32, begin: u64, end: u64 },
    /// All of a volume.
    Volume { volume: u32 },
    /// One blob.
    Blob(Digest),
}

/// How far a check has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The number of the volume that is being read.
    pub volume: u32,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// What a check has found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// All damage, by volume and offset.
    pub damage: Vec<Damage>,
    /// How much more damage there is than is listed.
    pub more: u64,
    /// How many bytes were accounted for.
    pub bytes: u64,
    /// How many blobs have a record in the data volumes that were read.
    pub blobs: u64,
    /// Whether the caller stopped it before the end.
    pub stopped: bool,
}

impl Report {
    /// Whether nothing is wrong and nothing is missing.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && !self.stopped
    }

    /// All blobs that cannot be given back, in order.
    #[must_use]
    pub fn hurt(&self) -> BTreeSet<Digest> {
        self.damage.iter().flat_map(|damage| damage.blobs.iter().copied()).collect()
    }
}

/// Called now and then by the thread that reads; `Break` ends the check.
pub type OnProgress<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Checks a set. `ancestors` are the sets before it, nearest first; only a deep check reads them.
pub fn check(set: &SetFiles, ancestors: &[&SetFiles], options: Options, on_progress: &mut OnProgress<'_>) -> Report {
    let mut check = Check::new(set, ancestors, options, on_progress);
    check.whole_set();
    let files: Vec<&VolumeFile> = set.volumes.values().chain(set.catalogues.values()).chain(set.parity.values()).collect();
    for file in files.iter().copied().chain(&set.spares) {
        if check.volume(file).is_break() {
            check.report.stopped = true;
            break;
        }
    }
    check.finish()
}

/// The blobs that a set cannot give because of `earlier` ones, of sets before it, that cannot be given: these, where it has no
/// record of them itself, and what it makes from them.
#[must_use]
pub fn spread(set: &SetFiles, earlier: &BTreeSet<Digest>) -> BTreeSet<Digest> {
    hurt::spread(set, earlier)
}

/// A check that is under way.
struct Check<'a> {
    set: &'a SetFiles,
    options: Options,
    findings: Findings,
    /// Stream lengths of the data volumes that are here.
    streams: Arc<BTreeMap<u32, u64>>,
    index: Arc<IndexCache>,
    reader: Option<Reader>,
    report: Report,
    total_bytes: u64,
    on_progress: &'a mut OnProgress<'a>,
}

/// What was found so far, by any thread.
#[derive(Default)]
struct Findings(Mutex<(Vec<Damage>, u64)>);

impl Findings {
    fn add(&self, damage: Damage) {
        let mut found = lock(&self.0);
        let (listed, more) = &mut *found;
        // A block of the index that is asked for many times is one fault, which may reach far.
        let full = listed.len() >= MAX_LISTED;
        let same = |other: &&mut Damage| (&other.file, other.offset, &other.what) == (&damage.file, damage.offset, &damage.what);
        match listed.iter_mut().rev().take(64).find(same) {
            Some(known) => known.reach.extend(damage.reach),
            None if full => *more = more.saturating_add(1),
            None => listed.push(damage),
        }
    }
}

impl Damage {
    fn of(error: &Error, reach: Reach) -> Self {
        let place = error.place();
        let volume = place.volume.map(|number| (VolumeKind::Data, number));
        let (offset, what) = (place.offset.unwrap_or(0), error.message().to_owned());
        let file = place.file.clone();
        Self { kind: error.kind(), file, volume, offset, bytes: 0, what, blobs: Vec::new(), reach: vec![reach] }
    }

    fn in_file(mut self, path: &Path, kind: VolumeKind, number: u32) -> Self {
        self.file = Some(path.to_owned());
        self.volume = Some((kind, number));
        self
    }

    fn long(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some((_, number)) = self.volume {
            write!(f, "volume {number} ")?;
        }
        write!(f, "at {:#x}: {}", self.offset, self.what)
    }
}

impl<'a> Check<'a> {
    fn new(set: &'a SetFiles, ancestors: &[&'a SetFiles], options: Options, on_progress: &'a mut OnProgress<'_>) -> Self {
        let all = || set.volumes.values().chain(set.catalogues.values()).chain(set.parity.values()).chain(&set.spares);
        let total_bytes = all().fold(0u64, |sum, file| sum.saturating_add(file.footer.file_bytes));
        let streams: BTreeMap<u32, u64> = set.volumes.iter().map(|(number, file)| (*number, file.footer.stream_bytes)).collect();
        let sets = std::iter::once(set).chain(ancestors.iter().copied());
        let reader = (options.deep && !options.quick).then(|| Reader::open(sets, ReaderOptions::default()));
        Self {
            set,
            options,
            findings: Findings::default(),
            streams: Arc::new(streams),
            index: Arc::default(),
            reader,
            report: Report::default(),
            total_bytes,
            on_progress,
        }
    }

    /// What can be said before any volume is read.
    fn whole_set(&self) {
        let mut lacking: BTreeSet<u32> = self.set.lacking().numbers.into_iter().collect();
        for broken in &self.set.broken {
            let number = broken.header.number;
            let only_one = broken.header.kind == VolumeKind::Data && lacking.remove(&number);
            let reach = if only_one { Reach::Volume { volume: number } } else { Reach::Nothing };
            let damage = Damage::of(&broken.error, reach).long(broken.file_bytes);
            self.findings.add(damage.in_file(&broken.path, broken.header.kind, number));
        }
        for problem in &self.set.problems {
            self.findings.add(Damage::of(problem, Reach::Nothing));
        }
        for number in lacking {
            let error = Error::new(Kind::Missing, format!("volume {number} of set {} is not here", self.set.id()));
            self.findings.add(Damage::of(&error.in_volume(number), Reach::Volume { volume: number }));
        }
        if self.set.manifest.is_none() {
            let error = Error::new(Kind::Missing, format!("SET.json of set {} is not here", self.set.id()));
            self.findings.add(Damage::of(&error, Reach::Nothing));
        }
    }

    /// Checks one file, from its first byte to its last.
    fn volume(&mut self, file: &VolumeFile) -> ControlFlow<()> {
        let (kind, number) = (file.header.kind, file.header.number);
        let volume = match Volume::open_with(&file.path, &self.index) {
            Ok(volume) => volume,
            Err(error) => {
                let used = self.is_used(file);
                let reach = if used { Reach::Volume { volume: number } } else { Reach::Nothing };
                let damage = Damage::of(&error, reach).long(file.footer.file_bytes);
                self.findings.add(damage.in_file(&file.path, kind, number));
                return self.advance(number, file.footer.file_bytes);
            }
        };
        let used = self.is_used(file);
        self.place_in_set(&volume, used);
        if self.options.quick {
            return self.advance(number, volume.bytes());
        }
        walk::Walk::new(self, &volume, used).run()
    }

    /// Whether blobs are read from this file: damage of a spare or of a catalogue hurts none.
    fn is_used(&self, file: &VolumeFile) -> bool {
        self.set.volumes.get(&file.header.number).is_some_and(|used| used.path == file.path)
    }

    /// What footer and SET.json say of each other.
    fn place_in_set(&self, volume: &Volume, used: bool) {
        let place = Place { findings: &self.findings, volume, used };
        let (header, footer) = (volume.header(), volume.footer());
        if let Err(error) = volume.read_tail() {
            place.error(&error, Reach::Nothing);
        }
        let last = self.set.manifest.as_ref().and_then(|manifest| u32::try_from(manifest.volumes.len()).ok());
        let says_last = footer.flags & FLAG_LAST != 0;
        if header.kind == VolumeKind::Data && last.is_some_and(|last| (last == header.number) != says_last) {
            place.damage(volume.end_offset(), 0, "the footer and SET.json disagree on which volume is the last");
        }
        if header.kind == VolumeKind::Parity
            && let Err(error) = parity::agrees(volume, self.set.root)
        {
            place.error(&error, Reach::Nothing);
        }
        let Some(manifest) = &self.set.manifest else { return };
        match manifest.parent_in_header() {
            parent if parent == header.parent => {}
            _ => place.damage(crate::layout::HEADER_OFFSET, 512, "the header and SET.json disagree on the parent"),
        }
    }

    fn advance(&mut self, volume: u32, bytes: u64) -> ControlFlow<()> {
        self.report.bytes = self.report.bytes.saturating_add(bytes);
        (self.on_progress)(Progress { volume, done_bytes: self.report.bytes, total_bytes: self.total_bytes })
    }

    fn finish(mut self) -> Report {
        let (damage, more) = std::mem::take(&mut *lock(&self.findings.0));
        (self.report.damage, self.report.more) = (damage, more);
        if !self.report.damage.is_empty() {
            hurt::name_blobs(self.set, &self.index, &mut self.report.damage);
        }
        let place = |damage: &Damage| (damage.volume, damage.file.clone(), damage.offset);
        self.report.damage.sort_by_key(place);
        self.report
    }
}

/// Where findings of one volume go.
#[derive(Clone, Copy)]
struct Place<'a> {
    findings: &'a Findings,
    volume: &'a Volume,
    used: bool,
}

impl Place<'_> {
    fn add(&self, mut damage: Damage) {
        let header = self.volume.header();
        if !self.used {
            damage.reach.clear();
        }
        match &damage.file {
            // A blob that was read for its digest may have led into another volume.
            Some(file) if file != self.volume.path() => self.findings.add(damage),
            _ => self.findings.add(damage.in_file(self.volume.path(), header.kind, header.number)),
        }
    }

    /// Something that `error` is about.
    fn error(&self, error: &Error, reach: Reach) {
        self.add(Damage::of(error, reach));
    }

    /// Something about structure.
    fn damage(&self, offset: u64, bytes: u64, what: &str) {
        self.lost(offset, bytes, what, Reach::Nothing);
    }

    fn lost(&self, offset: u64, bytes: u64, what: &str, reach: Reach) {
        self.add(Damage::of(&Error::damaged(what).at(offset), reach).long(bytes));
    }
}
