//! `ocm diff`: what one place has and another has not.

use clap::Args;

use super::runner::Runner;
use super::settings::{Means, State};
use super::show;
use crate::error::Result;
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::diff::diff;

/// Show what one archive or OCI layout has and another has not
///
/// It ends with 0 whether or not they differ.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm diff /mnt/disk@1 /mnt/disk@2\n  ocm diff /mnt/disk oci:/srv/layout")]
pub(super) struct Arguments {
    /// The first place: an archive directory, @N for set N, default the newest set of each lineage; oci:PATH[:REF]
    a: Location,
    /// The second place; what only it has is added
    b: Location,
    #[command(flatten)]
    state: State,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (a, b) = (self.a, self.b);
        let means = Means { workspace: self.state.workspace, ..Means::default() };
        let work = async |settings: Settings| diff(&a, &b, &settings).await;
        let compared = runner.carry_out(means, true, "run the same command again", work)?;
        runner.show("ocm.diff.v1", Class::Done, &compared, || show::diff::text(&compared))
    }
}
