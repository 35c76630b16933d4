//! `ocm config check`: is a configuration sound, and what is wrong in it?

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use serde::Serialize;

use crate::cli::runner::Runner;
use crate::cli::show;
use crate::config::{Checked, Finding, Pending, Severity, Source, check};
use crate::error::Result;
use crate::transfer::Class;

/// Check configuration files, and say all that is wrong in them
///
/// Nothing is asked of the network. It ends with 0 if there are no errors, 2 if there are. What a sound file names and ocm does not
/// support yet is listed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm config check isc.yaml\n  ocm config check --strict *.yaml")]
pub(super) struct Arguments {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Take warnings for errors
    #[arg(long, env = "OCM_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,
}

/// What became of the files, as a document.
#[derive(Serialize)]
pub(in crate::cli) struct Outcome<'a> {
    files: Vec<File<'a>>,
}

/// What became of one file.
#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    findings: &'a [Finding],
    unsupported: &'a [Pending],
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let read = |path: PathBuf| Ok(check(Source::load(&path)?, self.strict));
        let checked = self.files.into_iter().map(read).collect::<Result<Vec<Checked>>>()?;
        runner.show("ocm.config.check.v1", class(&checked), &outcome(&checked), || show::config::text(&checked))
    }
}

fn class(checked: &[Checked]) -> Class {
    let has_errors = checked.iter().any(|file| file.of(Severity::Error).next().is_some());
    if has_errors { Class::Usage } else { Class::Done }
}

/// What became of these files.
pub(in crate::cli) fn outcome(checked: &[Checked]) -> Outcome<'_> {
    Outcome { files: checked.iter().map(File::of).collect() }
}

impl<'a> File<'a> {
    fn of(checked: &'a Checked) -> Self {
        let configuration = checked.configuration.as_ref();
        Self {
            file: checked.source.name(),
            kind: configuration.map(|configuration| configuration.kind().word()),
            findings: &checked.findings,
            unsupported: configuration.map(|configuration| configuration.wishes().pending.as_slice()).unwrap_or_default(),
        }
    }
}
