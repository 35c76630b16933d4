//! `ocm why`: which images need a piece of an archive.

use clap::Args;

use super::ls::archive;
use super::runner::Runner;
use super::settings::State;
use super::show;
use crate::error::Result;
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::why::{Asked, why};
use crate::workflow::workspace;
use crate::workspace::Workspace;

/// Show which images of an archive need a blob, a manifest or a volume
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm why /mnt/disk sha256:3f2a90b\n  ocm why /mnt/disk 3\n  ocm why /mnt/disk@2 disk.g0001-c41b7e02.v002.ocm.tar"
)]
pub(super) struct Arguments {
    /// The archive directory; @N for the images of set N, default the newest set of each lineage
    archive: Location,
    /// A digest or 7 or more hex digits of it; the number of a volume, or the name of its file
    #[arg(value_name = "DIGEST|VOLUME")]
    what: Asked,
    #[command(flatten)]
    state: State,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (path, generation) = archive(self.archive)?;
        let workspace = Workspace::new(workspace(&runner.environment, self.state.workspace));
        let answer = why(&path, generation, &self.what, &workspace)?;
        runner.show("ocm.why.v1", Class::Done, &answer, || show::why::text(&answer))
    }
}
