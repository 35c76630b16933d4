//! [`Central`]: a registry that others mirror from, as the place that its images came from.
//!
//! **Invariants.** Images are asked for by their origins and answered by the names that a destination gives them; whoever reads sees origins
//! alone. It only reads.
//!
//! *Not here:* the registry itself, which names a destination gives (`image::place`).

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::Result;
use crate::image::attachment::subject_of;
use crate::image::place::Target;
use crate::image::{Body, Contents, Descriptor, Digest, Manifest, Reference, Rename, Repository, Source};

/// Images that have another name at a destination than their own.
pub type Renames = BTreeMap<Reference, Rename>;

/// A mirror, seen through the names that its images have at their origins.
pub struct Central {
    mirror: Arc<dyn Source>,
    target: Target,
    renames: Renames,
    /// For each origin, where images of it were found.
    found: Mutex<BTreeMap<Repository, Vec<Repository>>>,
}

impl Central {
    /// What `mirror` has below `target`.
    #[must_use]
    pub fn new(mirror: Arc<dyn Source>, target: Target, renames: &Renames) -> Self {
        Self { mirror, target, renames: renames.clone(), found: Mutex::default() }
    }

    /// The name of an image there.
    fn name(&self, origin: &Reference) -> Result<Reference> {
        let rename = self.renames.get(origin).cloned().unwrap_or_default();
        let there = self.target.name(origin, &rename, &origin.digest().unwrap_or_else(|| Digest::of(b"")))?;
        Ok(match origin.digest() {
            Some(digest) => there.repository().at(digest),
            None => there,
        })
    }

    /// The repositories there that may have what one has at its origin: where images were found, or else where they would be.
    fn repositories(&self, origin: &Repository) -> Result<Vec<Repository>> {
        if let Some(found) = self.found().get(origin) {
            return Ok(found.clone());
        }
        let name = self.target.name(&origin.clone().into(), &Rename::default(), &Digest::of(b""))?;
        Ok(vec![name.repository().clone()])
    }

    /// What the first of these repositories has that has it.
    async fn first<T, F>(&self, origin: &Repository, ask: impl Fn(Repository) -> F) -> Result<Option<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        for there in self.repositories(origin)? {
            if let Some(found) = ask(there).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<Repository, Vec<Repository>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for Central {
    fn place(&self) -> String {
        self.mirror.place()
    }

    /// What is attached by its tag is where the images are that it is attached to.
    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        if name.tag().is_some_and(|tag| subject_of(tag).is_some())
            && self.found().contains_key(name.repository())
            && !self.renames.contains_key(name)
        {
            let beside = |there: Repository| async move { self.mirror.resolve(&name.clone().moved(there)).await };
            return self.first(name.repository(), beside).await;
        }
        let there = self.name(name)?;
        let root = self.mirror.resolve(&there).await?;
        if root.is_some() {
            let mut found = self.found();
            let repositories = found.entry(name.repository().clone()).or_default();
            if !repositories.contains(there.repository()) {
                repositories.push(there.repository().clone());
            }
        }
        Ok(root)
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.first(repository, |there| async move { self.mirror.manifest(&there, wanted).await }).await
    }

    async fn blob_size(&self, repository: &Repository, blob: &Digest) -> Result<Option<u64>> {
        self.first(repository, |there| async move { self.mirror.blob_size(&there, blob).await }).await
    }

    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        let range = &range;
        self.first(repository, |there| async move { self.mirror.read(&there, blob, range.clone()).await }).await
    }

    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut all = Vec::new();
        for there in &self.repositories(repository)? {
            all.extend(self.mirror.referrers(there, subject).await?);
        }
        Ok(all)
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        self.first(repository, |there| async move { self.mirror.tags(&there).await }).await
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        Ok(None)
    }
}
