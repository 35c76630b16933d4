//! The name oc-mirror: the command line of oc-mirror v2, over the machine of ocm (semantics H).
//!
//! **Invariants.** What is done is what `ocm sync` does; here are only its words, places and exit codes. Variables `OCM_…` are not
//! read.
//!
//! *Not here:* what a sync is (`workflow::sync`), how an archive gets its names (`workflow::sync::mirror_tars`).

mod arguments;
mod dry_run;
mod log;
mod mirror;
mod results;
mod sides;
#[cfg(test)]
mod tests;
mod version;
mod way;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Args;

use self::arguments::{Asked, parse};
use self::log::Log;
use super::console::Console;
use super::failure;
use super::look::Colour;
use super::runner::Runner;
use crate::environment::Environment;
use crate::error::Error;

/// The name.
const NAME: &str = "oc-mirror";

/// What oc-mirror ends with where it has no better bit.
const FAILED: u8 = 1;

/// Do what oc-mirror v2 does, by its own command line
///
/// The same where this program is called oc-mirror. Options of `ocm sync` work too. docs/from-oc-mirror.md says what is different.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// What oc-mirror is given
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) arguments: Vec<OsString>,
}

const EXAMPLES: &str = "Examples:
  ocm oc-mirror -c isc.yaml file:///mnt/disk --v2
  ocm oc-mirror -c isc.yaml --from file:///mnt/disk docker://registry.lab:5000 --v2
  ocm oc-mirror -c isc.yaml --workspace file:///srv/mirror docker://registry.lab:5000 --v2";

/// The arguments of oc-mirror, where that is who is called.
pub(super) fn meant(arguments: &[OsString]) -> Option<&[OsString]> {
    let (program, rest) = arguments.split_first()?;
    match rest.split_first() {
        _ if Path::new(program).file_name() == Some(OsStr::new(NAME)) => Some(rest),
        Some((first, rest)) if first == NAME => Some(rest),
        _ => None,
    }
}

/// Runs a command line of oc-mirror and answers its exit code.
pub(super) fn run(arguments: &[OsString], environment: &Environment) -> u8 {
    let console = Console::of_process(Colour::Auto, environment);
    let asked = match parse(arguments) {
        Ok(asked) => asked,
        Err(refused) if refused.use_stderr() => {
            console.say(&refused.render().to_string());
            return FAILED;
        }
        Err(help) => return said(&console, &help.render().to_string()),
    };
    let (asked, look) = match asked {
        Asked::Mirror(mirror) => {
            let look = mirror.look();
            (Ok(mirror), look)
        }
        Asked::Version(format) => return said(&console, &version::text(format)),
        Asked::Completion(shell) => return said(&console, &arguments::completion(shell)),
        Asked::NotYet(what) => {
            let error = Error::usage(format!("{NAME} {what}: not supported yet"))
                .hint("use oc-mirror v2 for it; docs/from-oc-mirror.md says what works");
            (Err(error), super::look::Look::default())
        }
    };
    let runner = Runner { console: Console::of_process(look.colour, environment), environment: environment.clone(), look };
    let log = Log::new(runner.console, look);
    let done = asked.and_then(|mirror| mirror::run(*mirror, &runner, &log));
    done.unwrap_or_else(|error| {
        log.error(&failure::block(&error));
        results::code_of(&error)
    })
}

fn said(console: &Console, text: &str) -> u8 {
    console.result(text).map_or(FAILED, |()| 0)
}
