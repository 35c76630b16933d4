//! [`Layer`]: what is known of a blob while it is cut into chunks: where they lie, which file comes by, and where an older
//! version of that is.
//!
//! **Invariants.** A hint depends on the blob, the earlier sets and the blobs before alone. It is the same where some of the chunks were stored
//! by a run that was interrupted: every file is looked for, whether or not its chunks are known.
//!
//! *Not here:* frames (`builder`); what is made of hints (`prefix`).

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use super::history::{History, Old, Source};
use super::place::{Place, Spot, push_spot};
use crate::chunk::{Class, File, Files, Shape};
use crate::delta::Key;

/// Where an older version of some bytes may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hint {
    /// In which blob.
    pub(super) source: Source,
    /// About where in its plain form.
    pub(super) offset: u64,
}

/// What became of a blob that was cut.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Where its chunks lie.
    pub(super) spots: Vec<Spot>,
    /// Which they are, with their offsets in it.
    pub(super) chunks: Vec<(Key, u64)>,
    /// Its files, where anybody asks for older versions.
    pub(super) files: Vec<File>,
}

/// A blob that streams by.
pub(super) struct Layer<'a> {
    history: Option<&'a History>,
    /// How many blobs of this set can be built on.
    own_blobs: u32,
    files: Files,
    /// All files up to now, where later blobs are to find them.
    all_files: Vec<File>,
    /// Files whose content was not all taken yet.
    ahead: VecDeque<File>,
    at: u64,
    spots: Vec<Spot>,
    chunks: Vec<(Key, u64)>,
    /// The older version of the file that comes by, once it was looked for.
    version: Option<(File, Option<Old>)>,
    /// Where in it we are, where chunks in common told.
    aligned: Option<Hint>,
    /// How much each older blob has in common with this one.
    votes: HashMap<Source, u64>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(history: &'a History, own_blobs: u32, shape: Shape) -> Self {
        Self {
            history: Some(history).filter(|history| shape == Shape::Tar && history.has_versions()),
            own_blobs,
            files: Files::default(),
            all_files: Vec::new(),
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
        if let Some(history) = self.history {
            let (ahead, all, keeps) = (&mut self.ahead, &mut self.all_files, history.own.is_some());
            self.files.push(bytes, &mut |file| {
                ahead.push_back(file);
                all.extend(Some(file).filter(|_| keeps));
            });
        }
    }

    /// Where an older version of the next chunk may be.
    pub(super) fn hint(&mut self, class: Class) -> Option<Hint> {
        let history = self.history.filter(|_| class == Class::Content)?;
        let file = self.file()?;
        let version = match self.version {
            Some((known, version)) if known == file => version,
            _ => {
                let version = self.choose(history, &file);
                self.version = Some((file, version));
                version
            }
        };
        if self.aligned.is_some() {
            return self.aligned;
        }
        let into = self.at.saturating_sub(file.offset);
        version.map(|version| Hint { source: version.source, offset: version.offset.saturating_add(into.min(version.bytes)) })
    }

    /// The next chunk lies at `spot`.
    pub(super) fn take(&mut self, key: Key, spot: Spot) {
        self.chunks.push((key, self.at));
        let before = self.at;
        self.at = self.at.saturating_add(spot.bytes.into());
        push_spot(&mut self.spots, spot);
        if self.history.is_none() {
            return;
        }
        if let Some(found) = self.found(spot.place) {
            let votes = self.votes.entry(found.source).or_default();
            *votes = votes.saturating_add(spot.bytes.into());
            self.aligned = Some(Hint { offset: found.offset.saturating_add(spot.bytes.into()), ..found });
        } else if let Some(aligned) = &mut self.aligned {
            aligned.offset = aligned.offset.saturating_add(spot.bytes.into());
        }
        // Alignment holds within a file: what follows is another one.
        let inside = self.ahead.front().is_some_and(|file| before >= file.offset && self.at < file.offset.saturating_add(file.bytes));
        if !inside {
            self.aligned = None;
        }
    }

    /// Where an older blob has what lies at `place`, if that is known.
    fn found(&self, place: Place) -> Option<Hint> {
        if let Place::Before { blob, offset } = place {
            return Some(Hint { source: Source::Earlier(blob), offset });
        }
        // The file that comes by, and not one that ended before.
        let (_, version) = self.version.as_ref().filter(|(file, _)| self.ahead.front() == Some(file))?;
        let Old { source: Source::Own(number), offset, bytes } = version.as_ref()? else { return None };
        let own = self.history?.own.as_ref()?;
        let offset = own.locate(*number, place, *offset, offset.saturating_add(*bytes))?;
        Some(Hint { source: Source::Own(*number), offset })
    }

    /// What became of it.
    pub(super) fn finish(self) -> Cut {
        Cut { spots: self.spots, chunks: self.chunks, files: self.all_files }
    }

    /// The file that the next byte belongs to.
    fn file(&mut self) -> Option<File> {
        while self.ahead.front().is_some_and(|file| file.offset.saturating_add(file.bytes) <= self.at) {
            self.ahead.pop_front();
        }
        self.ahead.front().copied().filter(|file| file.offset <= self.at)
    }

    /// The older version of a file: of the blob that has most in common with this one, and then of the size that is nearest.
    fn choose(&mut self, history: &History, file: &File) -> Option<Old> {
        let votes = |version: &Old| self.votes.get(&version.source).copied().unwrap_or_default();
        let all = history.find(file.name, file.bytes, self.own_blobs);
        let best =
            all.into_iter().max_by_key(|version| (votes(version), Reverse(version.bytes.abs_diff(file.bytes)), rank(version.source)))?;
        let same = u64::from(best.bytes == file.bytes);
        let votes = self.votes.entry(best.source).or_default();
        *votes = votes.saturating_add(same.saturating_add(1));
        Some(best)
    }
}

/// Of versions that are as good as each other, the first of earlier sets and the last of this one; that is the newest.
fn rank(source: Source) -> (u32, Reverse<u32>) {
    match source {
        Source::Earlier(number) => (0, Reverse(number)),
        Source::Own(number) => (number.saturating_add(1), Reverse(0)),
    }
}
