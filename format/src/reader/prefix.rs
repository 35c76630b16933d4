//! What a frame was compressed after, put together.
//!
//! **Invariants.** Each frame that a prefix has bytes of is decompressed once for it, in whatever order its pieces come and whatever the cache
//! holds: a read takes no more than the writer counted when it chose the prefix. Prefixes nest as deep as the format allows, and no deeper.
//!
//! *Not here:* the runs that a blob consists of (`form`).

use std::sync::Arc;

use super::Inner;
use super::form::{Steps, frame_header};
use crate::codec::length;
use crate::error::{Error, Kind, Result};
use crate::index::FrameRow;
use crate::layout::{Codec, MAX_PREFIX_BYTES};
use crate::recipe::{Part, Range, Run};
use crate::volume::Volume;

/// Bytes of a prefix that lie together.
struct Piece<'r> {
    /// The run of the prefix that they are of, and where in it.
    run: &'r Run,
    at: u64,
    bytes: u64,
    /// Where that run stands in the prefix.
    into: u64,
    /// None where they are not to be found by indexes alone.
    place: Option<Place<'r>>,
}

/// Where in a frame.
struct Place<'r> {
    set: usize,
    volume: &'r Arc<Volume>,
    row: FrameRow,
    from: u64,
}

impl Piece<'_> {
    /// What pieces of one frame have in common.
    fn frame(&self) -> Option<(u64, u64)> {
        self.place.as_ref().map(|place| (place.volume.cache().1, place.row.stream_offset))
    }

    fn is_with(&self, other: &Self) -> bool {
        self.frame().is_some() && self.frame() == other.frame()
    }
}

impl Inner {
    /// What a frame with a prefix says of it, and the bytes that it was compressed after.
    pub(super) fn prefix(&self, set: usize, volume: &Volume, row: &FrameRow, steps: &mut Steps) -> Result<(Codec, Vec<u8>)> {
        let wrong = |why: &str| volume.placed(Error::damaged(format!("frame: {why}")).at(row.file_offset));
        let prefixes = steps.enter_prefix().ok_or_else(|| wrong("its prefixes are too deep"))?;
        let header = frame_header(volume, row)?;
        let Codec::Prefix { runs, .. } = &header.codec else { return Err(wrong("its header has no prefix")) };
        let (mut pieces, mut bytes) = (Vec::new(), 0u64);
        for run in runs {
            self.pieces(set, run, bytes, steps, &mut pieces)?;
            bytes = bytes.saturating_add(run.bytes);
        }
        let mut prefix = vec![0; crate::error::cap(bytes, MAX_PREFIX_BYTES, "prefix of a frame")?];
        pieces.sort_by_key(Piece::frame);
        for together in pieces.chunk_by(Piece::is_with) {
            self.fill_in(set, together, &mut prefix, steps)?;
        }
        steps.leave_prefix(prefixes);
        Ok((header.codec, prefix))
    }

    /// The pieces of a run, which stands at `into` of a prefix; one piece where some of it is not at hand.
    fn pieces<'r>(&'r self, set: usize, run: &'r Run, into: u64, steps: &mut Steps, pieces: &mut Vec<Piece<'r>>) -> Result<()> {
        let (before, mut at) = (pieces.len(), 0u64);
        let mut add = |bytes: u64, place: Option<Place<'r>>| {
            pieces.push(Piece { run, at, bytes, into, place });
            at = at.saturating_add(bytes);
        };
        match self.places(set, run, steps, &mut add) {
            Err(absent) if absent.kind() == Kind::Missing => {
                pieces.truncate(before);
                pieces.push(Piece { run, at: 0, bytes: run.bytes, into, place: None });
                Ok(())
            }
            done => done,
        }
    }

    /// Calls `add` with the places of a run, in order.
    fn places<'r>(&'r self, set: usize, run: &Run, steps: &mut Steps, add: &mut dyn FnMut(u64, Option<Place<'r>>)) -> Result<()> {
        steps.take()?;
        let (form, within) = self.plain_of(set, run)?;
        if form.is_verbatim() {
            add(run.bytes, None);
            return Ok(());
        }
        let runs = steps.enter(run)?;
        let replays = form.each_part_in(within, &mut |part| match part {
            Part::Range(range) => self.frames_of(form.set, &range, steps, add),
            Part::Run(run) => self.places(form.set, &run, steps, add),
        })?;
        steps.leave(runs);
        match replays {
            false => Ok(()),
            true => Err(Error::damaged(format!("blob {}: its plain form is none", run.digest))),
        }
    }

    /// Calls `add` with each frame of a range.
    fn frames_of<'r>(&'r self, set: usize, range: &Range, steps: &mut Steps, add: &mut dyn FnMut(u64, Option<Place<'r>>)) -> Result<()> {
        let volume = self.volume(set, range.volume)?;
        let (mut at, end) = (range.offset, range.offset.saturating_add(range.bytes));
        while at < end {
            steps.take()?;
            let row = volume.frame_at(at)?;
            let next = row.stream_offset.saturating_add(row.plain_bytes.into()).min(end).max(at.saturating_add(1));
            let from = at.saturating_sub(row.stream_offset);
            add(next.saturating_sub(at), Some(Place { set, volume, row, from }));
            at = next;
        }
        Ok(())
    }

    /// Puts pieces of one frame, or a single one that lies in none, where they stand in the prefix.
    fn fill_in(&self, set: usize, pieces: &[Piece<'_>], prefix: &mut [u8], steps: &mut Steps) -> Result<()> {
        let frame = match pieces.first().and_then(|piece| piece.place.as_ref()) {
            Some(place) => match self.frame(place.set, place.volume, &place.row, steps) {
                // Perhaps all of the run is to be had elsewhere.
                Err(absent) if absent.kind() == Kind::Missing => None,
                found => Some(found?),
            },
            None => None,
        };
        for piece in pieces {
            let begin = usize::try_from(piece.into.saturating_add(piece.at)).unwrap_or(usize::MAX);
            let rest = prefix.get_mut(begin..).unwrap_or_default();
            let room = usize::try_from(piece.bytes).ok().and_then(|bytes| rest.get_mut(..bytes)).unwrap_or_default();
            match (&frame, &piece.place) {
                (Some(frame), Some(place)) => frame.copy_to(place.from, room)?,
                _ => self.fill_from_run(set, piece, room, steps)?,
            }
        }
        Ok(())
    }

    fn fill_from_run(&self, set: usize, piece: &Piece<'_>, mut room: &mut [u8], steps: &mut Steps) -> Result<()> {
        let mut at = piece.at;
        while !room.is_empty() {
            steps.take()?;
            let chunk = self.in_run(set, piece.run, at, length(room), steps)?;
            let Some((to, rest)) = room.split_at_mut_checked(chunk.len()) else { break };
            to.copy_from_slice(&chunk);
            at = at.saturating_add(length(&chunk));
            room = rest;
        }
        Ok(())
    }
}
