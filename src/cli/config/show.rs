//! `ocm config show`: the configuration that a set was made from.

use clap::Args;

use crate::cli::ls::archive;
use crate::cli::runner::Runner;
use crate::cli::settings::{Means, State};
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::configs::configs;

/// Print the configuration that a set of an archive was made from
///
/// It is printed as its file was; several are parted by `---`, in the order in which they were named.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm config show /mnt/disk\n  ocm config show /mnt/disk@2 > isc.yaml")]
pub(super) struct Arguments {
    /// The archive directory, DIR@N for set N
    #[arg(value_name = "ARCHIVE")]
    place: Location,
    #[command(flatten)]
    state: State,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (path, generation) = archive(self.place)?;
        let means = Means { workspace: self.state.workspace, ..Means::default() };
        let found = runner.carry_out(means, true, "", async |settings| configs(&path, generation, &settings).await)?;
        if found.is_empty() {
            return Err(Error::needed(format!("{}: the set was made without a configuration", path.display())));
        }
        let texts: Vec<&str> = found.iter().map(|config| config.text.as_str()).collect();
        runner.console.raw(texts.join("---\n").as_bytes())?;
        Ok(Class::Done)
    }
}
