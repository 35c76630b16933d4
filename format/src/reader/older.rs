//! The reader as [`Older`]: the plain forms of earlier sets, for one who writes a new set after them.

use super::form::{Form, Steps, frame_header};
use super::{Inner, Reader};
use crate::delta::{Older, Slice};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layout::{Codec, MAX_PREFIX_BYTES};
use crate::recipe::{Part, Range};

impl Older for Reader {
    fn plain(&self, blob: &Digest, offset: u64, bytes: u64) -> Result<Slice> {
        let located = self.inner.must_locate(blob)?;
        let form = Form::plain(&located)?;
        let mut buffer = vec![0; crate::error::cap(bytes, MAX_PREFIX_BYTES, "slice of an earlier blob")?];
        let count = self.inner.fill(&form, offset, &mut buffer)?;
        buffer.truncate(count);
        let depth = self.inner.depth(&form, offset, bytes, &mut Steps::default())?;
        Ok(Slice { bytes: buffer, depth })
    }
}

impl Inner {
    /// How deep the prefixes are of the frames that bytes of a form lie in.
    fn depth(&self, form: &Form, offset: u64, bytes: u64, steps: &mut Steps) -> Result<u8> {
        let (mut at, end) = (offset, offset.saturating_add(bytes).min(form.bytes));
        let mut depth = 0;
        while at < end {
            steps.take()?;
            let Some((part, into)) = form.part_at(at)? else { return Ok(depth) };
            let count = part.bytes().saturating_sub(into).min(end.saturating_sub(at)).max(1);
            depth = depth.max(match part {
                Part::Range(range) => self.range_depth(form.set, &range, into, count)?,
                Part::Run(run) => {
                    let runs = steps.enter(&run)?;
                    let located = self.locate(form.set, &run.digest)?.ok_or_else(|| self.nowhere(form.set, &run.digest))?;
                    let depth = self.depth(&Form::plain(&located)?, run.offset.saturating_add(into), count, steps)?;
                    steps.leave(runs);
                    depth
                }
            });
            at = at.saturating_add(count);
        }
        Ok(depth)
    }

    fn range_depth(&self, set: usize, range: &Range, into: u64, count: u64) -> Result<u8> {
        let volume = self.volume(set, range.volume)?;
        let (mut at, mut depth) = (range.offset.saturating_add(into), 0);
        let end = at.saturating_add(count);
        while at < end {
            let row = volume.frame_at(at)?;
            if row.codec != 1 {
                let Codec::Prefix { depth: own, .. } = frame_header(volume, &row)?.codec else {
                    return Err(Error::new(Kind::Unsupported, "frame: its codec is unknown"));
                };
                depth = depth.max(own);
            }
            at = row.stream_offset.saturating_add(row.plain_bytes.into()).max(at.saturating_add(1));
        }
        Ok(depth)
    }
}
