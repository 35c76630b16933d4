//! `ocm key new`: makes a key.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use zeroize::Zeroizing;

use super::text;
use crate::cli::password::PasswordArguments;
use crate::cli::runner::Runner;
use crate::cli::settings::random;
use crate::error::Result;
use crate::transfer::Class;
use crate::workflow::key;

/// Make a key: FILE gets the secret half, FILE.pub the public one
///
/// Neither is ever written over. The secret half is readable by you alone, and protected by a password that is asked for.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  ocm key new builder.key\n  ocm key new --no-password ci.key")]
pub(in crate::cli) struct Arguments {
    /// The file that gets the secret half.
    #[arg(help = "The file that gets the secret half", value_name = "FILE")]
    file: PathBuf,
    /// Protect it by no password: whoever reads the file can sign
    #[arg(long, env = "OCM_NO_PASSWORD", value_parser = FalseyValueParser::new())]
    no_password: bool,
    #[command(flatten)]
    password: PasswordArguments,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let password = if self.no_password { None } else { Some(Zeroizing::new(self.password.for_new(&self.file)?)) };
        let random = Zeroizing::new(random()?);
        let facts = key::new(&self.file, &random, password.as_ref().map(|password| password.as_slice()))?;
        runner.show("ocm.key.v1", Class::Done, &facts, || text(&facts))
    }
}
