//! [`Spool`]: what is needed of old blobs, in one file without a name.
//!
//! **Invariants.** Each old blob is fetched once. Its bytes are given out only after all of it matched its digest; it is decompressed no
//! further than the last byte that is needed, so that a bomb is not followed, and read to its end all the same. The file
//! has the bytes that are needed and no others: their sum is known, and compared with the room there is, before the first is read.
//!
//! *Not here:* where old blobs are (`workflow`), how plain forms are had (`store::plain`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use futures_util::stream::{self, StreamExt as _};
use ocm_format::error::Error as FormatError;
use ocm_format::error::Kind as FormatKind;
use ocm_format::ranges::Ranges;
use ocm_format::reader;

use crate::error::{Error, Kind, Result};
use crate::image::{Blob, Digest};
use crate::nameless::nameless;
use crate::store::archive::Room;
use crate::store::plain;

/// Plain bytes that are moved at once.
const PART_BYTES: usize = 256 << 10;

/// What is needed of old blobs.
pub(in crate::store::archive) struct Spool {
    folder: PathBuf,
    pub(super) file: OnceLock<Arc<File>>,
    olds: BTreeMap<Digest, OldBlob>,
    bytes: u64,
}

/// One old blob.
struct OldBlob {
    blob: Blob,
    slots: Arc<[Slot]>,
    fetched: OnceLock<Result<()>>,
}

/// A stretch of a plain form, and where it is in the file.
#[derive(Debug, Clone, Copy)]
struct Slot {
    begin: u64,
    end: u64,
    at: u64,
}

impl Spool {
    /// A spool in `folder` for these stretches of plain forms. Nothing is made or read yet.
    pub(in crate::store::archive) fn new<'a>(folder: &Path, wanted: impl IntoIterator<Item = (Blob, &'a Ranges)>) -> Self {
        let mut spool = Self { folder: folder.to_owned(), file: OnceLock::new(), olds: BTreeMap::new(), bytes: 0 };
        for (blob, ranges) in wanted {
            let mut slot = |range: std::ops::Range<u64>| {
                let at = spool.bytes;
                spool.bytes = spool.bytes.saturating_add(range.end - range.start);
                Slot { begin: range.start, end: range.end, at }
            };
            let slots = ranges.iter().map(&mut slot).collect();
            spool.olds.insert(blob.descriptor().digest, OldBlob { blob, slots, fetched: OnceLock::new() });
        }
        spool
    }

    /// The old blobs.
    pub(in crate::store::archive) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.olds.values().map(|old| &old.blob)
    }

    /// How many bytes it holds when it is full.
    pub(in crate::store::archive) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The old blobs that could not be fetched, and why.
    pub(in crate::store::archive) fn failed(&self) -> Vec<(Digest, Error)> {
        let failed = |(digest, old): (&Digest, &OldBlob)| Some((*digest, old.fetched.get()?.clone().err()?));
        self.olds.iter().filter_map(failed).collect()
    }

    /// Fetches all old blobs. What goes wrong with one is kept for those who ask for it.
    pub(in crate::store::archive) async fn fill(&self, jobs: usize, on_done: impl Fn(u64)) -> Result<()> {
        if self.olds.is_empty() {
            return Ok(());
        }
        let file = self.make()?;
        let fetch = async |old: &OldBlob| {
            let fetched = old.fetch(Arc::clone(&file)).await;
            let _ = old.fetched.set(fetched);
        };
        let mut running = stream::iter(self.olds.values()).map(fetch).buffer_unordered(jobs.max(1));
        let mut done = 0;
        while running.next().await.is_some() {
            done += 1;
            on_done(done);
        }
        Ok(())
    }

    /// The file, which has no name any more; it is gone with the last who has it open.
    fn make(&self) -> Result<Arc<File>> {
        let failed = |error: io::Error| Error::io(self.folder.display(), &error).hint("name a place that can be written with --workspace");
        fs::create_dir_all(&self.folder).map_err(failed)?;
        Room::of(&self.folder)?.check(&self.folder, &[self.bytes], 0).map_err(|error| error.context("reading old blobs back"))?;
        let file = Arc::new(nameless(&self.folder).map_err(failed)?);
        Ok(Arc::clone(self.file.get_or_init(|| file)))
    }
}

impl OldBlob {
    /// Fetches all of the blob, and keeps what is needed of its plain form.
    async fn fetch(&self, file: Arc<File>) -> Result<()> {
        let what = format!("blob {} from {}", self.blob.descriptor().digest, self.blob.place());
        let (body, slots) = (self.blob.whole().await?, Arc::clone(&self.slots));
        plain::read(body, what, move |parts| keep(plain::decompressed(parts)?, &slots, &file)).await
    }
}

/// Writes what the slots say of a plain form to the file.
fn keep(mut plain: impl Read, slots: &[Slot], file: &File) -> Result<()> {
    let (mut at, mut buffer) = (0u64, vec![0; PART_BYTES]);
    for slot in slots {
        while at < slot.end {
            let (is_in, until) = if at < slot.begin { (false, slot.begin) } else { (true, slot.end) };
            let most = usize::try_from(until - at).unwrap_or(PART_BYTES).min(PART_BYTES);
            let count = plain.read(&mut buffer[..most]).map_err(|error| plain::broken(&error))?;
            if count == 0 {
                return Err(Error::damaged(format!("its plain form has {at} bytes, and those up to {} are referred to", slot.end)));
            }
            if is_in {
                let place = slot.at + (at - slot.begin);
                file.write_all_at(&buffer[..count], place).map_err(|error| Error::io("the spool in the workspace", &error))?;
            }
            at += count as u64;
        }
    }
    Ok(())
}

impl reader::Base for Spool {
    fn plain_at(&self, blob: &Digest, offset: u64, buffer: &mut [u8]) -> Result<Option<usize>, FormatError> {
        let Some(old) = self.olds.get(blob) else { return Ok(None) };
        let (file, fetched) = match (self.file.get(), old.fetched.get()) {
            (Some(file), Some(fetched)) => (file, fetched),
            _ => return Ok(None),
        };
        fetched.as_ref().map_err(in_format)?;
        let next = old.slots.partition_point(|slot| slot.begin <= offset);
        let Some(slot) = next.checked_sub(1).map(|at| old.slots[at]).filter(|slot| offset < slot.end) else { return Ok(None) };
        let count = usize::try_from(slot.end - offset).unwrap_or(usize::MAX).min(buffer.len());
        let place = slot.at + (offset - slot.begin);
        let failed = |error: io::Error| FormatError::io(&self.folder, &error);
        file.read_exact_at(&mut buffer[..count], place).map_err(failed)?;
        Ok(Some(count))
    }
}

/// An error of this crate on its way through the format.
fn in_format(error: &Error) -> FormatError {
    let kind = match error.kind() {
        Kind::Damaged => FormatKind::Damaged,
        Kind::Needed => FormatKind::Missing,
        Kind::Usage => FormatKind::Usage,
        Kind::Failed => FormatKind::Io(ErrorKind::Other),
        Kind::Interrupted => FormatKind::Io(ErrorKind::Interrupted),
    };
    FormatError::new(kind, error.to_string())
}
