//! `ocm completion`: what a shell needs to complete the command line.

use clap::Args;
use clap_complete::Shell;

use super::runner::Runner;
use crate::error::Result;
use crate::transfer::Class;

/// Print what a shell needs to complete ocm's command line
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  ocm completion bash > ~/.local/share/bash-completion/completions/ocm")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "ocm", &mut script);
        runner.console.raw(&script)?;
        Ok(Class::Done)
    }
}
