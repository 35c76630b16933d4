//! [`receipt`]: what a registry holds, as the receipt of a push says it.
//!
//! **Invariants.** Nothing is written but the file that was asked for, whole or not at all, and its signature. What could not be read is told: a
//! receipt that lacks it says less than there is, never more.
//!
//! *Not here:* receipts of pushes (`sync`), sets that build on a receipt (`sync`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::signing::{receipt as signing, signer_id};
use super::sync::{registry_options, rfc3339};
use super::{Settings, blocking};
use crate::error::{Error, Result};
use crate::image::attachment::subject_of;
use crate::image::place::{Location, lists_referrers};
use crate::image::receipt::Received;
use crate::image::{Descriptor, Digest, Receipt, Reference, Repository, Role, Source};
use crate::monitor::Event;
use crate::plan::holdings::Holdings;
use crate::store::registry::Registry;
use crate::transfer::Class;
use crate::workspace::receipt_document;

/// What is to be looked at.
#[derive(Debug, Clone)]
pub struct Request {
    /// Registries or places in one, all of the same host; at least one.
    pub places: Vec<Location>,
    /// The file that the receipt is written to.
    pub to: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The receipt.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// The file that it was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The file with its signature, where a key was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<PathBuf>,
    /// The id of that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// What could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl Outcome {
    /// What the run came to.
    #[must_use]
    pub fn class(&self) -> Class {
        if self.unread.is_empty() { Class::Done } else { Class::Partial }
    }

    /// The receipt as it stands in a file.
    pub fn document(&self) -> Result<Vec<u8>> {
        receipt_document(&self.receipt)
    }
}

/// Looks at everything that the places hold.
pub async fn receipt(request: Request, settings: &Settings) -> Result<Outcome> {
    let host = one_host(&request.places)?;
    if settings.signer.is_some() && request.to.is_none() {
        return Err(Error::usage("--sign: a receipt that is only printed has no file that a signature could lie beside")
            .hint("name a file with --to FILE; the signature is FILE.minisig then"));
    }
    let registry = Registry::new(registry_options(settings, &settings.src)).called(&host);
    let look = Look { registry, host: &host, settings };
    let names = look.names(&request.places).await?;
    let mut outcome = look.at(names).await?;
    outcome.receipt.destination = match request.places.as_slice() {
        [one] => one.to_string(),
        _ => format!("docker://{host}"),
    };
    if let Some(path) = request.to {
        let (receipt, key) = (outcome.receipt.clone(), settings.signer.clone());
        outcome.file = Some(path.clone());
        outcome.signature = blocking(move || signing::write(&receipt, &path, key.as_deref())).await?;
        outcome.signed_by = outcome.signature.as_ref().and_then(|_| signer_id(settings));
    }
    Ok(outcome)
}

/// The one host that all places are of.
fn one_host(places: &[Location]) -> Result<String> {
    let mut hosts = BTreeSet::new();
    for place in places {
        let Location::Registry { host, .. } = place else {
            return Err(Error::usage(format!("{place}: only a registry has a receipt")).hint("name docker://HOST[/REPO[:TAG]]"));
        };
        hosts.insert(host);
    }
    match hosts.into_iter().collect::<Vec<_>>().as_slice() {
        [host] => Ok((*host).clone()),
        [] => Err(Error::usage("no registry is named").hint("name docker://HOST[/REPO[:TAG]]")),
        [first, second, ..] => Err(Error::usage(format!("{first} and {second}: a receipt is of one registry")).hint("make one for each")),
    }
}

/// A look at one registry.
struct Look<'a> {
    registry: Registry,
    host: &'a str,
    settings: &'a Settings,
}

impl Look<'_> {
    /// The names that are visible at these places.
    async fn names(&self, places: &[Location]) -> Result<Vec<Reference>> {
        let (mut names, mut catalog) = (BTreeSet::new(), None);
        for place in places {
            let Location::Registry { name, .. } = place else { continue };
            let repository = name.as_ref().map(Reference::repository);
            if let Some(name) = name.as_ref().filter(|name| name.tag().is_some() || name.digest().is_some()) {
                names.insert(name.clone());
                continue;
            }
            if let Some(repository) = repository
                && let Some(tags) = self.tags(repository).await?
            {
                names.extend(tags);
                continue;
            }
            // What is no repository is the beginning of some.
            let all = match &mut catalog {
                Some(all) => all,
                nothing => nothing.insert(self.registry.repositories(self.host).await?),
            };
            let below: Vec<&Repository> = all.iter().filter(|one| repository.is_none_or(|prefix| is_below(one, prefix))).collect();
            if let (Some(prefix), true) = (repository, below.is_empty()) {
                return Err(Error::usage(format!("docker://{prefix}: there is no such repository, and none below it"))
                    .hint(format!("docker://{} is a receipt of all that is there", self.host)));
            }
            let mut tags = stream::iter(below).map(|one| self.tags(one).boxed()).buffered(self.settings.jobs.max(1));
            while let Some(tags) = tags.try_next().await? {
                names.extend(tags.into_iter().flatten());
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The tags of a repository as names; `None` where it has none.
    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<Reference>>> {
        let tags = self.registry.tags(repository).await?.unwrap_or_default();
        let names = tags.iter().map(|tag| repository.tagged(tag)).collect::<Result<Vec<_>>>()?;
        Ok(Some(names).filter(|names| !names.is_empty()))
    }

    /// What these names stand for, and everything below.
    async fn at(&self, names: Vec<Reference>) -> Result<Outcome> {
        let (mut items, mut unread) = (Vec::new(), Vec::new());
        let mut roots: BTreeMap<Repository, Vec<Descriptor>> = BTreeMap::new();
        let total = names.len() as u64;
        let one = |name: Reference| async move { (self.registry.resolve(&name).await, name) }.boxed();
        let mut found = stream::iter(names).map(one).buffered(self.settings.jobs.max(1));
        let mut done = 0;
        while let Some((answer, name)) = found.next().await {
            done += 1;
            self.settings.monitor.event(Event::Counted { what: "resolving", done, total });
            match answer {
                Ok(Some(root)) => {
                    if !name.tag().is_some_and(|tag| lists_referrers(tag, &root.digest)) {
                        items.push(Received {
                            origin: name.clone(),
                            name: name.clone(),
                            digest: root.digest,
                            role: Role::Image,
                            set: None,
                        });
                    }
                    roots.entry(name.repository().clone()).or_default().push(root);
                }
                Ok(None) => unread.push(format!("{name}: it is not there")),
                Err(error) => unread.push(error.to_string()),
            }
        }
        let mut holdings = Holdings::default();
        let total = roots.len() as u64;
        for (done, (repository, roots)) in (1..).zip(roots) {
            let unreadable = holdings.walk(&self.registry, &repository, roots, self.settings.jobs).await?;
            unread.extend(unreadable.iter().map(ToString::to_string));
            self.settings.monitor.event(Event::Counted { what: "looking into repositories", done, total });
        }
        let (manifests, blobs) = holdings.into_lists();
        // What is attached by its tag is a part of what it is attached to.
        let is_held = |digest: &Digest| manifests.binary_search_by(|stored| stored.digest.cmp(digest)).is_ok();
        items.retain(|item| !item.name.tag().and_then(subject_of).is_some_and(|(subject, _)| is_held(&subject)));
        let receipt = Receipt { destination: String::new(), time: rfc3339(self.settings.now), items, manifests, blobs };
        Ok(Outcome { receipt, file: None, signature: None, signed_by: None, unread })
    }
}

/// Whether a repository lies below another one.
fn is_below(repository: &Repository, prefix: &Repository) -> bool {
    repository.path().strip_prefix(prefix.path()).is_some_and(|rest| rest.starts_with('/'))
}
