//! [`drive`]: begins steps in the order of the plan, and does in that order what they leave.
//!
//! **Invariants.** The first step that is not settled can always go on: what it needs is settled, and if it is a blob it
//! took its permit before every later one. So no run stands still. Only so many tasks exist as the window is wide.
//!
//! *Not here:* what a step does (`step`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::FutureExt as _;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, JoinHandle};

use super::Run;
use super::step::{self, Left};
use crate::error::{Error, Result};
use crate::plan::Work;

/// The least number of steps that may be under way, most of them waiting: wide enough that a blob of hours does not
/// hold up the small ones behind it.
const MIN_WINDOW: usize = 1024;

/// Carries out all steps. An error is one of the destination as a whole: everything under way is stopped.
pub(super) async fn drive(run: &Arc<Run>) -> Result<()> {
    let window = run.options.jobs.saturating_mul(4).clamp(MIN_WINDOW, 1 << 20);
    let (sender, receiver) = channel(window);
    tokio::try_join!(begin(run, sender), settle(run, receiver))?;
    Ok(())
}

/// Begins the steps, each with its permit where it needs one.
async fn begin(run: &Arc<Run>, window: Sender<Task>) -> Result<()> {
    for (at, step) in run.steps.iter().enumerate() {
        let in_order = matches!(step.work, Work::Blob { .. }) && step.after.is_empty();
        let permit = if in_order { run.ordered.clone().acquire_owned().await.ok() } else { None };
        let task = Task { at, handle: tokio::spawn(step::run(run.clone(), at, permit)) };
        if window.send(task).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Does what the steps left, one after the other.
async fn settle(run: &Arc<Run>, mut window: Receiver<Task>) -> Result<()> {
    while let Some(mut task) = window.recv().await {
        let step = &run.steps[task.at];
        match (&mut task.handle).await {
            Ok(left) => finish(left).await?,
            Err(error) => run.board.fail(step, &broken(&step.work, &error)),
        }
        run.board.settle(task.at, step);
    }
    Ok(())
}

async fn finish((rest, permit): Left) -> Result<()> {
    if let Some(rest) = rest {
        AssertUnwindSafe(rest)
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(Error::failed(format!("the destination stopped: {}", said(&*panic)))))?;
    }
    drop(permit);
    Ok(())
}

fn broken(work: &Work, error: &JoinError) -> Error {
    Error::failed(format!("{work}: {error}")).note("this is a fault of ocm itself")
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked")
}

/// A step under way; it stops when nobody waits for it any more.
struct Task {
    at: usize,
    handle: JoinHandle<Left>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
