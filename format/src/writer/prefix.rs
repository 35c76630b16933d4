//! [`Prefix`]: what a frame is compressed after: older versions of what it holds.
//!
//! **Invariants.** At most [`MAX_PREFIX_BYTES`], of frames whose own prefixes are less than [`MAX_DEPTH`] deep, and at most as many of
//! them as [`most_frames`] says, theirs counted. What cannot be read of earlier sets is left out.

use std::ops::RangeInclusive;

use super::history::{History, Source};
use super::layer::Hint;
use crate::delta::{Cost, Slice};
use crate::error::Result;
use crate::layout::{MAX_DEPTH, MAX_PREFIX_BYTES};
use crate::recipe::Run;

/// How far around an older version one looks at the most, in bytes.
const MAX_MARGIN: u64 = 1 << 20;
/// How much a reader may have to decompress for a prefix, counted for each of its stretches: with prefixes of prefixes it could be
/// any amount. Sixteen times as much make a set smaller by a seventh of a percent.
const MAX_READ_BYTES: u64 = 32 << 20;
/// As frames of any size.
const FRAMES: RangeInclusive<u64> = 32..=512;
/// How many references a reader may have to follow for a prefix: half of what one read may.
const MAX_STEPS: u64 = 1 << 15;
/// A region of a frame takes about this much of its header; so many plain bytes must come with each.
const BYTES_PER_REGION: usize = 4096;

/// A stretch of the plain form of an older blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Region {
    source: Source,
    begin: u64,
    end: u64,
}

/// Where older versions of the content of a frame are.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    regions: Vec<Region>,
}

impl Prefix {
    /// A frame with a prefix has at most this many plain bytes, so that the prefix can hold as much from around it.
    pub(super) const MAX_FRAME_BYTES: usize = 1 << 20;

    /// The next `bytes` of the frame may be like those at `hint`.
    pub(super) fn want(&mut self, hint: Hint, bytes: u64) {
        let next = Region { source: hint.source, begin: hint.offset, end: hint.offset.saturating_add(bytes) };
        match self.regions.last_mut() {
            Some(last) if last.source == next.source && last.end == next.begin => last.end = next.end,
            _ => self.regions.push(next),
        }
    }

    /// Whether a frame of at most `frame_bytes` takes no more regions.
    pub(super) fn is_full(&self, frame_bytes: usize) -> bool {
        self.regions.len() >= (frame_bytes / BYTES_PER_REGION).max(1)
    }

    /// The runs of the prefix, their bytes, and what it takes to read them.
    pub(super) fn read(&self, history: &History) -> Result<(Vec<Run>, Slice)> {
        let (mut runs, mut all) = (Vec::new(), Slice::default());
        for region in self.widened(history)? {
            let bytes = region.end.saturating_sub(region.begin);
            let Some((digest, slice)) = history.read(region.source, region.begin, bytes)? else { continue };
            let cost = all.cost.and(slice.cost).after(1);
            if !is_within(cost, history.most_frames) {
                continue;
            }
            all.bytes.extend(slice.bytes);
            all.cost = cost;
            runs.push(Run { digest, offset: region.begin, bytes });
        }
        Ok((runs, all))
    }

    /// The regions with what is around them, as far as a prefix may go; what touches is one.
    fn widened(&self, history: &History) -> Result<Vec<Region>> {
        let wanted = self.regions.iter().fold(0u64, |sum, region| sum.saturating_add(region.end.saturating_sub(region.begin)));
        let sides = length_of(&self.regions).saturating_mul(2);
        let margin = MAX_PREFIX_BYTES.saturating_sub(wanted).checked_div(sides).unwrap_or_default().min(MAX_MARGIN);
        let mut wide: Vec<Region> = Vec::new();
        for region in &self.regions {
            let plain_bytes = history.plain_bytes(region.source)?;
            let begin = region.begin.saturating_sub(margin).min(plain_bytes);
            let end = region.end.saturating_add(margin).min(plain_bytes);
            match wide.last_mut() {
                Some(last) if last.source == region.source && begin <= last.end && last.begin <= begin => last.end = last.end.max(end),
                _ => wide.push(Region { source: region.source, begin, end }),
            }
        }
        wide.retain(|region| region.end > region.begin);
        Ok(wide)
    }
}

/// Whether what takes so much to read may stand before a frame, where frames have at most `frame_bytes`.
#[must_use]
pub fn may_be_prefix(cost: Cost, frame_bytes: u64) -> bool {
    is_within(cost, most_frames(frame_bytes))
}

fn is_within(cost: Cost, most_frames: u64) -> bool {
    cost.depth < MAX_DEPTH && cost.frames <= most_frames && cost.steps <= MAX_STEPS
}

/// How many frames of at most `frame_bytes` a reader may have to open for a prefix.
pub(super) fn most_frames(frame_bytes: u64) -> u64 {
    MAX_READ_BYTES.checked_div(frame_bytes).unwrap_or(u64::MAX).clamp(*FRAMES.start(), *FRAMES.end())
}

fn length_of<T>(all: &[T]) -> u64 {
    u64::try_from(all.len()).unwrap_or(u64::MAX)
}
