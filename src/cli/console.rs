//! [`Console`]: the two streams that ocm writes to, and what they are.
//!
//! **Invariants.** Results go to stdout, everything else to stderr. A reader that goes away ends nothing with a panic or a
//! message. Nothing reaches a terminal that could steer it.
//!
//! *Not here:* bars (`progress`), which draw on a terminal themselves.

use std::io::{self, ErrorKind, IsTerminal as _, Write};

use super::look::Colour;
use super::safe::{safe_json, safe_lines};
use crate::environment::Environment;
use crate::error::{Error, Result};

/// What stdout and stderr are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    /// Whether stderr is a terminal that understands escape codes.
    pub(super) terminal: bool,
    /// Whether messages are coloured.
    pub(super) coloured: bool,
}

impl Console {
    /// The console of this process.
    #[must_use]
    pub(super) fn of_process(colour: Colour, environment: &Environment) -> Self {
        let dumb = environment.get("TERM") == Some("dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        let coloured = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && environment.get("NO_COLOR").is_none(),
        };
        Self { terminal, coloured }
    }

    /// Writes a result for people to stdout.
    pub(super) fn result(&self, text: &str) -> Result<()> {
        self.write_result(safe_lines(text).as_bytes())
    }

    /// Writes a document to stdout.
    pub(super) fn document(&self, json: &str) -> Result<()> {
        self.write_result(safe_json(json).as_bytes())
    }

    /// Writes bytes to stdout as they are.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<()> {
        self.write_result(bytes)
    }

    /// Writes news to stderr. Where that is gone, nobody is left to hear of it.
    pub(super) fn say(&self, text: &str) {
        let text = painted(&safe_lines(text), self.coloured);
        let _gone = io::stderr().lock().write_all(text.as_bytes());
    }

    fn write_result(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| Error::io("writing the result to stdout", &error)),
        }
    }
}

/// `text` with the words that begin a line of a message coloured.
#[must_use]
pub(super) fn painted(text: &str, coloured: bool) -> String {
    if !coloured {
        return text.to_owned();
    }
    text.split_inclusive('\n').map(painted_line).collect()
}

fn painted_line(line: &str) -> String {
    const WORDS: [(&str, &str); 4] =
        [("error:", "\u{1b}[1;31m"), ("warning:", "\u{1b}[1;33m"), ("  hint:", "\u{1b}[32m"), ("retry:", "\u{1b}[2m")];
    match WORDS.iter().find_map(|(word, code)| Some((word, code, line.strip_prefix(word)?))) {
        Some((word, code, rest)) => format!("{code}{word}\u{1b}[0m{rest}"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_word_of_a_message_is_coloured() {
        let text = "error: a\n  note error: b\n  hint:    c\n";
        assert_eq!(painted(text, false), text);
        assert_eq!(painted(text, true), "\u{1b}[1;31merror:\u{1b}[0m a\n  note error: b\n\u{1b}[32m  hint:\u{1b}[0m    c\n");
    }
}
