//! `ocm config`: configuration files.

mod check;
mod init;
mod schema;
mod show;

use clap::{Args, Subcommand};

use super::runner::Runner;
use crate::error::Result;
use crate::transfer::Class;

/// Check, begin and describe configuration files
///
/// A configuration is an ImageSetConfiguration or a DeleteImageSetConfiguration of oc-mirror v2.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm config init > isc.yaml\n  ocm config check isc.yaml")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Arguments),
    Init(init::Arguments),
    Schema(schema::Arguments),
    Show(show::Arguments),
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        match self.verb {
            Verb::Check(verb) => verb.run(runner),
            Verb::Init(verb) => verb.run(runner),
            Verb::Schema(verb) => verb.run(runner),
            Verb::Show(verb) => verb.run(runner),
        }
    }
}

#[cfg(test)]
pub(super) use self::check::outcome;
