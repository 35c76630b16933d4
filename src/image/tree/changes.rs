//! [`Changes`]: how one tree differs from another, path by path.
//!
//! **Invariants.** Counts are of everything that differs; of the paths as many are kept as there is room for. What differs in its times
//! alone is counted, and never listed.
//!
//! *Not here:* what happened to a file in between: a file that moved is one that came and one that went.

use std::cmp::Ordering;

use serde::Serialize;

use super::{Node, Tree, What, shown};

/// How a tree differs from another one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// How many paths only the second one has.
    pub added: u64,
    /// How many paths only the first one has.
    pub removed: u64,
    /// How many paths stand for something else in the second one.
    pub changed: u64,
    /// How many paths differ in times alone.
    pub times: u64,
    /// What was added, removed and changed, sorted by path.
    pub paths: Vec<Changed>,
    /// How many more paths there was no room for.
    pub unlisted: u64,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The path, with the slash of the root; what is no UTF-8 in it is replaced.
    pub path: String,
    /// What happened to it.
    pub change: Change,
    /// What differs, where it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Aspect>,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the second tree has it.
    Added,
    /// Only the first tree has it.
    Removed,
    /// It stands for something else.
    Changed,
}

/// In what two nodes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// A file, a directory, a link …
    Type,
    /// The content of a file.
    Content,
    /// The target of a symbolic link.
    Target,
    /// The numbers of a device.
    Device,
    /// Permissions.
    Mode,
    /// Owner or group.
    Owner,
    /// Extended attributes.
    Attributes,
}

impl Changes {
    /// How `second` differs from `first`. Paths are kept as long as there is `room`, in bytes, which gets less.
    #[must_use]
    pub fn between(first: &Tree, second: &Tree, room: &mut usize) -> Self {
        let mut changes = Self::default();
        let (mut first, mut second) = (first.nodes().peekable(), second.nodes().peekable());
        loop {
            let order = match (first.peek(), second.peek()) {
                (None, None) => return changes,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            let old = if order.is_le() { first.next() } else { None };
            let new = if order.is_ge() { second.next() } else { None };
            match (old, new) {
                (Some((path, old)), Some((_, new))) => changes.compare(path, old, new, room),
                (Some((path, _)), None) => changes.list(path, Change::Removed, Vec::new(), room),
                (None, Some((path, _))) => changes.list(path, Change::Added, Vec::new(), room),
                (None, None) => return changes,
            }
        }
    }

    /// Whether nothing differs, not even a time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added + self.removed + self.changed + self.times == 0
    }

    fn compare(&mut self, path: &[u8], old: &Node, new: &Node, room: &mut usize) {
        let differs = aspects(old, new);
        if !differs.is_empty() {
            self.list(path, Change::Changed, differs, room);
        } else if old.modified != new.modified {
            self.times += 1;
        }
    }

    fn list(&mut self, path: &[u8], change: Change, differs: Vec<Aspect>, room: &mut usize) {
        *match change {
            Change::Added => &mut self.added,
            Change::Removed => &mut self.removed,
            Change::Changed => &mut self.changed,
        } += 1;
        let path = shown(path);
        match room.checked_sub(path.len() + size_of::<Changed>()) {
            Some(left) => {
                *room = left;
                self.paths.push(Changed { path, change, differs });
            }
            None => self.unlisted += 1,
        }
    }
}

/// In what two nodes differ, but for times. Where one is a file and the other is none, the rest says nothing.
fn aspects(old: &Node, new: &Node) -> Vec<Aspect> {
    let kind = match (&old.what, &new.what) {
        (old, new) if old == new => None,
        (What::File(..), What::File(..)) => Some(Aspect::Content),
        (What::Symlink(_), What::Symlink(_)) => Some(Aspect::Target),
        (What::CharacterDevice(..), What::CharacterDevice(..)) | (What::BlockDevice(..), What::BlockDevice(..)) => Some(Aspect::Device),
        _ => return vec![Aspect::Type],
    };
    let rest = [
        (old.mode != new.mode, Aspect::Mode),
        (old.owner != new.owner, Aspect::Owner),
        (old.attributes != new.attributes, Aspect::Attributes),
    ];
    kind.into_iter().chain(rest.into_iter().filter(|(differs, _)| *differs).map(|(_, aspect)| aspect)).collect()
}
