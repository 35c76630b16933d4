//! [`find`] and [`fetch`]: the old blobs that a delta can be made after, in the registries that they came from.
//!
//! **Invariants.** A blob that is gone, cannot be asked for or lies costs what could have been taken from it; a warning names it, and the
//! run goes on. A repository that does not answer is asked once.
//!
//! *Not here:* which blobs are of use, and what is kept of them (`store::archive`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _};

use super::origins::upstream;
use super::{ReadBack, Settings};
use crate::error::{Error, Result};
use crate::image::{Blob, Descriptor, Digest, Repository, Source};
use crate::monitor::Event;
use crate::store::archive::{OldBlob, Recalled};

/// So many blobs are named.
const MOST_NAMES: usize = 5;

/// Looks for old blobs where the images came from that needed them.
pub(super) async fn find(wanted: &[OldBlob], settings: &Settings) -> Arc<Recalled> {
    let near = Near { registries: Arc::new(upstream(settings)), silent: Mutex::default() };
    let look = |old| {
        let near = &near;
        async move { (old, near.look(old).await) }
    };
    let looks = stream::iter(wanted).map(look).buffered(settings.jobs.max(1));
    let all: Vec<(&OldBlob, Result<Blob>)> = looks.collect().await;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (old, looked) in all {
        match looked {
            Ok(blob) => found.push((old, blob)),
            Err(error) => failed.push((old.digest, error)),
        }
    }
    warn(&failed, settings);
    Arc::new(Recalled::new(found, &settings.workspace()))
}

/// Reads back what was found.
pub(super) async fn fetch(recalled: &Recalled, settings: &Settings) -> Result<()> {
    let total = recalled.blobs();
    let tell = |done| settings.monitor.event(Event::Counted { what: "reading old blobs", done, total });
    recalled.fetch(settings.jobs, tell).await?;
    warn(&recalled.failed(), settings);
    Ok(())
}

/// What is read back, in numbers.
pub(super) fn summary(recalled: &Recalled) -> Option<ReadBack> {
    let back = ReadBack { blobs: recalled.blobs(), bytes: recalled.bytes(), spool_bytes: recalled.spool_bytes() };
    (back.blobs > 0).then_some(back)
}

fn warn(failed: &[(Digest, Error)], settings: &Settings) {
    let warning = |text: &str| settings.monitor.event(Event::Warning(text));
    for (digest, error) in failed.iter().take(MOST_NAMES) {
        warning(&format!("old blob {digest}: {error}; nothing is compressed after its content"));
    }
    if let Some(more @ 1..) = failed.len().checked_sub(MOST_NAMES) {
        warning(&format!("{more} more old blobs could not be read"));
    }
}

/// The registries on the near side.
struct Near {
    registries: Arc<dyn Source>,
    /// The repositories that did not answer, and why.
    silent: Mutex<BTreeMap<Repository, Error>>,
}

impl Near {
    async fn look(&self, old: &OldBlob) -> Result<Blob> {
        let mut failed = None;
        for repository in &old.repositories {
            match self.ask(repository, &old.digest).await {
                Ok(Some(bytes)) if bytes == old.bytes => {
                    let descriptor = Descriptor::new("", old.digest, bytes);
                    return Ok(Blob::new(Arc::clone(&self.registries), repository.clone(), descriptor));
                }
                Ok(Some(bytes)) => failed = Some(Error::damaged(format!("{repository} has {bytes} bytes, and it has {}", old.bytes))),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        let places: BTreeSet<String> = old.repositories.iter().map(ToString::to_string).collect();
        let places: Vec<String> = places.into_iter().take(MOST_NAMES).collect();
        Err(failed.unwrap_or_else(|| Error::failed(format!("it is not in {} any more", places.join(", ")))))
    }

    /// The size of a blob there.
    async fn ask(&self, repository: &Repository, digest: &Digest) -> Result<Option<u64>> {
        let known = self.silent.lock().unwrap_or_else(PoisonError::into_inner).get(repository).cloned();
        if let Some(error) = known {
            return Err(error);
        }
        let asked = self.registries.blob_size(repository, digest).await;
        if let Err(error) = &asked {
            self.silent.lock().unwrap_or_else(PoisonError::into_inner).insert(repository.clone(), error.clone());
        }
        asked
    }
}
