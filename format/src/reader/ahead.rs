//! [`Ahead`]: stretches that are made before a stream comes to them, where processors are idle.
//!
//! **Invariants.** Nothing waits for what is made ahead but whoever wants those bytes: it lands in the cache of stretches,
//! which makes each once. What fails here fails again for the stream, and is told there. Helpers are fewer than
//! processors, over all streams of a reader; a stream is at most [`STRETCHES`] ahead.
//!
//! *Not here:* making a stretch (`replay`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Inner;
use super::form::{Form, Steps};

/// How far a stream is ahead at the most: their memory counts against the budget of stretches only once they are made.
const STRETCHES: usize = 4;

/// Who is making stretches, over all streams of a reader.
pub(super) struct Makers {
    processors: usize,
    busy: Arc<AtomicUsize>,
    helpers: Arc<AtomicUsize>,
}

/// A place among those that count; given up when dropped.
pub(super) struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Makers {
    /// For so many processors.
    pub(super) fn new(processors: usize) -> Self {
        Self { processors, busy: Arc::default(), helpers: Arc::default() }
    }

    /// Somebody makes a stretch, whoever it is.
    pub(super) fn begin(&self) -> Turn {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Turn(Arc::clone(&self.busy))
    }

    /// The turn of a helper, if a processor seems to be idle.
    fn helper(&self) -> Option<Turn> {
        let is_idle = self.busy.load(Ordering::Relaxed) < self.processors;
        let turn = |helpers: usize| helpers.checked_add(1).filter(|helpers| is_idle && *helpers < self.processors);
        self.helpers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, turn).ok().map(|_| Turn(Arc::clone(&self.helpers)))
    }
}

/// What is made ahead of one stream.
#[derive(Default)]
pub(super) struct Ahead {
    /// Where stretches begin that were begun and not come to.
    begun: VecDeque<u64>,
    /// Where the next one begins.
    next: u64,
}

impl Ahead {
    /// The stream is at `at` of `form`: begins what comes next.
    pub(super) fn look(&mut self, reader: &Arc<Inner>, form: &Form, at: u64) {
        while self.begun.front().is_some_and(|begun| *begun <= at) {
            self.begun.pop_front();
        }
        if self.next <= at {
            let Some((_, end)) = form.stretch_at(at) else { return };
            self.next = end;
        }
        while self.begun.len() < STRETCHES {
            let Some((true, end)) = form.stretch_at(self.next) else { return };
            let Some(turn) = reader.replays.makers.helper() else { return };
            make(Arc::clone(reader), form.clone(), self.next, turn);
            self.begun.push_back(self.next);
            self.next = end;
        }
    }
}

fn make(reader: Arc<Inner>, form: Form, at: u64, turn: Turn) {
    let work = move || {
        // What is wrong with it is told to the stream, when it comes here.
        let _ = reader.chunk(&form, at, 1, &mut Steps::default());
        drop(turn);
    };
    // A thread that cannot be had is not missed.
    let _ = std::thread::Builder::new().spawn(work);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_fewer_than_processors_and_come_only_where_one_is_idle() {
        assert!(Makers::new(1).helper().is_none());
        let makers = Makers::new(3);
        let first = makers.begin();
        let helpers: Vec<Option<Turn>> = (0..3).map(|_| makers.helper()).collect();
        assert_eq!(helpers.iter().flatten().count(), 2);
        drop(helpers);
        let others = [makers.begin(), makers.begin()];
        assert!(makers.helper().is_none());
        drop((first, others));
        assert!(makers.helper().is_some());
    }
}
