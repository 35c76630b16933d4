//! The command line of ocm: what a person types, and what they see.
//!
//! **Invariants.** The only place that prints, reads the environment and looks at terminals. A verb reads its arguments,
//! makes one library call and shows the answer. The exit code is that of a [`Class`], decided in one place.
//!
//! *Not here:* doing anything (`workflow`).

mod compat;
mod completion;
mod config;
mod configuration;
mod console;
mod daemon;
mod diff;
mod durations;
mod failure;
mod figures;
mod gather;
mod inspect;
mod interrupt;
mod key;
mod logs;
mod look;
mod ls;
mod man;
pub mod media;
mod merge;
mod mount;
mod packing;
mod password;
mod plan;
mod progress;
mod prune;
mod receipt;
mod recover;
pub mod reference;
mod repair;
mod runner;
mod safe;
mod serve;
mod settings;
mod show;
mod signing;
mod sizes;
mod sync;
mod table;
mod umount;
mod verify;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::console::Console;
use self::look::{Colour, Look};
use self::runner::Runner;
use crate::environment::Environment;
use crate::error::Result;
use crate::transfer::Class;

/// Mirrors container images across an air gap.
#[derive(Debug, Parser)]
#[command(name = "ocm", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    look: Look,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Sync(sync::Arguments),
    Plan(plan::Arguments),
    Ls(ls::Arguments),
    Inspect(inspect::Arguments),
    Why(why::Arguments),
    Diff(diff::Arguments),
    Receipt(receipt::Arguments),
    Gather(gather::Arguments),
    Recover(recover::Arguments),
    Merge(merge::Arguments),
    Verify(verify::Arguments),
    Repair(repair::Arguments),
    Prune(prune::Arguments),
    Mount(mount::Arguments),
    Umount(umount::Arguments),
    Serve(serve::Arguments),
    Key(key::Arguments),
    Config(config::Arguments),
    #[command(name = "oc-mirror")]
    OcMirror(compat::Arguments),
    Completion(completion::Arguments),
    Man(man::Arguments),
}

/// Runs the command line of this process and answers its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment: Environment = variables.collect();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(arguments) = compat::meant(&arguments) {
        return ExitCode::from(compat::run(arguments, &environment));
    }
    let code = match parse(arguments, &environment) {
        Ok(cli) => {
            let console = Console::of_process(cli.look.colour, &environment);
            let runner = Runner { environment, console, look: cli.look };
            let done = cli.verb.run(&runner);
            done.unwrap_or_else(|error| {
                console.say(&failure::block(&error));
                Class::from(error.kind()).exit_code()
            })
        }
        Err(refused) => refuse(&refused, &Console::of_process(Colour::Auto, &environment)).exit_code(),
    };
    ExitCode::from(code)
}

impl Verb {
    /// Runs it; answers the exit code.
    fn run(self, runner: &Runner) -> Result<u8> {
        let class = match self {
            Self::Sync(verb) => verb.run(runner),
            Self::Plan(verb) => verb.run(runner),
            Self::Ls(verb) => verb.run(runner),
            Self::Inspect(verb) => verb.run(runner),
            Self::Why(verb) => verb.run(runner),
            Self::Diff(verb) => verb.run(runner),
            Self::Receipt(verb) => verb.run(runner),
            Self::Gather(verb) => verb.run(runner),
            Self::Recover(verb) => verb.run(runner),
            Self::Merge(verb) => verb.run(runner),
            Self::Verify(verb) => verb.run(runner),
            Self::Repair(verb) => verb.run(runner),
            Self::Prune(verb) => verb.run(runner),
            Self::Mount(verb) => verb.run(runner),
            Self::Umount(verb) => verb.run(runner),
            Self::Serve(verb) => verb.run(runner),
            Self::Key(verb) => verb.run(runner),
            Self::Config(verb) => verb.run(runner),
            Self::OcMirror(verb) => return Ok(compat::run(&verb.arguments, &runner.environment)),
            Self::Completion(verb) => verb.run(runner),
            Self::Man(verb) => verb.run(runner),
        };
        class.map(Class::exit_code)
    }
}

/// The command line as clap knows it.
fn command() -> clap::Command {
    // The values of variables are a matter of the person alone; help is the same for everyone.
    fn hide(command: clap::Command) -> clap::Command {
        command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(hide)
    }
    hide(Cli::command())
}

fn parse(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> Result<Cli, clap::Error> {
    let mut command = without_empty_variables(command(), environment);
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// A variable that is set to nothing is not set.
fn without_empty_variables(command: clap::Command, environment: &Environment) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(|name| name.to_str()).is_some_and(|name| environment.get(name).is_none());
    let keep = |arg: clap::Arg| if is_empty(&arg) { arg.env(None::<&str>) } else { arg };
    command.mut_args(keep).mut_subcommands(|verb| without_empty_variables(verb, environment))
}

/// Shows what clap has to say instead of a command line: help and version are results, the rest is an error.
fn refuse(refused: &clap::Error, console: &Console) -> Class {
    let text = refused.render().to_string();
    if refused.use_stderr() {
        console.say(&text);
        return Class::Usage;
    }
    console.result(&text).map_or(Class::Failed, |()| Class::Done)
}

#[cfg(test)]
mod tests;
