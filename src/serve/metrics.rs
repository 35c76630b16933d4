//! [`Metrics`]: figures of a server, as Prometheus reads them (text exposition format 0.0.4).
//!
//! **Invariants.** Counting never waits. No figure tells names or paths.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;

/// How many status codes are told apart; the highest that is sent is below.
const CODES: usize = 600;

/// Figures of a server.
pub(super) struct Metrics {
    answers: [AtomicU64; CODES],
    /// Bytes of bodies that were sent.
    pub(super) sent_bytes: AtomicU64,
    /// Requests that are being answered.
    pub(super) in_flight: AtomicU64,
    /// Connections that are open.
    pub(super) connections: AtomicU64,
    /// Answers that ended before their last byte, by a fault here or by the client.
    pub(super) cut: AtomicU64,
    /// Blobs that were made again for somebody.
    pub(super) replays: AtomicU64,
    /// Answers that came from a copy that was whole.
    pub(super) spool_hits: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            answers: std::array::from_fn(|_| AtomicU64::default()),
            sent_bytes: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            connections: AtomicU64::default(),
            cut: AtomicU64::default(),
            replays: AtomicU64::default(),
            spool_hits: AtomicU64::default(),
        }
    }
}

impl Metrics {
    /// Counts an answer.
    pub(super) fn answered(&self, status: StatusCode) {
        self.answers.get(usize::from(status.as_u16())).iter().for_each(|count| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// The figures as text; `spool_bytes` is what the spool holds now.
    pub(super) fn text(&self, spool_bytes: u64) -> String {
        let mut text = String::from("# HELP ocm_requests_total Answers by status code.\n# TYPE ocm_requests_total counter\n");
        for (code, count) in self.answers.iter().enumerate() {
            match count.load(Ordering::Relaxed) {
                0 => {}
                count => text += &format!("ocm_requests_total{{code=\"{code}\"}} {count}\n"),
            }
        }
        for (name, kind, help, value) in [
            ("ocm_sent_bytes_total", "counter", "Bytes of bodies that were sent.", &self.sent_bytes),
            ("ocm_requests_in_flight", "gauge", "Requests that are being answered.", &self.in_flight),
            ("ocm_connections", "gauge", "Connections that are open.", &self.connections),
            ("ocm_cut_total", "counter", "Answers that ended before their last byte.", &self.cut),
            ("ocm_replays_total", "counter", "Blobs that were made again for somebody.", &self.replays),
            ("ocm_spool_hits_total", "counter", "Answers from a whole copy in the spool.", &self.spool_hits),
            ("ocm_spool_bytes", "gauge", "Bytes of the copies in the spool.", &AtomicU64::new(spool_bytes)),
        ] {
            // A String takes all that is written to it.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {}", value.load(Ordering::Relaxed));
        }
        text
    }
}
