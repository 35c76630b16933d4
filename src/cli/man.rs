//! `ocm man`: writes the manual pages.

use std::path::PathBuf;

use clap::Args;

use super::runner::Runner;
use crate::error::{Error, Result};
use crate::transfer::Class;

/// Write the manual pages into a directory
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  ocm man ~/.local/share/man/man1")]
pub(super) struct Arguments {
    /// Where to; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let failed = |error| Error::io(format!("writing manual pages into {}", self.directory.display()), &error);
        std::fs::create_dir_all(&self.directory).map_err(failed)?;
        clap_mangen::generate_to(super::command(), &self.directory).map_err(failed)?;
        runner.console.result(&format!("manual pages are in {}\n", self.directory.display()))?;
        Ok(Class::Done)
    }
}
