//! [`Lines`]: progress where there is no terminal: a plain line now and then.
//!
//! **Invariants.** A line at most every ten seconds, and one when a count is complete.

use std::time::{Duration, Instant};

use super::Face;
use super::board::{News, View};
use crate::cli::figures;

const APART: Duration = Duration::from_secs(10);

/// Says lines to `say`.
pub(super) struct Lines<S> {
    say: S,
    verbose: bool,
    last: Instant,
    said: String,
}

impl<S: Fn(&str) + Send> Lines<S> {
    pub(super) fn new(say: S, verbose: bool) -> Self {
        Self { say, verbose, last: Instant::now(), said: String::new() }
    }

    fn show_at(&mut self, now: Instant, news: &[News], view: &View) {
        for news in news {
            match news {
                News::Note(text) => (self.say)(&format!("{text}\n")),
                News::Warning(text) => (self.say)(&format!("warning: {text}\n")),
                News::Retry(text) if self.verbose => (self.say)(&format!("retry: {text}\n")),
                News::Retry(_) => {}
            }
        }
        let line = line(view);
        let ends_a_phase = !view.moves() && view.phase.as_ref().is_some_and(|phase| phase.done == phase.total);
        let is_due = ends_a_phase || now.saturating_duration_since(self.last) >= APART;
        if is_due && line != self.said && !line.is_empty() {
            (self.say)(&line);
            (self.last, self.said) = (now, line);
        }
    }
}

impl<S: Fn(&str) + Send> Face for Lines<S> {
    fn show(&mut self, news: &[News], view: &View) {
        self.show_at(Instant::now(), news, view);
    }

    fn close(&mut self) {}
}

/// One line on how far the run is.
fn line(view: &View) -> String {
    if !view.moves() {
        return view.phase.as_ref().map_or(String::new(), |phase| format!("{} {}/{}\n", phase.what, phase.done, phase.total));
    }
    let mut line = format!("{} of {}", figures::bytes(view.moved_bytes), figures::bytes(view.total_bytes));
    line += &format!("   {}", figures::rate(view.bytes_per_second));
    if let Some(left) = view.left() {
        line += &format!("   {} left", figures::span(left));
    }
    line += &format!("   {} done", view.ended);
    if view.failed > 0 {
        line += &format!(", {} failed", view.failed);
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::board::Phase;
    use super::*;

    #[test]
    fn a_line_comes_every_ten_seconds_and_when_a_count_is_complete() {
        let said = Mutex::new(Vec::new());
        let begin = Instant::now();
        let mut lines = Lines::new(|text: &str| said.lock().expect("lines").push(text.to_owned()), false);
        lines.last = begin;
        let phase = |done| View { phase: Some(Phase { what: "resolving".into(), done, total: 3 }), ..View::default() };
        let moving = |moved_bytes| View { total_bytes: 2 << 20, moved_bytes, bytes_per_second: 524_288.0, ended: 1, failed: 1, ..phase(3) };
        for (second, view) in [
            (1, phase(1)),
            (2, phase(3)),
            (3, phase(3)),
            (11, moving(1 << 20)),
            (13, moving(1 << 20)),
            (23, moving(3 << 19)),
            (24, moving(2 << 20)),
        ] {
            lines.show_at(begin + Duration::from_secs(second), &[], &view);
        }
        lines.show_at(begin, &[News::Warning("w".into()), News::Retry("r".into()), News::Note("n".into())], &View::default());
        let said = said.into_inner().expect("lines");
        let expected = [
            "resolving 3/3\n",
            "1 MiB of 2 MiB   512 KiB/s   2 s left   1 done, 1 failed\n",
            "1.5 MiB of 2 MiB   512 KiB/s   1 s left   1 done, 1 failed\n",
            "warning: w\n",
            "n\n",
        ];
        assert_eq!(said, expected);
    }
}
