//! [`Runner`]: what every verb is handed, and how it carries out its one library call.
//!
//! **Invariants.** The progress display is gone from the terminal before a result or an error is printed.

use std::future::Future;

use serde::Serialize;

use super::console::Console;
use super::interrupt::interruptible;
use super::look::{Look, Output};
use super::progress::Progress;
use super::settings::{Means, settings};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::transfer::Class;
use crate::workflow::Settings;

/// What every verb is handed.
pub(super) struct Runner {
    /// The variables of the process.
    pub(super) environment: Environment,
    /// Where to print.
    pub(super) console: Console,
    /// How.
    pub(super) look: Look,
}

/// A result as a document: its schema, what it came to, and its content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, T> {
    schema: &'a str,
    class: Class,
    exit_code: u8,
    #[serde(flatten)]
    content: &'a T,
}

impl Runner {
    /// Runs `work` with its settings, with progress on stderr, to its end or to Ctrl-C; `after` says what the next run
    /// does then. Without `bars`, progress is plain lines on a terminal too.
    pub(super) fn carry_out<T, F: Future<Output = Result<T>>>(
        &self,
        means: Means,
        bars: bool,
        after: &str,
        work: impl FnOnce(Settings) -> F,
    ) -> Result<T> {
        self.run(means, bars, |settings| interruptible(work(settings), after))
    }

    /// The same for work that minds Ctrl-C itself.
    pub(super) fn run<T, F: Future<Output = Result<T>>>(&self, means: Means, bars: bool, work: impl FnOnce(Settings) -> F) -> Result<T> {
        // Before anything is drawn: the terminal may be asked for a password.
        let signer = means.signing.open()?;
        let progress = Progress::start(Console { terminal: self.console.terminal && bars, ..self.console }, self.look);
        let settings = Settings { signer, ..settings(self.environment.clone(), means, progress.monitor())? };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("starting threads", &error))?;
        let done = runtime.block_on(work(settings));
        runtime.shutdown_background();
        progress.close();
        done
    }

    /// Prints a result in the form that was asked for.
    pub(super) fn show<T: Serialize>(&self, schema: &str, class: Class, content: &T, text: impl FnOnce() -> String) -> Result<Class> {
        match self.look.output {
            Output::Text => self.console.result(&text())?,
            Output::Json => self.console.document(&document(schema, class, content)?)?,
        }
        Ok(class)
    }
}

/// `content` as one JSON document.
pub(super) fn document<T: Serialize>(schema: &str, class: Class, content: &T) -> Result<String> {
    let document = Document { schema, class, exit_code: class.exit_code(), content };
    let json = serde_json::to_string_pretty(&document).map_err(|error| Error::failed(format!("writing the result as JSON: {error}")))?;
    Ok(json + "\n")
}
