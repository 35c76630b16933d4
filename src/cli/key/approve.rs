//! `ocm key approve`: an approval of a finished set.

use std::path::PathBuf;

use clap::Args;

use crate::cli::ls::archive;
use crate::cli::password::PasswordArguments;
use crate::cli::runner::Runner;
use crate::cli::safe::safe;
use crate::error::Result;
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::key::{self, Approved};
use crate::workflow::label;

/// Approve a finished set: sign what it lists, in a file of its own
///
/// For those who look into a set between two stages. The archive is not touched and may be on read-only media; of its files the last volume or
/// the catalogue is enough. The file is found where it lies beside the set, or is named by --approval.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm key approve /mnt/disk --key auditor.key\n  ocm key approve /media/dvd@2 --key auditor.key --to set2.minisig"
)]
pub(in crate::cli) struct Arguments {
    /// The archive directory, or one file of the set; @N for set N, default the newest.
    #[arg(help = "The archive directory, or one file of the set; @N for set N, default the newest", value_name = "ARCHIVE")]
    archive: Location,
    /// Approve with this secret key
    #[arg(long, value_name = "KEY", env = "OCM_KEY")]
    key: PathBuf,
    /// Write the approval into this file, not beside the set
    #[arg(long, value_name = "FILE", env = "OCM_TO")]
    to: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArguments,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (path, generation) = archive(self.archive)?;
        let key = key::open(&self.key, &mut || self.password.of(&self.key))?;
        let approved = key::approve(&path, generation, &key, self.to.as_deref())?;
        runner.show("ocm.key.approve.v1", Class::Done, &approved, || text(&approved))
    }
}

/// What was approved, by whom, and where that stands.
fn text(approved: &Approved) -> String {
    let set = &approved.set;
    format!(
        "set {} of \"{}\" is approved by {}\n  root   {}   ({})\n  in     {}\n",
        set.generation,
        safe(&set.lineage),
        approved.key,
        label(&set.root),
        set.root,
        safe(&approved.file.display().to_string())
    )
}
