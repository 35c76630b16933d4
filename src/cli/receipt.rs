//! `ocm receipt`: what a registry holds.

use std::path::PathBuf;

use clap::Args;

use super::runner::Runner;
use super::settings::{Means, Moving, Wire};
use super::show;
use super::signing::Signing;
use crate::error::Result;
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::receipt::{Request, receipt};

/// Write down what a registry holds, for deltas made for exactly that registry
///
/// Without a repository the registry is asked for all that it has; one that does not tell wants its repositories named. Carried to
/// the near side, the receipt is what `ocm sync … DIR --since RECEIPT` builds on. Every push to a registry keeps one in the
/// workspace, of what it brought. --sign signs it as a set is signed: the signature is FILE.minisig, for `ocm verify` and `minisign -V`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm receipt docker://registry.lab:5000 --to lab.json\n  ocm receipt docker://registry.lab:5000 --to lab.json --sign far.key\n  ocm receipt docker://registry.lab:5000/mirror/app docker://registry.lab:5000/mirror/db > lab.json"
)]
pub(super) struct Arguments {
    /// What is looked at.
    #[arg(help = "What is looked at, all in one registry: docker://HOST[/REPO[:TAG|@DIGEST]]", required = true, value_name = "PLACE")]
    places: Vec<Location>,
    /// Write the receipt into this file, not to stdout; a FILE.minisig of an older one is removed
    #[arg(long, value_name = "FILE", env = "OCM_TO")]
    to: Option<PathBuf>,
    #[command(flatten)]
    wire: Wire,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    moving: Moving,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let means = Means { jobs: Some(self.moving.jobs), wire: self.wire, signing: self.signing, ..Means::default() };
        let request = Request { places: self.places, to: self.to };
        let work = async |settings: Settings| receipt(request, &settings).await;
        let outcome = runner.carry_out(means, true, "run the same command again", work)?;
        let text = show::receipt::text(&outcome)?;
        for unread in show::receipt::unread(&outcome) {
            runner.console.say(&unread);
        }
        runner.show("ocm.receipt.v1", outcome.class(), &outcome, || text)
    }
}
