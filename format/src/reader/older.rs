//! [`Past`]: the plain forms of earlier sets, for one who writes a new set after them, and what it costs to read them.
//!
//! **Invariants.** Depth and cost are those of the frames that a reader will have to open; what turns in a circle ends in an error.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use super::form::{Form, Steps, frame_header};
use super::{Inner, Reader};
use crate::cache::lock;
use crate::delta::{Cost, Older, Slice};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::index::FrameRow;
use crate::layout::{Codec, MAX_DEPTH, MAX_PREFIX_BYTES};
use crate::recipe::{Part, Range, Run};
use crate::volume::Volume;

/// A reader looks for the place of each piece of a prefix, and then for the piece.
const STEPS_PER_PIECE: u64 = 2;

/// The plain forms of the blobs of some sets.
pub struct Past {
    reader: Reader,
    /// Of frames with a prefix, by volume and place in its stream: their depth, and how many frames they take.
    costs: Mutex<HashMap<(u64, u64), Cost>>,
}

impl Past {
    /// What `reader` reads.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self { reader, costs: Mutex::default() }
    }
}

impl Older for Past {
    fn plain(&self, blob: &Digest, offset: u64, bytes: u64) -> Result<Slice> {
        let inner = &self.reader.inner;
        let located = inner.must_locate(blob)?;
        let form = Form::plain(&located)?;
        let mut buffer = vec![0; crate::error::cap(bytes, MAX_PREFIX_BYTES, "slice of an earlier blob")?];
        let count = inner.fill(&form, offset, &mut buffer)?;
        buffer.truncate(count);
        let cost = Look::new(inner, &self.costs).form(&form, offset, bytes, &mut Steps::default())?;
        Ok(Slice { bytes: buffer, cost })
    }
}

/// A look at what reading takes.
struct Look<'a> {
    inner: &'a Inner,
    costs: &'a Mutex<HashMap<(u64, u64), Cost>>,
    /// Frames that were counted, by volume and place in its stream.
    counted: RefCell<HashSet<(u64, u64)>>,
}

impl<'a> Look<'a> {
    fn new(inner: &'a Inner, costs: &'a Mutex<HashMap<(u64, u64), Cost>>) -> Self {
        Self { inner, costs, counted: RefCell::default() }
    }

    fn form(&self, form: &Form, offset: u64, bytes: u64, steps: &mut Steps) -> Result<Cost> {
        let (mut at, end) = (offset, offset.saturating_add(bytes).min(form.bytes));
        let mut cost = Cost::default();
        while at < end {
            steps.take()?;
            let Some((part, into)) = form.part_at(at)? else { return Ok(cost) };
            let count = part.bytes().saturating_sub(into).min(end.saturating_sub(at)).max(1);
            cost = cost.and(match part {
                Part::Range(range) => self.range(form.set, &range, into, count, steps)?,
                Part::Run(run) => self.run(form.set, &Run { offset: run.offset.saturating_add(into), bytes: count, ..run }, steps)?,
            });
            at = at.saturating_add(count);
        }
        Ok(cost)
    }

    fn run(&self, set: usize, run: &Run, steps: &mut Steps) -> Result<Cost> {
        let runs = steps.enter(run)?;
        let located = self.inner.locate(set, &run.digest)?.ok_or_else(|| self.inner.nowhere(set, &run.digest))?;
        let cost = self.form(&Form::plain(&located)?, run.offset, run.bytes, steps)?.after(1);
        steps.leave(runs);
        Ok(cost)
    }

    fn range(&self, set: usize, range: &Range, into: u64, count: u64, steps: &mut Steps) -> Result<Cost> {
        let volume = self.inner.volume(set, range.volume)?;
        let (mut at, mut cost) = (range.offset.saturating_add(into), Cost::default());
        let end = at.saturating_add(count);
        while at < end {
            let row = volume.frame_at(at)?;
            let frame = if row.codec == 1 { Cost::FRAME } else { self.patch(set, volume, &row, steps)? };
            let is_new = self.counted.borrow_mut().insert((volume.cache().1, row.stream_offset));
            cost = cost.and(if is_new { frame } else { Cost { depth: frame.depth, ..Cost::default() } }).after(STEPS_PER_PIECE);
            at = row.stream_offset.saturating_add(row.plain_bytes.into()).max(at.saturating_add(1));
        }
        Ok(cost)
    }

    /// A frame with a prefix takes what its prefix takes.
    fn patch(&self, set: usize, volume: &Volume, row: &FrameRow, steps: &mut Steps) -> Result<Cost> {
        let key = (volume.cache().1, row.stream_offset);
        if let Some(known) = lock(self.costs).get(&key) {
            return Ok(*known);
        }
        let Codec::Prefix { depth, runs } = frame_header(volume, row)?.codec else {
            return Err(Error::new(Kind::Unsupported, "frame: its codec is unknown"));
        };
        let (mut cost, own) = (Cost::FRAME, Self::new(self.inner, self.costs));
        for run in &runs {
            cost = cost.and(own.run(set, run, steps)?);
        }
        // What claims less than it is deep would be refused by a reader.
        let cost = Cost { depth: depth.min(MAX_DEPTH), ..cost };
        lock(self.costs).insert(key, cost);
        Ok(cost)
    }
}
