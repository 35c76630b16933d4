//! What a person wants, from a configuration file: `ImageSetConfiguration` and `DeleteImageSetConfiguration` of oc-mirror.
//!
//! ```text
//! file ──source──▶ text ──yaml──▶ tree with places ──wire──▶ fields ──document──▶ ImageSet, and findings
//! ```
//!
//! **Invariants.** A file that oc-mirror v2 loads is read, and means the same (semantics H.5). All that is wrong in it is
//! said at once, each with line and column. What a file can cost is bounded, whoever wrote it.
//!
//! *Not here:* finding what is wanted (`collect`, `openshift`), printing (`cli`).

mod additional;
mod blocked;
mod document;
mod finding;
mod helm;
mod imageset;
mod operators;
mod path;
mod platform;
mod platforms;
mod rules;
mod scalar;
mod schema;
mod source;
mod unknown;
mod wire;
mod yaml;

use std::path::Path;

pub use self::additional::{AdditionalImage, Origin};
pub use self::blocked::Blocked;
pub use self::document::{API_VERSION, Configuration, Kind};
pub use self::finding::{Finding, MAX_FINDINGS, Severity};
pub use self::helm::{Chart, ChartRepository, Helm};
pub use self::imageset::{DeleteSet, ImageSet, Pending, Wishes};
pub use self::operators::{Catalog, Package, PackageChannel};
pub use self::platform::{Channel, Release};
pub use self::platforms::PlatformEntry;
pub use self::schema::schema;
pub use self::source::{MAX_BYTES, Place, Source};
pub use self::wire::At;
pub use self::yaml::{MAX_DEPTH, MAX_WEIGHT};

use self::finding::Findings;
use crate::error::{Error, Result};

/// A configuration to begin with, with comments. It is sound.
pub const STARTER: &str = include_str!("starter.yaml");

/// A file that was read: what is wrong with it, and what it says.
#[derive(Debug)]
pub struct Checked {
    /// The file.
    pub source: Source,
    /// What is wrong, in the order of the file.
    pub findings: Vec<Finding>,
    /// What it says; `None` exactly where there is an error among the findings.
    pub configuration: Option<Configuration>,
}

/// Reads a configuration and checks it; `strict` makes errors of warnings.
#[must_use]
pub fn check(source: Source, strict: bool) -> Checked {
    let mut findings = Findings::default();
    let root = yaml::parse(source.text(), &mut findings);
    let configuration = root.and_then(|root| document::read(&root, &source, &mut findings));
    let findings = findings.finish(strict);
    let is_sound = findings.iter().all(|finding| finding.severity == Severity::Warning);
    Checked { source, findings, configuration: configuration.filter(|_| is_sound) }
}

/// Loads what is to be mirrored. Each warning, as one line, goes to `warn`.
pub fn load_image_set(path: &Path, warn: impl FnMut(&str)) -> Result<ImageSet> {
    match load(path, warn)? {
        Configuration::ImageSet(set) => Ok(set),
        other => Err(another_kind(path, other.kind(), Kind::ImageSet)),
    }
}

/// Loads what is to be deleted. Each warning, as one line, goes to `warn`.
pub fn load_delete_set(path: &Path, warn: impl FnMut(&str)) -> Result<DeleteSet> {
    match load(path, warn)? {
        Configuration::DeleteImageSet(set) => Ok(set),
        other => Err(another_kind(path, other.kind(), Kind::DeleteImageSet)),
    }
}

fn load(path: &Path, mut warn: impl FnMut(&str)) -> Result<Configuration> {
    let checked = check(Source::load(path)?, false);
    for warning in checked.of(Severity::Warning) {
        warn(&warning.line(&checked.source));
    }
    checked.into_result()
}

fn another_kind(path: &Path, found: Kind, expected: Kind) -> Error {
    Error::usage(format!("{}: cannot parse \"{}\" as \"{}\"", path.display(), found.word(), expected.word()))
}

impl Checked {
    /// The findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }

    /// What the file says, or all its errors as one.
    pub fn into_result(self) -> Result<Configuration> {
        let errors: Vec<&Finding> = self.of(Severity::Error).collect();
        match (&errors[..], &self.configuration) {
            ([], Some(configuration)) => Ok(configuration.clone()),
            ([one], _) => Err(one.to_error(&self.source)),
            _ => {
                let all = Error::usage(format!("{}: {} errors", self.source.name(), errors.len()));
                let lines = errors.iter().flat_map(|error| std::iter::once(error.line(&self.source)).chain(error.excerpt(&self.source)));
                Err(lines.fold(all, Error::note))
            }
        }
    }
}

#[cfg(test)]
mod tests;
