//! [`AccessLog`]: one line for each request that was answered.
//!
//! **Invariants.** A log that is slow or stuck stops no answer: lines that find no room are left out, and the next one that is written says
//! how many. What a client wrote stands in it escaped, so that a line is a line.
//!
//! *Not here:* figures (`metrics`).

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

/// How many lines may wait.
const WAITING: usize = 4096;
/// The longest that is told of a path or a name of a client, in bytes.
const MAX_FIELD_BYTES: usize = 512;

/// Where lines are written, by a thread of its own.
pub struct AccessLog {
    lines: SyncSender<String>,
    lost: AtomicU64,
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) peer: SocketAddr,
    pub(super) user: String,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) agent: String,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) cut: bool,
}

impl AccessLog {
    /// A log that is written to `to`.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::spawn(move || write_all(&waiting, to));
        Self { lines, lost: AtomicU64::new(0) }
    }

    /// Writes a line, if there is room for it.
    pub(super) fn write(&self, line: &Line, now: SystemTime) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let gap = if lost > 0 { format!("{lost} lines left out\n") } else { String::new() };
        let time = jiff::Timestamp::try_from(now).map(|time| format!("{time:.3}")).unwrap_or_default();
        if self.lines.try_send(format!("{gap}{time} {line}\n")).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

fn write_all(waiting: &Receiver<String>, mut to: impl Write) {
    while let Ok(line) = waiting.recv() {
        // Where the log is gone, nobody is left to hear of it.
        let _gone = to.write_all(line.as_bytes()).and_then(|()| to.flush());
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.user.is_empty() { "-".to_owned() } else { escaped(&self.user) };
        write!(f, "{} {user} \"{} {}\"", self.peer, escaped(&self.method), escaped(&self.target))?;
        write!(f, " {} {} {:.3} \"{}\"", self.status, self.bytes, self.took.as_secs_f64(), escaped(&self.agent))?;
        f.write_str(if self.cut { " cut" } else { "" })
    }
}

/// `text` with everything escaped that could end a field or a line, and not longer than a field may be.
fn escaped(text: &str) -> String {
    let mut field = String::new();
    for c in text.chars() {
        if field.len() >= MAX_FIELD_BYTES {
            field.push('…');
            break;
        }
        match c {
            '"' | '\\' => field.extend(['\\', c]),
            ' '..='~' => field.push(c),
            _ => field.extend(c.escape_unicode()),
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_who_asked_what_and_what_came_of_it() {
        let line = Line {
            peer: "127.0.0.1:99".parse().expect("an address"),
            user: String::new(),
            method: "GET".into(),
            target: "/v2/\u{1b}[2J\n\"x\"".into(),
            agent: "a b".into(),
            status: 404,
            bytes: 12,
            took: Duration::from_millis(1500),
            cut: true,
        };
        assert_eq!(line.to_string(), r#"127.0.0.1:99 - "GET /v2/\u{1b}[2J\u{a}\"x\"" 404 12 1.500 "a b" cut"#);
        assert!(Line { target: "/".repeat(100_000), ..line }.to_string().len() < 1000);
    }
}
