//! [`Pool`]: compresses frames on several threads; whoever asks takes the results in the order of asking.
//!
//! **Invariants.** A frame depends on its content, its level and what it is compressed after alone, so the number of threads changes no byte.
//! Frames are begun in the order of asking, and one that is compressed after others of this set was asked for after them: it can wait for them.
//!
//! *Not here:* which bytes make a frame (`builder`), and where it goes (`volume`).

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::alike::are_alike;
use super::history::History;
use super::own::Own;
use super::prefix::Prefix;
use crate::delta::{Cost, Slice};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::frame;
use crate::layout::{Codec, FrameHeader, MAX_DEPTH};

/// How a frame is made.
pub(super) enum How {
    /// It is one already, of this many bytes: content that was compressed when it came.
    Wrapped(u32),
    /// By zstd at this level.
    Level(i32),
    /// By zstd at this level, after older versions of its content.
    After(i32, Prefix, History),
}

/// A frame as it stands in a pack.
#[derive(Debug)]
pub(super) struct Packed {
    /// The length of the frame header.
    pub(super) header_bytes: u64,
    /// The zstd frame.
    pub(super) stored: Arc<Vec<u8>>,
    /// Its length.
    pub(super) stored_bytes: u32,
    /// How it is compressed.
    pub(super) codec: Arc<Codec>,
    /// What it takes a reader to have its content.
    pub(super) cost: Cost,
    /// The SHA-256 that covers it.
    pub(super) digest: Digest,
    /// The length of its content.
    pub(super) plain_bytes: u32,
}

impl Packed {
    /// How many bytes it takes in a pack, header included.
    pub(super) fn bytes(&self) -> u64 {
        self.header_bytes.saturating_add(self.stored_bytes.into())
    }

    /// The frame header of this frame at this place in the stream.
    pub(super) fn header(&self, stream_offset: u64) -> FrameHeader {
        let Self { stored_bytes, plain_bytes, digest, .. } = *self;
        FrameHeader { codec: (*self.codec).clone(), stored_bytes, plain_bytes, stream_offset, digest }
    }
}

/// A frame with a prefix that is this many times smaller than its content would not be as small without one.
const CLEAR_GAIN: usize = 8;

struct Job {
    content: Vec<u8>,
    how: How,
    reply: SyncSender<Result<Packed>>,
    told: Told,
}

/// Who waits for a frame besides the one who asked for it: later frames that are compressed after it.
struct Told {
    id: u32,
    own: Option<Arc<Own>>,
}

impl Told {
    fn tell(&mut self, packed: &Result<Packed>) {
        if let Some(own) = self.own.take() {
            own.shelf.put(self.id, packed);
        }
    }
}

impl Drop for Told {
    /// A thread that panicked makes no frame.
    fn drop(&mut self) {
        self.tell(&Err(Error::limit("frame: the thread that compresses has ended")));
    }
}

/// A frame that is being made.
#[derive(Debug)]
pub(super) struct Promise(Receiver<Result<Packed>>);

impl Promise {
    /// Waits for the frame.
    pub(super) fn wait(self) -> Result<Packed> {
        self.0.recv().map_err(|_| Error::limit("frame: the thread that compresses has ended"))?
    }
}

/// The threads that compress.
pub(super) struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn new(threads: usize) -> Self {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..threads.max(1)).map(|_| {
            std::thread::spawn({
                let queue = Arc::clone(&queue);
                move || work(&queue)
            })
        });
        Self { jobs: Some(jobs), threads: threads.collect() }
    }

    /// Begins frame `id` of this content; `own` is told when it is made.
    pub(super) fn begin(&self, id: u32, content: Vec<u8>, how: How, own: Option<Arc<Own>>) -> Result<Promise> {
        let (reply, result) = sync_channel(1);
        let ended = || Error::limit("frame: the threads that compress have ended");
        self.jobs.as_ref().ok_or_else(ended)?.send(Job { content, how, reply, told: Told { id, own } }).map_err(|_| ended())?;
        Ok(Promise(result))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has dropped its reply, and whoever waits was told.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { content, how, reply, mut told }) = next else { return };
        let packed = pack(content, how);
        told.tell(&packed);
        // The asker may have given up; then nobody misses the frame.
        let _ = reply.send(packed);
    }
}

fn pack(content: Vec<u8>, how: How) -> Result<Packed> {
    let small = |length: usize| u32::try_from(length).map_err(|_| Error::limit("frame: more than 4 GiB"));
    let (plain_bytes, Made { codec, stored, cost }) = match how {
        How::Wrapped(plain_bytes) => (plain_bytes, Made { codec: Codec::Zstd, stored: content, cost: Cost::FRAME }),
        How::Level(level) => (small(content.len())?, alone(&content, level)?),
        How::After(level, prefix, history) => (small(content.len())?, patch(&content, level, &prefix, &history)?),
    };
    let (stored_bytes, digest) = (small(stored.len())?, codec.digest(&stored));
    Ok(Packed {
        header_bytes: codec.header_bytes(),
        stored: Arc::new(stored),
        codec: Arc::new(codec),
        cost,
        stored_bytes,
        digest,
        plain_bytes,
    })
}

/// A zstd frame, and what it needs.
struct Made {
    codec: Codec,
    stored: Vec<u8>,
    cost: Cost,
}

fn alone(content: &[u8], level: i32) -> Result<Made> {
    Ok(Made { codec: Codec::Zstd, stored: frame::compress(content, level)?, cost: Cost::FRAME })
}

/// Compresses content after older versions of it, where that is worth what it costs to read it.
fn patch(content: &[u8], level: i32, prefix: &Prefix, history: &History) -> Result<Made> {
    let (runs, Slice { bytes, cost }) = prefix.read(history)?;
    let depth = cost.depth.saturating_add(1);
    if runs.is_empty() || depth > MAX_DEPTH || !are_alike(content, &bytes) {
        return alone(content, level);
    }
    let stored = frame::compress_after(content, level, &bytes)?;
    let cost = Cost::FRAME.and(Cost { depth, ..cost });
    let patched = Made { codec: Codec::Prefix { depth, runs }, stored, cost };
    if patched.stored.len() < content.len() / CLEAR_GAIN {
        return Ok(patched);
    }
    let alone = alone(content, level)?;
    let gains = patched.stored.len() < alone.stored.len().saturating_sub(alone.stored.len() / 8);
    Ok(if gains { patched } else { alone })
}
