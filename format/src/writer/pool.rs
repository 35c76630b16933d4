//! [`Pool`]: compresses frames on several threads; whoever asks takes the results in the order of asking.
//!
//! **Invariants.** A frame depends on its content and level alone, so the number of threads changes no byte.
//!
//! *Not here:* which bytes make a frame (`builder`), and where it goes (`volume`).

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::prefix::Prefix;
use crate::delta::{Earlier, Slice};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::frame;
use crate::layout::{Codec, FrameHeader, MAX_DEPTH};

/// How a frame is made.
#[derive(Debug)]
pub(super) enum How {
    /// It is one already, of this many bytes: content that was compressed when it came.
    Wrapped(u32),
    /// By zstd at this level.
    Level(i32),
    /// By zstd at this level, after older versions of its content.
    After(i32, Prefix, Arc<Earlier>),
}

/// A frame as it stands in a pack.
#[derive(Debug)]
pub(super) struct Packed {
    /// The frame header.
    pub(super) header: Vec<u8>,
    /// The zstd frame.
    pub(super) stored: Vec<u8>,
    /// How it is compressed.
    pub(super) codec: Codec,
    /// The SHA-256 that covers it.
    pub(super) digest: Digest,
    /// The length of its content.
    pub(super) plain_bytes: u32,
}

/// A frame with a prefix that is this many times smaller than its content would not be as small without one.
const CLEAR_GAIN: usize = 8;

struct Job {
    content: Vec<u8>,
    how: How,
    reply: SyncSender<Result<Packed>>,
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

    /// Begins a frame of this content.
    pub(super) fn begin(&self, content: Vec<u8>, how: How) -> Result<Promise> {
        let (reply, result) = sync_channel(1);
        let ended = || Error::limit("frame: the threads that compress have ended");
        self.jobs.as_ref().ok_or_else(ended)?.send(Job { content, how, reply }).map_err(|_| ended())?;
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
        let Ok(job) = next else { return };
        // The asker may have given up; then nobody misses the frame.
        let _ = job.reply.send(pack(job.content, job.how));
    }
}

fn pack(content: Vec<u8>, how: How) -> Result<Packed> {
    let small = |length: usize| u32::try_from(length).map_err(|_| Error::limit("frame: more than 4 GiB"));
    let (codec, stored, plain_bytes) = match how {
        How::Wrapped(plain_bytes) => (Codec::Zstd, content, plain_bytes),
        How::Level(level) => (Codec::Zstd, frame::compress(&content, level)?, small(content.len())?),
        How::After(level, prefix, earlier) => {
            let (codec, stored) = patch(&content, level, &prefix, &earlier)?;
            (codec, stored, small(content.len())?)
        }
    };
    let (stored_bytes, digest) = (small(stored.len())?, codec.digest(&stored));
    let header = FrameHeader { codec: codec.clone(), stored_bytes, plain_bytes, digest }.encode();
    Ok(Packed { header, stored, codec, digest, plain_bytes })
}

/// Compresses content after older versions of it, where that is worth what it costs to read it.
fn patch(content: &[u8], level: i32, prefix: &Prefix, earlier: &Earlier) -> Result<(Codec, Vec<u8>)> {
    let (runs, Slice { bytes, depth, .. }) = prefix.read(earlier)?;
    let depth = depth.saturating_add(1);
    if runs.is_empty() || depth > MAX_DEPTH {
        return Ok((Codec::Zstd, frame::compress(content, level)?));
    }
    let patched = frame::compress_after(content, level, &bytes)?;
    let codec = Codec::Prefix { depth, runs };
    if patched.len() < content.len() / CLEAR_GAIN {
        return Ok((codec, patched));
    }
    let alone = frame::compress(content, level)?;
    let gains = patched.len() < alone.len().saturating_sub(alone.len() / 8);
    Ok(if gains { (codec, patched) } else { (Codec::Zstd, alone) })
}
