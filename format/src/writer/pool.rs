//! [`Pool`]: compresses frames on several threads; whoever asks takes the results in the order of asking.
//!
//! **Invariants.** A frame depends on its content and level alone, so the number of threads changes no byte.
//!
//! *Not here:* which bytes make a frame (`builder`), and where it goes (`volume`).

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::frame;
use crate::layout::{Codec, FrameHeader};

/// How a frame is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It is one already, of this many bytes: content that was compressed when it came.
    Wrapped(u32),
    /// By zstd at this level.
    Level(i32),
}

/// A frame as it stands in a pack.
#[derive(Debug)]
pub(super) struct Packed {
    /// The frame header.
    pub(super) header: Vec<u8>,
    /// The zstd frame.
    pub(super) stored: Vec<u8>,
    /// Its SHA-256.
    pub(super) digest: Digest,
    /// The length of its content.
    pub(super) plain_bytes: u32,
}

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
    let (stored, plain_bytes) = match how {
        How::Wrapped(plain_bytes) => (content, plain_bytes),
        How::Level(level) => (frame::compress(&content, level)?, small(content.len())?),
    };
    let (stored_bytes, digest) = (small(stored.len())?, Digest::of(&stored));
    let header = FrameHeader { codec: Codec::Zstd, stored_bytes, plain_bytes, digest }.encode();
    Ok(Packed { header, stored, digest, plain_bytes })
}
