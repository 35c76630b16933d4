//! [`Progress`]: shows a run on stderr while it goes on.
//!
//! **Invariants.** The run only ever adds to a small board under a short lock: a terminal that stands still holds up
//! the display, never the run. News that nobody could be shown in time are bounded in number.
//!
//! *Not here:* results and errors; they are printed when the display is gone.

mod bars;
mod board;
mod lines;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::bars::Bars;
use self::board::{Board, News, View};
use self::lines::Lines;
use super::console::Console;
use super::look::Look;
use crate::monitor::{Event, Monitor, SharedMonitor};

/// How often the display is drawn.
const TICK: Duration = Duration::from_millis(125);

/// A running display.
pub(super) struct Progress {
    shared: Arc<Shared>,
    drawer: Option<JoinHandle<()>>,
}

/// How the display looks.
trait Face: Send {
    /// Shows news, then how far the run is.
    fn show(&mut self, news: &[News], view: &View);
    /// Takes away what does not stay.
    fn close(&mut self);
}

#[derive(Default)]
struct Shared {
    board: Mutex<Board>,
    closing: Mutex<bool>,
    wake: Condvar,
}

impl Progress {
    /// Begins to show: bars on a terminal, now and then a line elsewhere, nothing when quiet.
    #[must_use]
    pub(super) fn start(console: Console, look: Look) -> Self {
        let shared = Arc::new(Shared::default());
        let face: Option<Box<dyn Face>> = match (look.quiet, console.terminal) {
            (true, _) => None,
            (false, true) => Some(Box::new(Bars::new(console.coloured))),
            (false, false) => Some(Box::new(Lines::new(move |text| console.say(text), look.verbose))),
        };
        let drawer = face.and_then(|face| {
            let shared = Arc::clone(&shared);
            let show = move || shared.show_on(face);
            std::thread::Builder::new().name("progress".into()).spawn(show).ok()
        });
        Self { shared, drawer }
    }

    /// Where the run tells what it does.
    #[must_use]
    pub(super) fn monitor(&self) -> SharedMonitor {
        Arc::clone(&self.shared) as SharedMonitor
    }

    /// Shows what is still to be shown, and takes the bars away.
    pub(super) fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        *held(&self.shared.closing) = true;
        self.shared.wake.notify_all();
        // A display that broke must not break the run.
        let _broken = self.drawer.take().map(JoinHandle::join);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

impl Monitor for Shared {
    fn event(&self, event: Event<'_>) {
        held(&self.board).take(event);
    }
}

impl Shared {
    fn show_on(&self, mut face: Box<dyn Face>) {
        let mut closing = held(&self.closing);
        loop {
            let closes = *closing;
            let (news, view) = held(&self.board).look(Instant::now());
            face.show(&news, &view);
            if closes {
                return face.close();
            }
            closing = self.wake.wait_timeout_while(closing, TICK, |closing| !*closing).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
