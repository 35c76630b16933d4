//! [`Status`]: what is damaged or missing, as far as anybody found out: the files `status` and `status.json` of `.ocm`.
//!
//! **Invariants.** A failure is told to the monitor once, and counted after that. The list is bounded.
//!
//! *Not here:* what is known of the archive itself (`Inside::health`).

use std::sync::Mutex;

use serde::Serialize;

use super::cache::held;
use crate::error::{Error, Result};
use crate::image::inside::{Ailment, Sizes};
use crate::image::{Inside, Reference, State};
use crate::monitor::{Event, SharedMonitor};

/// Failures that are listed.
const MOST: usize = 200;
/// How much of what is missing is listed.
const MOST_MISSING: usize = 10_000;

/// What a report is of.
pub(super) struct Known<'a> {
    pub(super) inside: &'a dyn Inside,
    pub(super) images: usize,
    pub(super) sizes: Sizes,
}

/// Takes note of what fails while it is mounted.
pub(super) struct Status {
    monitor: SharedMonitor,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    listed: Vec<Failure>,
    unlisted: u64,
}

/// Something that could not be read.
#[derive(Debug, Clone, Serialize)]
struct Failure {
    why: String,
    times: u64,
}

/// An item that is not here.
#[derive(Serialize)]
struct Missing<'a> {
    name: &'a Reference,
    why: &'a str,
}

/// All of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema: &'static str,
    place: String,
    images: usize,
    sizes: Sizes,
    /// What is damaged or missing, as the archive knows it.
    ailments: Vec<Ailment>,
    /// Items that the archive lists and does not have.
    missing: Vec<Missing<'a>>,
    /// What could not be read since it was mounted.
    failures: Vec<Failure>,
    /// Further failures that there was no room for.
    unlisted: u64,
}

impl Status {
    pub(super) fn new(monitor: SharedMonitor) -> Self {
        Self { monitor, failures: Mutex::default() }
    }

    /// Takes note of a failure.
    pub(super) fn note(&self, error: &Error) {
        let why = match error.way_out() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        if held(&self.failures).is_new(&why) {
            self.monitor.event(Event::Warning(&why));
        }
    }

    /// The JSON of `status.json`.
    pub(super) fn json(&self, known: &Known<'_>) -> Result<Vec<u8>> {
        let document = self.document(known);
        let mut json = serde_json::to_vec_pretty(&document).map_err(|error| Error::failed(format!("status.json: {error}")))?;
        json.push(b'\n');
        Ok(json)
    }

    /// The text of `status`.
    pub(super) fn text(&self, known: &Known<'_>) -> Vec<u8> {
        let document = self.document(known);
        let Sizes { stored_bytes, plain_bytes, blobs } = known.sizes;
        let mut text = format!(
            "{}\n{} images, {blobs} blobs\n{stored_bytes} bytes here, {plain_bytes} bytes of plain content\n",
            document.place.escape_debug(),
            known.images
        );
        let mut part = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                text += &format!("\n{title}\n");
                lines.iter().for_each(|line| text += &format!("  {}\n", line.escape_debug()));
            }
        };
        let ailment = |it: &Ailment| format!("{}: {} ({})", it.what, it.why, if it.damaged { "damaged" } else { "missing" });
        part("damaged or missing", document.ailments.iter().map(ailment).collect());
        part("images that are not here", document.missing.iter().map(|it| format!("{}: {}", it.name, it.why)).collect());
        part(
            "could not be read since this was mounted",
            document.failures.iter().map(|it| format!("{} ({} times)", it.why, it.times)).collect(),
        );
        if document.unlisted > 0 {
            text += &format!("  and {} more\n", document.unlisted);
        }
        if document.ailments.is_empty() && document.missing.is_empty() && document.failures.is_empty() {
            text += "\nnothing is known to be damaged or missing\n";
        }
        text.into_bytes()
    }

    fn document<'a>(&self, known: &Known<'a>) -> Document<'a> {
        let missing = known.inside.contents().items().iter().filter_map(|item| match &item.state {
            State::Missing(why) => Some(Missing { name: &item.origin, why }),
            State::Complete => None,
        });
        let missing = missing.take(MOST_MISSING).collect();
        let failures = held(&self.failures);
        Document {
            schema: "ocm.mount.status.v1",
            place: known.inside.place(),
            images: known.images,
            sizes: known.sizes,
            ailments: known.inside.health(),
            missing,
            failures: failures.listed.clone(),
            unlisted: failures.unlisted,
        }
    }
}

impl Failures {
    /// Counts a failure; whether it is one that nobody heard of yet.
    fn is_new(&mut self, why: &str) -> bool {
        if let Some(known) = self.listed.iter_mut().find(|failure| failure.why == why) {
            known.times += 1;
            return false;
        }
        if self.listed.len() == MOST {
            self.unlisted += 1;
            return false;
        }
        self.listed.push(Failure { why: why.to_owned(), times: 1 });
        true
    }
}
