//! `ocm gather`: collects the volumes of a set from media that are in one at a time.

use std::path::PathBuf;

use clap::Args;

use super::runner::Runner;
use super::settings::{Means, Wire};
use super::show;
use crate::error::Result;
use crate::transfer::Class;
use crate::workflow::gather::{Request, gather};

/// Collect the volumes of an archive from media, one at a time
///
/// Each volume that the archive lacks is copied, checked, and only then there under its name. Say it again with the
/// next medium, or after an interruption. It ends with 0 once every set met is complete, 5 while volumes are missing,
/// 4 if a volume on the medium is damaged; the others are taken then, too.
#[derive(Debug, Args)]
#[command(override_usage = "ocm gather [OPTIONS] <SOURCE>... <ARCHIVE>", after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folders of media, or single volumes; one or more
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The archive directory
    #[arg(required = true, value_name = "ARCHIVE")]
    archive: PathBuf,
    #[command(flatten)]
    means: Means,
}

const EXAMPLES: &str = "Examples:\n  ocm gather /media/dvd /srv/archive\n  ocm gather /media/usb1 /media/usb2 /srv/archive";

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let request = Request { sources: self.sources, archive: self.archive };
        let after = "run the same command again: it goes on where it stopped";
        let work = async |settings: crate::workflow::Settings| gather(request, &settings).await;
        let outcome = runner.carry_out((&self.means, &Wire::default()), after, work)?;
        runner.show("ocm.gather.v1", outcome.class(), &outcome, || show::gather::text(&outcome))
    }
}
