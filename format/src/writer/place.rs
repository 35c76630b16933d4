//! [`Place`]: where bytes of a blob are, or will be; [`Placed`]: what became of frames.
//!
//! *Not here:* which chunk lies where (`builder`).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::delta::Earlier;
use crate::error::{Error, Kind, Result};
use crate::recipe::{Part, Range, Run};

/// Where bytes are, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a frame that this run makes.
    Frame { id: u32, offset: u32 },
    /// In a stream already.
    Stream { volume: u32, offset: u64 },
    /// In an earlier set: in the plain form of the blob with this number there.
    Before { blob: u32, offset: u64 },
}

/// Some bytes of a blob: where, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) bytes: u32,
}

/// Which stretch of the streams each frame of this run became.
pub(super) struct Placed {
    frames: Vec<Option<(u32, u64)>>,
    earlier: Arc<Earlier>,
}

impl Placed {
    /// Of no frame yet.
    pub(super) fn new(earlier: Arc<Earlier>) -> Self {
        Self { frames: Vec::new(), earlier }
    }

    /// Frame `id` begins at `offset` in the stream of `volume`.
    pub(super) fn put(&mut self, id: u32, volume: u32, offset: u64) {
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        if self.frames.len() <= at {
            self.frames.resize(at.saturating_add(1), None);
        }
        if let Some(place) = self.frames.get_mut(at) {
            *place = Some((volume, offset));
        }
    }

    /// The frames among `spots` that have no place yet.
    pub(super) fn missing(&self, spots: &[Spot]) -> BTreeSet<u32> {
        spots
            .iter()
            .filter_map(|spot| match spot.place {
                Place::Frame { id, .. } if self.get(id).is_none() => Some(id),
                _ => None,
            })
            .collect()
    }

    /// Whether a frame has a place.
    pub(super) fn has(&self, id: u32) -> bool {
        self.get(id).is_some()
    }

    fn get(&self, id: u32) -> Option<(u32, u64)> {
        self.frames.get(usize::try_from(id).ok()?).copied().flatten()
    }

    /// The parts that spots became; all of their frames have a place.
    pub(super) fn parts(&self, spots: &[Spot]) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for spot in spots {
            let bytes = spot.bytes.into();
            let part = match spot.place {
                Place::Stream { volume, offset } => Part::Range(Range { volume, offset, bytes }),
                Place::Frame { id, offset } => {
                    let (volume, start) = self.get(id).ok_or_else(|| Error::new(Kind::Usage, "a frame was not written"))?;
                    Part::Range(Range { volume, offset: start.saturating_add(offset.into()), bytes })
                }
                Place::Before { blob, offset } => Part::Run(Run { digest: self.earlier.chunks.blob(blob)?.digest, offset, bytes }),
            };
            Part::join(&mut parts, part);
        }
        Ok(parts)
    }
}

/// Appends a spot; one that goes on where the last one ends becomes one with it.
pub(super) fn push_spot(spots: &mut Vec<Spot>, next: Spot) {
    if let Some(last) = spots.last_mut()
        && last.end() == Some(next.place)
        && let Some(bytes) = last.bytes.checked_add(next.bytes)
    {
        last.bytes = bytes;
        return;
    }
    spots.push(next);
}

impl Spot {
    /// How far into it the bytes at `place` stand, if they do.
    pub(super) fn holds(&self, place: Place) -> Option<u64> {
        let into = match (self.place, place) {
            (Place::Frame { id, offset }, Place::Frame { id: other, offset: at }) if id == other => u64::from(at.checked_sub(offset)?),
            (Place::Stream { volume, offset }, Place::Stream { volume: other, offset: at }) if volume == other => at.checked_sub(offset)?,
            _ => return None,
        };
        (into < self.bytes.into()).then_some(into)
    }

    /// Where it ends.
    fn end(&self) -> Option<Place> {
        match self.place {
            Place::Frame { id, offset } => Some(Place::Frame { id, offset: offset.checked_add(self.bytes)? }),
            Place::Stream { volume, offset } => Some(Place::Stream { volume, offset: offset.checked_add(self.bytes.into())? }),
            Place::Before { blob, offset } => Some(Place::Before { blob, offset: offset.checked_add(self.bytes.into())? }),
        }
    }
}
