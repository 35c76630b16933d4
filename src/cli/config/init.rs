//! `ocm config init`: a configuration to begin with.

use clap::Args;

use crate::cli::runner::Runner;
use crate::config::STARTER;
use crate::error::Result;
use crate::transfer::Class;

/// Print a configuration to begin with, with comments
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  ocm config init > isc.yaml")]
pub(super) struct Arguments {}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        runner.console.raw(STARTER.as_bytes())?;
        Ok(Class::Done)
    }
}
