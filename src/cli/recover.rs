//! `ocm recover`: brings what is still wholly there of a damaged archive.

use clap::Args;

use super::runner::Runner;
use super::sync;
use crate::error::Result;
use crate::transfer::Class;

/// Bring every image that is still wholly there of an archive that is cut, damaged or not all there
///
/// It is `ocm sync`, with archives read as far as they can be: volumes that end too early, that lack index or footer, sets without their
/// last volume, a file that was never finished. Frames and records are looked for one by one; what comes out is verified as always. What
/// could not be read is named, and so are the images that lack it; the run then ends with 4.
#[derive(Debug, Args)]
#[group(skip)]
#[command(
    override_usage = "ocm recover [OPTIONS] <ARCHIVE|FILE>... <TO>",
    after_long_help = "Examples:\n  ocm recover /mnt/disk oci:rescued\n  ocm recover /mnt/disk@3 docker://registry.lab:5000/mirror\n  ocm recover disk.g0001-c6d5dd76.v001.ocm.tar /mnt/other"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    sync: sync::Arguments,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        self.sync.salvaging().run(runner)
    }
}
