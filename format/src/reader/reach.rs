//! [`Reach`]: where the bytes of a blob come from, told from indexes and headers of frames alone.
//!
//! **Invariants.** The walk follows what a read would follow, with the same bounds: what turns in a circle ends in an error. A
//! stretch of a blob and a frame are entered once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops;

use super::Inner;
use super::form::{Form, MAX_RUNS, frame_header};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::index::FrameRow;
use crate::layout::{Codec, Id, MAX_DEPTH};
use crate::ranges::Ranges;
use crate::recipe::{Part, Range, Run};
use crate::volume::Volume;

/// Where the bytes of a blob come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The data volumes of sets at hand, by set and number, that have some of them.
    pub volumes: BTreeSet<(Id, u32)>,
    /// What no set at hand gives: of each blob, stretches of its plain form.
    pub elsewhere: BTreeMap<Digest, Ranges>,
}

/// A walk from one blob to everything that it is made of.
pub(super) struct Walk<'r> {
    inner: &'r Inner,
    /// Whether a volume that is not here ends the way that leads to it; otherwise it is noted like any other.
    strict: bool,
    reach: Reach,
    /// Stretches of plain forms that were walked to their end, by the place of the set that names the blob.
    done: BTreeMap<(usize, Digest), Ranges>,
    /// Frames with a prefix, and whether that was walked to its end.
    entered: BTreeMap<(u64, u64), bool>,
}

/// How much deeper a walk may go.
#[derive(Clone, Copy)]
struct Depth {
    runs: u32,
    prefixes: u8,
}

impl<'r> Walk<'r> {
    pub(super) fn new(inner: &'r Inner, strict: bool) -> Self {
        Self { inner, strict, reach: Reach::default(), done: BTreeMap::new(), entered: BTreeMap::new() }
    }

    /// Walks all of a blob.
    pub(super) fn blob(mut self, digest: &Digest) -> Result<Reach> {
        let located = self.inner.must_locate(digest)?;
        let depth = Depth { runs: MAX_RUNS, prefixes: MAX_DEPTH };
        let form = Form::stored(&located);
        let replays = self.form(&form, 0..form.bytes, depth)?;
        if let (true, Some(plain)) = (replays, form.input()) {
            self.form(&plain, 0..plain.bytes, depth)?;
        }
        Ok(self.reach)
    }

    /// Walks a stretch of a form; says whether an encoder makes some of it.
    fn form(&mut self, form: &Form, within: ops::Range<u64>, depth: Depth) -> Result<bool> {
        if form.is_verbatim() {
            self.note(form.set, form.volume.number());
        }
        form.each_part_in(within, &mut |part| match part {
            Part::Range(range) => self.range(form.set, &range, depth),
            Part::Run(run) => self.run(form.set, &run, depth),
        })
    }

    fn note(&mut self, set: usize, volume: u32) {
        self.reach.volumes.extend(self.inner.sets.get(set).map(|set| (set.id, volume)));
    }

    fn range(&mut self, set: usize, range: &Range, depth: Depth) -> Result<()> {
        let volume = match self.inner.volume(set, range.volume) {
            Err(error) if self.strict => return Err(error),
            found => found,
        };
        self.note(set, range.volume);
        match volume.and_then(|volume| self.frames(set, volume, range, depth)) {
            Err(_) if !self.strict => Ok(()),
            walked => walked,
        }
    }

    fn frames(&mut self, set: usize, volume: &Volume, range: &Range, depth: Depth) -> Result<()> {
        let (mut at, end) = (range.offset, range.offset.saturating_add(range.bytes));
        while at < end {
            let row = volume.frame_at(at)?;
            if row.codec == 2 {
                self.frame(set, volume, &row, depth)?;
            }
            at = row.stream_offset.saturating_add(row.plain_bytes.into());
        }
        Ok(())
    }

    fn frame(&mut self, set: usize, volume: &Volume, row: &FrameRow, mut depth: Depth) -> Result<()> {
        let wrong = |why: &str| volume.placed(Error::damaged(format!("frame: {why}")).at(row.file_offset));
        let key = (volume.cache().1, row.stream_offset);
        match self.entered.insert(key, false) {
            Some(true) => drop(self.entered.insert(key, true)),
            Some(false) => return Err(wrong("its prefix needs itself")),
            None => {
                depth.prefixes = depth.prefixes.checked_sub(1).ok_or_else(|| wrong("its prefixes are too deep"))?;
                let Codec::Prefix { runs, .. } = frame_header(volume, row)?.codec else { return Err(wrong("its header has no prefix")) };
                runs.iter().try_for_each(|run| self.run(set, run, depth))?;
                self.entered.insert(key, true);
            }
        }
        Ok(())
    }

    fn run(&mut self, set: usize, run: &Run, mut depth: Depth) -> Result<()> {
        let circle = || Error::damaged(format!("runs of blob {} refer to each other", run.digest));
        depth.runs = depth.runs.checked_sub(1).ok_or_else(circle)?;
        match self.at_hand(set, run, depth) {
            Err(error) if error.kind() == Kind::Missing => {
                self.reach.elsewhere.entry(run.digest).or_default().insert(run.offset..run.offset.saturating_add(run.bytes));
                Ok(())
            }
            walked => walked,
        }
    }

    fn at_hand(&mut self, set: usize, run: &Run, depth: Depth) -> Result<()> {
        let (form, within) = self.inner.plain_of(set, run)?;
        let key = (set, run.digest);
        let gaps = self.done.entry(key).or_default().gaps(within.clone());
        for gap in gaps {
            self.form(&form, gap, depth)?;
        }
        self.done.entry(key).or_default().insert(within);
        Ok(())
    }
}
