//! [`Retries`]: how often and when a failed request is made again.
//!
//! **Invariants.** There are never more than the allowed attempts, but for [`MAX_LATE`] of a request that only had to let others go
//! first; and no wait is longer than [`MAX_WAIT`], whatever a server asks for.
//!
//! *Not here:* what counts as a failure that may pass (`failure`, [`is_transient`] for answers).

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;

use crate::monitor::{Event, SharedMonitor};

/// The longest wait between two attempts; a `Retry-After` that asks for more is cut to this.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The wait before the second attempt, where nothing else is said; it doubles from there on.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// How many more attempts a request gets because others were served in its place.
pub const MAX_LATE: u32 = 8;

/// How often a request is made, and who hears of it.
#[derive(Clone)]
pub(super) struct Retries {
    /// How many attempts come after the first.
    pub(super) further: u32,
    /// The wait between them; `None` is one that grows.
    pub(super) fixed: Option<Duration>,
    pub(super) monitor: SharedMonitor,
}

/// The attempts at one request.
pub(super) struct Attempts<'a> {
    retries: &'a Retries,
    what: &'a str,
    made: u32,
    /// Those of them that do not count.
    late: u32,
}

impl Retries {
    /// The first attempt at `what`.
    pub(super) fn begin<'a>(&'a self, what: &'a str) -> Attempts<'a> {
        Attempts { retries: self, what, made: 1, late: 0 }
    }
}

impl Attempts<'_> {
    /// How many attempts were begun.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// Waits for the next attempt, at least as long as the other side `asked`; `false` when there is none left. `why`
    /// the last one failed is told to the monitor. It does not count where it was only `late`.
    pub(super) async fn again(&mut self, why: &str, asked: Option<Duration>, late: bool) -> bool {
        let Some(wait) = self.next(asked, late) else { return false };
        self.retries.monitor.event(Event::Retry { what: self.what, why, attempt: self.made });
        tokio::time::sleep(wait).await;
        true
    }

    fn next(&mut self, asked: Option<Duration>, late: bool) -> Option<Duration> {
        let counted = self.made - self.late;
        let is_free = late && self.retries.further > 0 && self.late < MAX_LATE;
        if !is_free && counted > self.retries.further {
            return None;
        }
        let wait = asked.or(self.retries.fixed).unwrap_or_else(|| backoff(counted, chance()));
        self.made += 1;
        self.late += u32::from(is_free);
        Some(bounded(wait))
    }
}

/// A wait as long as it may be.
pub(super) fn bounded(wait: Duration) -> Duration {
    wait.min(MAX_WAIT)
}

/// A number of attempts, in words.
pub(super) fn tried(times: u32) -> String {
    if times == 1 { "tried 1 time".to_owned() } else { format!("tried {times} times") }
}

/// The wait after `made` attempts: doubling, of which `chance` (0 to 1) takes away up to a half.
fn backoff(made: u32, chance: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << (made - 1).min(10)).min(MAX_WAIT);
    doubled.mul_f64(1.0 - chance / 2.0)
}

/// A number from 0 to 1 that differs from call to call; it only spreads the waits of many tasks.
fn chance() -> f64 {
    f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX)
}

/// Whether an answer may be another one next time.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The wait that a `Retry-After` header asks for at the time `now`: seconds, or an HTTP date.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::monitor::Silent;

    #[test]
    fn waits_double_and_stay_within_bounds() {
        for (made, chance, milliseconds) in
            [(1, 0.0, 500), (1, 1.0, 250), (2, 0.0, 1000), (4, 0.0, 4000), (8, 0.0, 60_000), (u32::MAX, 0.0, 60_000)]
        {
            assert_eq!(backoff(made, chance), Duration::from_millis(milliseconds), "after {made}");
        }
    }

    #[test]
    fn attempts_end_and_no_server_makes_them_wait_for_hours() {
        let retries = |further| Retries { further, fixed: Some(Duration::from_secs(1)), monitor: Arc::new(Silent) };
        let two = retries(2);
        let mut attempts = two.begin("it");
        assert_eq!(attempts.next(None, false), Some(Duration::from_secs(1)));
        assert_eq!(attempts.next(Some(Duration::from_secs(86_400)), false), Some(MAX_WAIT));
        assert_eq!(attempts.next(None, false), None);
        assert_eq!(attempts.made(), 3);
        assert_eq!(retries(0).begin("it").next(None, true), None);
    }

    #[test]
    fn an_attempt_that_was_only_late_does_not_count_up_to_a_limit() {
        let one = Retries { further: 1, fixed: None, monitor: Arc::new(Silent) };
        let mut attempts = one.begin("it");
        for _ in 0..MAX_LATE {
            assert!(attempts.next(None, true).is_some_and(|wait| wait <= FIRST_WAIT), "and the waits do not grow");
        }
        assert!(attempts.next(None, true).is_some());
        assert!(attempts.next(None, true).is_none());
        assert_eq!(attempts.made(), 2 + MAX_LATE);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }
}
