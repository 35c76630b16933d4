//! [`Holder`]: a file that may hold a shard, with what patches put over it; and [`Files`], which opens them.
//!
//! **Invariants.** A holder promises nothing: its bytes count only once their hash does. Reads are positioned and bounded by what the caller
//! asks for; a file that ends too early gives an error, not zeros.
//!
//! *Not here:* which holder is right (`survey`).

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::shape::Shape;
use crate::error::{Error, Result};
use crate::volume::read_exact;

/// Files that are open at once.
const MOST_OPEN: usize = 128;

/// Bytes of a patch that stand for bytes of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Which bytes of the volume.
    pub range: Range<u64>,
    /// Where they are.
    pub path: PathBuf,
    /// At which offset there.
    pub offset: u64,
}

/// A file that may hold a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// The file; `None` where there are patches alone.
    pub path: Option<PathBuf>,
    /// What is put over it, in order and without overlaps.
    pub overlays: Vec<Overlay>,
}

/// Files that were opened.
#[derive(Debug, Default)]
pub(crate) struct Files {
    open: BTreeMap<PathBuf, File>,
}

impl Files {
    pub(crate) fn read(&mut self, path: &Path, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if !self.open.contains_key(path) {
            if self.open.len() >= MOST_OPEN {
                self.open.clear();
            }
            let file = File::open(path).map_err(|error| Error::io(path, &error))?;
            self.open.insert(path.to_owned(), file);
        }
        let file = self.open.get(path).ok_or_else(|| Error::damaged("it is gone").in_file(path))?;
        read_exact(file, offset, buffer).map_err(|error| error.in_file(path))
    }
}

impl Holder {
    /// A file as it is.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), overlays: Vec::new() }
    }

    /// Fills `buffer` from `offset` of the volume.
    pub(crate) fn read(&self, files: &mut Files, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let most = u64::try_from(rest.len()).unwrap_or(u64::MAX);
            let after = self.overlays.partition_point(|overlay| overlay.range.start <= at);
            let before = after.checked_sub(1).and_then(|before| self.overlays.get(before));
            let covering = before.filter(|overlay| overlay.range.contains(&at));
            let next = self.overlays.get(after).map(|overlay| overlay.range.start);
            let end = covering.map(|overlay| overlay.range.end).or(next).unwrap_or(u64::MAX);
            let bytes = usize::try_from(end.saturating_sub(at).min(most)).unwrap_or(usize::MAX);
            let (now, after) = rest.split_at_mut_checked(bytes).ok_or_else(|| Error::damaged("a patch has no end"))?;
            match (covering, &self.path) {
                (Some(overlay), _) => {
                    let within = at.saturating_sub(overlay.range.start);
                    files.read(&overlay.path, overlay.offset.saturating_add(within), now)?;
                }
                (None, Some(path)) => files.read(path, at, now)?,
                (None, None) => return Err(Error::damaged("no patch has these bytes").at(at)),
            }
            at = at.saturating_add(u64::try_from(now.len()).unwrap_or(u64::MAX));
            rest = after;
        }
        Ok(())
    }

    /// Fills `buffer` from byte `at` of the shard of a data volume of `volume_bytes`: after its end are zeros.
    pub(crate) fn read_data(&self, files: &mut Files, volume_bytes: u64, at: u64, buffer: &mut [u8]) -> Result<()> {
        let there = usize::try_from(volume_bytes.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let (content, zeros) = buffer.split_at_mut(there);
        zeros.fill(0);
        if content.is_empty() { Ok(()) } else { self.read(files, at, content) }
    }

    /// Fills `buffer` from byte `at` of the shard in a parity volume.
    pub(crate) fn read_parity(&self, files: &mut Files, shape: &Shape, at: u64, buffer: &mut [u8]) -> Result<()> {
        let mut at = at;
        let mut rest = buffer;
        while !rest.is_empty() {
            let (offset, most) = shape.in_file(at);
            let bytes = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
            let (now, after) = rest.split_at_mut(bytes);
            self.read(files, offset, now)?;
            at = at.saturating_add(u64::try_from(now.len()).unwrap_or(u64::MAX));
            rest = after;
        }
        Ok(())
    }
}
