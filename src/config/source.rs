//! [`Source`]: the text of one configuration file, and places in it.
//!
//! **Invariants.** Never longer than [`MAX_BYTES`], always UTF-8. Lines and columns count from 1, columns in characters.
//!
//! *Not here:* what the text means (`yaml` and above).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};

/// The longest file that is read. A long configuration has some thousand lines.
pub const MAX_BYTES: usize = 16 << 20;

/// A configuration file as it stands on the disk.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
}

/// Some characters of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// How many characters, at least 1.
    #[serde(skip)]
    pub width: usize,
}

impl Source {
    /// Reads a file; a device or a pipe is read no further than the cap.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |error| Error::io(format!("reading {name}"), &error);
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(failed)?;
        Self::new(name, bytes)
    }

    /// The same from bytes that were read already; `name` is what messages call it.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.into();
        if bytes.len() > MAX_BYTES {
            return Err(Error::usage(format!("{name} is longer than {} MiB", MAX_BYTES >> 20)).hint("name a configuration file"));
        }
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Error::usage(format!("{name}: byte {at} is not UTF-8 text")).hint("save the file as UTF-8")
        })?;
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Ok(Self { name, text })
    }

    /// What messages call it: the path as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it, without a byte order mark.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One line without its end; `None` behind the last.
    #[must_use]
    pub fn line(&self, line: usize) -> Option<&str> {
        self.text.lines().nth(line.checked_sub(1)?)
    }

    /// `FILE:LINE:COLUMN`
    #[must_use]
    pub fn at(&self, place: Place) -> String {
        format!("{}:{}:{}", self.name, place.line, place.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_text_of_a_bounded_length() {
        let of = |bytes: &[u8]| Source::new("f", bytes.to_vec());
        assert_eq!(of("\u{feff}a\r\nb".as_bytes()).expect("text").line(1), Some("a"));
        assert_eq!(of(b"a\nb").expect("text").line(3), None);
        assert_eq!(of(b"ab\xff").expect_err("no text").to_string(), "f: byte 2 is not UTF-8 text");
        assert_eq!(of(&vec![b'a'; MAX_BYTES + 1]).expect_err("too long").to_string(), "f is longer than 16 MiB");
    }

    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        let error = Source::load(Path::new("/dev/zero")).expect_err("endless");
        assert_eq!(error.to_string(), "/dev/zero is longer than 16 MiB");
    }
}
