//! `ocm verify`: is everything here, and sound, and signed?

use clap::Args;
use clap::builder::FalseyValueParser;

use super::ls::archive;
use super::runner::Runner;
use super::settings::{Hashing, Means, State};
use super::show;
use super::signing::Vouching;
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::verify::{Request, class, verify};

/// Check that every byte of an archive is sound, that nothing of it is missing, and who signed it
///
/// Nothing is written. Of a receipt it tells whether it can be read, and whose signature lies beside it in RECEIPT.minisig. It ends with 0 if all is sound and here, 4 if anything is damaged, 5 if a volume or a signature is missing.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm verify /mnt/disk\n  ocm verify --quick /mnt/disk@2\n  ocm verify --after-write /mnt/usb\n  ocm verify /media/dvd/*.ocm.tar\n  ocm verify lab.json --trust trust"
)]
pub(super) struct Arguments {
    /// Archive directories, @N for set N alone; or files alone: volumes, catalogues, receipts
    #[arg(required = true, value_name = "ARCHIVE|FILE")]
    places: Vec<Location>,
    /// Read headers, footers, indexes and sizes alone
    #[arg(long, env = "OCM_QUICK", value_parser = FalseyValueParser::new())]
    quick: bool,
    /// Miss sets that these ones build on, and volumes that were let go, too
    #[arg(long, env = "OCM_COMPLETE", value_parser = FalseyValueParser::new())]
    complete: bool,
    /// Have everything written out, and read it back from the medium, not from memory
    #[arg(long, env = "OCM_AFTER_WRITE", value_parser = FalseyValueParser::new())]
    after_write: bool,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    hashing: Hashing,
    #[command(flatten)]
    vouching: Vouching,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        if self.after_write && self.quick {
            return Err(Error::usage("--after-write reads everything back, and --quick hardly anything").hint("leave one of them out"));
        }
        let places = self.places.into_iter().map(archive).collect::<Result<_>>()?;
        let request = Request { places, quick: self.quick, complete: self.complete, after_write: self.after_write };
        let means = Means { workspace: self.state.workspace, threads: self.hashing.jobs, vouching: self.vouching, ..Means::default() };
        let work = async |settings: Settings| verify(request, &settings).await;
        let verdict = runner.carry_out(means, true, "run the same command again; it begins anew", work)?;
        let class = class(&verdict);
        runner.show("ocm.verify.v1", class, &verdict, || show::verify::text(&verdict))
    }
}
