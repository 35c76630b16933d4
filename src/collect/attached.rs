//! Tags that were found in a list and are of something attached: they travel with what they are attached to.
//!
//! **Invariants.** Only a tag that nobody asked for by name is taken for an attachment. What is attached to no image of the run is an
//! image of its own.
//!
//! *Not here:* bringing attachments along (`plan`).

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use super::{Answer, Candidate, Choices};
use crate::image::attachment::subject_of;
use crate::image::manifest::{DOCKER_LIST, OCI_INDEX};
use crate::image::{Descriptor, Digest, Repository, Source};

/// How deep indexes may nest.
const MAX_DEPTH: usize = 8;

/// Manifests that belong to images of a run, each in its repository.
type Known = HashSet<(Repository, Digest)>;

/// Takes out what was found under a tag that is of something attached.
pub(super) fn part(candidates: &mut Vec<Candidate>) -> Vec<Candidate> {
    candidates.extract_if(.., |candidate| candidate.by_tag && subject(candidate).is_some()).collect()
}

/// Of these, those that are attached to none of the images that were `found`.
pub(super) async fn without_subject(mut attached: Vec<Candidate>, found: &[Candidate], choices: &Choices) -> Vec<Candidate> {
    let there = found.iter().filter(|found| found.answer == Answer::There);
    let all: Vec<Listed> = there.filter_map(Listed::of).collect();
    let mut known: Known = all.iter().map(|one| (one.repository.clone(), one.root.digest)).collect();
    attached.retain(|one| !is_known(one, &known));
    let homes: HashSet<Repository> = attached.iter().map(|one| one.item.origin.repository().clone()).collect();
    let mut level: Vec<Listed> = all.into_iter().filter(|one| homes.contains(&one.repository)).collect();
    for _ in 0..MAX_DEPTH {
        if attached.is_empty() || level.is_empty() {
            break;
        }
        level = children(level, choices.jobs).await;
        level.retain(|one| known.insert((one.repository.clone(), one.root.digest)));
        attached.retain(|one| !is_known(one, &known));
    }
    attached
}

fn subject(candidate: &Candidate) -> Option<Digest> {
    candidate.item.origin.tag().and_then(subject_of).map(|(subject, _)| subject)
}

fn is_known(candidate: &Candidate, known: &Known) -> bool {
    subject(candidate).is_some_and(|subject| known.contains(&(candidate.item.origin.repository().clone(), subject)))
}

/// A manifest where it was found.
struct Listed {
    source: Arc<dyn Source>,
    repository: Repository,
    root: Descriptor,
}

impl Listed {
    fn of(candidate: &Candidate) -> Option<Self> {
        let (source, repository) = (candidate.source.clone(), candidate.item.origin.repository().clone());
        Some(Self { source, repository, root: candidate.item.root.clone()? })
    }

    /// What it lists; nothing where it cannot be read, which is told when the image is brought.
    async fn children(self) -> Vec<Self> {
        if self.root.media_type != OCI_INDEX && self.root.media_type != DOCKER_LIST {
            return Vec::new();
        }
        let Ok(Some(manifest)) = self.source.manifest(&self.repository, &self.root).await else { return Vec::new() };
        let child = |root: &Descriptor| Self { source: self.source.clone(), repository: self.repository.clone(), root: root.clone() };
        manifest.children().iter().map(child).collect()
    }
}

async fn children(level: Vec<Listed>, jobs: usize) -> Vec<Listed> {
    let one = |listed: Listed| listed.children().boxed();
    let mut running = stream::iter(level).map(one).buffered(jobs.max(1));
    let mut all = Vec::new();
    while let Some(children) = running.next().await {
        all.extend(children);
    }
    all
}
