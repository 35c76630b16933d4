//! [`Spool`]: plain forms of layers that the archive has no plain form of, decompressed once, in files without a name.
//!
//! **Invariants.** The files that are held have [`Spool::new`]'s number of bytes at most, and go with the process. Nothing is read from a
//! file before the blob that it was made of matched its digest. One layer is decompressed at a time, and none twice at once.
//!
//! *Not here:* layers that need no spool (`plains`).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ocm_format::plain::plain;
use rustix::fs::{Mode, OFlags};

use super::cache::held;
use super::whole::Whole;
use crate::error::{Error, Result};
use crate::image::{Digest, Inside};

/// Bytes that are written at once.
const PART_BYTES: usize = 256 << 10;
/// The way out where there is no room.
const HINT: &str = "mount it with --spool on a disk that has room, and a larger --spool-size";

/// Plain forms in files.
pub(super) struct Spool {
    folder: PathBuf,
    most_bytes: u64,
    files: Mutex<Files>,
    making: Mutex<()>,
}

/// What the files have in all.
#[derive(Default)]
struct Files {
    held: HashMap<Digest, (Arc<Spooled>, u64)>,
    held_bytes: u64,
    /// What was written of the one that is being made.
    making_bytes: u64,
    /// How large those were that were made, also when they are held no more.
    sizes: HashMap<Digest, u64>,
    turn: u64,
}

/// The plain form of a layer.
pub(super) struct Spooled {
    file: File,
    bytes: u64,
}

impl Spool {
    /// A spool in `folder`, which is made when it is needed.
    pub(super) fn new(folder: PathBuf, most_bytes: u64) -> Self {
        Self { folder, most_bytes, files: Mutex::default(), making: Mutex::default() }
    }

    /// The plain form of a blob of so many bytes.
    pub(super) fn get(&self, inside: &dyn Inside, blob: &Digest, bytes: u64) -> Result<Arc<Spooled>> {
        let there = || held(&self.files).find(blob);
        if let Some(there) = there() {
            return Ok(there);
        }
        let _one = held(&self.making);
        if let Some(there) = there() {
            return Ok(there);
        }
        let made = self.make(inside, blob, bytes);
        let mut files = held(&self.files);
        files.making_bytes = 0;
        made.map(|made| files.hold(*blob, made)).map_err(|error| error.context(format!("decompressing layer {blob}")))
    }

    /// How large the plain form of a blob is, where it was made once.
    pub(super) fn size(&self, blob: &Digest) -> Option<u64> {
        held(&self.files).sizes.get(blob).copied()
    }

    fn make(&self, inside: &dyn Inside, blob: &Digest, bytes: u64) -> Result<Spooled> {
        let unwritable = |error: io::Error| Error::io(format!("spool {}", self.folder.display()), &error).hint(HINT);
        let mut file = std::fs::create_dir_all(&self.folder).and_then(|()| nameless(&self.folder)).map_err(unwritable)?;
        let mut whole = Whole::of(inside, *blob, bytes);
        let mut from = plain(BufReader::with_capacity(PART_BYTES, &mut whole)).map_err(broken)?;
        let mut buffer = vec![0; PART_BYTES];
        let mut plain_bytes = 0;
        loop {
            let count = from.read(&mut buffer).map_err(broken)?;
            if count == 0 {
                break;
            }
            self.reserve(count as u64)?;
            file.write_all(&buffer[..count]).map_err(unwritable)?;
            plain_bytes += count as u64;
        }
        drop(from);
        whole.finish()?;
        Ok(Spooled { file, bytes: plain_bytes })
    }

    /// Counts bytes that are about to be written.
    fn reserve(&self, bytes: u64) -> Result<()> {
        let mut files = held(&self.files);
        files.making_bytes += bytes;
        match files.shrink(self.most_bytes) {
            true => Ok(()),
            false => Err(Error::failed(format!("it needs more than the {} bytes that the spool may have", self.most_bytes)).hint(HINT)),
        }
    }
}

impl Files {
    fn find(&mut self, blob: &Digest) -> Option<Arc<Spooled>> {
        self.turn += 1;
        let (file, used) = self.held.get_mut(blob)?;
        *used = self.turn;
        Some(Arc::clone(file))
    }

    fn hold(&mut self, blob: Digest, made: Spooled) -> Arc<Spooled> {
        let made = Arc::new(made);
        self.turn += 1;
        self.held_bytes += made.bytes;
        self.sizes.insert(blob, made.bytes);
        self.held.insert(blob, (Arc::clone(&made), self.turn));
        made
    }

    /// Lets those go that were used least recently, until all is in bounds; whether that can be.
    fn shrink(&mut self, most_bytes: u64) -> bool {
        while self.held_bytes + self.making_bytes > most_bytes {
            let Some(oldest) = self.held.iter().min_by_key(|(_, (_, used))| *used).map(|(blob, _)| *blob) else { return false };
            let gone = self.held.remove(&oldest);
            self.held_bytes -= gone.map_or(0, |(file, _)| file.bytes);
        }
        true
    }
}

impl Spooled {
    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes from `offset` on, at most so many; none behind the end.
    pub(super) fn read(&self, offset: u64, most: u64) -> Result<Bytes> {
        let count = self.bytes.saturating_sub(offset).min(most) as usize;
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| Error::io("reading the spool", &error))?;
        Ok(bytes.into())
    }
}

/// A new file in a directory that nobody else sees.
fn nameless(folder: &Path) -> io::Result<File> {
    let file = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    file.map(File::from).map_err(io::Error::from)
}

fn broken(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(inner) => inner,
        Err(error) => Error::damaged(format!("its plain form cannot be had: {error}")),
    }
}
