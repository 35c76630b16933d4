//! [`Registry`]: registries as a [`Source`], and [`RegistrySink`]: one registry as a sink (OCI distribution-spec 1.1).
//!
//! **Invariants.** What a registry says is checked: manifests against their digest before they are parsed, lengths
//! and ranges of blobs while they stream, pages and documents against a limit. Absence is a 404 and nothing else; a
//! refusal is never taken for absence. One connection a host, shared by all tasks of a run.
//!
//! *Not here:* credentials, trust, redirects and retries of single requests (`connection`); what is pulled and in
//! which order (`collect`, `plan`).

mod catalog;
mod download;
mod feed;
mod host;
mod known;
mod manifests;
mod paging;
mod push;
pub mod redirect;
mod referrers;
mod refusal;
mod tags;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::error::Result;
use crate::image::{Body, Contents, Descriptor, Digest, Manifest, Reference, Repository, Source};

pub mod connection;

pub use connection::{Options, Who};
use host::Host;
pub use push::RegistrySink;
pub use redirect::{Redirected, Redirects};

/// All registries that one run talks to, by host.
#[derive(Clone)]
pub struct Registry {
    name: Option<Arc<str>>,
    options: Options,
    hosts: Arc<Mutex<BTreeMap<String, Arc<Host>>>>,
}

impl Registry {
    /// Registries reached with these options; nothing is connected to before it is asked for.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { name: None, options, hosts: Arc::default() }
    }

    /// The same registries, as a place that a person calls `name`.
    #[must_use]
    pub fn called(&self, name: &str) -> Self {
        Self { name: Some(name.into()), ..self.clone() }
    }

    /// The host of this name; clones of one [`Registry`] share it.
    fn host(&self, name: &str) -> Result<Arc<Host>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(host.clone());
        }
        let host = Arc::new(Host::new(name, &self.options)?);
        hosts.insert(name.to_owned(), host.clone());
        Ok(host)
    }
}

#[async_trait]
impl Source for Registry {
    fn place(&self) -> String {
        self.name.as_deref().unwrap_or("the registry").to_owned()
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        self.host(name.repository().registry())?.resolve(name).await
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.host(repository.registry())?.manifest(repository, wanted).await
    }

    async fn blob_size(&self, repository: &Repository, blob: &Digest) -> Result<Option<u64>> {
        download::size(&*self.host(repository.registry())?, repository, blob).await
    }

    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        download::read(self.host(repository.registry())?, repository, blob, range).await
    }

    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.host(repository.registry())?.referrers(repository, subject).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        self.host(repository.registry())?.tags(repository).await
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        Ok(None)
    }
}
