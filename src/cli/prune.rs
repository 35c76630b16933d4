//! `ocm prune`: removes earlier sets from the workspace.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::runner::Runner;
use super::settings::{Means, State};
use super::show;
use crate::error::Result;
use crate::transfer::Class;
use crate::workflow::prune::{Request, prune};

/// Remove earlier sets that were moved into the workspace
///
/// Sets move there when the name oc-mirror gives an archive directory its newest one. Deltas that a far side has not got yet may need them.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm prune --keep 2 --workspace /mnt/disk/working-dir\n  ocm prune --keep 1 --dry-run")]
pub(super) struct Arguments {
    /// Keep so many of each lineage, the newest ones
    #[arg(long, value_name = "N", env = "OCM_KEEP")]
    keep: usize,
    /// Only say what would be removed
    #[arg(long, env = "OCM_DRY_RUN", value_parser = FalseyValueParser::new())]
    dry_run: bool,
    #[command(flatten)]
    state: State,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let means = Means { workspace: self.state.workspace, ..Means::default() };
        let request = Request { keep: self.keep, dry_run: self.dry_run };
        let after = "run the same command again: it removes the rest";
        let outcome = runner.carry_out(means, true, after, async |settings| prune(request, &settings))?;
        runner.show("ocm.prune.v1", Class::Done, &outcome, || show::prune::text(&outcome))
    }
}
