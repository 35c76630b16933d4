//! [`Error`]: what went wrong with an archive, and where.
//!
//! **Invariants.** A message names the object and the cause; [`Place`] names file, volume and offset where they are
//! known. The kind says what a caller can do about it.
//!
//! *Not here:* exit codes and hints; they belong to the program.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operating system said no.
    Io(std::io::ErrorKind),
    /// The file is no volume of an ocm archive.
    NotAVolume,
    /// The file is the beginning of a volume.
    Incomplete,
    /// Bytes are not what they must be.
    Damaged,
    /// Another version or draft of the format.
    Version,
    /// A feature that this reader does not have.
    Unsupported,
    /// A volume or set that is not here is needed.
    Missing,
    /// A limit of the format would be exceeded.
    Limit,
    /// The caller asked for what cannot be.
    Usage,
}

/// Where something is: as much as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Option<PathBuf>,
    /// The volume's number.
    pub volume: Option<u32>,
    /// The offset in the file, in bytes.
    pub offset: Option<u64>,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
    place: Box<Place>,
}

impl Error {
    /// An error of `kind`; the message is object and cause, in lower case.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: Box::default() }
    }

    /// Bytes that are not what they must be.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, message)
    }

    /// A limit that would be exceeded.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(Kind::Limit, message)
    }

    /// A failure of the operating system on `path`.
    #[must_use]
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::new(Kind::Io(error.kind()), error.to_string()).in_file(path)
    }

    /// The same error, in this file.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.place.file.get_or_insert_with(|| path.to_owned());
        self
    }

    /// The same error, in this volume.
    #[must_use]
    pub fn in_volume(mut self, volume: u32) -> Self {
        self.place.volume.get_or_insert(volume);
        self
    }

    /// The same error, at this offset in bytes.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.place.offset.get_or_insert(offset);
        self
    }

    /// Puts a wider object before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.place.file {
            write!(f, "{}: ", file.display())?;
        }
        match (self.place.volume, self.place.offset) {
            (Some(volume), Some(offset)) => write!(f, "volume {volume} at {offset:#x}: ")?,
            (Some(volume), None) => write!(f, "volume {volume}: ")?,
            (None, Some(offset)) => write!(f, "at {offset:#x}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// `value` if it is at most `limit`: every length that comes from outside passes here before it is used.
pub fn cap(value: u64, limit: u64, what: &str) -> Result<usize> {
    if value > limit {
        return Err(Error::limit(format!("{what}: {value} is more than the {limit} allowed")));
    }
    usize::try_from(value).map_err(|_| Error::limit(format!("{what}: {value} does not fit this machine")))
}
