//! [`ImageSet`] and [`DeleteSet`]: what a person wants, as plain data that was checked.
//!
//! **Invariants.** One of these exists only for a file without errors. What was read and cannot be had yet is listed with
//! its place: reading a file and being able to do what it says are two answers.
//!
//! *Not here:* the fields of a file (each beside its kind of content), doing anything about it (`collect`).

use serde::Serialize;

use super::additional::AdditionalImage;
use super::blocked::Blocked;
use super::helm::Helm;
use super::operators::Catalog;
use super::platform::Release;
use super::source::Place;
use super::wire::At;
use crate::error::{Error, Result};

/// What is to be mirrored: a sound `ImageSetConfiguration`.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// The content.
    pub wishes: Wishes,
    /// What is left out of it.
    pub blocked: Blocked,
    /// How long a volume may be, where the file says it.
    pub archive_size_bytes: Option<u64>,
    /// The file as it stands.
    pub text: String,
}

/// What is to be deleted: a sound `DeleteImageSetConfiguration`.
#[derive(Debug, Clone)]
pub struct DeleteSet {
    /// The content.
    pub wishes: Wishes,
}

/// Content that a configuration names.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The file, as messages call it.
    pub file: String,
    /// Images by name, in the order of the file.
    pub additional_images: Vec<AdditionalImage>,
    /// Releases, as the file has them.
    pub platform: Option<Release>,
    /// Catalogs of operators, as the file has them.
    pub operators: Vec<At<Catalog>>,
    /// Charts, as the file has them.
    pub helm: Option<Helm>,
    /// Which of these the file names and ocm cannot find yet.
    pub pending: Vec<Pending>,
}

/// A kind of content that is not supported yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The field: `mirror.operators`.
    pub field: String,
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
}

impl ImageSet {
    /// Whether all that the file asks for can be had; the error names what cannot.
    pub fn supported(&self) -> Result<()> {
        self.wishes.supported()
    }
}

impl DeleteSet {
    /// Whether all that the file asks for can be had; the error names what cannot.
    pub fn supported(&self) -> Result<()> {
        self.wishes.supported()
    }
}

impl Wishes {
    fn supported(&self) -> Result<()> {
        let mut lines = self
            .pending
            .iter()
            .map(|Pending { field, place }| format!("{}:{}:{}: not supported yet: {field}", self.file, place.line, place.column));
        let Some(first) = lines.next() else { return Ok(()) };
        Err(lines.fold(Error::usage(first), Error::note).hint("leave it out of the file to mirror the rest"))
    }
}
