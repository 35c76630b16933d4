//! [`Layer`]: what is known of a blob while it is cut into chunks: where they lie, which file comes by, and where an older
//! version of that is.
//!
//! **Invariants.** A hint depends on the blob and the earlier sets alone.
//!
//! *Not here:* frames (`builder`); what is made of hints (`prefix`).

use std::collections::{HashMap, VecDeque};

use super::place::{Place, Spot, push_spot};
use crate::chunk::{Class, File, Files, Shape};
use crate::delta::{Earlier, Key, Version, Versions};

/// Where an older version of some bytes may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hint {
    /// The number of a blob of earlier sets.
    pub(super) blob: u32,
    /// About where in its plain form.
    pub(super) offset: u64,
}

/// A blob that streams by.
pub(super) struct Layer<'a> {
    versions: Option<&'a Versions>,
    files: Files,
    /// Files whose content was not all taken yet.
    ahead: VecDeque<File>,
    at: u64,
    spots: Vec<Spot>,
    chunks: Vec<(Key, u64)>,
    /// The older version of the file that comes by, once it was looked for.
    version: Option<(File, Option<Version>)>,
    /// Where in it we are, where chunks in common told.
    aligned: Option<Hint>,
    /// How much each earlier blob has in common with this one.
    votes: HashMap<u32, u64>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(earlier: &'a Earlier, shape: Shape) -> Self {
        Self {
            versions: earlier.versions.as_ref().filter(|_| shape == Shape::Tar),
            files: Files::default(),
            ahead: VecDeque::new(),
            at: 0,
            spots: Vec::new(),
            chunks: Vec::new(),
            version: None,
            aligned: None,
            votes: HashMap::new(),
        }
    }

    /// Looks at bytes before they are cut.
    pub(super) fn look(&mut self, bytes: &[u8]) {
        if self.versions.is_some() {
            let ahead = &mut self.ahead;
            self.files.push(bytes, &mut |file| ahead.push_back(file));
        }
    }

    /// Where an older version of the next chunk may be.
    pub(super) fn hint(&mut self, class: Class) -> Option<Hint> {
        let versions = self.versions.filter(|_| class == Class::Content)?;
        let file = self.file()?;
        if self.aligned.is_some() {
            return self.aligned;
        }
        let version = match self.version {
            Some((known, version)) if known == file => version,
            _ => {
                let version = self.choose(versions, &file);
                self.version = Some((file, version));
                version
            }
        };
        let into = self.at.saturating_sub(file.offset);
        version.map(|version| Hint { blob: version.blob, offset: version.offset.saturating_add(into.min(version.bytes)) })
    }

    /// The next chunk lies at `spot`.
    pub(super) fn take(&mut self, key: Key, spot: Spot) {
        self.chunks.push((key, self.at));
        let before = self.at;
        self.at = self.at.saturating_add(spot.bytes.into());
        push_spot(&mut self.spots, spot);
        if self.versions.is_none() {
            return;
        }
        if let Place::Before { blob, offset } = spot.place {
            let votes = self.votes.entry(blob).or_default();
            *votes = votes.saturating_add(spot.bytes.into());
            self.aligned = Some(Hint { blob, offset: offset.saturating_add(spot.bytes.into()) });
        } else if let Some(aligned) = &mut self.aligned {
            aligned.offset = aligned.offset.saturating_add(spot.bytes.into());
        }
        // Alignment holds within a file: what follows is another one.
        let inside = self.ahead.front().is_some_and(|file| before >= file.offset && self.at < file.offset.saturating_add(file.bytes));
        if !inside {
            self.aligned = None;
        }
    }

    /// Where the chunks lie, and which they are, with their offsets.
    pub(super) fn finish(self) -> (Vec<Spot>, Vec<(Key, u64)>) {
        (self.spots, self.chunks)
    }

    /// The file that the next byte belongs to.
    fn file(&mut self) -> Option<File> {
        while self.ahead.front().is_some_and(|file| file.offset.saturating_add(file.bytes) <= self.at) {
            self.ahead.pop_front();
        }
        self.ahead.front().copied().filter(|file| file.offset <= self.at)
    }

    /// The older version of a file: of the blob that has most in common with this one, and then of the size that is nearest.
    fn choose(&mut self, versions: &Versions, file: &File) -> Option<Version> {
        let votes = |version: &Version| self.votes.get(&version.blob).copied().unwrap_or_default();
        let best = versions.find(file.name).max_by_key(|version| {
            (votes(version), std::cmp::Reverse(version.bytes.abs_diff(file.bytes)), std::cmp::Reverse(version.blob))
        })?;
        let same = u64::from(best.bytes == file.bytes);
        let votes = self.votes.entry(best.blob).or_default();
        *votes = votes.saturating_add(same.saturating_add(1));
        Some(best)
    }
}
