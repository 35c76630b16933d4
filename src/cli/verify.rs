//! `ocm verify`: is everything here, and sound?

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::runner::Runner;
use super::settings::{Means, Wire};
use super::show;
use crate::error::Result;
use crate::transfer::Class;
use crate::workflow::verify::{Request, class, verify};

/// Check that every byte of an archive is sound, and that nothing of it is missing
///
/// Nothing is written. It ends with 0 if all is sound and here, 4 if anything is damaged, 5 if a volume is missing.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm verify /mnt/disk\n  ocm verify --quick /mnt/disk\n  ocm verify /media/dvd/*.ocm.tar")]
pub(super) struct Arguments {
    /// Archive directories, or single files, which are judged alone
    #[arg(required = true, value_name = "ARCHIVE|FILE")]
    paths: Vec<PathBuf>,
    /// Read headers, footers, indexes and sizes alone
    #[arg(long, env = "OCM_QUICK", value_parser = FalseyValueParser::new())]
    quick: bool,
    /// Miss sets that these ones build on, too
    #[arg(long, env = "OCM_COMPLETE", value_parser = FalseyValueParser::new())]
    complete: bool,
    #[command(flatten)]
    means: Means,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let work = async |settings: crate::workflow::Settings| {
            let request = Request { paths: self.paths, quick: self.quick, complete: self.complete, threads: settings.threads };
            verify(request, &settings).await
        };
        let verdict = runner.carry_out((&self.means, &Wire::default()), true, "run the same command again; it begins anew", work)?;
        let class = class(&verdict);
        runner.show("ocm.verify.v1", class, &verdict, || show::verify::text(&verdict))
    }
}
