//! [`assess`]: what of a set is lost, whether what is here can make it again, and what must be brought if not.
//!
//! **Invariants.** Nothing is written. Volumes that were let go are not lost. A file whose header is gone is known by its name, as one
//! place more to look: its hashes decide, not the name.
//!
//! *Not here:* making the files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use ocm_format::check::{Damage, Report};
use ocm_format::error::Kind;
use ocm_format::layout::{Header, VolumeKind};
use ocm_format::mend::{Patch, Wanted, overlays};
use ocm_format::parity::{Group, Holder, Overlay, Survey};
use ocm_format::set::SetFiles;
use ocm_format::set::name::file_name;

use super::place::KEPT;
use crate::error::Result;
use crate::image::Digest;
use crate::monitor::{Event, Monitor};
use crate::store::archive::parity::unless_stopped;
use crate::store::archive::shelf::Shelf;
use crate::store::archive::{gather, told};

/// All of a volume.
const ALL: Range<u64> = 0..u64::MAX;
/// Ranges that are asked for are rounded to whole blocks of this size: what is beside damage is often damaged too.
const BLOCK_BYTES: u64 = 4096;

/// What a data volume must be.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::archive) struct Expected {
    /// Its size.
    pub(super) bytes: u64,
    /// Its volume root, where it is known.
    pub(super) root: Option<Digest>,
}

/// What was found of a set.
#[derive(Debug, Default)]
pub(in crate::store::archive) struct Assessment {
    /// Its parity, and where the columns of its shards are sound; not looked at where nothing is lost.
    pub(super) parity: Option<(Group, Survey)>,
    /// Data volumes that are damaged or not here.
    pub(in crate::store::archive) damaged: BTreeMap<u32, Expected>,
    /// The best file of each of them, with what patches put over it.
    pub(super) holders: BTreeMap<u32, Holder>,
    /// What must be brought; nothing where all can be made here.
    pub(in crate::store::archive) wanted: Vec<Wanted>,
    /// The numbers of parity volumes that are here and sound.
    pub(super) sound_parity: BTreeSet<u32>,
    /// What is wrong with parity volumes, until they are made again.
    pub(super) parity_problems: Vec<String>,
    /// What else is wrong.
    pub(super) problems: Vec<String>,
}

impl Assessment {
    /// The set root that parity volumes name.
    pub(super) fn root(&self) -> Option<Digest> {
        self.parity.as_ref().map(|(group, _)| group.header.set_root)
    }

    /// How many parity volumes can be used.
    pub(in crate::store::archive) fn parity_volumes(&self) -> u32 {
        u32::try_from(self.sound_parity.len()).unwrap_or(u32::MAX)
    }
}

/// Looks at a set of which a check has found `report`.
pub(in crate::store::archive) fn assess(
    shelf: &Shelf,
    set: &SetFiles,
    report: &Report,
    patches: &[Patch],
    monitor: &dyn Monitor,
    stop: &AtomicBool,
) -> Result<Assessment> {
    let mut look = Look { shelf, set, report, over: overlays(patches), lineage: lineage_of(set) };
    let mut found = Assessment { sound_parity: look.sound_parity(), problems: look.problems(), ..Assessment::default() };
    let lost = look.lost(patches);
    let (group, problems) = Group::open(set.id(), set.root, &look.parity_files());
    found.parity_problems.extend(problems.iter().map(ToString::to_string));
    match group {
        Some(group) => look.with_parity(group, &lost, &mut found, monitor, stop)?,
        None => look.alone(&lost, patches, &mut found),
    }
    Ok(found)
}

/// The name of the lineage of a set, from its manifest or the names of its files.
pub(in crate::store::archive) fn lineage_of(set: &SetFiles) -> String {
    gather::lineage(set).map(|(_, name)| name).unwrap_or_default()
}

struct Look<'a> {
    shelf: &'a Shelf,
    set: &'a SetFiles,
    report: &'a Report,
    over: BTreeMap<u32, Vec<Overlay>>,
    lineage: String,
}

impl Look<'_> {
    /// Damage of the files that are used, of one kind.
    fn damage(&self, kind: VolumeKind) -> impl Iterator<Item = (u32, &Damage)> {
        let repairable = |damage: &&Damage| !matches!(damage.kind, Kind::Version | Kind::Unsupported) && !self.is_spare(damage);
        let of_kind = move |damage: &'_ Damage| damage.volume.filter(|(found, _)| *found == kind).map(|(_, number)| number);
        self.report.damage.iter().filter(move |damage| repairable(damage)).filter_map(move |damage| Some((of_kind(damage)?, damage)))
    }

    fn is_spare(&self, damage: &Damage) -> bool {
        self.set.spares.iter().any(|spare| Some(&spare.path) == damage.file.as_ref())
    }

    /// The numbers of data volumes that are damaged or not here.
    fn lost(&self, patches: &[Patch]) -> BTreeSet<u32> {
        let let_go = self.shelf.let_go(self.set);
        let lacking = self.set.lacking().numbers.into_iter().filter(|number| !let_go.contains(number));
        let damaged = self.damage(VolumeKind::Data).map(|(number, _)| number).filter(|number| !let_go.contains(number));
        let brought = patches.iter().flat_map(Patch::entries).map(|entry| entry.volume);
        let brought = brought.filter(|number| !self.set.volumes.contains_key(number));
        lacking.chain(damaged).chain(brought).collect()
    }

    fn sound_parity(&self) -> BTreeSet<u32> {
        let damaged: BTreeSet<u32> = self.damage(VolumeKind::Parity).map(|(number, _)| number).collect();
        self.set.parity.keys().copied().filter(|number| !damaged.contains(number)).collect()
    }

    fn parity_files(&self) -> Vec<(u32, PathBuf)> {
        let is_parity = |header: &Header| header.kind == VolumeKind::Parity;
        let spares = self.set.spares.iter().filter(|file| is_parity(&file.header));
        let whole = self.set.parity.values().chain(spares).map(|file| (file.header.number, file.path.clone()));
        let broken = self.set.broken.iter().filter(|file| is_parity(&file.header)).map(|file| (file.header.number, file.path.clone()));
        whole.chain(broken).collect()
    }

    /// What is wrong and no volume that can be made again.
    fn problems(&self) -> Vec<String> {
        let is_other = |damage: &&Damage| {
            let kind = damage.volume.map(|(kind, _)| kind);
            kind == Some(VolumeKind::Catalogue) || self.is_spare(damage) || matches!(damage.kind, Kind::Version | Kind::Unsupported)
        };
        let text = |damage: &Damage| {
            let file = damage.file.as_ref().map_or(String::new(), |file| format!("{}: ", file.display()));
            let catalogue = damage.volume.is_some_and(|(kind, _)| kind == VolumeKind::Catalogue);
            let weight = if catalogue { "; a catalogue is not needed where the volumes are" } else { "" };
            format!("{file}at {:#x}: {}{weight}", damage.offset, damage.what)
        };
        self.report.damage.iter().filter(is_other).map(text).collect()
    }

    /// The files that may hold a data volume, the most promising first.
    fn files(&self, number: u32) -> Vec<PathBuf> {
        let is_it = |header: &Header| (header.kind, header.number) == (VolumeKind::Data, number);
        let used = self.set.volumes.get(&number).map(|file| file.path.clone());
        let spares = self.set.spares.iter().filter(|file| is_it(&file.header)).map(|file| file.path.clone());
        let broken = self.set.broken.iter().filter(|file| is_it(&file.header)).map(|file| file.path.clone());
        let name = file_name(&self.lineage, &Header { kind: VolumeKind::Data, number, ..self.set.header });
        let by_name = [self.shelf.path().join(&name), self.shelf.path().join(KEPT).join(&name)].into_iter().filter(|path| path.is_file());
        let mut files: Vec<PathBuf> = Vec::new();
        for path in used.into_iter().chain(spares).chain(broken).chain(by_name) {
            if !files.contains(&path) {
                files.push(path);
            }
        }
        files
    }

    /// The same, each with what patches put over it.
    fn holders(&self, number: u32) -> Vec<Holder> {
        let overlays = self.over.get(&number).cloned().unwrap_or_default();
        let files = self.files(number).into_iter().map(Some).chain((!overlays.is_empty()).then_some(None));
        files.map(|path| Holder { path, overlays: overlays.clone() }).collect()
    }

    fn with_parity(
        &mut self,
        mut group: Group,
        lost: &BTreeSet<u32>,
        found: &mut Assessment,
        monitor: &dyn Monitor,
        stop: &AtomicBool,
    ) -> Result<()> {
        let entries = group.header.volumes.clone();
        let all = (1u32..).zip(&entries);
        let wanting: BTreeSet<u32> = lost.iter().copied().chain(all.clone().map(|(n, _)| n).filter(|n| !self.is_here(*n))).collect();
        if wanting.is_empty() {
            found.parity = Some((group, Survey::default()));
            return Ok(());
        }
        for (number, _) in all.clone() {
            self.holders(number).into_iter().for_each(|holder| group.add_data(number, holder));
        }
        let name = format!("columns of set {}", self.set.header.generation);
        monitor.event(Event::Started { image: &name, bytes: entries.iter().map(|entry| entry.bytes).sum() });
        let survey = group.survey(&mut super::moving(monitor, &name, stop)).map_err(|error| unless_stopped(told(&error), stop))?;
        monitor.event(Event::Ended { image: &name, complete: true });
        let damaged: BTreeSet<u32> = survey.damaged().into_iter().chain(wanting).collect();
        let lacking = survey.lacking(&group).into_iter().map(|lacking| (lacking.volume, lacking.range));
        let mut wanted: BTreeMap<u32, Vec<Range<u64>>> = BTreeMap::new();
        lacking.for_each(|(number, range)| wanted.entry(number).or_default().push(range));
        // What a check finds damaged and the hashes do not: parity was made of that damage, or nothing tells of it.
        let bad = survey.damaged();
        for number in damaged.iter().filter(|number| !bad.contains(number) && self.is_here(**number) && !self.over.contains_key(number)) {
            wanted.entry(*number).or_default().extend(self.ranges(*number).unwrap_or_else(|| vec![ALL]));
        }
        let entry = |number: u32| entries.get(usize::try_from(number).ok()?.checked_sub(1)?);
        found.damaged = damaged
            .into_iter()
            .filter_map(|number| entry(number).map(|entry| (number, Expected { bytes: entry.bytes, root: Some(entry.root) })))
            .collect();
        let size = |number: u32| entry(number).map(|entry| entry.bytes);
        found.wanted = wanted.into_iter().flat_map(|(number, ranges)| asked(number, ranges, size(number))).collect();
        found.parity = Some((group, survey));
        Ok(())
    }

    fn is_here(&self, number: u32) -> bool {
        self.set.volumes.contains_key(&number)
    }

    /// What is to be done without parity: what patches do not bring is asked for.
    fn alone(&self, lost: &BTreeSet<u32>, patches: &[Patch], found: &mut Assessment) {
        let lacking = self.set.lacking();
        let brought = |number: u32| patches.iter().flat_map(Patch::entries).find(|entry| entry.volume == number);
        let first_unknown = lacking.more.then(|| self.first_unknown(&lacking.numbers));
        for number in lost.iter().copied() {
            let listed = self.set.manifest.as_ref().and_then(|manifest| manifest.volume(number));
            let expected = listed.map(|entry| Expected { bytes: entry.bytes, root: Some(entry.root) });
            let brought = brought(number);
            let expected = expected.or(brought.map(|entry| Expected { bytes: entry.volume_bytes, root: Some(entry.root) }));
            if let (Some(_), Some(expected)) = (brought, expected) {
                let holder = self.holders(number).into_iter().next().unwrap_or_default();
                found.holders.insert(number, holder);
                found.damaged.insert(number, expected);
                continue;
            }
            let size = expected.map(|expected| expected.bytes);
            if let Some(expected) = expected {
                found.damaged.insert(number, expected);
            }
            if first_unknown.is_none_or(|first| number < first) {
                let ranges = if size.is_some() { self.ranges(number) } else { None };
                found.wanted.extend(asked(number, ranges.unwrap_or_else(|| vec![ALL]), size));
            }
        }
        if let Some(volume) = first_unknown.filter(|first| !patches.iter().flat_map(Patch::entries).any(|entry| entry.volume >= *first)) {
            found.wanted.push(Wanted::From { volume });
        }
    }

    /// From which volume on nothing whole is known, where SET.json is not here.
    fn first_unknown(&self, lacking: &[u32]) -> u32 {
        let highest = self.set.volumes.keys().chain(lacking).copied().max().unwrap_or(0);
        if lacking.contains(&highest) { highest } else { highest.saturating_add(1) }
    }

    /// The bytes of a data volume that are damaged; `None` where all of it is to be brought.
    fn ranges(&self, number: u32) -> Option<Vec<Range<u64>>> {
        if self.report.more > 0 {
            return None;
        }
        let mut ranges = Vec::new();
        for (_, damage) in self.damage(VolumeKind::Data).filter(|(of, _)| *of == number) {
            let begin = match damage.kind {
                Kind::Missing => return None,
                // It is cut: what is there has the length of the file.
                Kind::Incomplete if damage.offset == 0 => damage.bytes,
                _ if damage.bytes == 0 => return None,
                _ => damage.offset,
            };
            let end = if damage.kind == Kind::Incomplete { u64::MAX } else { begin.saturating_add(damage.bytes) };
            ranges.push(begin / BLOCK_BYTES * BLOCK_BYTES..end.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES));
        }
        (!ranges.is_empty()).then_some(ranges)
    }
}

/// Ranges of a volume as they are asked for: in order and apart.
fn asked(number: u32, mut ranges: Vec<Range<u64>>, size: Option<u64>) -> Vec<Wanted> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        let range = range.start..range.end.min(size.unwrap_or(u64::MAX));
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged.retain(|range| !range.is_empty());
    match merged.as_slice() {
        [] => vec![Wanted::Whole { volume: number }],
        [all] if all.start == 0 && size.is_none_or(|size| all.end >= size) => vec![Wanted::Whole { volume: number }],
        _ => merged.into_iter().map(|range| Wanted::Range { volume: number, range }).collect(),
    }
}
