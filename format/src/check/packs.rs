//! [`Hashers`]: threads that check frames, while another reads on.
//!
//! **Invariants.** Every byte of a batch is either a frame header that says what the index says, or a frame that has its
//! hash. A few batches are in memory at once, of a few MiB each (or of one frame). What cannot be read is tried again
//! frame by frame, so that a bad sector hurts one frame.
//!
//! *Not here:* which frames there are (`walk`).

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Scope, ScopedJoinHandle};

use super::{Damage, Reach};
use crate::cache::lock;
use crate::error::{Error, Result};
use crate::index::FrameRow;
use crate::layout::{Codec, FrameHeader};
use crate::volume::Volume;

/// What a batch has at the most, if it is more than one frame.
const BATCH_BYTES: u64 = 4 << 20;

/// Frames that lie one after another, with their headers.
pub(super) struct Batch {
    begin: u64,
    end: u64,
    may_have_prefix: bool,
    frames: Vec<FrameRow>,
}

impl Batch {
    pub(super) fn new(may_have_prefix: bool) -> Self {
        Self { begin: 0, end: 0, may_have_prefix, frames: Vec::new() }
    }

    /// Takes in the frame of `row`, whose header begins at `begin`; gives the batch back that it did not fit into.
    pub(super) fn push(&mut self, begin: u64, row: &FrameRow) -> Option<Self> {
        let end = row.file_offset.saturating_add(row.stored_bytes.into());
        let fits = begin == self.end && end.saturating_sub(self.begin) <= BATCH_BYTES;
        let full = if self.frames.is_empty() || fits { None } else { Some(std::mem::replace(self, Self::new(self.may_have_prefix))) };
        if self.frames.is_empty() {
            self.begin = begin;
        }
        self.end = end;
        self.frames.push(*row);
        full
    }
}

/// A batch with the bytes that were read for it, or the reason why not.
type Job = (Batch, Result<Vec<u8>>);

/// Threads that hash.
pub(super) struct Hashers<'scope, 'v> {
    volume: &'v Volume,
    jobs: SyncSender<Job>,
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
    threads: Vec<ScopedJoinHandle<'scope, Vec<Damage>>>,
}

impl<'scope, 'v: 'scope> Hashers<'scope, 'v> {
    pub(super) fn start(scope: &'scope Scope<'scope, '_>, volume: &'v Volume, threads: usize) -> Self {
        let (jobs, queue) = sync_channel::<Job>(1);
        let queue = Arc::new(Mutex::new(queue));
        let idle = Arc::new(Mutex::new(Vec::new()));
        let start = |_| {
            let (queue, idle) = (Arc::clone(&queue), Arc::clone(&idle));
            scope.spawn(move || work(volume, &queue, &idle))
        };
        let threads = (0..threads).map(start).collect();
        Self { volume, jobs, idle, threads }
    }

    /// Reads a batch and hands it to a thread.
    pub(super) fn hash(&self, batch: Batch) {
        if batch.frames.is_empty() {
            return;
        }
        let buffer = lock(&self.idle).pop().unwrap_or_default();
        let read = read(self.volume, batch.begin, batch.end, buffer);
        // The threads live until the last sender is gone.
        let _ = self.jobs.send((batch, read));
    }

    /// Waits for all; gives what they found.
    pub(super) fn finish(self) -> Vec<Damage> {
        drop(self.jobs);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    }
}

fn read(volume: &Volume, begin: u64, end: u64, mut buffer: Vec<u8>) -> Result<Vec<u8>> {
    let too_large = |_| Error::limit("frame: it does not fit this machine");
    let bytes = usize::try_from(end.saturating_sub(begin)).map_err(too_large)?;
    if buffer.len() < bytes {
        buffer.resize(bytes, 0);
    }
    volume.read_at(begin, buffer.get_mut(..bytes).unwrap_or_default())?;
    Ok(buffer)
}

fn work(volume: &Volume, queue: &Mutex<Receiver<Job>>, idle: &Mutex<Vec<Vec<u8>>>) -> Vec<Damage> {
    let mut found = Vec::new();
    loop {
        let job = lock(queue).recv();
        let Ok((batch, read)) = job else { return found };
        match read {
            Ok(buffer) => {
                check(volume, &batch, &buffer, &mut found);
                lock(idle).push(buffer);
            }
            Err(error) if batch.frames.len() <= 1 => {
                let row = batch.frames.first();
                found.extend(row.map(|row| damage(volume, batch.begin, row, &error)));
            }
            Err(_) => one_by_one(volume, &batch, &mut found),
        }
    }
}

fn one_by_one(volume: &Volume, batch: &Batch, found: &mut Vec<Damage>) {
    let mut begin = batch.begin;
    for row in &batch.frames {
        let end = row.file_offset.saturating_add(row.stored_bytes.into());
        let one = Batch { begin, end, may_have_prefix: batch.may_have_prefix, frames: vec![*row] };
        match read(volume, begin, end, Vec::new()) {
            Ok(buffer) => check(volume, &one, &buffer, found),
            Err(error) => found.push(damage(volume, begin, row, &error)),
        }
        begin = end;
    }
}

fn check(volume: &Volume, batch: &Batch, buffer: &[u8], found: &mut Vec<Damage>) {
    let mut rest = buffer;
    let mut begin = batch.begin;
    for row in &batch.frames {
        let header_bytes = usize::try_from(row.file_offset.saturating_sub(begin)).unwrap_or(usize::MAX);
        let stored_bytes = usize::try_from(row.stored_bytes).unwrap_or(usize::MAX);
        let Some((header, after)) = rest.split_at_checked(header_bytes) else { return };
        let Some((stored, after)) = after.split_at_checked(stored_bytes) else { return };
        let codec = check_header(header, row, batch.may_have_prefix);
        if let Err(error) = &codec {
            found.push(damage(volume, begin, row, &error.clone().at(begin)));
        }
        // Of a frame with a prefix whose header is damaged, nothing more can be said.
        let covered = codec.unwrap_or(Codec::Zstd);
        if covered.number() == row.codec && covered.digest(stored) != row.digest {
            let error = Error::damaged("frame: its SHA-256 is not that of the index");
            found.push(damage(volume, begin, row, &error.at(row.file_offset)));
        }
        (rest, begin) = (after, row.file_offset.saturating_add(row.stored_bytes.into()));
    }
}

fn check_header(bytes: &[u8], row: &FrameRow, may_have_prefix: bool) -> Result<Codec> {
    let (header, used) = FrameHeader::decode(bytes)?;
    if used == bytes.len() && row.is_of(&header) && (row.codec == 1 || may_have_prefix) {
        return Ok(header.codec);
    }
    Err(Error::damaged("frame header: it is not the one of the index"))
}

/// The frame of `row`, whose header begins at `begin`, is lost.
fn damage(volume: &Volume, begin: u64, row: &FrameRow, error: &Error) -> Damage {
    let end = row.file_offset.saturating_add(row.stored_bytes.into());
    let stream_end = row.stream_offset.saturating_add(row.plain_bytes.into());
    // The header of a frame without prefix says nothing that the index does not say as well: its loss hurts no blob.
    let in_header = error.place().offset == Some(begin) && row.codec == 1 && !matches!(error.kind(), crate::error::Kind::Io(_));
    let reach = match in_header {
        true => Reach::Nothing,
        false => Reach::Stream { volume: volume.number(), begin: row.stream_offset, end: stream_end },
    };
    Damage::of(error, reach).long(end.saturating_sub(begin))
}
