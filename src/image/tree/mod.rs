//! [`Tree`]: the file system that the layers of an image make together, as a table of paths.
//!
//! **Invariants.** A path begins with no slash and has neither `.` nor `..` nor a link to follow in it; every directory above an entry is
//! there. Memory is bounded by [`MAX_TREE_BYTES`]: what needs more is an error.
//!
//! *Not here:* reading layers (`layering`), comparing trees (`changes`), the contents of files: a tree keeps their digests, or with
//! [`Unread`] no more than where they lie.

mod changes;
mod layering;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;

pub use changes::{Aspect, Change, Changed, Changes};
pub use layering::Layering;

use super::Digest;
use crate::error::{Error, Result};

/// The largest table of paths that is held, in bytes.
pub const MAX_TREE_BYTES: usize = 256 << 20;
/// The longest path or link target that is followed, in bytes, as Linux has it.
const MAX_PATH_BYTES: usize = 4096;
/// So many links are followed on one path, as Linux does.
const MAX_LINKS: u32 = 40;

/// Extended attributes, by name.
pub type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a tree keeps of the content of a file.
pub trait Content: Clone + Eq {
    /// What is kept of a file of so many bytes before any is read; none where its content has to be read first.
    fn before(bytes: u64) -> Option<Self>;
    /// What is kept of a file whose content has this SHA-256 digest.
    fn read(digest: Digest) -> Self;
}

/// Nothing is kept of the content, so that it need not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread;

impl Content for Digest {
    fn before(bytes: u64) -> Option<Self> {
        (bytes == 0).then(|| Self::of(b""))
    }

    fn read(digest: Digest) -> Self {
        digest
    }
}

impl Content for Unread {
    fn before(_: u64) -> Option<Self> {
        Some(Self)
    }

    fn read(_: Digest) -> Self {
        Self
    }
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<C = Digest> {
    /// What it is.
    pub what: What<C>,
    /// Permissions: the lower twelve bits of a mode.
    pub mode: u16,
    /// Owner and group.
    pub owner: (u64, u64),
    /// When it was modified: seconds since 1970, and nanoseconds after that.
    pub modified: (i64, u32),
    /// Extended attributes; none where there are none.
    pub attributes: Option<Box<Attributes>>,
    /// The layer that it comes from, 0 for the lowest.
    pub layer: u32,
    /// The entry that says what it is; further names of one file share it. None of a directory that no layer lists.
    pub entry: Option<Place>,
}

/// A place in the plain form of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The layer, 0 for the lowest.
    pub layer: u32,
    /// The bytes before it. Of an entry, it is where its content begins.
    pub at: u64,
}

/// What kind of thing is at a path. Further names of a file are files of the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What<C = Digest> {
    /// A file: its size in bytes, and what is kept of its content: by default its SHA-256 digest.
    File(u64, C),
    /// A symbolic link, with its target.
    Symlink(Box<[u8]>),
    /// A directory.
    Directory,
    /// A character device, by major and minor number.
    CharacterDevice(u64, u64),
    /// A block device, the same.
    BlockDevice(u64, u64),
    /// A fifo.
    Fifo,
}

/// The file system of an image, as far as its layers were read.
#[derive(Debug, Clone)]
pub struct Tree<C = Digest> {
    nodes: BTreeMap<Vec<u8>, Node<C>>,
    bytes: usize,
    layers: u32,
}

impl<C> Default for Tree<C> {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), bytes: 0, layers: 0 }
    }
}

impl<C: Content> Tree<C> {
    /// What an entry takes besides its path, targets and attributes, about.
    const ENTRY_BYTES: usize = size_of::<Node<C>>() + 64;

    /// Begins the next layer above those that were read.
    #[must_use]
    pub fn layer(self) -> Layering<C> {
        Layering::above(self)
    }

    /// Everything in it, sorted by path; the path of the root is empty.
    pub fn nodes(&self) -> impl Iterator<Item = (&[u8], &Node<C>)> {
        self.nodes.iter().map(|(path, node)| (path.as_slice(), node))
    }

    /// All of it, the same way.
    pub fn into_nodes(self) -> impl Iterator<Item = (Vec<u8>, Node<C>)> {
        self.nodes.into_iter()
    }

    /// Where the entry that a tar calls `path` belongs: links above it are followed, it itself is not.
    fn place(&self, path: &[u8]) -> Result<Vec<u8>> {
        let (mut place, mut links) = (Vec::new(), 0);
        let mut ahead: Vec<&[u8]> = cleaned(path)?;
        ahead.reverse();
        while let Some(name) = ahead.pop() {
            let above = place.len();
            match name {
                b"" | b"." => continue,
                b".." => {
                    place.truncate(place.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                    continue;
                }
                name => join(&mut place, name),
            }
            let Some(Node { what: What::Symlink(target), .. }) = self.nodes.get(place.as_slice()).filter(|_| !ahead.is_empty()) else {
                continue;
            };
            links += 1;
            if links > MAX_LINKS || target.len() > MAX_PATH_BYTES {
                return Err(Error::failed(format!("{}: the links on its path lead nowhere", shown(path))));
            }
            place.truncate(if target.starts_with(b"/") { 0 } else { above });
            ahead.extend(target.rsplit(|&byte| byte == b'/'));
        }
        Ok(place)
    }

    /// Puts a node at a place. Only a directory over a directory leaves what is below it.
    fn put(&mut self, place: Vec<u8>, node: Node<C>) -> Result<()> {
        self.make_parents(&place, node.layer)?;
        let is_directory = |node: &Node<C>| node.what == What::Directory;
        if self.nodes.get(place.as_slice()).is_some_and(|old| is_directory(old) && !is_directory(&node)) {
            self.remove_below(&place, |_| true);
        }
        self.insert(place, node)
    }

    /// Makes the directories above a place that no layer lists.
    fn make_parents(&mut self, place: &[u8], layer: u32) -> Result<()> {
        let mut rest = place;
        while let Some(above) = parent(rest) {
            match self.nodes.get(above) {
                Some(Node { what: What::Directory, .. }) => break,
                Some(_) => return Err(Error::failed(format!("{}: what is above it is no directory", shown(place)))),
                None => self.insert(above.to_vec(), Node::directory(layer))?,
            }
            rest = above;
        }
        Ok(())
    }

    fn insert(&mut self, place: Vec<u8>, node: Node<C>) -> Result<()> {
        self.bytes += Self::ENTRY_BYTES + place.len() + node.extra_bytes();
        if self.bytes > MAX_TREE_BYTES {
            return Err(Error::failed(format!("its list of files takes more than {} MiB of memory", MAX_TREE_BYTES >> 20)));
        }
        let length = place.len();
        if let Some(old) = self.nodes.insert(place, node) {
            self.bytes -= Self::ENTRY_BYTES + length + old.extra_bytes();
        }
        Ok(())
    }

    /// Hides what lower layers have at a place and below it.
    fn hide(&mut self, place: &[u8], layer: u32) -> Result<()> {
        if self.nodes.get(place).is_some_and(|old| old.layer < layer)
            && let Some((path, old)) = self.nodes.remove_entry(place)
        {
            self.bytes -= Self::ENTRY_BYTES + path.len() + old.extra_bytes();
        }
        self.hide_below(place, layer)
    }

    /// Hides what lower layers have below a directory. Directories that this layer needs and does not list are made anew.
    fn hide_below(&mut self, place: &[u8], layer: u32) -> Result<()> {
        self.remove_below(place, |node| node.layer < layer);
        let is_orphan = |path: &[u8]| parent(path).is_some_and(|above| !self.nodes.contains_key(above));
        let range = self.nodes.range(below(place));
        let orphans: Vec<Vec<u8>> = range.filter(|(path, _)| is_orphan(path)).map(|(path, _)| path.clone()).collect();
        orphans.iter().try_for_each(|path| self.make_parents(path, layer))
    }

    /// Removes some of what is below a place.
    fn remove_below(&mut self, place: &[u8], goes: impl Fn(&Node<C>) -> bool) {
        let going = self.nodes.extract_if(below(place), |_, node| goes(node));
        self.bytes -= going.map(|(path, old)| Self::ENTRY_BYTES + path.len() + old.extra_bytes()).sum::<usize>();
    }
}

/// The paths below a place.
fn below(place: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    if place.is_empty() {
        return (Bound::Excluded(Vec::new()), Bound::Unbounded);
    }
    (Bound::Excluded([place, b"/"].concat()), Bound::Excluded([place, &[b'/' + 1]].concat()))
}

impl<C> Node<C> {
    /// A directory that no layer lists: as programs that unpack layers make it.
    #[must_use]
    pub fn directory(layer: u32) -> Self {
        Self { what: What::Directory, mode: 0o755, owner: (0, 0), modified: (0, 0), attributes: None, layer, entry: None }
    }

    /// What it takes besides the memory of every node, in bytes.
    #[must_use]
    pub fn extra_bytes(&self) -> usize {
        let target = if let What::Symlink(target) = &self.what { target.len() } else { 0 };
        let attributes = self.attributes.iter().flat_map(|all| all.iter());
        target + attributes.map(|(name, value)| 128 + name.len() + value.len()).sum::<usize>()
    }
}

/// The names on a path, without those that mean nothing. As when layers are unpacked, `..` takes back the name before it, whatever
/// that is, and nothing leads out of the root.
fn cleaned(path: &[u8]) -> Result<Vec<&[u8]>> {
    if path.len() > MAX_PATH_BYTES {
        return Err(Error::failed(format!("{}…: a path of {} bytes is too long", shown(&path[..64]), path.len())));
    }
    let mut names = Vec::new();
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    Ok(names)
}

fn join(place: &mut Vec<u8>, name: &[u8]) {
    if !place.is_empty() {
        place.push(b'/');
    }
    place.extend_from_slice(name);
}

/// The directory that a path is in; none above the root.
#[must_use]
pub fn parent(place: &[u8]) -> Option<&[u8]> {
    let end = place.iter().rposition(|&byte| byte == b'/');
    (!place.is_empty()).then(|| &place[..end.unwrap_or(0)])
}

/// A path as people see it.
fn shown(path: &[u8]) -> String {
    let path = path.strip_prefix(b"./").or(path.strip_prefix(b"/")).unwrap_or(path);
    format!("/{}", String::from_utf8_lossy(path))
}
