//! [`Error`]: what went wrong, what it means, and the way out.
//!
//! **Invariants.** Every error names the object, the place and the cause in one line without full stop; its
//! [`Kind`] alone decides the exit code.
//!
//! *Not here:* how an error is printed (`cli`), what is retried (`store::registry`).

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of failure this is; the exit code follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It did not work: network, disk, a refusal by the other side. Exit code 1.
    Failed,
    /// The command or configuration asks for something that cannot be. Exit code 2.
    Usage,
    /// Bytes are not what they must be. Exit code 4.
    Damaged,
    /// Something that is not here is needed: a set, a volume, a key. Exit code 5.
    Needed,
    /// The person stopped it. Exit code 130.
    Interrupted,
}

/// One failure.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    what: String,
    notes: Vec<String>,
    hint: Option<String>,
}

impl Error {
    /// An error of `kind`; `what` is object, place and cause in lower case.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), notes: Vec::new(), hint: None }
    }

    /// A [`Kind::Failed`] error.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// A [`Kind::Usage`] error.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// A [`Kind::Damaged`] error.
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, what)
    }

    /// A [`Kind::Needed`] error.
    pub fn needed(what: impl Into<String>) -> Self {
        Self::new(Kind::Needed, what)
    }

    /// The error that an I/O failure on `object` means.
    pub fn io(object: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::failed(format!("{object}: {error}")).hint_for(error.kind())
    }

    /// Sets the way out of an I/O failure of this kind, where there is one.
    #[must_use]
    pub fn hint_for(self, kind: std::io::ErrorKind) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match kind {
            StorageFull | QuotaExceeded => self.hint("free some space and run the same command again: it goes on where it stopped"),
            ReadOnlyFilesystem => self.hint("name a place that can be written"),
            _ => self,
        }
    }

    /// Puts the wider object before the message: `context: what`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.what = format!("{context}: {}", self.what);
        self
    }

    /// Adds a line on what this means for the person.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the way out; it starts with a verb. A hint that is there already stays.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The class of this failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Lines on what it means, in order.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn way_out(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}
