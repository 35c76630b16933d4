//! Which blobs of a set suffer from which damage.
//!
//! **Invariants.** A blob is named if bytes that it is made of are lost, or if it refers to a blob that is; where that
//! cannot be told apart, it is named rather than not. The index is read, no content.
//!
//! *Not here:* finding the damage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Damage, Reach};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::read::IndexCache;
use crate::index::{BlobRow, FrameRow};
use crate::layout::Codec;
use crate::reader::form::{Form, frame_header};
use crate::recipe::Part;
use crate::set::SetFiles;
use crate::volume::Volume;

/// Lost stretches of streams: begin, end, and the damage that it is.
type Lost = BTreeMap<u32, Vec<(u64, u64, usize)>>;

/// Adds to each damage the blobs that it hurts.
pub(super) fn name_blobs(set: &SetFiles, index: &Arc<IndexCache>, damage: &mut [Damage]) {
    let volumes: Vec<Arc<Volume>> =
        set.volumes.values().filter_map(|file| Volume::open_with(&file.path, index).ok()).map(Arc::new).collect();
    let mut lost = Lost::new();
    let mut hurt: BTreeMap<Digest, BTreeSet<usize>> = BTreeMap::new();
    for (number, reach) in damage.iter().enumerate().flat_map(|(number, damage)| damage.reach.iter().map(move |reach| (number, reach))) {
        match *reach {
            Reach::Nothing => {}
            Reach::Stream { volume, begin, end } => lost.entry(volume).or_default().push((begin, end, number)),
            Reach::Volume { volume } => lost.entry(volume).or_default().push((0, u64::MAX, number)),
            Reach::Blob(digest) => drop(hurt.entry(digest).or_default().insert(number)),
        }
    }
    settle(&volumes, damage, &mut lost, &mut hurt);
    for (digest, numbers) in hurt {
        for number in numbers {
            if let Some(damage) = damage.get_mut(number) {
                damage.blobs.push(digest);
            }
        }
    }
}

/// The blobs of a set that cannot be given back because these of earlier sets cannot. One that the set has a record of itself
/// hurts nobody here: its own damage is told apart.
pub(super) fn spread(set: &SetFiles, earlier: &BTreeSet<Digest>) -> BTreeSet<Digest> {
    let index = Arc::default();
    let volumes: Vec<Arc<Volume>> =
        set.volumes.values().filter_map(|file| Volume::open_with(&file.path, &index).ok()).map(Arc::new).collect();
    let is_own = |digest: &Digest| volumes.iter().any(|volume| matches!(volume.blob(digest), Ok(Some(_))));
    let seeds: BTreeSet<Digest> = earlier.iter().filter(|digest| !is_own(digest)).copied().collect();
    let mut hurt: BTreeMap<Digest, BTreeSet<usize>> = seeds.iter().map(|digest| (*digest, BTreeSet::from([0]))).collect();
    settle(&volumes, &[], &mut Lost::new(), &mut hurt);
    hurt.into_keys().collect()
}

/// A blob that is hurt hurts those that refer to it, and frames whose prefix it is: goes round until nothing changes.
fn settle(volumes: &[Arc<Volume>], damage: &[Damage], lost: &mut Lost, hurt: &mut BTreeMap<Digest, BTreeSet<usize>>) {
    let mut before = None;
    while before != Some(size(lost, hurt)) {
        before = Some(size(lost, hurt));
        let mut round = Round { damage, lost, hurt };
        volumes.iter().for_each(|volume| round.volume(volume));
        volumes.iter().for_each(|volume| prefixes(volume, hurt, lost));
    }
}

/// How much is known to be lost or hurt.
fn size(lost: &Lost, hurt: &BTreeMap<Digest, BTreeSet<usize>>) -> usize {
    lost.values().map(Vec::len).chain(hurt.values().map(BTreeSet::len)).fold(0, usize::saturating_add)
}

struct Round<'a> {
    damage: &'a [Damage],
    lost: &'a Lost,
    hurt: &'a mut BTreeMap<Digest, BTreeSet<usize>>,
}

impl Round<'_> {
    fn volume(&mut self, volume: &Arc<Volume>) {
        for row in volume.blobs() {
            let Ok(row) = row else { continue };
            let mut numbers = BTreeSet::new();
            if let Err(error) = self.blob(volume, row, &mut numbers) {
                numbers.extend(self.damage_of(&error));
            }
            if !numbers.is_empty() {
                self.hurt.entry(row.digest).or_default().extend(numbers);
            }
        }
    }

    fn blob(&self, volume: &Arc<Volume>, row: BlobRow, numbers: &mut BTreeSet<usize>) -> Result<()> {
        let form = Form::of(volume, &row);
        let replays = form.each_part(&mut |part| {
            self.part(&part, numbers);
            Ok(())
        })?;
        if let (true, Some(plain)) = (replays, Form::listed_plain(volume, &row)) {
            plain.each_part(&mut |part| {
                self.part(&part, numbers);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn part(&self, part: &Part, numbers: &mut BTreeSet<usize>) {
        match part {
            Part::Range(range) => {
                let end = range.offset.saturating_add(range.bytes);
                let lost = self.lost.get(&range.volume).map(Vec::as_slice).unwrap_or_default();
                let meets = lost.iter().filter(|(from, to, _)| *from < end && range.offset < *to);
                numbers.extend(meets.map(|(_, _, number)| *number));
            }
            Part::Run(run) => numbers.extend(self.hurt.get(&run.digest).into_iter().flatten()),
        }
    }

    /// The damage that an error met on the way was reported as.
    fn damage_of(&self, error: &Error) -> Option<usize> {
        let place = error.place();
        let same = |damage: &Damage| damage.file == place.file && Some(damage.offset) == place.offset;
        self.damage.iter().position(same)
    }
}

/// Frames whose prefix is of a hurt blob are lost as well.
fn prefixes(volume: &Volume, hurt: &BTreeMap<Digest, BTreeSet<usize>>, lost: &mut Lost) {
    if hurt.is_empty() {
        return;
    }
    for row in volume.frames() {
        let Ok(row @ FrameRow { codec: 2, .. }) = row else { continue };
        let Ok(Codec::Prefix { runs, .. }) = frame_header(volume, &row).map(|header| header.codec) else { continue };
        let end = row.stream_offset.saturating_add(row.plain_bytes.into());
        let known = lost.entry(volume.number()).or_default();
        for number in runs.iter().filter_map(|run| hurt.get(&run.digest)).flatten() {
            let stretch = (row.stream_offset, end, *number);
            if !known.contains(&stretch) {
                known.push(stretch);
            }
        }
    }
}
