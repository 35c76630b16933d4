//! [`Directory`]: what is in a directory, by place and by name.
//!
//! **Invariants.** An entry has the same place as long as it is mounted, so that a listing can go on anywhere. Nothing is copied that
//! grows with the archive.

use std::ops::Range;
use std::sync::Arc;

use super::names::Names;
use super::numbers::{Image, Number};
use super::rootfs::Rootfs;
use crate::image::Digest;

/// Blobs that are at hand, sorted by digest, with their sizes in bytes.
pub(super) type Blobs = Vec<(Digest, u64)>;

/// A directory.
pub(super) enum Directory {
    /// Some entries.
    Few(Vec<(String, Number)>),
    /// Blobs of one algorithm.
    Blobs(Arc<Blobs>, Range<usize>),
    /// A directory below `images`.
    Folder(Arc<Names>, u32),
    /// A directory of a root file system.
    Tree(Arc<Rootfs>, Image, u32),
}

impl Directory {
    /// The blobs of an algorithm.
    pub(super) fn blobs(blobs: Arc<Blobs>, algorithm: &str) -> Self {
        let is_before = |digest: &Digest| digest.algorithm() < algorithm;
        let first = blobs.partition_point(|(digest, _)| is_before(digest));
        let count = blobs[first..].partition_point(|(digest, _)| digest.algorithm() == algorithm);
        Self::Blobs(blobs, first..first + count)
    }

    /// Calls `take` with the place, the name and the number of each entry from a place on, until it has enough.
    pub(super) fn each(&self, from: usize, mut take: impl FnMut(usize, &[u8], Number) -> bool) {
        let mut at = from;
        while self.with(at, |name, number| take(at, name, number)) == Some(true) {
            at += 1;
        }
    }

    /// The entry with this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<Number> {
        match self {
            Self::Few(entries) => entries.iter().find(|(there, _)| there.as_bytes() == name).map(|(_, number)| *number),
            Self::Blobs(blobs, range) => {
                let (first, _) = blobs.get(range.start)?;
                let wanted: Digest = format!("{}:{}", first.algorithm(), std::str::from_utf8(name).ok()?).parse().ok()?;
                let at = blobs.binary_search_by(|(digest, _)| digest.cmp(&wanted)).ok()?;
                Some(Number::Blob(at as u32))
            }
            Self::Folder(names, folder) => names.find(*folder, name),
            Self::Tree(rootfs, image, entry) => Some(Number::Node(*image, rootfs.find(rootfs.get(*entry)?, name)?)),
        }
    }

    /// Calls `take` with the entry at a place, if there is one.
    fn with<T>(&self, at: usize, take: impl FnOnce(&[u8], Number) -> T) -> Option<T> {
        Some(match self {
            Self::Few(entries) => {
                let (name, number) = entries.get(at)?;
                take(name.as_bytes(), *number)
            }
            Self::Blobs(blobs, range) => {
                let place = range.clone().nth(at)?;
                take(blobs[place].0.hex().as_bytes(), Number::Blob(place as u32))
            }
            Self::Folder(names, folder) => {
                let (name, number) = names.get(*folder, at)?;
                take(name.as_bytes(), number)
            }
            Self::Tree(rootfs, image, entry) => {
                let place = rootfs.get(*entry)?.children.clone().nth(at)?;
                take(&rootfs.get(place)?.name, Number::Node(*image, place))
            }
        })
    }
}
