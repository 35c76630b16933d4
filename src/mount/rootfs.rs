//! [`Rootfs`]: the root file system of an image, as a table that directories are listed from.
//!
//! **Invariants.** The same layers make the same table, entry by entry: a place in it is as good as a number that was handed out. The
//! entries of a directory lie together, sorted by name. Names of one file share its first entry. Contents of files are not read to make
//! it: it says where they lie.
//!
//! *Not here:* what hides what (`image::tree`), and how entries look from outside (`view`).

use std::collections::HashMap;
use std::ops::Range;

use super::names::MAX_NAME_BYTES;
use super::numbers::MAX_ENTRIES;
use super::plains::{Extent, Plains};
use crate::error::{Error, Result};
use crate::image::Descriptor;
use crate::image::tree::{Node, Place, Tree, Unread, What, parent};

/// The root file system of an image. Its root is entry 0.
pub(super) struct Rootfs {
    entries: Vec<Entry>,
    /// The plain forms of the layers, lowest first.
    layers: Vec<Extent>,
    unshown: usize,
}

/// What a path stands for.
pub(super) struct Entry {
    pub(super) name: Box<[u8]>,
    pub(super) node: Node<Unread>,
    /// The entries of a directory.
    pub(super) children: Range<u32>,
    /// The first entry that is this file.
    pub(super) first: u32,
    /// How many names this file has; of a directory, how many directories lead to it.
    pub(super) links: u32,
}

impl Rootfs {
    /// The root file system that these layers make, lowest first.
    pub(super) fn of(plains: &Plains, layers: &[&Descriptor]) -> Result<Self> {
        let (mut tree, mut extents) = (Tree::default(), Vec::with_capacity(layers.len()));
        for layer in layers {
            let of_it = |error: Error| error.context(format!("layer {}", layer.digest));
            if layer.is_foreign() {
                return Err(of_it(Error::needed("registries do not hold it")));
            }
            plains.prove(&layer.digest)?;
            let extent = plains.plain(&layer.digest)?;
            tree = tree.over_headers(extent.bytes, |at, most| plains.some(&extent, at, most)).map_err(of_it)?;
            extents.push(extent);
        }
        Self::table(tree, extents)
    }

    /// The table of a tree. Names that no system call takes are left out, with what is below them.
    fn table(tree: Tree<Unread>, layers: Vec<Extent>) -> Result<Self> {
        let mut all: Vec<(Vec<u8>, Node<Unread>)> = tree.into_nodes().collect();
        if all.is_empty() {
            all.push((Vec::new(), Node::directory(0)));
        }
        if all[0].1.what != What::Directory {
            return Err(Error::failed("its root is no directory"));
        }
        let mut below = children(&all);
        let (mut order, mut unshown) = (vec![(0, 0..0)], 0);
        let mut at = 0;
        while at < order.len() {
            let mut children = std::mem::take(&mut below[order[at].0]);
            let before = children.len();
            children.retain(|&child| name(&all[child].0).len() <= MAX_NAME_BYTES);
            unshown += before - children.len();
            children.sort_unstable_by(|&one, &other| name(&all[one].0).cmp(name(&all[other].0)));
            let first = order.len() as u32;
            order[at].1 = first..first + children.len() as u32;
            order.extend(children.into_iter().map(|child| (child, 0..0)));
            at += 1;
        }
        if order.len() > MAX_ENTRIES {
            return Err(Error::failed(format!("it has more than {MAX_ENTRIES} files")));
        }
        let entry = |(from, children): (usize, Range<u32>)| {
            let (path, node) = std::mem::replace(&mut all[from], (Vec::new(), Node::directory(0)));
            Entry { name: name(&path).into(), node, children, first: 0, links: 1 }
        };
        let mut rootfs = Self { entries: order.into_iter().map(entry).collect(), layers, unshown };
        rootfs.link();
        Ok(rootfs)
    }

    /// Finds out which names are of one file, and counts what leads to each.
    fn link(&mut self) {
        let mut files: HashMap<Place, (u32, u32)> = HashMap::new();
        let entries = (0u32..).zip(&self.entries);
        for (at, place) in entries.filter(|(_, entry)| !entry.is_directory()).filter_map(|(at, entry)| Some((at, entry.node.entry?))) {
            files.entry(place).or_insert((at, 0)).1 += 1;
        }
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            let directories = |range: &Range<u32>| self.range(range).iter().filter(|child| child.is_directory()).count() as u32;
            let (first, links) = match entry.node.entry.filter(|_| !entry.is_directory()).and_then(|place| files.get(&place)) {
                Some(&(first, links)) => (first, links),
                None if entry.is_directory() => (at as u32, 2 + directories(&entry.children)),
                None => (at as u32, 1),
            };
            let entry = &mut self.entries[at];
            (entry.first, entry.links) = (first, links);
        }
    }

    /// An entry.
    pub(super) fn get(&self, entry: u32) -> Option<&Entry> {
        self.entries.get(entry as usize)
    }

    /// The entry of a directory that has this name.
    pub(super) fn find(&self, directory: &Entry, name: &[u8]) -> Option<u32> {
        let at = self.range(&directory.children).binary_search_by(|child| (*child.name).cmp(name)).ok()?;
        Some(directory.children.start + at as u32)
    }

    /// Where the content of a file of so many bytes lies.
    pub(super) fn content(&self, entry: &Entry, bytes: u64) -> Option<Extent> {
        let place = entry.node.entry?;
        let layer = self.layers.get(place.layer as usize)?;
        let bytes = layer.bytes.checked_sub(place.at)?.min(bytes);
        Some(Extent { start: place.at, bytes, ..*layer })
    }

    /// How many names are not shown, because they are too long.
    pub(super) fn unshown(&self) -> usize {
        self.unshown
    }

    /// What it takes, in bytes, about.
    pub(super) fn weight(&self) -> usize {
        let extra = |entry: &Entry| size_of::<Entry>() + 16 + entry.name.len() + entry.node.extra_bytes();
        self.entries.iter().map(extra).sum::<usize>() + self.layers.len() * size_of::<Extent>()
    }

    fn range(&self, range: &Range<u32>) -> &[Entry] {
        self.entries.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

impl Entry {
    pub(super) fn is_directory(&self) -> bool {
        self.node.what == What::Directory
    }
}

/// The children of each entry of a sorted list of paths.
fn children(all: &[(Vec<u8>, Node<Unread>)]) -> Vec<Vec<usize>> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    let mut directories: HashMap<&[u8], usize> = HashMap::new();
    for (at, (path, node)) in all.iter().enumerate() {
        if let Some(above) = parent(path).and_then(|above| directories.get(above)) {
            below[*above].push(at);
        }
        if node.what == What::Directory {
            directories.insert(path, at);
        }
    }
    below
}

/// The last name of a path.
fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}
