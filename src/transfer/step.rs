//! [`run`]: one step, from waiting for what it needs to its result.
//!
//! **Invariants.** A step that leaves nothing to be done in order is settled before it returns. The clock of a step runs
//! only while the sink works on it.
//!
//! *Not here:* the order in which steps begin (`window`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::Run;
use crate::error::{Error, Result};
use crate::image::ends::Rest;
use crate::plan::{Step, Work};

/// What a step leaves to be done in the order of the plan, with the permit that it keeps until then.
pub(super) type Left = (Rest, Option<OwnedSemaphorePermit>);

/// Runs step `at`. A step without a permit takes one of the late ones once it can go on.
pub(super) async fn run(run: Arc<Run>, at: usize, permit: Option<OwnedSemaphorePermit>) -> Left {
    let step = &run.steps[at];
    for needed in &step.after {
        run.board.wait(*needed).await;
    }
    let _turn = if permit.is_none() { run.late.acquire().await.ok() } else { None };
    let result = if run.board.is_moot(step) { Ok(None) } else { carry_out(&run, step).await };
    match result {
        Ok(Some(rest)) => return (Some(rest), permit),
        Ok(None) => {}
        Err(error) => run.board.fail(step, &error),
    }
    run.board.settle(at, step);
    (None, None)
}

async fn carry_out(run: &Run, step: &Step) -> Result<Rest> {
    run.board.start(step);
    let clock = Arc::new(Clock::new());
    let call = async {
        match &step.work {
            Work::Blob { blob, to, .. } => {
                let beat = {
                    let clock = clock.clone();
                    move || clock.beat()
                };
                run.sink.put(to, blob, &run.board.listener(step, beat)).await
            }
            Work::Manifest { manifest, to } => run.sink.put_manifest(to, manifest).await,
            Work::Name { name, root } => run.sink.point(name, root).await,
        }
    };
    let Some(limit) = run.options.image_timeout else { return call.await };
    tokio::select! {
        result = call => result,
        () = clock.silence(limit) => Err(stalled(step, &run.sink.place(), limit)),
    }
}

fn stalled(step: &Step, place: &str, limit: Duration) -> Error {
    Error::failed(format!("{} in {place}: no progress for {} s", step.work, limit.as_secs_f32()))
        .hint("allow more time with --image-timeout, or run the same command again: it goes on where it stopped")
}

/// When a step last made progress.
struct Clock {
    start: Instant,
    last_ms: AtomicU64,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    fn beat(&self) {
        self.last_ms.fetch_max(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns once there was no progress for `limit`.
    async fn silence(&self, limit: Duration) {
        loop {
            let idle = Duration::from_millis(self.elapsed_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed)));
            if idle >= limit {
                return;
            }
            sleep((limit - idle).max(Duration::from_millis(1))).await;
        }
    }
}
