//! `ocm diff`: what one place has and another has not.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::runner::Runner;
use super::settings::{Means, Moving, State, Wire};
use super::show;
use super::signing::Vouching;
use crate::error::Result;
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::diff::{Found, Options, diff};

/// Show what one place has and another has not
///
/// A registry cannot list what it holds: it is asked for the images of the other place. A receipt tells what a registry held. It ends with 0 whether or not the places
/// differ; with 3 where --files could not look into some image.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm diff /mnt/disk@1 /mnt/disk@2\n  ocm diff /mnt/disk oci:/srv/layout\n  ocm diff docker://registry.lab:5000/mirror /mnt/disk\n  ocm diff lab.json /mnt/disk\n  ocm diff --files /mnt/disk@1 /mnt/disk@2"
)]
pub(super) struct Arguments {
    /// The first place.
    #[arg(help = "The first place: an archive directory, @N for set N; a receipt; oci:PATH[:REF]; docker://HOST[/PREFIX]")]
    a: Location,
    /// The second place; what only it has is added
    b: Location,
    /// Ask a registry for names that keep the source's host
    #[arg(long, env = "OCM_KEEP_HOST", value_parser = FalseyValueParser::new())]
    keep_host: bool,
    /// Show what changed inside images: this reads their layers
    #[arg(long, env = "OCM_FILES", value_parser = FalseyValueParser::new())]
    files: bool,
    #[command(flatten)]
    wire: Wire,
    #[command(flatten)]
    vouching: Vouching,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    moving: Moving,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (a, b) = (self.a, self.b);
        let (workspace, jobs, wire, vouching) = (self.state.workspace, Some(self.moving.jobs), self.wire, self.vouching);
        let means = Means { workspace, jobs, wire, vouching, ..Means::default() };
        let options = Options { keep_host: self.keep_host, files: self.files };
        let work = async |settings: Settings| diff(&a, &b, options, &settings).await;
        let compared = runner.carry_out(means, true, "run the same command again", work)?;
        let unread = compared.files.iter().flatten().any(|inside| matches!(inside.found, Found::Why(_)));
        let class = if unread { Class::Partial } else { Class::Done };
        runner.show("ocm.diff.v1", class, &compared, || show::diff::text(&compared))
    }
}
