//! [`Monitor`]: where a run tells what it is doing.
//!
//! **Invariants.** A monitor never fails and never blocks the run. Byte counts only grow.
//!
//! *Not here:* bars and lines (`cli::progress`), results (they are return values).

use std::sync::Arc;

/// Takes in the events of a run; shared by all of its tasks.
pub trait Monitor: Send + Sync {
    /// One thing that happened.
    fn event(&self, event: Event<'_>);
}

/// How a run shares its monitor.
pub type SharedMonitor = Arc<dyn Monitor>;

/// What can happen in a run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// One line of news for a person: what was read, what was decided.
    Note(&'a str),
    /// Something that does not stop the run and that a person must know.
    Warning(&'a str),
    /// A count of things moved on, such as names resolved; `done` of `total`.
    Counted {
        /// What is counted: `resolving`, `checking`.
        what: &'a str,
        /// How many are done.
        done: u64,
        /// How many there are.
        total: u64,
    },
    /// What the run is about to do is known; it begins now.
    Planned(Outline),
    /// The bytes that this run has to move are known.
    Total {
        /// All bytes to move.
        bytes: u64,
    },
    /// An image begins to move.
    Started {
        /// Its name.
        image: &'a str,
        /// The bytes to move for it.
        bytes: u64,
    },
    /// Bytes of an image moved.
    Moved {
        /// The image's name.
        image: &'a str,
        /// How many more.
        bytes: u64,
    },
    /// An image is complete or has failed.
    Ended {
        /// Its name.
        image: &'a str,
        /// Whether it is complete.
        complete: bool,
    },
    /// A failed attempt will be made again.
    Retry {
        /// What was tried.
        what: &'a str,
        /// Why it failed.
        why: &'a str,
        /// Which attempt comes next, from 2.
        attempt: u32,
    },
}

/// What a run is about to do, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outline {
    /// Images to bring.
    pub images: u64,
    /// Blobs to fetch.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that are there already.
    pub blobs_there: u64,
    /// Their bytes.
    pub bytes_there: u64,
    /// Blobs that the destination takes from another of its repositories.
    pub mounts: u64,
    /// What is written, where that is a set of an archive.
    pub set: Option<OutlinedSet>,
}

/// The set that a run is about to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlinedSet {
    /// How many bytes it takes, about.
    pub bytes: u64,
    /// What a delta goes by: blobs, chunks, patches; `None` of a base.
    pub depth: Option<&'static str>,
    /// How many volumes it takes, about.
    pub volumes: u64,
    /// The size that each of them stays below, in bytes.
    pub cap_bytes: u64,
}

/// A monitor that listens to nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Monitor for Silent {
    fn event(&self, _: Event<'_>) {}
}
