//! [`Log`]: what a run says, line by line with its time, on stdout and in `logs/oc-mirror-TIME.log`.
//!
//! **Invariants.** A line looks as those of oc-mirror do. Before the file is there, lines go to stderr (oc-mirror behaviour,
//! working directory); with `-o json`, stdout has the document alone.
//!
//! *Not here:* bars (`progress`).

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::console::Console;
use crate::cli::look::{Look, Output};
use crate::cli::safe::safe_lines;
use crate::error::{Error, Result};
use crate::image::artifact::OWN_HOST;
use crate::monitor::{Event, Monitor, SharedMonitor};

/// What a run says.
#[derive(Clone)]
pub(super) struct Log {
    console: Console,
    look: Look,
    file: Arc<Mutex<Option<File>>>,
}

impl Log {
    /// A log without a file.
    pub(super) fn new(console: Console, look: Look) -> Self {
        Self { console, look, file: Arc::default() }
    }

    /// Keeps what is said in a new file below `working_dir` from now on. `stamp` is the time of the run.
    pub(super) fn keep_in(&self, working_dir: &Path, stamp: &str) -> Result<()> {
        let path = in_logs(working_dir, &format!("oc-mirror-{stamp}.log"));
        let folder = path.parent().unwrap_or(working_dir);
        let file = std::fs::create_dir_all(folder).and_then(|()| File::create(&path));
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file.map_err(|error| Error::io(path.display(), &error))?);
        Ok(())
    }

    /// Says what is done.
    pub(super) fn info(&self, text: &str) {
        self.write("[INFO]   :", text, !self.look.quiet);
    }

    /// Says what a person must know.
    pub(super) fn warn(&self, text: &str) {
        self.write("[WARN]   :", text, !self.look.quiet);
    }

    /// Says what went wrong.
    pub(super) fn error(&self, text: &str) {
        self.write("[ERROR]  :", text, true);
    }

    /// Keeps what is done, and says it where no bars are on the terminal.
    fn note(&self, level: &str, text: &str) {
        self.write(level, text, !self.look.quiet && !self.console.terminal);
    }

    fn write(&self, level: &str, text: &str, shown: bool) {
        let time = jiff::Timestamp::now().strftime("%Y/%m/%d %H:%M:%S").to_string();
        let lines: String = safe_lines(text).lines().map(|line| format!("{time}  {level} {line}\n")).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if shown {
            match file.is_some() && self.look.output == Output::Text {
                // Who does not listen any more must not stop the run.
                true => drop(self.console.result(&lines)),
                false => self.console.say(&lines),
            }
        }
        if let Some(file) = file.as_mut() {
            // A log that cannot be written must not stop the run either.
            let _full = file.write_all(lines.as_bytes());
        }
    }

    /// A monitor that keeps what `inner` hears. `to` is what images are copied to, as oc-mirror calls it.
    pub(super) fn hearing(&self, inner: SharedMonitor, to: String) -> SharedMonitor {
        Arc::new(Hearing { log: self.clone(), inner, to })
    }
}

/// A file below `logs`.
pub(super) fn in_logs(working_dir: &Path, name: &str) -> PathBuf {
    working_dir.join("logs").join(name)
}

/// Hears a run, for the log and for the bars.
struct Hearing {
    log: Log,
    inner: SharedMonitor,
    to: String,
}

impl Monitor for Hearing {
    fn event(&self, event: Event<'_>) {
        let (log, to) = (&self.log, &self.to);
        match event {
            Event::Note(text) => log.note("[INFO]   :", text),
            Event::Warning(text) => log.note("[WARN]   :", text),
            Event::Ended { image, .. } if image.starts_with(OWN_HOST) => {}
            Event::Ended { image, complete: true } => log.note("[INFO]   :", &format!("Success copying {image} ➡️  {to}")),
            Event::Ended { image, complete: false } => log.note("[ERROR]  :", &format!("Failed to copy {image} ➡️  {to}")),
            _ => {}
        }
        // Without bars, the log has said it.
        if self.log.console.terminal || !matches!(event, Event::Note(_) | Event::Warning(_)) {
            self.inner.event(event);
        }
    }
}
