//! [`Pace`]: how many blocking reads run at once, and how large their parts are.
//!
//! **Invariants.** Who asks first reads first: no client starves another, and a hundred clients put no more work on a disk at once than
//! a few. What all answers hold in memory together stays within [`BUDGET_BYTES`].
//!
//! *Not here:* what is read (`source`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// The most bytes of one part.
pub(super) const MAX_PART_BYTES: u64 = 1 << 20;
/// The fewest: below, the work around a part costs more than the part.
const MIN_PART_BYTES: u64 = 16 << 10;
/// What the parts of all answers take together, in bytes.
const BUDGET_BYTES: u64 = 32 << 20;
/// How many parts of an answer are read at once.
pub(super) const READS_AHEAD: usize = 2;
/// How many parts an answer holds at a time: one being sent, and those that are read or wait.
const PARTS_HELD: u64 = 1 + READS_AHEAD as u64;

/// The pace of all reads of a server.
pub(super) struct Pace {
    permits: Arc<Semaphore>,
    flows: AtomicU64,
}

/// An answer that is being read; its share of the memory goes back when it is dropped.
pub(super) struct Share(Arc<Pace>);

impl Pace {
    /// So many reads at once.
    pub(super) fn new(reads: usize) -> Arc<Self> {
        Arc::new(Self { permits: Arc::new(Semaphore::new(reads)), flows: AtomicU64::new(0) })
    }

    /// Runs blocking work when its turn has come. It runs to its end, also when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let ended = |_| Error::failed("a read of this server ended badly");
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| Error::failed("this server has ended"))?;
        let turn = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(turn).await.map_err(ended)?
    }

    /// A share of the memory for one more answer.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        self.flows.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

impl Share {
    /// How large the next part may be, in bytes.
    pub(super) fn part_bytes(&self) -> u64 {
        let flows = self.0.flows.load(Ordering::Relaxed).max(1);
        (BUDGET_BYTES / (flows * PARTS_HELD)).clamp(MIN_PART_BYTES, MAX_PART_BYTES)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.flows.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_shrink_as_answers_become_many() {
        let pace = Pace::new(1);
        let first = pace.share();
        assert_eq!(first.part_bytes(), MAX_PART_BYTES);
        let many: Vec<Share> = (1..200).map(|_| pace.share()).collect();
        assert!(first.part_bytes() * 200 * PARTS_HELD <= BUDGET_BYTES);
        let more: Vec<Share> = (0..5000).map(|_| pace.share()).collect();
        assert_eq!(first.part_bytes(), MIN_PART_BYTES);
        drop((many, more));
        assert_eq!(first.part_bytes(), MAX_PART_BYTES);
    }
}
