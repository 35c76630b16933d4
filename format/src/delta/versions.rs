//! [`Versions`]: where earlier sets have older versions of files.
//!
//! **Invariants.** What is found is a hint: a wrong one costs bytes, never content.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ENTRY_BYTES;
use super::chunks::Chunks;
use super::cost::Cost;
use crate::chunk::Files;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// Bytes of a plain form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What it takes to read them.
    pub cost: Cost,
}

/// The plain forms of blobs of earlier sets, at hand.
pub trait Older: Send + Sync {
    /// `bytes` bytes of the plain form of a blob, from `offset`.
    fn plain(&self, blob: &Digest, offset: u64, bytes: u64) -> Result<Slice>;
}

/// How many blobs could not be read, and were passed over.
#[derive(Debug, Clone, Default)]
pub struct Unread {
    /// Those that are not at hand.
    pub absent: u64,
    /// Those that are, and cannot be read.
    pub broken: u64,
    /// What is wrong with the first of these.
    pub why: Option<Error>,
}

impl Unread {
    /// Counts one more.
    pub(super) fn count(&mut self, error: Error) {
        if error.kind() == Kind::Missing {
            self.absent = self.absent.saturating_add(1);
        } else {
            self.broken = self.broken.saturating_add(1);
            self.why.get_or_insert(error);
        }
    }

    /// Whether all could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.absent == 0 && self.broken == 0
    }
}

/// An older version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The number of the blob that it is in, as the chunk index numbers them.
    pub blob: u32,
    /// Where in the plain form of that its content begins.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Older versions of files, by what stands for their paths; and their content.
pub struct Versions {
    files: Vec<(u64, Version)>,
    older: Arc<dyn Older>,
    /// The blobs that could not be read, or not all of them.
    failed: Mutex<BTreeMap<Digest, Error>>,
}

impl Versions {
    /// The files of all blobs of a chunk index, as far as they can be read and `memory_bytes` suffice.
    #[must_use]
    pub fn of(chunks: &Chunks, older: Arc<dyn Older>, memory_bytes: u64) -> Self {
        let most = usize::try_from(memory_bytes / ENTRY_BYTES).unwrap_or(usize::MAX);
        let (mut files, mut failed) = (Vec::new(), BTreeMap::new());
        for (number, blob) in (0u32..).zip(chunks.blobs()) {
            let walked = walk(older.as_ref(), &blob.digest, blob.plain_bytes, &mut |file: crate::chunk::File| {
                if files.len() < most {
                    files.push((file.name, Version { blob: number, offset: file.offset, bytes: file.bytes }));
                }
            });
            if let Err(error) = walked {
                failed.insert(blob.digest, error);
            }
        }
        files.sort_unstable();
        Self { files, older, failed: Mutex::new(failed) }
    }

    /// The older versions of a file.
    pub fn find(&self, name: u64) -> impl Iterator<Item = Version> + '_ {
        let first = self.files.partition_point(|(there, _)| *there < name);
        let rest = self.files.get(first..).unwrap_or_default();
        rest.iter().take_while(move |(there, _)| *there == name).map(|(_, version)| *version)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes of the plain form of a blob that has some of them.
    pub fn read(&self, blob: &Digest, offset: u64, bytes: u64) -> Result<Slice> {
        self.older.plain(blob, offset, bytes).inspect_err(|error| {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).entry(*blob).or_insert_with(|| error.clone());
        })
    }

    /// How many blobs could not be read up to now, or not all of them.
    #[must_use]
    pub fn unread(&self) -> Unread {
        let mut unread = Unread::default();
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|error| unread.count(error.clone()));
        unread
    }
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Versions({} files)", self.files.len())
    }
}

/// Reads the headers of a tar, and passes over what stands between them.
fn walk(older: &dyn Older, blob: &Digest, plain_bytes: u64, found: &mut impl FnMut(crate::chunk::File)) -> Result<()> {
    let (mut files, mut at) = (Files::default(), 0u64);
    while at < plain_bytes {
        let idle = files.idle_bytes();
        files.skip(idle);
        at = at.saturating_add(idle);
        let wanted = files.wanted_bytes().min(plain_bytes.saturating_sub(at));
        if wanted > 0 {
            files.push(&older.plain(blob, at, wanted)?.bytes, found);
            at = at.saturating_add(wanted);
        }
    }
    Ok(())
}
