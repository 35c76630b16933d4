//! [`build()`]: the steps of a plan, in order, from what is wanted and what is there.
//!
//! **Invariants.** Steps follow the order of the items; in an item: blobs, manifests, the tags of what is
//! attached, the name. The names of a group
//! follow its last item. One blob or manifest is one step for each place that it must be brought to, however many items
//! need it.
//!
//! *Not here:* any question to anyone: this is a pure function.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::parts::blobs;
use super::seek::Seek;
use super::stock::{Key, Stock};
use super::walk::Walked;
use super::{Step, Summary, Work};
use crate::error::Result;
use crate::image::{Blob, Descriptor, Digest, Manifest, Reference, Wanted};

/// The steps in the making.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) list: Vec<Step>,
    /// The steps of each item, names left out.
    needs: Vec<BTreeSet<usize>>,
    /// Where each blob and manifest is brought.
    blobs: HashMap<Key, usize>,
    manifests: HashMap<Key, usize>,
    /// What makes a tag of something attached visible.
    tags: HashMap<Reference, usize>,
    /// The step that brings a blob to the destination at all, whatever the repository.
    first: HashMap<(Digest, u64), usize>,
    named: BTreeSet<usize>,
    sum: Summary,
}

/// The steps that bring what `walks` found and `stock` lacks.
pub(super) fn build(wanted: &[Wanted], walks: &[Result<Walked>], stock: &Stock, seek: &Seek<'_>) -> (Steps, Summary) {
    let mut steps = Steps { needs: vec![BTreeSet::new(); wanted.len()], ..Steps::default() };
    let there: HashSet<_> = stock.blobs().collect();
    let groups = Groups::of(wanted);
    for (at, (wanted_item, walk)) in wanted.iter().zip(walks).enumerate() {
        if let Ok(walked) = walk {
            let mut item = Builder { at, wanted: wanted_item, walked, stock, seek, there: &there, steps: &mut steps };
            item.blobs();
            item.manifests();
            item.tags();
        }
        steps.names(&groups.ending_with(at, wanted), wanted, walks);
    }
    let bytes_there = there.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size));
    let summary = Summary { blobs_there: there.len() as u64, bytes_there, ..steps.sum };
    (steps, summary)
}

/// Which items become visible together.
struct Groups<'a>(BTreeMap<&'a str, Vec<usize>>);

impl<'a> Groups<'a> {
    fn of(wanted: &'a [Wanted]) -> Self {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, one) in wanted.iter().enumerate() {
            if let Some(group) = &one.item.group {
                groups.entry(group).or_default().push(at);
            }
        }
        Self(groups)
    }

    /// The items whose names follow this one: those of a group that ends with it, or itself.
    fn ending_with(&self, at: usize, wanted: &[Wanted]) -> Vec<usize> {
        let mates = wanted[at].item.group.as_deref().and_then(|group| self.0.get(group));
        match mates {
            Some(mates) if mates.last() == Some(&at) => mates.clone(),
            Some(_) => Vec::new(),
            None => vec![at],
        }
    }
}

/// Adds the steps of one item.
struct Builder<'a> {
    at: usize,
    wanted: &'a Wanted,
    walked: &'a Walked,
    stock: &'a Stock,
    seek: &'a Seek<'a>,
    there: &'a HashSet<(Digest, u64)>,
    steps: &'a mut Steps,
}

impl Builder<'_> {
    fn key(&self, content: &Descriptor) -> Key {
        Key::new(content, self.wanted.name.repository(), self.seek)
    }

    fn blobs(&mut self) {
        let walked = self.walked;
        for manifest in walked.lacking() {
            for blob in blobs(manifest) {
                let key = self.key(blob);
                if !self.stock.has_blob(&key) {
                    self.blob(key, blob);
                }
            }
        }
    }

    fn blob(&mut self, key: Key, blob: &Descriptor) {
        if let Some(step) = self.steps.blobs.get(&key).copied() {
            return self.steps.need(self.at, step);
        }
        let content = (blob.digest, blob.size);
        let earlier = self.steps.first.get(&content).copied();
        let mounted = earlier.is_some() || self.there.contains(&content);
        self.steps.sum.count(blob.size, mounted);
        let work = Work::Blob {
            blob: Box::new(Blob::new(self.wanted.source.clone(), self.wanted.item.origin.repository().clone(), blob.clone())),
            to: self.wanted.name.repository().clone(),
            bytes_to_move: if mounted { 0 } else { blob.size },
        };
        let step = self.steps.add(self.at, work, earlier.into_iter().collect());
        self.steps.blobs.insert(key, step);
        self.steps.first.entry(content).or_insert(step);
    }

    fn manifests(&mut self) {
        let own: HashMap<Digest, Key> =
            self.walked.lacking().map(|manifest| (manifest.digest(), self.key(manifest.descriptor()))).collect();
        let walked = self.walked;
        for manifest in walked.lacking() {
            let key = self.key(manifest.descriptor());
            if let Some(step) = self.steps.manifests.get(&key).copied() {
                self.steps.need(self.at, step);
                continue;
            }
            let mut after = self.parts(manifest, &own);
            if after.is_empty() && self.stock.has_manifest(&key) {
                continue;
            }
            if self.comes_with_name(manifest) {
                self.steps.sum.manifests += 1;
                continue;
            }
            after.extend(manifest.subject().and_then(|subject| self.steps.manifests.get(own.get(&subject.digest)?)));
            let work = Work::Manifest { manifest: manifest.clone(), to: self.wanted.name.repository().clone() };
            self.steps.sum.manifests += 1;
            let step = self.steps.add(self.at, work, after.into_iter().collect());
            self.steps.manifests.insert(key, step);
        }
    }

    /// Whether a manifest is brought by the image's own name. What refers to the root must find it there before.
    fn comes_with_name(&self, manifest: &Manifest) -> bool {
        let walked = self.walked;
        let is_root = walked.root.digest == manifest.digest() && !walked.current && walked.attached.is_empty();
        is_root && self.wanted.name.tag().is_some() && self.seek.names_bring_manifests()
    }

    /// The tags of what is attached, so that they are there before the image can be seen.
    fn tags(&mut self) {
        for tag in &self.walked.tags {
            let Some(root) = &tag.root else { continue };
            if let Some(step) = self.steps.tags.get(&tag.name).copied() {
                self.steps.need(self.at, step);
                continue;
            }
            let after = self.steps.manifests.get(&self.key(root.descriptor())).copied().into_iter().collect();
            let step = self.steps.add(self.at, Work::Name { name: tag.name.clone(), root: root.clone() }, after);
            self.steps.tags.insert(tag.name.clone(), step);
        }
    }

    /// The steps that bring the blobs of a manifest and what it lists.
    fn parts(&self, manifest: &Manifest, own: &HashMap<Digest, Key>) -> BTreeSet<usize> {
        let of_blobs = blobs(manifest).filter_map(|blob| self.steps.blobs.get(&self.key(blob)));
        let of_children = manifest.children().iter().filter_map(|child| self.steps.manifests.get(own.get(&child.digest)?));
        of_blobs.chain(of_children).copied().collect()
    }
}

impl Steps {
    fn add(&mut self, item: usize, work: Work, after: Vec<usize>) -> usize {
        let step = self.list.len();
        self.list.push(Step { work, items: Vec::new(), after });
        self.need(item, step);
        step
    }

    /// An item needs a step.
    fn need(&mut self, item: usize, step: usize) {
        if self.needs[item].insert(step) {
            self.list[step].items.push(item);
        }
    }

    /// The names of items that become visible together, after everything that any of them needs. The first waits for
    /// all of that, the others for the first.
    fn names(&mut self, mates: &[usize], wanted: &[Wanted], walks: &[Result<Walked>]) {
        let all: BTreeSet<usize> = mates.iter().flat_map(|mate| self.needs[*mate].iter().copied()).collect();
        let mut after: Vec<usize> = all.into_iter().collect();
        let first = self.list.len();
        for (at, root) in mates.iter().filter_map(|at| Some((*at, root_to_name(walks[*at].as_ref().ok()?)?))) {
            let work = Work::Name { name: wanted[at].name.clone(), root };
            self.list.push(Step { work, items: vec![at], after: std::mem::replace(&mut after, vec![first]) });
            self.named.insert(at);
        }
    }

    /// Whether an item has any step.
    pub(super) fn brings(&self, item: usize) -> bool {
        !self.needs[item].is_empty() || self.named.contains(&item)
    }
}

impl Summary {
    fn count(&mut self, blob_bytes: u64, mounted: bool) {
        if mounted {
            self.mounts += 1;
            return;
        }
        self.blobs += 1;
        self.bytes_to_fetch = self.bytes_to_fetch.saturating_add(blob_bytes);
        self.largest_blob_bytes = self.largest_blob_bytes.max(blob_bytes);
    }
}

/// What a name must be made to stand for, unless it does.
fn root_to_name(walked: &Walked) -> Option<Arc<Manifest>> {
    let root = walked.nodes.iter().find(|node| node.digest == walked.root.digest)?;
    root.manifest.clone().filter(|_| !walked.current)
}
