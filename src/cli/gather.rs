//! `ocm gather`: collects the volumes of a set from media that are in one at a time.

use std::path::PathBuf;

use clap::Args;

use super::ls::archive;
use super::runner::Runner;
use super::settings::{Hashing, Means};
use super::show;
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::gather::{Request, gather};

/// Collect the volumes of a set from media that are in one at a time
///
/// Each volume is checked while it is copied. Repeat it with the next medium, and after an interruption: what is here and
/// sound is not copied again. It ends with 5 as long as a volume is missing.
#[derive(Debug, Args)]
#[command(
    override_usage = "ocm gather [OPTIONS] <SOURCE>... <ARCHIVE>",
    after_long_help = "Examples:\n  ocm gather /media/dvd /mnt/disk\n  ocm gather /media/usb1 /media/usb2 /mnt/disk"
)]
pub(super) struct Arguments {
    /// Media or single files, and last the archive directory, which is made if it is not there
    #[arg(required = true, value_name = "SOURCE… ARCHIVE")]
    places: Vec<Location>,
    #[command(flatten)]
    hashing: Hashing,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let means = Means { threads: self.hashing.jobs, ..Means::default() };
        let mut sources = self.places.into_iter().map(folder).collect::<Result<Vec<_>>>()?;
        let archive = sources.pop().filter(|_| !sources.is_empty());
        let archive =
            archive.ok_or_else(|| Error::usage("one place alone is nothing to gather").hint("name media, and last the archive"))?;
        let request = Request { sources, archive };
        let work = async |settings: Settings| gather(request, &settings).await;
        let after = "run the same command again: it goes on where it stopped";
        let outcome = runner.carry_out(means, true, after, work)?;
        runner.show("ocm.gather.v1", outcome.class(), &outcome, || show::gather::text(&outcome))
    }
}

/// The path of a medium or an archive. Which sets come from it, the volumes decide.
fn folder(place: Location) -> Result<PathBuf> {
    match archive(place)? {
        (path, None) => Ok(path),
        (path, Some(generation)) => Err(Error::usage(format!("{}@{generation}: a set cannot be chosen to gather", path.display()))
            .hint("name the directory alone; one whose name ends so is written with a slash after it")),
    }
}
