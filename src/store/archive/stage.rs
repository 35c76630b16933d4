//! [`Stage`]: where blobs wait, whole and checked, until it is their turn to be written.
//!
//! **Invariants.** What comes off the stage has its digest. Memory is bounded: what is larger than [`SMALL_BYTES`], or comes
//! when memory is full, waits in a file. A file that is not whole is gone on with by the next run, from where it ends.
//!
//! *Not here:* the order of writing (`transfer`).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use ocm_format::digest::Hasher;
use ocm_format::gzip::Content;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};
use crate::image::ends::Moved;
use crate::image::{Blob, Body, Descriptor, Digest};

/// Blobs of up to this size wait in memory.
const SMALL_BYTES: u64 = 8 << 20;
/// What waits in memory is at most this together.
const MEMORY_BYTES: u64 = 24 << 20;
/// Blobs from this size on are fetched in several ranges at once.
const LARGE_BYTES: u64 = 128 << 20;
/// The length of such a range.
const SEGMENT_BYTES: u64 = 64 << 20;
/// How many of them are under way at once.
const RANGES: usize = 3;
/// A file is kept until this much more was written: then what it held is in the volume, not in a queue before it.
const BEHIND_BYTES: u64 = 64 << 20;

/// Where blobs wait.
pub(super) struct Stage {
    folder: PathBuf,
    memory: Arc<Semaphore>,
}

/// A blob that is whole and checked.
pub(super) struct Staged {
    bytes: u64,
    held: Held,
}

enum Held {
    Memory { parts: VecDeque<Bytes>, _permit: OwnedSemaphorePermit },
    Files(Vec<PathBuf>),
}

impl Stage {
    pub(super) fn new(folder: PathBuf) -> Self {
        let kib = usize::try_from(MEMORY_BYTES >> 10).unwrap_or(Semaphore::MAX_PERMITS);
        Self { folder, memory: Arc::new(Semaphore::new(kib)) }
    }

    /// Fetches a blob, whole and checked.
    pub(super) async fn fetch(&self, blob: &Blob, moved: &Moved) -> Result<Staged, Trouble> {
        let bytes = blob.descriptor().size;
        let kib = u32::try_from(bytes.div_ceil(1024)).ok().filter(|_| bytes <= SMALL_BYTES);
        // Waiting for memory could be waiting for a blob that waits for this one, so what finds no room goes to a file.
        let permit = kib.and_then(|kib| Arc::clone(&self.memory).try_acquire_many_owned(kib).ok());
        let held = match permit {
            Some(permit) => Held::Memory { parts: in_memory(blob, moved).await?, _permit: permit },
            None => Held::Files(self.in_files(blob, moved).await?),
        };
        Ok(Staged { bytes, held })
    }

    async fn in_files(&self, blob: &Blob, moved: &Moved) -> Result<Vec<PathBuf>, Trouble> {
        let segments = self.segments(blob.descriptor());
        let paths: Vec<PathBuf> = segments.iter().map(|segment| segment.path.clone()).collect();
        let left_over = paths.iter().any(|path| path.exists());
        let found = fetch_all(segments, blob, moved).await?;
        match check(paths.clone(), blob, found).await {
            // What an interrupted run has left may have been torn by what interrupted it.
            Err(Trouble::Blob(_)) if left_over => {
                let found = fetch_all(self.segments(blob.descriptor()), blob, moved).await?;
                check(paths, blob, found).await
            }
            checked => checked,
        }
    }

    fn segments(&self, descriptor: &Descriptor) -> Vec<Segment> {
        let length = if descriptor.size < LARGE_BYTES { descriptor.size.max(1) } else { SEGMENT_BYTES };
        let name = format!("blob-{}-{}", descriptor.digest.algorithm(), descriptor.digest.hex());
        let range = |n: u64| n * length..descriptor.size.min((n + 1) * length);
        let segment = |n: u64| Segment { path: self.folder.join(format!("{name}.{n}")), range: range(n) };
        (0..descriptor.size.div_ceil(length).max(1)).map(segment).collect()
    }
}

/// Fetches all segments. One alone is hashed as it comes in; the digest is then known.
async fn fetch_all(mut segments: Vec<Segment>, blob: &Blob, moved: &Moved) -> Result<Option<Digest>, Trouble> {
    if segments.len() == 1
        && let Some(segment) = segments.pop()
    {
        let hasher = segment.fetch(blob, moved, Some(blob.descriptor().digest.hasher())).await?;
        return Ok(hasher.map(Hasher::finish));
    }
    let fetches = segments.into_iter().map(|segment| segment.fetch(blob, moved, None));
    futures_util::stream::iter(fetches).buffer_unordered(RANGES).try_for_each(|_| async { Ok(()) }).await?;
    Ok(None)
}

/// Why a blob did not come onto the stage.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It could not be had, or is not what it must be: others may do better.
    Blob(Error),
    /// The place where blobs wait fails: none will do better.
    Place(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Blob(error)
    }
}

async fn in_memory(blob: &Blob, moved: &Moved) -> Result<VecDeque<Bytes>> {
    let mut body = blob.whole().await?;
    let mut parts = VecDeque::new();
    while let Some(part) = body.next().await? {
        moved(part.len() as u64);
        parts.push_back(part);
    }
    Ok(parts)
}

/// A stretch of a blob, in a file of its own: as far as the file goes, it is there.
struct Segment {
    path: PathBuf,
    range: std::ops::Range<u64>,
}

impl Segment {
    /// Fetches what is not there yet. A hasher takes in all of it, in order, while it is at hand anyway.
    async fn fetch(self, blob: &Blob, moved: &Moved, mut hasher: Option<Hasher>) -> Result<Option<Hasher>, Trouble> {
        let failed = |error: std::io::Error| Trouble::Place(Error::io(self.path.display(), &error));
        let mut file = File::options().create(true).append(true).open(&self.path).map_err(failed)?;
        let there = file.metadata().map_err(failed)?.len();
        let there = if there > self.range.end - self.range.start { file.set_len(0).map(|()| 0).map_err(failed)? } else { there };
        moved(there);
        if let Some(fresh) = hasher.take_if(|_| there > 0) {
            hasher = Some(take_in(self.path.clone(), fresh).await?);
        }
        let start = self.range.start + there;
        if start == self.range.end {
            return Ok(hasher);
        }
        let mut body: Body = blob.read(start..self.range.end).await?;
        while let Some(part) = body.next().await? {
            // Into the page cache: it is as fast as a copy, and a hop to another thread would cost more.
            file.write_all(&part).map_err(failed)?;
            if let Some(hasher) = &mut hasher {
                hasher.update(&part);
            }
            moved(part.len() as u64);
        }
        Ok(hasher)
    }
}

/// The files, if what is in them is the blob, whose digest is known already or found here; otherwise they are removed.
async fn check(paths: Vec<PathBuf>, blob: &Blob, found: Option<Digest>) -> Result<Vec<PathBuf>, Trouble> {
    let (digest, place) = (blob.descriptor().digest, blob.place());
    let work = move || {
        let found = found.map_or_else(|| hash_all(&paths, digest.hasher()), Ok)?;
        if found == digest {
            return Ok(paths);
        }
        remove(&paths).map_err(Trouble::Place)?;
        Err(Trouble::Blob(Error::damaged(format!("blob {digest} from {place}: the content does not match its digest"))))
    };
    let ended = |error| Trouble::Blob(Error::failed(format!("checking a blob: {error}")));
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

/// A hasher that has taken in a file, on a thread of its own.
async fn take_in(path: PathBuf, mut hasher: Hasher) -> Result<Hasher, Trouble> {
    let work = move || hash(&path, &mut hasher).map(|()| hasher).map_err(Trouble::Place);
    let ended = |error| Trouble::Blob(Error::failed(format!("checking a blob: {error}")));
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

fn hash_all(paths: &[PathBuf], mut hasher: Hasher) -> Result<Digest, Trouble> {
    paths.iter().try_for_each(|path| hash(path, &mut hasher)).map_err(Trouble::Place)?;
    Ok(hasher.finish())
}

fn hash(path: &PathBuf, hasher: &mut Hasher) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(path.display(), &error);
    let mut file = File::open(path).map_err(failed)?;
    file.rewind().map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn remove(paths: &[PathBuf]) -> Result<()> {
    paths.iter().try_for_each(|path| std::fs::remove_file(path).map_err(|error| Error::io(path.display(), &error)))
}

impl Staged {
    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its first bytes, as many as tell what it is.
    pub(super) fn start(&self) -> Result<Vec<u8>> {
        let mut start = Vec::new();
        let read = self.reader()?.take(512).read_to_end(&mut start);
        read.map(|_| start).map_err(|error| Error::io("a blob that waits", &error))
    }

    /// All of it, from the front.
    pub(super) fn reader(&self) -> Result<Box<dyn Read + '_>> {
        match &self.held {
            Held::Memory { parts, .. } => Ok(parts
                .iter()
                .fold(Box::new(std::io::empty()), |before: Box<dyn Read + '_>, part| Box::new(before.chain(Cursor::new(part))))),
            Held::Files(paths) => {
                let mut all: Box<dyn Read> = Box::new(std::io::empty());
                for path in paths {
                    all = Box::new(all.chain(File::open(path).map_err(|error| Error::io(path.display(), &error))?));
                }
                Ok(all)
            }
        }
    }
}

/// Files whose content was handed on and may not be in a volume yet.
#[derive(Default)]
pub(super) struct Behind {
    files: VecDeque<(u64, Vec<PathBuf>)>,
    written: u64,
}

impl Behind {
    /// `staged` was handed on; what is far enough behind is let go.
    pub(super) fn push(&mut self, staged: Staged) -> Result<()> {
        self.written += staged.bytes;
        if let Held::Files(paths) = staged.held {
            self.files.push_back((self.written, paths));
        }
        while self.files.front().is_some_and(|(at, _)| self.written - at >= BEHIND_BYTES) {
            self.files.pop_front().map_or(Ok(()), |(_, paths)| remove(&paths))?;
        }
        Ok(())
    }

    /// Everything is in volumes: all files are let go.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.files.drain(..).try_for_each(|(_, paths)| remove(&paths))
    }
}

impl Content for Staged {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.held {
            Held::Memory { parts, .. } => {
                let mut begin = 0;
                for part in parts {
                    let end = begin + part.len() as u64;
                    if offset < end {
                        return (&part[(offset - begin) as usize..]).read(buffer);
                    }
                    begin = end;
                }
            }
            Held::Files(paths) => {
                let length = if paths.len() > 1 { SEGMENT_BYTES } else { u64::MAX };
                let path = usize::try_from(offset / length).ok().and_then(|n| paths.get(n));
                return path.map_or(Ok(0), |path| File::open(path)?.read_at(buffer, offset % length));
            }
        }
        Ok(0)
    }
}
