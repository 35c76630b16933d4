//! [`Pace`]: how fast one registry is asked, for all tasks together.
//!
//! **Invariants.** Nothing is held back before the registry says that it is too much (429, 503). Then as many requests as were under
//! way are halved, and with each round that it serves one more is let go; a wait that it asks for is one for all. A request holds its place
//! only while it waits for its answer. What carries a body that streams takes no place: its bytes may come from the same registry.
//!
//! *Not here:* how often a request is made again (`retry`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// More requests than are ever under way at once.
const UNHINDERED: usize = 1 << 16;

/// The pace of one registry.
pub(super) struct Pace {
    /// The places of requests under way; who waits longest is next.
    places: Semaphore,
    state: Mutex<State>,
}

struct State {
    /// How many requests may be under way.
    window: usize,
    /// How many places there are, those taken too; more than the window only until enough of them come back.
    places: usize,
    /// How many requests were served since the window changed.
    round: usize,
    /// How many were served in all.
    served: u64,
    /// When the next one may go.
    not_before: Option<Instant>,
}

/// The place of one request under way.
pub(super) struct Place<'a> {
    pace: &'a Pace,
    permit: Option<SemaphorePermit<'a>>,
}

impl Pace {
    pub(super) fn new() -> Self {
        let state = State { window: UNHINDERED, places: UNHINDERED, round: 0, served: 0, not_before: None };
        Self { places: Semaphore::new(UNHINDERED), state: Mutex::new(state) }
    }

    /// Waits until a request may go; one that `streams` takes no place.
    pub(super) async fn place(&self, streams: bool) -> Place<'_> {
        let permit = if streams { None } else { self.places.acquire().await.ok() };
        let place = Place { pace: self, permit };
        // Whoever has waited may find that all have to wait longer.
        while let Some(time) = self.not_before() {
            sleep_until(time).await;
        }
        place
    }

    fn not_before(&self) -> Option<Instant> {
        self.state().not_before.filter(|time| *time > Instant::now())
    }

    /// How many requests were served so far.
    pub(super) fn served(&self) -> u64 {
        self.state().served
    }

    /// Takes in how a request was answered.
    pub(super) fn note(&self, status: StatusCode, wait: Option<Duration>) {
        if is_too_much(status) { self.refused(wait) } else { self.was_served() }
    }

    fn refused(&self, wait: Option<Duration>) {
        let mut state = self.state();
        let under_way = state.places - self.places.available_permits();
        state.window = (state.window.min(under_way) / 2).max(1);
        state.round = 0;
        let surplus = state.places.saturating_sub(state.window);
        state.places -= self.places.forget_permits(surplus);
        let until = wait.map(|wait| Instant::now() + wait);
        state.not_before = state.not_before.max(until);
    }

    fn was_served(&self) {
        let mut state = self.state();
        state.served += 1;
        state.round += 1;
        if state.round < state.window || state.window >= UNHINDERED {
            return;
        }
        state.window += 1;
        state.round = 0;
        if state.places < state.window {
            state.places += 1;
            self.places.add_permits(1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut state = self.pace.state();
        if state.places > state.window {
            state.places -= 1;
            permit.forget();
        }
    }
}

/// Whether an answer says that the registry is asked too much.
pub(super) fn is_too_much(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const BUSY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

    /// How many more requests may go now.
    fn room(pace: &Pace) -> usize {
        let mut taken = Vec::new();
        while let Some(place) = tokio::task::unconstrained(pace.place(false)).now_or_never().filter(|_| taken.len() < 100) {
            taken.push(place);
        }
        taken.len()
    }

    #[tokio::test]
    async fn a_refusal_halves_what_is_under_way_and_service_gives_back_one_a_round() {
        let pace = Pace::new();
        assert_eq!(room(&pace), 100, "nothing is held back before");
        let under_way: Vec<_> = futures_util::future::join_all((0..8).map(|_| pace.place(false))).await;
        pace.note(BUSY, None);
        assert_eq!(room(&pace), 0);
        drop(under_way);
        assert_eq!(room(&pace), 4);
        for (served, room_then) in [(4, 5), (5, 6), (5, 6), (1, 7)] {
            (0..served).for_each(|_| pace.note(StatusCode::OK, None));
            assert_eq!(room(&pace), room_then);
        }
        (0..10).for_each(|_| pace.note(BUSY, None));
        assert_eq!(room(&pace), 1, "one always may go");
    }

    #[tokio::test]
    async fn a_wait_that_is_asked_for_is_one_for_all() {
        let pace = Pace::new();
        pace.note(BUSY, Some(Duration::from_millis(300)));
        pace.note(BUSY, Some(Duration::from_millis(100)));
        for streams in [false, true] {
            assert!(pace.place(streams).now_or_never().is_none());
        }
        let begun = Instant::now();
        pace.place(false).await;
        assert!(begun.elapsed() >= Duration::from_millis(250), "the longest of them");
        assert!(pace.place(true).now_or_never().is_some());
    }
}
