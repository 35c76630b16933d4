//! [`transfer`]: carries out a plan.
//!
//! **Invariants.** A step runs when all steps that it needs are settled, and only while an item that needs it can still
//! become complete. What a sink must do in the order of the plan is done in that order, with at most `jobs` blobs
//! waiting for their turn. A failed step fails the items that need it and no others. Dropping the future stops all of it.
//!
//! *Not here:* what the steps are (`plan`); trying again (`store::registry`); receipts (`workflow`).

mod board;
mod report;
mod step;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::image::{Contents, Sink};
use crate::monitor::{Event, SharedMonitor};
use crate::plan::{Plan, Planned, Step};
use board::Board;
pub use report::{Class, Ending, Outcome, Report};

/// How a plan is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many blobs move at once, and how many smaller things (mounts, manifests, names) beside them; at least one.
    pub jobs: usize,
    /// How long a step may go without any progress; `None` is for ever.
    pub image_timeout: Option<Duration>,
}

/// Brings what `plan` says to `sink`, and finishes it, unless no item at all is complete. An item that fails is in the
/// report; an error means that the destination as a whole cannot go on, and that nothing new is visible there.
pub async fn transfer(plan: Plan, sink: Box<dyn Sink>, options: Options, monitor: SharedMonitor) -> Result<(Report, Contents)> {
    let (items, steps, summary) = plan.into_parts();
    monitor.event(Event::Total { bytes: summary.bytes_to_fetch });
    let run = Arc::new(Run::new(items, steps, sink, options, monitor));
    window::drive(&run).await?;
    let run = Arc::into_inner(run).ok_or_else(|| Error::failed("the destination is still in use after the last step"))?;
    let report = run.board.report(&run.items);
    let contents = report.contents();
    if report.items.iter().any(|outcome| !outcome.has_failed()) {
        run.sink.finish(&contents).await?;
    }
    Ok((report, contents))
}

/// All that the tasks of one transfer share.
struct Run {
    items: Vec<Planned>,
    steps: Vec<Step>,
    sink: Box<dyn Sink>,
    board: Board,
    options: Options,
    /// Blobs take their permits in the order of the plan, and keep them until nothing of them waits any more.
    ordered: Arc<Semaphore>,
    /// What must wait for other steps takes a permit only when it can go on, and only while it does. So what waits
    /// keeps nobody from going on.
    late: Semaphore,
}

impl Run {
    fn new(items: Vec<Planned>, steps: Vec<Step>, sink: Box<dyn Sink>, options: Options, monitor: SharedMonitor) -> Self {
        let jobs = options.jobs.clamp(1, Semaphore::MAX_PERMITS);
        let board = Board::new(&items, &steps, monitor);
        Self { items, steps, sink, board, options, ordered: Arc::new(Semaphore::new(jobs)), late: Semaphore::new(jobs) }
    }
}

#[cfg(test)]
mod tests;
