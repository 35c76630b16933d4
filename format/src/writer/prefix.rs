//! [`Prefix`]: what a frame is compressed after: older versions of what it holds.
//!
//! **Invariants.** At most [`MAX_PREFIX_BYTES`], of frames whose own prefixes are less than [`MAX_DEPTH`] deep, and at most
//! [`MAX_FRAMES`] of them, theirs counted. What cannot be read is left out.

use super::layer::Hint;
use crate::codec::length;
use crate::delta::{Earlier, Slice};
use crate::error::Result;
use crate::layout::{MAX_DEPTH, MAX_PREFIX_BYTES};
use crate::recipe::Run;

/// How far around an older version one looks at the most, in bytes.
const MAX_MARGIN: u64 = 1 << 20;
/// How many frames a reader may have to open for a prefix, counted for each of its stretches: with prefixes of prefixes it could
/// be any number.
const MAX_FRAMES: u64 = 512;
/// A region of a frame takes about this much of its header; so many plain bytes must come with each.
const BYTES_PER_REGION: usize = 4096;

/// A stretch of the plain form of an earlier blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Region {
    blob: u32,
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
        let next = Region { blob: hint.blob, begin: hint.offset, end: hint.offset.saturating_add(bytes) };
        match self.regions.last_mut() {
            Some(last) if last.blob == next.blob && last.end == next.begin => last.end = next.end,
            _ => self.regions.push(next),
        }
    }

    /// Whether a frame of at most `frame_bytes` takes no more regions.
    pub(super) fn is_full(&self, frame_bytes: usize) -> bool {
        self.regions.len() >= (frame_bytes / BYTES_PER_REGION).max(1)
    }

    /// The runs of the prefix, their bytes, and how deep their own prefixes are.
    pub(super) fn read(&self, earlier: &Earlier) -> Result<(Vec<Run>, Slice)> {
        let (mut runs, mut all) = (Vec::new(), Slice::default());
        let Some(versions) = &earlier.versions else { return Ok((runs, all)) };
        for region in self.widened(earlier)? {
            let blob = earlier.chunks.blob(region.blob)?;
            let bytes = region.end.saturating_sub(region.begin);
            let Ok(slice) = versions.read(&blob.digest, region.begin, bytes) else { continue };
            let frames = all.frames.saturating_add(slice.frames);
            if slice.depth >= MAX_DEPTH || frames > MAX_FRAMES || length(&slice.bytes) != bytes {
                continue;
            }
            all.bytes.extend(slice.bytes);
            (all.depth, all.frames) = (all.depth.max(slice.depth), frames);
            runs.push(Run { digest: blob.digest, offset: region.begin, bytes });
        }
        Ok((runs, all))
    }

    /// The regions with what is around them, as far as a prefix may go; what touches is one.
    fn widened(&self, earlier: &Earlier) -> Result<Vec<Region>> {
        let wanted = self.regions.iter().fold(0u64, |sum, region| sum.saturating_add(region.end.saturating_sub(region.begin)));
        let sides = length_of(&self.regions).saturating_mul(2);
        let margin = MAX_PREFIX_BYTES.saturating_sub(wanted).checked_div(sides).unwrap_or_default().min(MAX_MARGIN);
        let mut wide: Vec<Region> = Vec::new();
        for region in &self.regions {
            let plain_bytes = earlier.chunks.blob(region.blob)?.plain_bytes;
            let begin = region.begin.saturating_sub(margin).min(plain_bytes);
            let end = region.end.saturating_add(margin).min(plain_bytes);
            match wide.last_mut() {
                Some(last) if last.blob == region.blob && begin <= last.end && last.begin <= begin => last.end = last.end.max(end),
                _ => wide.push(Region { blob: region.blob, begin, end }),
            }
        }
        wide.retain(|region| region.end > region.begin);
        Ok(wide)
    }
}

fn length_of<T>(all: &[T]) -> u64 {
    u64::try_from(all.len()).unwrap_or(u64::MAX)
}
