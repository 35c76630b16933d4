//! `ocm key`: keys that sign sets.

mod approve;
mod new;
mod show;

use clap::{Args, Subcommand};

use super::runner::Runner;
use super::safe::safe;
use crate::error::Result;
use crate::transfer::Class;
use crate::workflow::key::KeyFacts;

/// Make keys that sign sets, look at them, and approve sets with them
///
/// Keys and signatures are those of minisign, which reads and checks all of them.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm key new builder.key\n  ocm key show builder.key.pub\n  ocm key approve /mnt/disk --key auditor.key"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(new::Arguments),
    Show(show::Arguments),
    Approve(approve::Arguments),
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        match self.verb {
            Verb::New(verb) => verb.run(runner),
            Verb::Show(verb) => verb.run(runner),
            Verb::Approve(verb) => verb.run(runner),
        }
    }
}

/// What everybody may know of a key.
fn text(facts: &KeyFacts) -> String {
    let mut text = format!("key {}\n  public    {}\n", facts.id, facts.public_key);
    let mut file = |name: &str, path: &Option<std::path::PathBuf>, note: &str| {
        if let Some(path) = path {
            text += &format!("  {name}   {}{note}\n", safe(&path.display().to_string()));
        }
    };
    let note = match facts.protected {
        Some(true) => "   protected by a password",
        Some(false) => "   NOT protected by a password: whoever reads it can sign",
        None => "",
    };
    file("secret in", &facts.secret_file, note);
    file("public in", &facts.public_file, "");
    text
}
