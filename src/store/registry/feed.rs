//! [`Feed`]: a blob as it is read to be pushed: from any byte on, as often as it takes, checked as a whole.
//!
//! **Invariants.** The last byte is handed out only after the digest of all of them matched, wherever the reading
//! began: the hash is carried on from marks. `moved` hears of every byte once. Memory: at most [`MARKS`] marks.
//!
//! *Not here:* where the bytes go (`upload`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use ocm_format::digest::Hasher;

use crate::error::{Error, Result};
use crate::image::ends::Moved;
use crate::image::{Blob, Body};

/// About how many marks one blob gets.
const MARKS: u64 = 512;

/// The least distance of two marks, in bytes: the most that is read again to go on from between them.
const MARK_BYTES: u64 = 4 << 20;

/// A blob on its way to a registry.
pub(super) struct Feed {
    blob: Blob,
    moved: Moved,
    state: Mutex<State>,
}

struct State {
    /// The hash of all bytes before some places, in order; the first is that of no bytes.
    marks: Vec<(u64, Hasher)>,
    /// How many bytes were told to `moved`.
    told: u64,
    failure: Option<Error>,
}

impl Feed {
    /// A feed of `blob` that tells `moved` what it has read.
    pub(super) fn new(blob: &Blob, moved: &Moved) -> Arc<Self> {
        let marks = vec![(0, blob.descriptor().digest.hasher())];
        Arc::new(Self { blob: blob.clone(), moved: moved.clone(), state: Mutex::new(State { marks, told: 0, failure: None }) })
    }

    /// The bytes from `start` to the end.
    pub(super) async fn from(self: &Arc<Self>, start: u64) -> Result<Body> {
        let descriptor = self.blob.descriptor();
        let (at, hasher) = self.mark_before(start);
        let body = self.blob.read(at..descriptor.size).await?;
        if descriptor.size == 0 {
            self.check(&hasher)?;
        }
        let what = format!("blob {} from {}", descriptor.digest, self.blob.place());
        let reading = Reading { feed: self.clone(), body, hasher, at, start };
        let parts = stream::try_unfold(reading, |mut reading| async move { Ok(reading.next().await?.map(|part| (part, reading))) });
        Ok(Body::new(descriptor.size - start, what, parts))
    }

    /// Why the blob could not be read or is not what it must be, once that happened. The other side of the upload
    /// only sees that the bytes ended.
    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// How far the blob was read in any reading.
    pub(super) fn furthest(&self) -> u64 {
        self.lock().told
    }

    fn mark_before(&self, start: u64) -> (u64, Hasher) {
        let state = self.lock();
        let found = state.marks.iter().rev().find(|(at, _)| *at <= start);
        found.cloned().unwrap_or_else(|| (0, self.blob.descriptor().digest.hasher()))
    }

    /// Takes note of a part that was read up to `at`.
    fn passed(&self, at: u64, hasher: &Hasher) {
        let distance = MARK_BYTES.max(self.blob.descriptor().size / MARKS);
        let mut state = self.lock();
        if state.marks.last().is_none_or(|(last, _)| at >= last + distance) {
            state.marks.push((at, hasher.clone()));
        }
        let news = at.saturating_sub(state.told);
        state.told += news;
        drop(state);
        if news > 0 {
            (self.moved)(news);
        }
    }

    fn check(&self, hasher: &Hasher) -> Result<()> {
        let digest = self.blob.descriptor().digest;
        if hasher.clone().finish() == digest {
            return Ok(());
        }
        Err(Error::damaged(format!("blob {digest} from {}: the content does not match its digest", self.blob.place())))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reading of a feed.
struct Reading {
    feed: Arc<Feed>,
    body: Body,
    hasher: Hasher,
    at: u64,
    /// Bytes before this one are only hashed.
    start: u64,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let read = self.read().await;
        if let Err(error) = &read {
            self.feed.lock().failure = Some(error.clone());
        }
        read
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        while let Some(mut part) = self.body.next().await? {
            self.hasher.update(&part);
            let begin = self.at;
            self.at += part.len() as u64;
            if self.at >= self.feed.blob.descriptor().size {
                self.feed.check(&self.hasher)?;
            }
            self.feed.passed(self.at, &self.hasher);
            let before = self.start.saturating_sub(begin).min(part.len() as u64);
            let part = part.split_off(usize::try_from(before).unwrap_or(part.len()));
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }
}
