//! [`Board`]: how far a transfer is: which steps are settled, which items have failed, what was moved.
//!
//! **Invariants.** A step is settled once, done or not. An item fails once, with its first error; with it fails the
//! name of every item of its group.
//!
//! *Not here:* doing steps (`step`), their order (`window`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::SetOnce;

use super::report::{Ending, Outcome, Report};
use crate::error::Error;
use crate::image::State;
use crate::image::ends::Moved;
use crate::monitor::{Event, SharedMonitor};
use crate::plan::{Fate, Planned, Step, Work};

/// The state of one transfer, shared by its tasks.
pub(super) struct Board {
    settled: Vec<SetOnce<()>>,
    items: Vec<ItemBoard>,
    monitor: SharedMonitor,
}

struct ItemBoard {
    name: Arc<str>,
    /// The bytes that the plan counts for it.
    bytes: u64,
    moved: Arc<AtomicU64>,
    state: Mutex<ItemState>,
    /// The first item of its group that failed.
    group: Option<Arc<Mutex<Option<usize>>>>,
}

#[derive(Default)]
struct ItemState {
    started: bool,
    /// How many of its steps are not settled.
    open: usize,
    failed: Option<Error>,
}

impl Board {
    pub(super) fn new(items: &[Planned], steps: &[Step], monitor: SharedMonitor) -> Self {
        let mut groups: HashMap<&str, Arc<Mutex<Option<usize>>>> = HashMap::new();
        let mut list: Vec<ItemBoard> = items.iter().map(|planned| ItemBoard::new(planned, &mut groups)).collect();
        for step in steps {
            for item in &step.items {
                guard(&list[*item].state).open += 1;
            }
            if let (Work::Blob { bytes_to_move, .. }, Some(first)) = (&step.work, step.items.first()) {
                list[*first].bytes += bytes_to_move;
            }
        }
        let board = Self { settled: steps.iter().map(|_| SetOnce::new()).collect(), items: list, monitor };
        for (at, planned) in items.iter().enumerate() {
            if let Fate::Missing(error) = &planned.fate {
                board.fail_item(at, error);
            }
        }
        board
    }

    /// Waits until a step is settled.
    pub(super) async fn wait(&self, step: usize) {
        self.settled[step].wait().await;
    }

    /// Whether no item that needs this step can become complete. A name is held back with the rest of its group.
    pub(super) fn is_moot(&self, step: &Step) -> bool {
        if let (Work::Name { .. }, Some(item)) = (&step.work, step.items.first())
            && let Some(mate) = self.items[*item].failed_mate()
        {
            let (name, mate) = (&self.items[*item].name, &self.items[mate].name);
            self.fail_item(*item, &Error::failed(format!("image {name}: it is held back, because {mate} of its group is not complete")));
        }
        step.items.iter().all(|item| guard(&self.items[*item].state).failed.is_some())
    }

    /// The item that a step counts for begins to move, if it has not yet.
    pub(super) fn start(&self, step: &Step) {
        let Some(item) = step.items.first().map(|item| &self.items[*item]) else { return };
        let first = !std::mem::replace(&mut guard(&item.state).started, true);
        if first {
            self.monitor.event(Event::Started { image: &item.name, bytes: item.bytes });
        }
    }

    /// What hears of bytes moved for a step.
    pub(super) fn listener(&self, step: &Step, beat: impl Fn() + Send + Sync + 'static) -> Moved {
        let item = step.items.first().map(|item| &self.items[*item]);
        let heard = item.map(|item| (item.name.clone(), item.moved.clone(), self.monitor.clone()));
        Arc::new(move |bytes| {
            beat();
            if let Some((name, moved, monitor)) = &heard {
                moved.fetch_add(bytes, Ordering::Relaxed);
                monitor.event(Event::Moved { image: name, bytes });
            }
        })
    }

    /// Fails every item that needs this step.
    pub(super) fn fail(&self, step: &Step, error: &Error) {
        step.items.iter().for_each(|item| self.fail_item(*item, error));
    }

    /// A step is over, done or not: what waits for it may go on.
    pub(super) fn settle(&self, at: usize, step: &Step) {
        if self.settled[at].set(()).is_ok() {
            step.items.iter().for_each(|item| self.close(*item));
        }
    }

    fn close(&self, item: usize) {
        let item = &self.items[item];
        let mut state = guard(&item.state);
        state.open = state.open.saturating_sub(1);
        let complete = state.open == 0 && state.failed.is_none();
        drop(state);
        if complete {
            self.monitor.event(Event::Ended { image: &item.name, complete: true });
        }
    }

    fn fail_item(&self, at: usize, error: &Error) {
        let item = &self.items[at];
        let mut state = guard(&item.state);
        if state.failed.is_some() {
            return;
        }
        state.failed = Some(error.clone());
        drop(state);
        if let Some(group) = &item.group {
            guard(group).get_or_insert(at);
        }
        self.monitor.event(Event::Ended { image: &item.name, complete: false });
    }

    /// What became of each item.
    pub(super) fn report(self, items: &[Planned]) -> Report {
        let ending = |planned: &Planned, board: ItemBoard| match board.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
            Some(error) => Ending::Failed(error),
            None if matches!(planned.fate, Fate::Already) => Ending::Already,
            None => Ending::Done { bytes: board.moved.load(Ordering::Relaxed) },
        };
        let mut report = Report::default();
        for (planned, board) in items.iter().zip(self.items) {
            report.bytes_moved += board.moved.load(Ordering::Relaxed);
            let (mut item, ending) = (planned.item.clone(), ending(planned, board));
            if let Ending::Failed(error) = &ending {
                item.state = State::Missing(error.to_string());
            }
            report.items.push(Outcome { item, name: planned.name.clone(), ending });
        }
        report
    }
}

impl ItemBoard {
    fn new<'p>(planned: &'p Planned, groups: &mut HashMap<&'p str, Arc<Mutex<Option<usize>>>>) -> Self {
        let group = planned.item.group.as_deref().map(|group| groups.entry(group).or_default().clone());
        let name = planned.item.origin.to_string().into();
        Self { name, bytes: 0, moved: Arc::default(), state: Mutex::default(), group }
    }

    fn failed_mate(&self) -> Option<usize> {
        self.group.as_ref().and_then(|group| *guard(group))
    }
}

/// What a lock holds; a change is one assignment, so it is whole even if another task panicked.
fn guard<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
