//! Passwords of keys: from a file, or asked on the terminal.
//!
//! **Invariants.** A password stands in no command line, no variable and no log. The terminal does not show it, and is as it was afterwards.
//!
//! *Not here:* what a password opens (`workflow::key`).

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The longest password, in bytes.
const MAX_BYTES: usize = 1024;

/// Where a password comes from.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PasswordArguments {
    /// Read the password of the key from the first line of this file; otherwise the terminal asks for it
    #[arg(long, value_name = "FILE", env = "OCM_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArguments {
    /// The password of the key in `file`.
    pub(super) fn of(&self, file: &Path) -> Result<Vec<u8>> {
        match &self.password_file {
            Some(path) => from_file(path),
            None => ask(&format!("Password of {}: ", file.display())),
        }
    }

    /// A password for a new key.
    pub(super) fn for_new(&self, file: &Path) -> Result<Vec<u8>> {
        if let Some(path) = &self.password_file {
            return from_file(path);
        }
        let first = Zeroizing::new(ask(&format!("Password for {}: ", file.display()))?);
        let second = Zeroizing::new(ask("The same once more: ")?);
        match first == second {
            true if first.is_empty() => Err(Error::usage("the password is empty").hint("say --no-password if that is meant")),
            true => Ok(first.to_vec()),
            false => Err(Error::usage("the two passwords are not the same").hint("try it again")),
        }
    }
}

fn from_file(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| Error::io(format!("--password-file {}", path.display()), &error);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(failed)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.len() {
        0 => Err(Error::usage(format!("--password-file {}: its first line is empty", path.display()))),
        length if length > MAX_BYTES => Err(Error::usage(format!("--password-file {}: its first line is too long", path.display()))),
        _ => Ok(line.to_vec()),
    }
}

/// Asks on the terminal, which does not show what is typed.
fn ask(prompt: &str) -> Result<Vec<u8>> {
    let none = |error: &std::io::Error| {
        Error::usage(format!("a password is needed, and there is no terminal to ask for it: {error}"))
            .hint("name a file with it: --password-file FILE")
    };
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|error| none(&error))?;
    let before = tcgetattr(&terminal).map_err(|error| none(&error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|error| none(&error.into()))?;
    let answer = (&terminal).write_all(prompt.as_bytes()).and_then(|()| line(&terminal));
    let after = tcsetattr(&terminal, OptionalActions::Flush, &before);
    let _newline = (&terminal).write_all(b"\n");
    let answer = answer.map_err(|error| none(&error))?;
    after.map(|()| answer).map_err(|error| none(&error.into()))
}

/// One line, read byte by byte: nothing of it stays in a buffer.
fn line(mut terminal: &File) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(MAX_BYTES);
    let mut byte = [0];
    while line.len() < MAX_BYTES && terminal.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(line)
}
