//! [`History`]: where older versions of what a set brings can be: in earlier sets, and in blobs that the set itself got before.
//!
//! **Invariants.** What is told depends on earlier sets and on the blobs before, in their order, alone.
//!
//! *Not here:* blobs of this set (`own`), what is made of versions (`prefix`).

use std::sync::Arc;

use super::own::Own;
use crate::codec::length;
use crate::delta::{Earlier, Slice, Version};
use crate::digest::Digest;
use crate::error::Result;

/// A blob that may hold older versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Source {
    /// Of earlier sets, by its number in their chunk index.
    Earlier(u32),
    /// Of this set, by its place in the order of adding.
    Own(u32),
}

/// An older version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Old {
    /// The blob that it is in.
    pub(super) source: Source,
    /// Where in the plain form of that its content begins.
    pub(super) offset: u64,
    /// How many bytes it has.
    pub(super) bytes: u64,
}

/// Where older versions can be.
#[derive(Clone)]
pub(super) struct History {
    pub(super) earlier: Arc<Earlier>,
    pub(super) own: Option<Arc<Own>>,
    /// How many frames a reader may have to open for what stands before a frame.
    pub(super) most_frames: u64,
}

impl History {
    /// Whether there can be any older version.
    pub(super) fn has_versions(&self) -> bool {
        self.earlier.versions.is_some() || self.own.is_some()
    }

    /// The older versions of a file, in the first `own_blobs` blobs of this set and in earlier sets.
    pub(super) fn find(&self, name: u64, bytes: u64, own_blobs: u32) -> Vec<Old> {
        let of = |source: fn(u32) -> Source| move |Version { blob, offset, bytes }: Version| Old { source: source(blob), offset, bytes };
        let earlier = self.earlier.versions.iter().flat_map(|versions| versions.find(name)).map(of(Source::Earlier));
        let own = self.own.iter().flat_map(|own| own.find(name, bytes, own_blobs)).map(of(Source::Own));
        earlier.chain(own).collect()
    }

    /// The size of the plain form of a blob, in bytes.
    pub(super) fn plain_bytes(&self, source: Source) -> Result<u64> {
        match source {
            Source::Earlier(number) => Ok(self.earlier.chunks.blob(number)?.plain_bytes),
            Source::Own(number) => Ok(self.own.as_ref().and_then(|own| own.blob(number)).map_or(0, |(_, plain_bytes)| plain_bytes)),
        }
    }

    /// Bytes of the plain form of a blob, and which blob that is; `None` where they cannot be had. That earlier sets do not give
    /// them costs a patch; that this one does not is an error.
    pub(super) fn read(&self, source: Source, begin: u64, bytes: u64) -> Result<Option<(Digest, Slice)>> {
        let found = match source {
            Source::Earlier(number) => {
                let digest = self.earlier.chunks.blob(number)?.digest;
                let slice = self.earlier.versions.as_ref().and_then(|versions| versions.read(&digest, begin, bytes).ok());
                slice.map(|slice| (digest, slice))
            }
            Source::Own(number) => {
                let Some((own, (digest, _))) = self.own.as_ref().and_then(|own| Some((own, own.blob(number)?))) else { return Ok(None) };
                own.read(number, begin, bytes)?.map(|slice| (digest, slice))
            }
        };
        Ok(found.filter(|(_, slice)| length(&slice.bytes) == bytes))
    }
}
