//! [`Ahead`]: what is likely to be read next is brought before it is asked for.
//!
//! **Invariants.** A reader never waits for this: work goes to threads of its own through short queues, and where one is full it is not
//! done. Pages are pushed from their own thread alone, since the kernel may make that wait for a read that another one answers.
//! What is wrong here is nobody's concern: whoever needs the bytes asks for them.
//!
//! - A blob that is read in order has its next mebibytes read into the cache of frames, two at once.
//! - Where a second small read comes into the same mebibyte, all of that goes into the kernel's pages, so that the next small reads there
//!   never leave the kernel. The first one alone is no reason: there may be no other.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};

use fuser::{INodeNo, Notifier};

use super::cache::held;
use super::plains::{Extent, Plains};
use super::view::View;
use crate::error::{Error, Result};

/// How much is brought at once.
const AHEAD_BYTES: u64 = 1 << 20;
/// How far ahead of a reader things are brought. It is what two processors decompress at once.
const FAR_BYTES: u64 = 2 * AHEAD_BYTES;
/// Threads that read ahead.
const READ_THREADS: usize = 2;
/// A read that is large enough to have all of a frame decompressed.
const LARGE_BYTES: u64 = 128 << 10;
/// The largest read that counts as small.
const SMALL_BYTES: u64 = 64 << 10;
/// How far a large read may be from where the one before ended, and still go on from there.
const SLACK_BYTES: u64 = 256 << 10;
/// The kernel's unit of keeping.
const PAGE_BYTES: u64 = 4096;
/// Things that wait to be done.
const WAITING: usize = 16;
/// Mebibytes that small reads came into and that are remembered.
const WINDOWS: usize = 4096;
/// Files whose last read is remembered.
const READERS: usize = 64;

/// Brings what comes next.
pub(super) struct Ahead {
    last: Mutex<[Last; READERS]>,
    touched: Mutex<Touched>,
    reads: SyncSender<Job>,
    pushes: Option<SyncSender<Job>>,
}

/// The last read of a file.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    number: u64,
    end: u64,
    /// How far it was read ahead.
    ahead: u64,
}

/// Some of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Job {
    number: u64,
    extent: Extent,
    offset: u64,
}

/// What a read asks for.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    Read(u64),
    Push(u64),
}

impl Ahead {
    /// Starts the threads. Pages are pushed as soon as there is a `notifier`, where they are to be pushed at all.
    pub(super) fn start(view: &Arc<View>, notifier: &Arc<OnceLock<Notifier>>, pushes: bool) -> Result<Self> {
        let reader = Arc::clone(view);
        let reads = workers("read-ahead", READ_THREADS, move |job| read(&reader.plains, job))?;
        let (pusher, notifier) = (Arc::clone(view), Arc::clone(notifier));
        let push = move |job: Job| notifier.get().map_or((), |notifier| push(&pusher.plains, notifier, job));
        let pushes = pushes.then(|| workers("page-push", 1, push)).transpose()?;
        Ok(Self { last: Mutex::new([Last::default(); READERS]), touched: Mutex::default(), reads, pushes })
    }

    /// Tells that bytes of a file were read.
    pub(super) fn was_read(&self, number: u64, extent: &Extent, offset: u64, bytes: u64) {
        let next = held(&self.last)[place(number)].after(number, offset, bytes, extent.bytes);
        let job = |offset| Job { number, extent: *extent, offset };
        // Where there is no room, it is not done.
        let _full = match (next, &self.pushes) {
            (Next::Read(offset), _) => self.reads.try_send(job(offset)).is_ok(),
            (Next::Push(offset), Some(pushes)) if held(&self.touched).again(number, offset) => pushes.try_send(job(offset)).is_ok(),
            _ => false,
        };
    }
}

impl Last {
    /// What to do after a read of a file of so many bytes.
    fn after(&mut self, number: u64, offset: u64, bytes: u64, file_bytes: u64) -> Next {
        // Requests of a reader that goes on come through several threads, and not always in order.
        let slack = if bytes > SMALL_BYTES { SLACK_BYTES } else { 0 };
        let follows = self.number == number && offset.abs_diff(self.end) <= slack;
        let end = if follows { self.end.max(offset + bytes) } else { offset + bytes };
        let ahead = if follows { self.ahead } else { 0 };
        *self = Self { number, end, ahead };
        if end >= file_bytes || bytes == 0 {
            return Next::Nothing;
        }
        if follows {
            let from = ahead.max(end);
            if from >= end + FAR_BYTES {
                return Next::Nothing;
            }
            self.ahead = from + AHEAD_BYTES;
            return if from < file_bytes { Next::Read(from) } else { Next::Nothing };
        }
        if offset > 0 && bytes <= SMALL_BYTES { Next::Push(offset - offset % AHEAD_BYTES) } else { Next::Nothing }
    }
}

/// Where small reads came lately: mebibytes of files, by what stands for them.
struct Touched([u64; WINDOWS]);

impl Default for Touched {
    fn default() -> Self {
        Self([0; WINDOWS])
    }
}

impl Touched {
    /// Whether the mebibyte at `offset` was touched before; then it begins anew.
    fn again(&mut self, number: u64, offset: u64) -> bool {
        let window = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (offset / AHEAD_BYTES)).wrapping_add(1);
        let slot = &mut self.0[window as usize % WINDOWS];
        let again = *slot == window;
        *slot = if again { 0 } else { window };
        again
    }
}

fn place(number: u64) -> usize {
    (number ^ (number >> 17) ^ (number >> 41)) as usize % READERS
}

/// Threads that do what they are sent, until nobody sends any more.
fn workers(name: &str, count: usize, work: impl Fn(Job) + Send + Sync + 'static) -> Result<SyncSender<Job>> {
    let (sender, receiver) = sync_channel(WAITING);
    let shared = Arc::new((Mutex::new(receiver), work));
    for _ in 0..count {
        let shared = Arc::clone(&shared);
        let run = move || std::iter::from_fn(|| next(&shared.0)).for_each(&shared.1);
        let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        started.map_err(|error| Error::io("starting a thread", &error))?;
    }
    Ok(sender)
}

fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    held(jobs).recv().ok()
}

/// Reads what comes next, so that it is in the cache. Its end is read first: its beginning may lie in a frame that is being decompressed
/// for the mebibyte before.
fn read(plains: &Plains, job: Job) {
    let end = job.extent.bytes.min(job.offset + AHEAD_BYTES);
    let last = job.offset.max(end.saturating_sub(LARGE_BYTES));
    if plains.some(&job.extent, last, LARGE_BYTES).is_err() {
        return;
    }
    let mut at = job.offset;
    while at < last {
        match plains.some(&job.extent, at, end - at) {
            Ok(bytes) if !bytes.is_empty() => at += bytes.len() as u64,
            _ => return,
        }
    }
}

/// Gives the kernel a mebibyte of a file, in whole pages.
fn push(plains: &Plains, notifier: &Notifier, job: Job) {
    let end = job.extent.bytes.min(job.offset + AHEAD_BYTES);
    let Ok(bytes) = plains.read(&job.extent, job.offset, end - job.offset) else { return };
    let whole = if end == job.extent.bytes { bytes.len() } else { bytes.len() - bytes.len() % PAGE_BYTES as usize };
    if whole > 0 {
        // A page that is gone by now is one that nobody needs.
        let _gone = notifier.store(INodeNo(job.number), job.offset, &bytes[..whole]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_is_read_in_order_is_read_ahead_a_mebibyte_at_a_time() {
        let (mut last, part, file) = (Last::default(), 128 << 10, 8 * MIB);
        let mut asked = Vec::new();
        for at in 0..file / part {
            match last.after(7, at * part, part, file) {
                Next::Nothing => {}
                Next::Read(from) => asked.push(from),
                Next::Push(from) => panic!("{from}"),
            }
        }
        assert_eq!(asked[..2], [2 * part, 2 * part + MIB], "from the second read in a row on");
        assert!(asked.windows(2).all(|two| two[1] == two[0] + MIB), "{asked:?}");
        assert!(asked.last().is_some_and(|last| *last + MIB >= file), "{asked:?}");
    }

    #[test]
    fn a_second_small_read_in_a_mebibyte_has_all_of_it_pushed() {
        for (offset, bytes, file, expected) in [
            (4096, 4096, 4 * MIB, Next::Push(0)),
            (MIB + 5000, 4096, 4 * MIB, Next::Push(MIB)),
            (0, 4096, MIB, Next::Nothing),
            (4096, 128 << 10, MIB, Next::Nothing),
            (MIB - 4096, 4096, MIB, Next::Nothing),
        ] {
            assert_eq!(Last::default().after(7, offset, bytes, file), expected, "{offset}");
        }
        let mut touched = Touched::default();
        let seen: Vec<bool> = [(7, 0), (7, MIB), (8, 0), (7, MIB), (7, 0), (7, 0)].map(|(number, at)| touched.again(number, at)).into();
        assert_eq!(seen, [false, false, false, true, true, false]);
    }
}
