//! Going to the background: the same command, as a process of its own, once more.
//!
//! **Invariants.** The first process ends when the second one is ready, with what that one said, or with its exit code when it failed.
//! The second one has no terminal and holds no stream of the first after that.
//!
//! *Not here:* what goes on in the background (the verbs).

use std::fs::OpenOptions;
use std::io::Read as _;
use std::process::{Command, Stdio};

use super::runner::Runner;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::transfer::Class;

/// Tells the second process that it is the second one.
const DETACHED: &str = "OCM_DETACHED";

/// Whether this process is the one in the background.
pub(super) fn is_detached(environment: &Environment) -> bool {
    environment.get(DETACHED).is_some()
}

/// Starts this command once more, and waits until it is ready or has failed.
pub(super) fn detach(runner: &Runner) -> Result<Class> {
    let wrong = |error| Error::io("going to the background", &error);
    let program = std::env::current_exe().map_err(wrong)?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(DETACHED, "1").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut second = command.spawn().map_err(wrong)?;
    let mut said = Vec::new();
    second.stdout.take().map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut said)).map_err(wrong)?;
    if said.is_empty() {
        return Ok(class(second.wait().map_err(wrong)?.code()));
    }
    runner.console.raw(&said)?;
    Ok(Class::Done)
}

/// Leaves the terminal that the first process was started at.
pub(super) fn leave_terminal() -> Result<()> {
    rustix::process::setsid().map(drop).map_err(|error| Error::io("leaving the terminal", &error.into()))
}

/// Lets go of the directory and the streams of the first process, which takes that for being ready.
pub(super) fn let_go() -> Result<()> {
    std::env::set_current_dir("/").map_err(|error| Error::io("/", &error))?;
    let wrong = |error| Error::io("/dev/null", &error);
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null").map_err(wrong)?;
    rustix::stdio::dup2_stderr(&nothing).and_then(|()| rustix::stdio::dup2_stdout(&nothing)).map_err(|error| wrong(error.into()))
}

/// What an exit code stands for.
fn class(code: Option<i32>) -> Class {
    let all = [Class::Done, Class::Partial, Class::Needed, Class::Damaged, Class::Usage, Class::Interrupted];
    all.into_iter().find(|class| Some(i32::from(class.exit_code())) == code).unwrap_or(Class::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_has_the_exit_code_of_what_failed() {
        for code in [0, 1, 2, 3, 4, 5, 130] {
            assert_eq!(class(Some(code)).exit_code(), code as u8);
        }
        assert_eq!((class(None), class(Some(101))), (Class::Failed, Class::Failed));
    }
}
