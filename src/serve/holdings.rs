//! [`Holdings`]: what belongs to a repository: its manifests, their blobs, and which of them refer to which.
//!
//! **Invariants.** Content of another repository is not answered for. A repository that is too large to be held, or has a manifest that
//! cannot be read, is open: all that is at hand is answered for there, since nobody may lose what is sound. Memory is bounded by
//! [`MAX_HELD`], whatever an archive says.
//!
//! *Not here:* whether content is at hand (`Inside`), and what a referrer says of itself (`referrers`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::names::{Names, Number};
use crate::image::{Descriptor, Digest, Inside, Manifest};

/// The most digests that are held for all repositories together; one takes about a hundred bytes.
const MAX_HELD: usize = 200_000;

/// What belongs to one repository.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// Its manifests, with the media type by which each was referred to.
    manifests: BTreeMap<Digest, String>,
    /// Its blobs, sorted.
    blobs: Vec<Digest>,
    /// For a manifest, those that refer to it, in order of their digests.
    referrers: BTreeMap<Digest, Vec<Digest>>,
    /// Whether what is not listed may belong to it too.
    open: bool,
}

impl Holdings {
    /// Walks all manifests of a repository.
    fn of(names: &Names, repository: Number, inside: &dyn Inside) -> Self {
        let mut holdings = Self::default();
        let mut todo: Vec<Descriptor> = names.roots(repository, inside.contents()).cloned().collect();
        while let Some(next) = todo.pop() {
            if holdings.manifests.contains_key(&next.digest) {
                continue;
            }
            if holdings.held() + todo.len() > MAX_HELD {
                holdings.open = true;
                break;
            }
            match inside.manifest(&next) {
                Ok(Some(manifest)) => todo.extend(holdings.take(&manifest)),
                Ok(None) => {}
                Err(_) => holdings.open = true,
            }
        }
        holdings.blobs.sort_unstable();
        holdings.blobs.dedup();
        holdings.referrers.values_mut().for_each(|referrers| referrers.sort_unstable());
        holdings
    }

    /// Takes in a manifest; what it lists is walked next.
    fn take(&mut self, manifest: &Manifest) -> Vec<Descriptor> {
        self.manifests.insert(manifest.digest(), manifest.descriptor().media_type.clone());
        self.blobs.extend(manifest.blobs().map(|blob| blob.digest));
        if let Some(subject) = manifest.subject() {
            self.referrers.entry(subject.digest).or_default().push(manifest.digest());
        }
        manifest.children().iter().map(|child| Descriptor::new(child.media_type.clone(), child.digest, child.size)).collect()
    }

    /// The manifest to ask for, if it belongs to the repository.
    pub(super) fn manifest(&self, digest: &Digest) -> Option<Descriptor> {
        let known = self.manifests.get(digest).map(String::as_str);
        known.or(self.open.then_some("")).map(|media_type| Descriptor::new(media_type, *digest, 0))
    }

    /// Whether a blob belongs to the repository; its manifests are blobs too.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.open || self.blobs.binary_search(digest).is_ok() || self.manifests.contains_key(digest)
    }

    /// The manifests that refer to `subject`, after `last`.
    pub(super) fn referrers(&self, subject: &Digest, last: Option<Digest>) -> &[Digest] {
        let all = self.referrers.get(subject).map_or(&[][..], Vec::as_slice);
        let start = last.map_or(0, |last| all.partition_point(|digest| *digest <= last));
        all.get(start..).unwrap_or_default()
    }

    /// How many digests this is.
    fn held(&self) -> usize {
        self.manifests.len() + self.blobs.len()
    }
}

/// The holdings of the repositories that were asked for last.
#[derive(Default)]
pub(super) struct Walked {
    /// The walks that were begun, the latest last. Each is made once, by the first who asks; the others wait for it.
    walks: Mutex<VecDeque<(Number, Arc<Walk>)>>,
}

type Walk = std::sync::OnceLock<Arc<Holdings>>;

impl Walked {
    /// What belongs to `repository`. Blocks.
    pub(super) fn of(&self, names: &Names, repository: Number, inside: &dyn Inside) -> Arc<Holdings> {
        let walk = self.begun(repository);
        let holdings = walk.get_or_init(|| Arc::new(Holdings::of(names, repository, inside))).clone();
        self.bound();
        holdings
    }

    fn begun(&self, repository: Number) -> Arc<Walk> {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = walks.iter().position(|(number, _)| *number == repository).and_then(|place| walks.remove(place));
        let walk = known.map(|(_, walk)| walk).unwrap_or_default();
        walks.push_back((repository, walk.clone()));
        walk
    }

    /// Forgets those that nobody asked for in the longest time.
    fn bound(&self) {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        // An empty repository counts too: the list itself takes room.
        let held = |walk: &Walk| walk.get().map_or(0, |holdings| holdings.held()) + 1;
        let mut sum: usize = walks.iter().map(|(_, walk)| held(walk)).sum();
        while sum > MAX_HELD
            && walks.len() > 1
            && let Some((_, oldest)) = walks.pop_front()
        {
            sum -= held(&oldest);
        }
    }
}
