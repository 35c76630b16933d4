//! `ocm config schema`: what an editor needs to know the fields of a configuration.

use clap::Args;

use crate::cli::runner::Runner;
use crate::config::schema;
use crate::error::Result;
use crate::transfer::Class;

/// Print the JSON schema of configuration files, for editors
///
/// An editor that speaks to yaml-language-server takes it by a comment in the file: # yaml-language-server: $schema=isc.schema.json
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  ocm config schema > isc.schema.json")]
pub(super) struct Arguments {}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        runner.console.document(&format!("{:#}\n", schema()))?;
        Ok(Class::Done)
    }
}
