//! [`walk()`]: what one item consists of, from its root down and to all that is attached.
//!
//! **Invariants.** A walk ends: indexes nest at most [`MAX_DEPTH`] deep, referrers too, and an item has at most
//! [`MAX_MANIFESTS`] manifests of [`MAX_BYTES`] in all. Every manifest stands after those that it lists, and after its
//! subject. An index is never changed: of platforms that nobody wants, only the children stay away.
//!
//! *Not here:* what the destination has (`stock`); the order over several items (`steps`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use super::parts::{carried, is_child, join, platforms_of};
use super::seek::Seek;
use super::tagged::{Presence, Signed, Tag};
use crate::error::{Error, Result};
use crate::image::manifest::{DOCKER_LIST, OCI_INDEX};
use crate::image::{Descriptor, Digest, Manifest, Platform, Tagged, Wanted};
use crate::monitor::{Event, SharedMonitor};

/// How deep indexes, and referrers of referrers, may nest.
pub(super) const MAX_DEPTH: usize = 8;
/// How many manifests one item may have.
pub(super) const MAX_MANIFESTS: usize = 100_000;
/// How many bytes of manifests one item may have.
pub(super) const MAX_BYTES: u64 = 128 << 20;

/// What an item consists of.
pub(super) struct Walked {
    pub(super) root: Descriptor,
    /// In the order in which they are brought.
    pub(super) nodes: Vec<Node>,
    pub(super) attached: Vec<Descriptor>,
    pub(super) tagged: Vec<Tagged>,
    /// What these are called at the destination.
    pub(super) tags: Vec<Tag>,
    /// Whether the root is signed, where that was looked at.
    pub(super) signed: Option<Signed>,
    pub(super) platforms: Vec<Platform>,
    /// The name stands for the root at the destination.
    pub(super) current: bool,
}

/// One manifest of an item.
pub(super) struct Node {
    pub(super) digest: Digest,
    /// It was read; one that is there need not be.
    pub(super) manifest: Option<Arc<Manifest>>,
    /// It is at the destination, with its blobs.
    pub(super) there: bool,
}

impl Walked {
    /// The manifests that are not known to be at the destination, in order.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &Arc<Manifest>> {
        self.nodes.iter().filter(|node| !node.there).filter_map(|node| node.manifest.as_ref())
    }
}

/// Walks one item. Where its name stands for its root at the destination already, only what is not there is read.
pub(super) async fn walk(wanted: &Wanted, seek: &Seek<'_>, monitor: &SharedMonitor) -> Result<Walked> {
    if let Some(error) = &wanted.failed {
        return Err(error.clone());
    }
    let unresolved = || Error::failed(format!("image {}: it was not resolved", wanted.item.origin));
    let root = wanted.item.root.clone().ok_or_else(unresolved)?;
    let current = seek.stands_for(&wanted.name, &root.digest).await?;
    let mut walker = Walker::new(wanted, seek, monitor, current);
    walker.bring(vec![root.clone()], false).await?;
    walker.place(&root.digest, 0)?;
    let platforms = walker.platforms()?;
    let tree: Vec<Digest> = walker.nodes.iter().map(|node| node.digest).collect();
    let (attached, tagged) = match (wanted.attachments.removed, wanted.pinned) {
        (true, _) => (Vec::new(), Vec::new()),
        (false, true) => (walker.pinned().await?, walker.pinned_tagged().await?),
        (false, false) => (walker.attached().await?, walker.tagged(&tree).await?),
    };
    walker.check_required()?;
    let signed = walker.signed();
    let root = walker.manifest(&root.digest).map_or(root, |manifest| described(manifest));
    Ok(Walked { root, nodes: walker.nodes, attached, tagged, tags: walker.tags, signed, platforms, current })
}

/// What a list of items says of a root: no annotations, which belong to the document.
fn described(manifest: &Manifest) -> Descriptor {
    Descriptor { annotations: None, ..manifest.descriptor().clone() }
}

/// What became of a manifest that was looked for.
pub(super) enum Found {
    Read { manifest: Arc<Manifest>, there: bool },
    There,
    Absent,
}

pub(super) struct Walker<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) seek: &'a Seek<'a>,
    pub(super) monitor: &'a SharedMonitor,
    /// What the destination has need not be read.
    pub(super) current: bool,
    pub(super) found: HashMap<Digest, Found>,
    bytes: u64,
    nodes: Vec<Node>,
    pub(super) placed: HashSet<Digest>,
    pub(super) tags: Vec<Tag>,
    pub(super) presence: Presence,
}

impl<'a> Walker<'a> {
    fn new(wanted: &'a Wanted, seek: &'a Seek<'a>, monitor: &'a SharedMonitor, current: bool) -> Self {
        let (found, placed) = (HashMap::new(), HashSet::new());
        let (nodes, tags, presence) = (Vec::new(), Vec::new(), Presence::default());
        Self { wanted, seek, monitor, current, found, bytes: 0, nodes, placed, tags, presence }
    }
}

impl Walker<'_> {
    /// Finds these manifests and all below them, level by level. One of the first level may be absent if `lenient`.
    pub(super) async fn bring(&mut self, mut level: Vec<Descriptor>, lenient: bool) -> Result<()> {
        for depth in 0..=MAX_DEPTH {
            let mut seen = HashSet::new();
            level.retain(|one| !self.found.contains_key(&one.digest) && seen.insert(one.digest));
            self.look(&level, if depth == 0 { lenient } else { self.wanted.sparse }).await?;
            level = level.iter().flat_map(|one| self.children(&one.digest)).collect();
            if level.is_empty() {
                return Ok(());
            }
        }
        Err(self.too_deep(&level[0].digest))
    }

    /// Looks for the manifests of one level, several at once.
    async fn look(&mut self, level: &[Descriptor], lenient: bool) -> Result<()> {
        if self.found.len() + level.len() > MAX_MANIFESTS {
            return Err(self.refused(format!("it has more than {MAX_MANIFESTS} manifests")));
        }
        let (wanted, seek, current) = (self.wanted, self.seek, self.current);
        let one = |content: &Descriptor| {
            let content = content.clone();
            async move { look(wanted, seek, current, &content).await.map(|found| (content.digest, found)) }.boxed()
        };
        let mut running = stream::iter(level).map(one).buffered(seek.jobs());
        while let Some(answer) = running.next().await {
            let (digest, found) = answer?;
            match &found {
                Found::Read { manifest, .. } => self.bytes += manifest.descriptor().size,
                Found::Absent if !lenient => return Err(self.absent(&digest)),
                Found::Absent | Found::There => {}
            }
            if self.bytes > MAX_BYTES {
                return Err(self.refused(format!("its manifests have more than {MAX_BYTES} bytes")));
            }
            self.found.insert(digest, found);
        }
        Ok(())
    }

    /// Puts a manifest in its place, after all that it lists.
    pub(super) fn place(&mut self, digest: &Digest, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(self.too_deep(digest));
        }
        if matches!(self.found.get(digest), None | Some(Found::Absent)) || !self.placed.insert(*digest) {
            return Ok(());
        }
        for child in self.children(digest) {
            self.place(&child.digest, depth + 1)?;
        }
        let (manifest, there) = match self.found.get(digest) {
            Some(Found::Read { manifest, there }) => (Some(manifest.clone()), *there),
            _ => (None, true),
        };
        self.nodes.push(Node { digest: *digest, manifest, there });
        Ok(())
    }

    /// What was pinned as attached, as far as what it is attached to is carried.
    async fn pinned(&mut self) -> Result<Vec<Descriptor>> {
        let listed = self.wanted.item.attached.clone();
        self.bring(listed.clone(), false).await?;
        let mut attached = Vec::new();
        for one in listed {
            if self.refers_to_placed(&one.digest) {
                self.place(&one.digest, 0)?;
                self.notice(&one);
                attached.push(one);
            }
        }
        Ok(attached)
    }

    /// What the source says is attached to anything carried, and to that, and so on.
    async fn attached(&mut self) -> Result<Vec<Descriptor>> {
        let (mut attached, mut asked) = (Vec::new(), 0);
        for _ in 0..=MAX_DEPTH {
            let listed = self.listed(asked).await?;
            asked = self.nodes.len();
            self.bring(listed.clone(), true).await?;
            for one in listed {
                if self.is_attached(&one.digest) {
                    self.place(&one.digest, 0)?;
                    let one = self.manifest(&one.digest).map_or(one, |manifest| manifest.descriptor().clone());
                    self.notice(&one);
                    attached.push(one);
                }
            }
            if self.nodes.len() == asked {
                return Ok(attached);
            }
        }
        Err(self.refused(format!("its referrers nest deeper than {MAX_DEPTH}")))
    }

    /// What refers to the nodes from `first` on, and is not known yet; each once.
    async fn listed(&self, first: usize) -> Result<Vec<Descriptor>> {
        let (wanted, seek) = (self.wanted, self.seek);
        let one = |node: &Node| {
            let digest = node.digest;
            async move { seek.referrers(wanted, &digest).await }.boxed()
        };
        let mut running = stream::iter(&self.nodes[first..]).map(one).buffered(seek.jobs());
        let (mut listed, mut seen) = (Vec::new(), HashSet::new());
        while let Some(answer) = running.next().await {
            listed.extend(answer?.into_iter().filter(|one| !self.found.contains_key(&one.digest) && seen.insert(one.digest)));
            if listed.len() > MAX_MANIFESTS {
                return Err(self.refused(format!("it has more than {MAX_MANIFESTS} referrers")));
            }
        }
        Ok(listed)
    }

    /// Whether a listed referrer is one; of another the person is told.
    fn is_attached(&self, digest: &Digest) -> bool {
        let (origin, place) = (&self.wanted.item.origin, self.wanted.source.place());
        let why = match self.found.get(digest) {
            Some(Found::Absent) => "it is not there",
            _ if !self.refers_to_placed(digest) => "it refers to something else",
            _ => return true,
        };
        self.monitor.event(Event::Warning(&format!("{origin}: {place} lists {digest} as attached, but {why}: left out")));
        false
    }

    /// Whether a manifest refers to one that is carried. One that is at the destination already did.
    fn refers_to_placed(&self, digest: &Digest) -> bool {
        match self.manifest(digest) {
            Some(manifest) => manifest.subject().is_some_and(|subject| self.placed.contains(&subject.digest)),
            None => true,
        }
    }

    pub(super) fn manifest(&self, digest: &Digest) -> Option<&Arc<Manifest>> {
        match self.found.get(digest)? {
            Found::Read { manifest, .. } => Some(manifest),
            Found::There | Found::Absent => None,
        }
    }

    fn children(&self, digest: &Digest) -> Vec<Descriptor> {
        let carried = self.manifest(digest).map(|manifest| carried(manifest, &self.wanted.item.wanted)).unwrap_or_default();
        carried.into_iter().filter(|child| is_child(child)).cloned().collect()
    }

    /// The platforms carried, in the order of the index.
    fn platforms(&self) -> Result<Vec<Platform>> {
        let read = || self.nodes.iter().rev().filter_map(|node| node.manifest.as_ref());
        let taken = read().flat_map(|manifest| carried(manifest, &self.wanted.item.wanted));
        let there = platforms_of(taken.filter(|child| self.placed.contains(&child.digest)));
        let offered = platforms_of(read().flat_map(|manifest| manifest.children()));
        if there.is_empty() && !offered.is_empty() {
            return Err(self.refused(format!("no platform {}; it has {}", join(&self.wanted.item.wanted), join(&offered))));
        }
        Ok(there)
    }

    pub(super) fn refused(&self, why: String) -> Error {
        Error::failed(format!("image {}: {why}", self.wanted.item.origin))
    }

    fn too_deep(&self, digest: &Digest) -> Error {
        self.refused(format!("its indexes nest deeper than {MAX_DEPTH}, at {digest}"))
    }

    fn absent(&self, digest: &Digest) -> Error {
        let place = self.wanted.source.place();
        let error = self.refused(format!("its manifest {digest} is not in {place}"));
        match self.nodes.is_empty() && self.wanted.item.digest() != Some(*digest) {
            true => error.hint("choose the platforms that are there with --platform"),
            false => error,
        }
    }
}

/// Looks for one manifest. With `current`, what the destination has is read only if it may list more.
async fn look(wanted: &Wanted, seek: &Seek<'_>, current: bool, content: &Descriptor) -> Result<Found> {
    let is_root = wanted.item.digest() == Some(content.digest);
    let there = current && (is_root || seek.has(wanted.name.repository(), content).await?);
    let is_image = content.is_manifest() && content.media_type != OCI_INDEX && content.media_type != DOCKER_LIST;
    if there && is_image {
        return Ok(Found::There);
    }
    let manifest = seek.manifest(wanted, content).await?;
    Ok(manifest.map_or(Found::Absent, |manifest| Found::Read { manifest, there }))
}
