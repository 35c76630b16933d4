//! [`Tally`]: what is told of an answer when it has ended: figures, and a line of the access log.
//!
//! **Invariants.** An answer is told of once, however it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use hyper::StatusCode;

use super::access::Line;
use super::service::Service;
use crate::error::Error;
use crate::monitor::Event;

/// One answer.
pub(super) struct Tally {
    service: Arc<Service>,
    line: Line,
    begun: Instant,
    whole: bool,
}

impl Tally {
    /// Of a request that arrived at `begun`.
    pub(super) fn new(service: Arc<Service>, line: Line, begun: Instant) -> Self {
        Self { service, line, begun, whole: false }
    }

    /// So many bytes will be sent.
    pub(super) fn expects(&mut self, bytes: u64) {
        self.whole = bytes == 0;
    }

    /// So many bytes more were handed on; whether they were the last.
    pub(super) fn sent(&mut self, bytes: u64, last: bool) {
        self.line.bytes += bytes;
        self.whole = last;
        self.service.metrics.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It is cut because of this.
    pub(super) fn cut(&self, error: &Error) {
        self.service.monitor.event(Event::Warning(&format!("cut an answer to {}: {error}", self.line.peer)));
    }

    /// The status of the answer.
    pub(super) fn status(&mut self, status: StatusCode) {
        self.line.status = status.as_u16();
        self.service.metrics.answered(status);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let metrics = &self.service.metrics;
        metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.whole {
            metrics.cut.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(log) = &self.service.log {
            self.line.took = self.begun.elapsed();
            self.line.cut = !self.whole;
            log.write(&self.line, (self.service.clock)());
        }
    }
}
