//! `ocm repair`: rebuilds lost and damaged volumes.

use std::path::PathBuf;

use clap::Args;

use super::ls::archive;
use super::runner::Runner;
use super::settings::{Hashing, Means, State};
use super::show;
use crate::error::{Error, Result};
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::Settings;
use crate::workflow::repair::{Request, answer, repair};

/// Rebuild lost and damaged volumes, or say what must be brought for that
///
/// Never in place: a new file is checked in every byte before it takes the name of the old one, which is kept in the folder damaged beside it.
/// It ends with 0 if all is whole, 5 if something must be brought, 4 if it cannot be made whole.
#[derive(Debug, Args)]
#[command(
    override_usage = "ocm repair [OPTIONS] <ARCHIVE>\n       ocm repair --answer <TICKET> <ARCHIVE> <OUT>",
    after_long_help = "Examples:
  ocm repair /mnt/disk
  ocm repair /media/dvd --to /mnt/disk
  ocm repair /mnt/disk --ticket ticket.txt          on the far side: what must be brought
  ocm repair --answer ticket.txt /srv/disk patch    on the near side: a small file with just that
  ocm repair /mnt/disk --with patch                 on the far side again"
)]
pub(super) struct Arguments {
    /// An archive directory, @N for set N alone; with --answer, the sound archive and the patch that is to be made
    #[arg(required = true, value_name = "ARCHIVE", num_args = 1..=2)]
    places: Vec<Location>,
    /// Write new files into this folder, and nothing beside the set: for media that cannot be written
    #[arg(long, value_name = "DIR", env = "OCM_TO")]
    to: Option<PathBuf>,
    /// If something must be brought, write down what into this file
    #[arg(long, value_name = "FILE", env = "OCM_TICKET")]
    ticket: Option<PathBuf>,
    /// Use this patch, which was made as the answer to a ticket; repeat for more
    #[arg(long, value_name = "PATCH", env = "OCM_WITH")]
    with: Vec<PathBuf>,
    /// Make the patch that this ticket asks for
    #[arg(long, value_name = "TICKET", env = "OCM_ANSWER")]
    answer: Option<PathBuf>,
    #[command(flatten)]
    state: State,
    #[command(flatten)]
    hashing: Hashing,
}

const AFTER: &str = "run the same command again; it begins anew";

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let means = Means { workspace: self.state.workspace.clone(), threads: self.hashing.jobs, ..Means::default() };
        let plain = self.to.is_none() && self.ticket.is_none() && self.with.is_empty();
        let mut places = self.places.into_iter().map(archive).collect::<Result<Vec<_>>>()?.into_iter();
        let (first, second) = (places.next(), places.next());
        let named = || Error::usage("no archive is named").hint("name the archive directory");
        let (archive, generation) = first.ok_or_else(named)?;
        match (self.answer, second) {
            (Some(ticket), Some((out, None))) if generation.is_none() && plain => {
                let work = async |settings: Settings| answer(ticket, archive, out, &settings).await;
                let made = runner.carry_out(means, true, AFTER, work)?;
                runner.show("ocm.repair-answer.v1", Class::Done, &made, || show::repair::answer(&made))
            }
            (Some(_), _) => Err(Error::usage("--answer takes the sound archive, and the patch that is to be made, alone")
                .hint("write `ocm repair --answer TICKET ARCHIVE OUT`")),
            (None, Some((other, _))) => {
                Err(Error::usage(format!("{}: one archive is repaired at a time", other.display())).hint("name one alone, or --to DIR"))
            }
            (None, None) => {
                let request = Request { archive, generation, to: self.to, ticket: self.ticket, with: self.with };
                let work = async |settings: Settings| repair(request, &settings).await;
                let outcome = runner.carry_out(means, true, AFTER, work)?;
                runner.show("ocm.repair.v1", outcome.class(), &outcome, || show::repair::text(&outcome))
            }
        }
    }
}
