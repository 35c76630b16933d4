//! [`Progress`]: when bytes of a request moved last, so that only standing still counts as a time-out.
//!
//! **Invariants.** A slow transfer never times out while bytes move. What made the bytes of a body fail is kept whole,
//! because the HTTP client hands on only that they failed.
//!
//! *Not here:* the bytes of answers (`response` watches them).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::image::Body;

/// How much of a body is handed to the connection at a time, in bytes: small enough that a slow line shows progress.
const PART_BYTES: usize = 256 << 10;

/// What is known of a request under way.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    moved: Instant,
    failed: Option<Error>,
}

impl Progress {
    /// A request that begins now.
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new(State { moved: Instant::now(), failed: None })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the body could not be had, if that is what failed.
    pub(super) fn failed(&self) -> Option<Error> {
        self.state().failed.clone()
    }

    /// Returns when nothing has moved for `limit`.
    pub(super) async fn stands_still(&self, limit: Duration) {
        loop {
            let deadline = self.state().moved + limit;
            if deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    /// The parts of `body`; each one that is taken counts as progress.
    pub(super) fn watch(&self, body: Body) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let begun = (body, Bytes::new(), self.clone());
        stream::try_unfold(begun, |(mut body, mut rest, progress)| async move {
            progress.state().moved = Instant::now();
            if rest.is_empty() {
                match body.next().await {
                    Ok(Some(part)) => rest = part,
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        progress.state().failed = Some(error.clone());
                        return Err(error);
                    }
                }
            }
            let part = rest.split_to(rest.len().min(PART_BYTES));
            Ok(Some((part, (body, rest, progress))))
        })
    }
}
