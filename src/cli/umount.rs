//! `ocm umount`: undo a mount.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::runner::Runner;
use crate::error::Result;
use crate::transfer::Class;
use crate::workflow::mount::unmount;

/// Undo a mount of ocm
///
/// What is in use stays, and it ends with 1.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm umount /mnt/view")]
pub(super) struct Arguments {
    /// The directory that it was mounted on
    #[arg(value_name = "DIR")]
    path: PathBuf,
}

/// What is not mounted any more.
#[derive(Serialize)]
struct Gone<'a> {
    path: &'a Path,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        unmount(&self.path)?;
        runner.show("ocm.umount.v1", Class::Done, &Gone { path: &self.path }, String::new)
    }
}
