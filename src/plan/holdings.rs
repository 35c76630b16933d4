//! [`Holdings`]: what a place holds, as a receipt lists it: manifests and blobs, each with one repository.
//!
//! **Invariants.** Only manifests are read. A walk ends: it goes at most `MAX_LEVELS` deep and takes at most `MAX_MANIFESTS`
//! manifests. Of several repositories with the same content the first by name is kept, so that the same place gives the same list.
//!
//! *Not here:* what is visible there (`workflow`), what a receipt is for.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};

use super::parts::{blobs, is_child};
use crate::error::{Error, Result};
use crate::image::receipt::Stored;
use crate::image::{Descriptor, Digest, Manifest, Repository, Source};

/// How deep indexes and referrers may nest together.
const MAX_LEVELS: usize = 16;
/// How many manifests one walk takes.
const MAX_MANIFESTS: usize = 1_000_000;

/// What a place holds.
#[derive(Debug, Default)]
pub struct Holdings {
    manifests: BTreeMap<Digest, (u64, Repository)>,
    blobs: BTreeMap<Digest, (u64, Repository)>,
}

impl Holdings {
    /// Notes a manifest that is in `repository`, and the blobs that are there with it.
    pub fn take(&mut self, manifest: &Manifest, repository: &Repository) {
        note(&mut self.manifests, manifest.descriptor(), repository);
        blobs(manifest).for_each(|blob| note(&mut self.blobs, blob, repository));
    }

    /// Notes everything below `roots` in a repository of `source`, and what is attached to it; up to `jobs` questions at once.
    /// What is listed and is not there is passed over. Answers what could not be read, and why.
    pub async fn walk(&mut self, source: &dyn Source, repository: &Repository, roots: Vec<Descriptor>, jobs: usize) -> Result<Vec<Error>> {
        let (mut level, mut seen, mut unread) = (roots, BTreeSet::new(), Vec::new());
        for _ in 0..=MAX_LEVELS {
            level.retain(|one| seen.insert(one.digest));
            if level.is_empty() {
                return Ok(unread);
            }
            if self.manifests.len() + level.len() > MAX_MANIFESTS {
                return Err(Error::failed(format!("{}: it holds more than {MAX_MANIFESTS} manifests", source.place()))
                    .hint("name fewer repositories"));
            }
            let one = |wanted: Descriptor| async move { look(source, repository, &wanted).await }.boxed();
            let mut running = stream::iter(std::mem::take(&mut level)).map(one).buffered(jobs.max(1));
            while let Some(found) = running.next().await {
                match found {
                    Ok(Some((manifest, attached))) => {
                        self.take(&manifest, repository);
                        level.extend(manifest.children().iter().filter(|child| is_child(child)).cloned());
                        level.extend(attached);
                    }
                    Ok(None) => {}
                    Err(error) => unread.push(error),
                }
            }
        }
        unread.push(Error::failed(format!("{repository}: its manifests nest deeper than {MAX_LEVELS}")));
        Ok(unread)
    }

    /// Manifests and blobs, by digest.
    #[must_use]
    pub fn into_lists(self) -> (Vec<Stored>, Vec<Stored>) {
        let list = |all: BTreeMap<Digest, (u64, Repository)>| {
            all.into_iter().map(|(digest, (size, repository))| Stored { digest, size, repository }).collect()
        };
        (list(self.manifests), list(self.blobs))
    }
}

/// A manifest, with what is attached to it; `None` where it is not there.
async fn look(source: &dyn Source, repository: &Repository, wanted: &Descriptor) -> Result<Option<(Manifest, Vec<Descriptor>)>> {
    let Some(manifest) = source.manifest(repository, wanted).await? else { return Ok(None) };
    let attached = source.referrers(repository, &wanted.digest).await?;
    Ok(Some((manifest, attached)))
}

fn note(all: &mut BTreeMap<Digest, (u64, Repository)>, content: &Descriptor, repository: &Repository) {
    match all.get_mut(&content.digest) {
        Some((_, there)) if *there <= *repository => {}
        Some((_, there)) => there.clone_from(repository),
        None => drop(all.insert(content.digest, (content.size, repository.clone()))),
    }
}
