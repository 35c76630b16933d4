//! `ocm merge`: makes one base of a chain of sets.

use clap::Args;

use super::ls::archive;
use super::packing::PackingArguments;
use super::runner::Runner;
use super::settings::{Means, Moving, State};
use super::show;
use super::signing::Signing;
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::sync::merge::{Request, merge};

/// Make one base of a chain of sets
///
/// The newest set there is written once more, with everything that it needs of earlier ones: same lineage, same generation, same
/// images, and no parent. The chain stays as it is. The next delta builds on the base.
#[derive(Debug, Args)]
#[command(
    override_usage = "ocm merge [OPTIONS] <DIR>... <TO>",
    after_long_help = "Examples:\n  ocm merge /mnt/disk /mnt/base\n  ocm merge /mnt/disk1 /mnt/disk2@7 --volume-size bd25 /mnt/base"
)]
pub(super) struct Arguments {
    /// The archive directories that hold the chain, DIR@N for set N as its newest, and last where to
    #[arg(required = true, value_name = "DIR… TO")]
    places: Vec<Location>,
    /// Merge this lineage, where there are several
    #[arg(long = "for", value_name = "NAME", env = "OCM_FOR")]
    lineage: Option<String>,
    #[command(flatten)]
    packing: PackingArguments,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    moving: Moving,
    #[command(flatten)]
    signing: Signing,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let means = Means { workspace: self.state.workspace, jobs: Some(self.moving.jobs), signing: self.signing, ..Means::default() };
        let mut from = self.places.into_iter().map(archive).collect::<Result<Vec<_>>>()?;
        let to = from.pop().filter(|_| !from.is_empty());
        let (to, None) = to.ok_or_else(|| Error::usage("one place alone is no merge").hint("name the chain, and last where to"))? else {
            return Err(Error::usage("a set cannot be chosen at the destination").hint("name the directory alone"));
        };
        let place = Location::Archive { path: to.clone(), generation: None };
        let packing = self.packing.packing();
        let request = Request { from, to, lineage: self.lineage, volume_bytes: self.packing.volume_bytes(None), packing };
        let after = "run the same command again: it goes on where it stopped";
        let work = async |settings| {
            let outcome = merge(request, &settings).await?;
            Ok((outcome, settings))
        };
        let (outcome, settings) = runner.carry_out(means, true, after, work)?;
        let class = outcome.class();
        runner.show("ocm.sync.v1", class, &outcome, || show::sync::text(&outcome, &place, settings.now))
    }
}
