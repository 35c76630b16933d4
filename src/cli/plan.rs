//! `ocm plan`: what a sync would do.

use clap::Args;

use super::runner::Runner;
use super::sync;
use crate::error::Result;
use crate::transfer::Class;

/// Show what a sync with the same arguments would do
///
/// It is `ocm sync --dry-run` by another name. Nothing is written.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    override_usage = "ocm plan [OPTIONS] <FROM>... <TO>",
    after_long_help = "Examples:\n  ocm plan docker://quay.io/org/app:1 --volume-size dvd /mnt/disk\n  ocm plan /mnt/disk docker://registry.lab:5000/mirror",
    mut_arg("dry_run", |option| option.hide(true))
)]
pub(super) struct Arguments {
    #[command(flatten)]
    sync: sync::Arguments,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        self.sync.dry().run(runner)
    }
}
