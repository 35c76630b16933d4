//! [`struct@Copy`]: one volume brought from a medium, whole and sound before it gets its name.
//!
//! **Invariants.** The medium is read once, in order, and never written. The copy is hidden until it was made durable, read
//! back from its own disk and found sound in every byte by the one checker that there is ([`ocm_format::check`]): so
//! what is proved is what is kept, not what passed through memory. What an earlier copy left is gone on with; it is
//! proved with the rest, and if it was of no use, the copy is made anew.
//!
//! *Not here:* which volumes are wanted (`gather`).

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use ocm_format::check::{self, Options};
use ocm_format::error::{Error as FormatError, Kind};
use ocm_format::set;
use rustix::fs::Advice;

use super::told;
use crate::error::{self, Error, Result};

/// How much is read at once.
const PIECE_BYTES: usize = 4 << 20;
/// How many pieces may wait to be written, so that a slow medium never waits for the disk.
const PIECES: usize = 4;
/// After so much the copy is made durable, so that a crash costs no more.
const SYNC_BYTES: u64 = 64 << 20;
/// What is left of an earlier copy counts in whole blocks of this size.
const BLOCK_BYTES: u64 = 1 << 20;

/// Hears of bytes that were copied; `Break` stops the copy.
pub type OnBytes<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// A copy of one volume.
pub(super) struct Copy<'a> {
    /// The volume on the medium.
    pub(super) source: &'a Path,
    /// What a person calls it.
    pub(super) name: &'a str,
    /// Its size.
    pub(super) bytes: u64,
    /// The hidden file that it becomes.
    pub(super) partial: PathBuf,
    /// Threads that hash.
    pub(super) threads: usize,
}

/// What is wrong with a volume.
pub(super) struct Fault {
    kind: Kind,
    offset: u64,
    bytes: u64,
    what: String,
}

impl Copy<'_> {
    /// Copies and proves; says what is wrong with the medium, if it is not sound. An error is one of this side.
    pub(super) fn make(&self, on_bytes: &mut OnBytes<'_>) -> Result<Option<Error>> {
        let mut from = self.left_over()?;
        loop {
            if let Some(unreadable) = self.copy(from, on_bytes)? {
                return Ok(Some(unreadable));
            }
            evict(&self.partial);
            match fault(&self.partial, self.threads) {
                None => return Ok(None),
                Some(_) if from > 0 => from = 0,
                Some(fault) => {
                    let error = self.blame(&fault)?;
                    std::fs::remove_file(&self.partial).map_err(|error| self.failed(&error))?;
                    return Ok(Some(error));
                }
            }
        }
    }

    /// How much of the volume an earlier copy has left.
    fn left_over(&self) -> Result<u64> {
        match std::fs::metadata(&self.partial) {
            Ok(metadata) => Ok(metadata.len().min(self.bytes) / BLOCK_BYTES * BLOCK_BYTES),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Copies from offset `from` on, while another thread reads ahead.
    fn copy(&self, from: u64, on_bytes: &mut OnBytes<'_>) -> Result<Option<Error>> {
        let source = match File::open(self.source) {
            Ok(source) => source,
            Err(error) => return Ok(Some(Error::io(self.source.display(), &error))),
        };
        // Advice alone: what does not know it reads as well, only slower.
        let _ = rustix::fs::fadvise(&source, from, None, Advice::Sequential);
        let target = File::options().create(true).truncate(false).write(true).open(&self.partial).map_err(|error| self.failed(&error))?;
        target.set_len(from).map_err(|error| self.failed(&error))?;
        let (sender, queue) = sync_channel(PIECES);
        let (read, written) = std::thread::scope(|scope| {
            let reader = scope.spawn(move || read(&source, from..self.bytes, &sender));
            let written = self.write(&target, from, queue, on_bytes);
            let gone = || (from, io::Error::other("the thread that reads has ended"));
            (reader.join().unwrap_or_else(|_| Err(gone())), written)
        });
        written?;
        Ok(read.err().map(|(offset, error)| self.damaged(offset, &error.to_string())))
    }

    /// Writes what is read, and makes it durable.
    fn write(&self, target: &File, from: u64, queue: Receiver<Vec<u8>>, on_bytes: &mut OnBytes<'_>) -> Result<()> {
        let (mut at, mut synced) = (from, from);
        let mut flow = on_bytes(from);
        for piece in queue {
            if flow.is_break() {
                return Err(Error::new(error::Kind::Interrupted, format!("{}: the copy was stopped", self.name)));
            }
            target.write_all_at(&piece, at).map_err(|error| self.failed(&error))?;
            at += piece.len() as u64;
            if at - synced >= SYNC_BYTES {
                target.sync_data().map_err(|error| self.failed(&error))?;
                synced = at;
            }
            flow = on_bytes(piece.len() as u64);
        }
        target.sync_all().map_err(|error| self.failed(&error))
    }

    /// Whose fault a fault is: the medium's, if it has the same bytes there.
    fn blame(&self, fault: &Fault) -> Result<Error> {
        if matches!(fault.kind, Kind::Io(_)) || !same(self.source, &self.partial, fault.offset, fault.bytes) {
            let what =
                format!("{}: at {:#x}: what was written is not what is read back: {}", self.partial.display(), fault.offset, fault.what);
            return Err(Error::failed(what).hint("look after this disk, or gather to another one"));
        }
        Ok(match fault.kind {
            Kind::Damaged | Kind::Incomplete | Kind::NotAVolume => self.damaged(fault.offset, &fault.what),
            kind => told(&FormatError::new(kind, &*fault.what).in_file(self.source).at(fault.offset)),
        })
    }

    fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::damaged(format!("{}: {} at {offset:#x}: {what}", self.source.display(), self.name))
            .hint("clean the medium, or bring this volume on another one")
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::io(self.partial.display(), error)
    }
}

/// Reads a stretch of the medium in pieces; says where that failed. Stops when nobody takes them any more.
fn read(source: &File, stretch: std::ops::Range<u64>, pieces: &SyncSender<Vec<u8>>) -> Result<(), (u64, io::Error)> {
    let mut at = stretch.start;
    while at < stretch.end {
        let most = usize::try_from(stretch.end - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let mut piece = vec![0; most];
        let count = match source.read_at(&mut piece, at) {
            Ok(0) => return Err((at, io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends here"))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err((at, error)),
        };
        piece.truncate(count);
        at += count as u64;
        if pieces.send(piece).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What is wrong with the volume in a file, taken alone: every byte of it is read.
pub(super) fn fault(path: &Path, threads: usize) -> Option<Fault> {
    let found = set::group([path.to_owned()]);
    if let Some((_, error)) = found.strangers.first() {
        return Some(Fault::of(error));
    }
    let set = found.sets.first()?;
    if let Some(broken) = set.broken.first() {
        return Some(Fault::of(&broken.error));
    }
    let options = Options { quick: false, deep: false, threads };
    let report = check::check(set, &[], options, &mut |_| ControlFlow::Continue(()));
    // That the other volumes of the set are not beside it says nothing of this one.
    let damage = report.damage.into_iter().find(|damage| damage.kind != Kind::Missing)?;
    Some(Fault { kind: damage.kind, offset: damage.offset, bytes: damage.bytes, what: damage.what })
}

impl Fault {
    /// Where it is, and what.
    pub(super) fn text(&self) -> String {
        format!("at {:#x}: {}", self.offset, self.what)
    }

    fn of(error: &FormatError) -> Self {
        Self { kind: error.kind(), offset: error.place().offset.unwrap_or(0), bytes: 0, what: error.message().to_owned() }
    }
}

/// Lets go of what memory holds of a file, so that the next read is one of its disk.
pub(super) fn evict(path: &Path) {
    // Advice alone: where it is not followed, the check still proves what was written.
    let _ = File::open(path).map(|file| rustix::fs::fadvise(&file, 0, None, Advice::DontNeed));
}

/// Whether two files have the same bytes in a stretch; what cannot be read is not the same.
fn same(one: &Path, other: &Path, offset: u64, bytes: u64) -> bool {
    let (Ok(one), Ok(other)) = (File::open(one), File::open(other)) else { return false };
    let (mut left, mut right) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    let end = offset.saturating_add(bytes.max(1));
    let mut at = offset;
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let (Ok(count), Ok(other_count)) = (fill(&one, &mut left[..most], at), fill(&other, &mut right[..most], at)) else { return false };
        if left[..count] != right[..other_count] {
            return false;
        }
        if count < most {
            return true;
        }
        at += count as u64;
    }
    true
}

/// Reads as much as there is.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read_at(&mut buffer[count..], offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
