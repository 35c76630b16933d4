//! [`Path`]: which part of a document something is, as people write it: `mirror.platform.channels[0]`.
//!
//! **Invariants.** Made on the way down and written out for a finding alone, so reading a sound file builds no texts.

use std::fmt;

/// A part of a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    /// The document, by its kind.
    Document(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// All of a document of this kind.
    pub(super) fn document(kind: &'a str) -> Self {
        Self { above: None, step: Step::Document(kind) }
    }

    /// What stands there under a key.
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self { above: Some(self), step: Step::Key(key) }
    }

    /// What stands there in a list.
    pub(super) fn index(&'a self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index) }
    }

    fn is_below_document(&self) -> bool {
        self.above.is_some_and(|above| above.above.is_none())
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above.filter(|_| !self.is_below_document()) {
            above.fmt(f)?;
        }
        match self.step {
            Step::Document(kind) => f.write_str(kind),
            Step::Key(key) if self.is_below_document() => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_write_it() {
        let document = Path::document("ImageSetConfiguration");
        let mirror = document.key("mirror");
        let images = mirror.key("additionalImages");
        assert_eq!(document.to_string(), "ImageSetConfiguration");
        assert_eq!(images.index(2).key("name").to_string(), "mirror.additionalImages[2].name");
    }
}
