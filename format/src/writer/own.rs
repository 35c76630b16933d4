//! [`Own`]: the blobs of a set in the making as older versions of those that come after them.
//!
//! **Invariants.** A blob is read by those alone whose frames were begun after all of its own were closed: nothing turns in a circle.
//! What is read, and what that costs a reader, is the same in a run that goes on.
//!
//! *Not here:* which blobs count (`table`), frames (`shelf`).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::place::{Place, Spot};
use super::shelf::{At, Shelf};
use super::table::Table;
use crate::cache::lock;
use crate::codec::length;
use crate::delta::{Cost, Earlier, Slice, Version};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layout::MAX_PREFIX_BYTES;
use crate::recipe::Run;

/// A reader looks for the place of each piece of a prefix, and then for the piece.
const STEPS_PER_PIECE: u64 = 2;

/// The blobs that a set got up to now.
pub(super) struct Own {
    table: Mutex<Table>,
    pub(super) shelf: Shelf,
    earlier: Arc<Earlier>,
}

/// Bytes of a plain form that come together, and the frames that were counted.
#[derive(Default)]
struct Gather {
    slice: Slice,
    counted: HashSet<At>,
}

impl Own {
    /// No blobs yet, and a table of about `memory_bytes`. Frames are closed after each `close_bytes` of plain forms; `stem` is what
    /// the paths of the volumes begin with.
    pub(super) fn new(memory_bytes: u64, close_bytes: u64, stem: PathBuf, earlier: Arc<Earlier>) -> Self {
        Self { table: Mutex::new(Table::new(memory_bytes, close_bytes)), shelf: Shelf::new(stem), earlier }
    }

    /// Does something with the table of blobs.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut lock(&self.table))
    }

    /// Older versions of a file of `bytes`, in the first `blobs` blobs.
    pub(super) fn find(&self, name: u64, bytes: u64, blobs: u32) -> Vec<Version> {
        self.with(|table| table.find(name, bytes, blobs))
    }

    /// Digest and plain size of a blob.
    pub(super) fn blob(&self, number: u32) -> Option<(Digest, u64)> {
        self.with(|table| table.blob(number))
    }

    /// Where in a file of blob `number`, which lies between these two, the bytes at `place` stand.
    pub(super) fn locate(&self, number: u32, place: Place, begin: u64, end: u64) -> Option<u64> {
        self.with(|table| table.laid(number))?.find(place, begin, end)
    }

    /// `bytes` bytes of the plain form of a blob, from `begin`; fewer where it ends before. `None` where some of them are of earlier sets, and
    /// cannot be had.
    pub(super) fn read(&self, number: u32, begin: u64, bytes: u64) -> Result<Option<Slice>> {
        let Some(laid) = self.with(|table| table.laid(number)) else { return Ok(None) };
        let (mut gather, end) = (Gather::default(), begin.saturating_add(bytes));
        for (at, spot) in laid.within(begin, end) {
            let into = begin.saturating_sub(at);
            let count = u64::from(spot.bytes).min(end.saturating_sub(at)).saturating_sub(into);
            if !self.take(spot, into, count, &mut gather)? {
                return Ok(None);
            }
        }
        Ok(Some(gather.slice))
    }

    fn take(&self, spot: &Spot, into: u64, count: u64, gather: &mut Gather) -> Result<bool> {
        match spot.place {
            Place::Frame { id, offset } => self.frame(At::Made(id), u64::from(offset).saturating_add(into), count, gather)?,
            Place::Stream { volume, offset } => {
                let (mut at, end) = (offset.saturating_add(into), offset.saturating_add(into).saturating_add(count));
                while at < end {
                    let lost = || Error::new(Kind::Usage, "an older version lies in no frame");
                    let (frame, begin) = self.shelf.at(volume, at).ok_or_else(lost)?;
                    let before = length(&gather.slice.bytes);
                    self.frame(frame, at.saturating_sub(begin), end.saturating_sub(at), gather)?;
                    at = at.saturating_add(length(&gather.slice.bytes).saturating_sub(before).max(1));
                }
            }
            Place::Before { blob, offset } => return self.earlier(blob, offset.saturating_add(into), count, gather),
        }
        Ok(true)
    }

    fn frame(&self, at: At, from: u64, count: u64, gather: &mut Gather) -> Result<()> {
        let (plain, cost) = self.shelf.plain(at, |runs| self.prefix(runs))?;
        let begin = usize::try_from(from).unwrap_or(usize::MAX);
        let rest = plain.0.get(begin..).unwrap_or_default();
        gather.slice.bytes.extend_from_slice(rest.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or(rest));
        let cost = if gather.counted.insert(at) { cost } else { Cost { depth: cost.depth, ..Cost::default() } };
        gather.slice.cost = gather.slice.cost.and(cost).after(STEPS_PER_PIECE);
        Ok(())
    }

    fn earlier(&self, blob: u32, offset: u64, count: u64, gather: &mut Gather) -> Result<bool> {
        let digest = self.earlier.chunks.blob(blob)?.digest;
        let slice = self.earlier.versions.as_ref().and_then(|versions| versions.read(&digest, offset, count).ok());
        let Some(slice) = slice.filter(|slice| length(&slice.bytes) == count) else { return Ok(false) };
        gather.slice.bytes.extend(slice.bytes);
        gather.slice.cost = gather.slice.cost.and(slice.cost).after(1);
        Ok(true)
    }

    /// The bytes of the prefix of a frame of this set.
    fn prefix(&self, runs: &[Run]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for run in runs {
            crate::error::cap(length(&bytes).saturating_add(run.bytes), MAX_PREFIX_BYTES, "prefix of a frame")?;
            let slice = match self.with(|table| table.number(&run.digest)) {
                Some(number) => self.read(number, run.offset, run.bytes)?,
                None => self.earlier.versions.as_ref().map(|versions| versions.read(&run.digest, run.offset, run.bytes)).transpose()?,
            };
            let gone = || Error::new(Kind::Missing, format!("blob {}: what a frame was compressed after cannot be read again", run.digest));
            bytes.extend(slice.filter(|slice| length(&slice.bytes) == run.bytes).ok_or_else(gone)?.bytes);
        }
        Ok(bytes)
    }
}
