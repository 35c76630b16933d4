//! `ocm key show`: the public half of a key.

use std::path::PathBuf;

use clap::Args;

use super::text;
use crate::cli::password::PasswordArguments;
use crate::cli::runner::Runner;
use crate::error::Result;
use crate::transfer::Class;
use crate::workflow::key;

/// Show the id and the public half of a key, from either of its files
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm key show builder.key\n  ocm key show builder.key.pub")]
pub(in crate::cli) struct Arguments {
    /// A secret or a public key of minisign.
    #[arg(help = "A secret or a public key of minisign", value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    password: PasswordArguments,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let facts = key::show(&self.file, &mut || self.password.of(&self.file))?;
        runner.show("ocm.key.v1", Class::Done, &facts, || text(&facts))
    }
}
