//! The two ends of a [`Lab`].

use std::ops::Range;

use async_trait::async_trait;

use super::{Lab, Running};
use crate::error::{Error, Result};
use crate::image::ends::{Moved, Rest};
use crate::image::{Blob, Body, Contents, Descriptor, Digest, Manifest, Reference, Repository, Sink, Source};

#[async_trait]
impl Source for Lab {
    fn place(&self) -> String {
        "lab".to_owned()
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        self.step(format!("resolve {name}")).await?;
        let state = self.state();
        if state.answer.is_some() {
            return Ok(state.answer.clone());
        }
        let root = name.digest().or_else(|| state.names.get(name).copied()).filter(|root| state.holds(name.repository(), root));
        Ok(root.and_then(|root| state.documents.get(&root)).map(|manifest| manifest.descriptor().clone()))
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.step(format!("manifest {} of {repository}", wanted.digest)).await?;
        let state = self.state();
        Ok(state.documents.get(&wanted.digest).filter(|_| state.holds(repository, &wanted.digest)).cloned())
    }

    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        self.step(format!("read {} of {repository}", blob.digest)).await?;
        let state = self.state();
        let bytes = state.bytes.get(&blob.digest).filter(|_| state.holds(repository, &blob.digest));
        Ok(bytes.map(|bytes| Body::from_bytes(bytes.slice(range.start as usize..range.end as usize))))
    }

    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.step(format!("referrers {subject} of {repository}")).await?;
        Ok(self.state().referrers.iter().filter(|(of, _)| of == subject).map(|(_, one)| one.clone()).collect())
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        self.step(format!("tags {repository}")).await?;
        let state = self.state();
        let names = state.names.keys().filter(|name| name.repository() == repository);
        let tags: Vec<_> = names.filter_map(|name| name.tag().map(str::to_owned)).collect();
        Ok(Some(tags).filter(|tags| !tags.is_empty()))
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        Ok(self.state().listing.clone())
    }
}

#[async_trait]
impl Sink for Lab {
    fn place(&self) -> String {
        "target".to_owned()
    }

    fn shares_blobs(&self) -> bool {
        self.state().shares
    }

    async fn current(&self, name: &Reference) -> Result<Option<Digest>> {
        self.step(format!("current {name}")).await?;
        let state = self.state();
        Ok(state.names.get(name).copied().filter(|_| !state.nameless))
    }

    async fn has(&self, repository: &Repository, content: &Descriptor) -> Result<bool> {
        self.step(format!("has {} in {repository}", content.digest)).await?;
        Ok(self.state().holds(repository, &content.digest))
    }

    async fn put(&self, repository: &Repository, blob: &Blob, moved: &Moved) -> Result<Rest> {
        let digest = blob.descriptor().digest;
        let mount = self.state().held.iter().any(|(_, held)| *held == digest);
        let _running = Running::new(self);
        let line = format!("{} {digest} to {repository}", if mount { "mount" } else { "put" });
        self.trickle(&line, moved).await;
        let rest = self.step(line).await?;
        if self.state().holds(repository, &digest) {
            return Err(Error::failed(format!("blob {digest} in {repository}: it was there")));
        }
        if !mount {
            let bytes = blob.whole().await?.collect(1 << 20, "blob").await?;
            moved(bytes.len() as u64);
            self.state().bytes.insert(digest, bytes);
        }
        self.state().hold(repository, digest);
        Ok(rest)
    }

    async fn put_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<Rest> {
        if let Some(lacking) = self.state().lacks(repository, manifest) {
            return Err(Error::failed(format!("manifest {} in {repository}: {lacking} is not there", manifest.digest())));
        }
        let rest = self.step(format!("push {} to {repository}", manifest.digest())).await?;
        let mut state = self.state();
        state.hold(repository, manifest.digest());
        state.documents.insert(manifest.digest(), manifest.clone());
        Ok(rest)
    }

    async fn point(&self, name: &Reference, root: &Manifest) -> Result<Rest> {
        if !self.state().holds(name.repository(), &root.digest()) {
            return Err(Error::failed(format!("name {name}: {} is not there", root.digest())));
        }
        let rest = self.step(format!("point {name} at {}", root.digest())).await?;
        self.state().names.insert(name.clone(), root.digest());
        Ok(rest)
    }

    async fn finish(self: Box<Self>, contents: &Contents) -> Result<()> {
        self.state().finished = Some(contents.clone());
        Ok(())
    }
}
