//! [`Stock`]: what of all that the wanted items consist of is at the destination already.
//!
//! **Invariants.** A blob is asked for once in each place; not in further repositories when it is absent from the first,
//! because a step brings it there and the others mount it. A manifest is asked for only where everything that it refers to is there, because
//! nothing holds a manifest without its parts.
//!
//! *Not here:* the steps that follow from it (`steps`).

use std::collections::{HashMap, HashSet};

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use super::parts::blobs;
use super::seek::Seek;
use super::walk::Walked;
use crate::error::{Error, Result};
use crate::image::{Descriptor, Digest, Manifest, Repository, Wanted};

/// A blob or manifest in one place; the size too, so that one who lies of it is alone with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) digest: Digest,
    pub(super) size: u64,
    shelf: Option<Repository>,
}

impl Key {
    pub(super) fn new(content: &Descriptor, to: &Repository, seek: &Seek<'_>) -> Self {
        Self { digest: content.digest, size: content.size, shelf: seek.shelf(to) }
    }
}

/// What the destination answered.
#[derive(Default)]
pub(super) struct Stock {
    blobs: HashMap<Key, Result<bool>>,
    manifests: HashMap<Key, Result<bool>>,
}

/// A question: this content, in this repository.
type Question = (Key, Descriptor, Repository);

impl Stock {
    /// Asks the destination for everything in `walks`.
    pub(super) async fn take(wanted: &[Wanted], walks: &[Result<Walked>], seek: &Seek<'_>) -> Self {
        let mut stock = Self::default();
        let groups = by_digest(wanted, walks, seek);
        stock.blobs = ask(groups, seek).await;
        let manifests = stock.candidates(wanted, walks, seek);
        stock.manifests = ask(manifests.into_iter().map(|one| vec![one]).collect(), seek).await;
        stock
    }

    /// Whether a blob is there.
    pub(super) fn has_blob(&self, key: &Key) -> bool {
        matches!(self.blobs.get(key), Some(Ok(true)))
    }

    /// Whether a manifest is there.
    pub(super) fn has_manifest(&self, key: &Key) -> bool {
        matches!(self.manifests.get(key), Some(Ok(true)))
    }

    /// Every blob that is there, somewhere.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (Digest, u64)> {
        self.blobs.iter().filter(|(_, there)| matches!(there, Ok(true))).map(|(key, _)| (key.digest, key.size))
    }

    /// Fails the items of which a part could not be asked for.
    pub(super) fn fail_unknown(&self, wanted: &[Wanted], walks: &mut [Result<Walked>], seek: &Seek<'_>) {
        for (wanted, walk) in wanted.iter().zip(walks) {
            if let Some(error) = walk.as_ref().ok().and_then(|walked| self.unknown(wanted, walked, seek)) {
                *walk = Err(error);
            }
        }
    }

    fn unknown(&self, wanted: &Wanted, walked: &Walked, seek: &Seek<'_>) -> Option<Error> {
        let to = wanted.name.repository();
        let failed = |answers: &HashMap<Key, Result<bool>>, content: &Descriptor| answers.get(&Key::new(content, to, seek))?.clone().err();
        walked.lacking().find_map(|manifest| {
            let of_blob = blobs(manifest).find_map(|blob| failed(&self.blobs, blob));
            of_blob.or_else(|| failed(&self.manifests, manifest.descriptor()))
        })
    }

    /// The manifests that may be there: those of which every blob, and every manifest listed, is or may be.
    fn candidates(&self, wanted: &[Wanted], walks: &[Result<Walked>], seek: &Seek<'_>) -> Vec<Question> {
        let mut list: Vec<Question> = Vec::new();
        let mut asked: HashSet<Key> = HashSet::new();
        for (wanted, walked) in walked(wanted, walks) {
            let to = wanted.name.repository();
            let mut may: HashMap<Digest, bool> = HashMap::new();
            for node in &walked.nodes {
                let fits = node.there || node.manifest.as_ref().is_some_and(|manifest| self.may_be_there(manifest, &may, to, seek));
                may.insert(node.digest, fits);
                let Some(manifest) = node.manifest.as_ref().filter(|_| fits && !node.there) else { continue };
                let key = Key::new(manifest.descriptor(), to, seek);
                if asked.insert(key.clone()) {
                    list.push((key, manifest.descriptor().clone(), to.clone()));
                }
            }
        }
        list
    }

    fn may_be_there(&self, manifest: &Manifest, may: &HashMap<Digest, bool>, to: &Repository, seek: &Seek<'_>) -> bool {
        let children = manifest.children().iter().all(|child| may.get(&child.digest) != Some(&false));
        children && blobs(manifest).all(|blob| self.has_blob(&Key::new(blob, to, seek)))
    }
}

/// The items that were walked, with their walks.
pub(super) fn walked<'a>(wanted: &'a [Wanted], walks: &'a [Result<Walked>]) -> impl Iterator<Item = (&'a Wanted, &'a Walked)> {
    wanted.iter().zip(walks).filter_map(|(wanted, walk)| Some((wanted, walk.as_ref().ok()?)))
}

/// All blobs, in the order in which they are met; one that goes to several repositories is one group.
fn by_digest(wanted: &[Wanted], walks: &[Result<Walked>], seek: &Seek<'_>) -> Vec<Vec<Question>> {
    let mut groups: Vec<Vec<Question>> = Vec::new();
    let mut places: HashMap<(Digest, u64), usize> = HashMap::new();
    let mut met: HashSet<Key> = HashSet::new();
    for (wanted, walked) in walked(wanted, walks) {
        let to = wanted.name.repository();
        for blob in walked.lacking().flat_map(|manifest| blobs(manifest)) {
            let key = Key::new(blob, to, seek);
            if !met.insert(key.clone()) {
                continue;
            }
            let place = *places.entry((blob.digest, blob.size)).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push((key, blob.clone(), to.clone()));
        }
    }
    groups
}

/// Asks group by group, several at once. Of a group, the rest is asked only if the first is not known to be absent.
async fn ask(groups: Vec<Vec<Question>>, seek: &Seek<'_>) -> HashMap<Key, Result<bool>> {
    let one = |group: Vec<Question>| ask_group(group, seek).boxed();
    let mut running = stream::iter(groups).map(one).buffer_unordered(seek.jobs());
    let mut all = HashMap::new();
    while let Some(answers) = running.next().await {
        all.extend(answers);
    }
    all
}

async fn ask_group(group: Vec<Question>, seek: &Seek<'_>) -> Vec<(Key, Result<bool>)> {
    let one = |(key, content, to): Question| async move { (key, seek.has(&to, &content).await) }.boxed();
    let mut questions = group.into_iter();
    let mut answers = Vec::new();
    if let Some(first) = questions.next() {
        answers.push(one(first).await);
    }
    if !matches!(answers.first(), Some((_, Ok(false)))) {
        answers.extend(stream::iter(questions).map(one).buffer_unordered(seek.jobs()).collect::<Vec<_>>().await);
    }
    answers
}
