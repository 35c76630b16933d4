//! `ocm ls`: what an archive holds.

use clap::Args;

use super::runner::Runner;
use super::settings::State;
use super::show;
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::list::list;
use crate::workflow::workspace;
use crate::workspace::Workspace;

/// Show sets, volumes and images of an archive
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm ls /mnt/disk\n  ocm ls /mnt/disk@1")]
pub(super) struct Arguments {
    /// The archive directory; @N for the images of set N
    #[arg(default_value = ".")]
    archive: Location,
    #[command(flatten)]
    state: State,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (path, generation) = archive(self.archive)?;
        let workspace = Workspace::new(workspace(&runner.environment, self.state.workspace));
        let listing = list(&path, generation, &workspace)?;
        runner.show("ocm.ls.v1", Class::Done, &listing, || show::list::text(&listing))
    }
}

/// The path and generation of a place that must be an archive.
pub(super) fn archive(place: Location) -> Result<(std::path::PathBuf, Option<u32>)> {
    match place {
        Location::Archive { path, generation } => Ok((path, generation)),
        other => Err(Error::usage(format!("{other} is no archive directory")).hint("name a directory that `ocm sync` wrote")),
    }
}
