//! [`Redirected`]: registries, read where the rules say.
//!
//! **Invariants.** A later place is asked only where an earlier one has not what is asked for, gives no answer, or gives out in the
//! middle; that a place begins to fail is told. Absence is what all places said.
//!
//! *Not here:* the rules ([`Redirects`]).

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use super::course::Course;
use super::standing::{By, Standing, Standings};
use super::tried::Tried;
use super::{Place, Redirects};
use crate::error::{Error, Result};
use crate::image::attachment::subject_of;
use crate::image::{Body, Contents, Descriptor, Digest, Manifest, Reference, Repository, Source};
use crate::monitor::{Event, SharedMonitor};
use crate::store::registry::{Options, Registry};

/// Registries that are read by rules.
#[derive(Clone)]
pub struct Redirected {
    redirects: Redirects,
    registry: Registry,
    /// The same for places that a rule calls insecure.
    insecure: Registry,
    pub(super) standings: Arc<Standings>,
    monitor: SharedMonitor,
}

impl Redirected {
    /// Registries reached with these options and read by these rules. What the options say of certificates goes before what a rule says.
    #[must_use]
    pub fn new(redirects: Redirects, options: Options) -> Self {
        let monitor = Arc::clone(&options.monitor);
        let insecure = Registry::new(Options { tls_verify: options.tls_verify.or(Some(false)), ..options.clone() });
        Self { redirects, registry: Registry::new(options), insecure, standings: Arc::default(), monitor }
    }

    /// The same registries, as a place that a person calls `name`.
    #[must_use]
    pub fn called(&self, name: &str) -> Self {
        Self { registry: self.registry.called(name), ..self.clone() }
    }

    /// The registries for a place.
    pub(super) fn of(&self, insecure: bool) -> &Registry {
        if insecure { &self.insecure } else { &self.registry }
    }

    /// What the first place has that has it.
    async fn first<T, F>(&self, repository: &Repository, by: By, what: &str, ask: impl Fn(Registry, Repository) -> F) -> Result<Option<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        let mut tried = Tried::new();
        let mut places = self.places(repository, by)?.into_iter().peekable();
        while let Some(Place { at, insecure, .. }) = places.next() {
            match ask(self.of(insecure).clone(), at.clone()).await {
                Ok(Some(found)) => {
                    self.standings.note(&at, Standing::Serves);
                    return Ok(Some(found));
                }
                Ok(None) => tried.absent(at),
                Err(error) => {
                    self.passed_over(&at, &error, places.peek().is_some());
                    tried.failed(error);
                }
            }
        }
        tried.end(what)
    }

    /// What the first place has under a tag that is of something attached, or that has the subject; such a tag is as good as a digest.
    async fn beside(&self, name: &Reference, subject: &Digest) -> Result<Option<Descriptor>> {
        let alone = self.places(name.repository(), By::Digest)?.len() == 1;
        let ask = |registry: Registry, at: Repository| async move {
            let found = registry.resolve(&name.clone().moved(at.clone())).await?;
            let is_told = alone || found.is_some() || registry.manifest(&at, &Descriptor::new("", *subject, 0)).await?.is_some();
            Ok(is_told.then_some(found))
        };
        Ok(self.first(name.repository(), By::Digest, &format!("image {name}"), ask).await?.flatten())
    }

    /// The places that are asked, in their order; at least one, and none that is blocked.
    fn places(&self, repository: &Repository, by: By) -> Result<Vec<Place>> {
        let (blocked, places): (Vec<Place>, Vec<Place>) =
            self.standings.order(self.redirects.places(repository)?, by).into_iter().partition(|place| place.blocked.is_some());
        if places.is_empty() {
            if let Some(blocked) = blocked.into_iter().find_map(|place| place.blocked) {
                return Err(blocked);
            }
            let by = if by == By::Tag { "tag" } else { "digest" };
            return Err(Error::failed(format!("{repository}: no mirror of it is asked by {by}, and nothing but mirrors is asked"))
                .hint("change pull-from-mirror in registries.conf, or leave --mirrors-only out"));
        }
        Ok(places)
    }

    /// Notes that a place failed; tells it once, where another one is asked instead.
    pub(super) fn passed_over(&self, at: &Repository, error: &Error, goes_on: bool) {
        let before = self.standings.note(at, Standing::Fails);
        if goes_on && before != Standing::Fails {
            self.monitor.event(Event::Warning(&format!("{at} is passed over: {error}")));
        }
    }
}

#[async_trait]
impl Source for Redirected {
    fn place(&self) -> String {
        self.registry.place()
    }

    /// The names by which it was asked for, where that is not its own alone.
    fn place_of(&self, name: &Reference) -> String {
        let by = if name.digest().is_some() { By::Digest } else { By::Tag };
        let places = self.places(name.repository(), by).unwrap_or_default();
        let names: Vec<Repository> = places.into_iter().map(|place| place.at).collect();
        match names.as_slice() {
            [] => self.place(),
            [one] if one == name.repository() => self.place(),
            [one] => one.to_string(),
            [first @ .., last] => format!("{} or {last}", first.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        }
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        if let Some((subject, _)) = name.tag().and_then(subject_of) {
            return self.beside(name, &subject).await;
        }
        let by = if name.digest().is_some() { By::Digest } else { By::Tag };
        let ask = |registry: Registry, at: Repository| async move { registry.resolve(&name.clone().moved(at)).await };
        self.first(name.repository(), by, &format!("image {name}"), ask).await
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let ask = |registry: Registry, at| async move { registry.manifest(&at, wanted).await };
        self.first(repository, By::Digest, &format!("manifest {} of {repository}", wanted.digest), ask).await
    }

    async fn blob_size(&self, repository: &Repository, blob: &Digest) -> Result<Option<u64>> {
        let ask = |registry: Registry, at| async move { registry.blob_size(&at, blob).await };
        self.first(repository, By::Digest, &format!("blob {blob} of {repository}"), ask).await
    }

    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        let (places, what) = (self.places(repository, By::Digest)?, format!("blob {} of {repository}", blob.digest));
        Course::new(self.clone(), places, blob.clone(), range, what).begin().await
    }

    /// What the first place lists that lists any, or has the subject: a place without it cannot know its referrers.
    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        let alone = self.places(repository, By::Digest)?.len() == 1;
        let ask = |registry: Registry, at: Repository| async move {
            let listed = registry.referrers(&at, subject).await?;
            let is_told = alone || !listed.is_empty() || registry.manifest(&at, &Descriptor::new("", *subject, 0)).await?.is_some();
            Ok(is_told.then_some(listed))
        };
        let listed = self.first(repository, By::Digest, &format!("referrers of {}", repository.at(*subject)), ask).await?;
        Ok(listed.unwrap_or_default())
    }

    /// Those of the first place that has the repository and is asked by tag.
    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        let ask = |registry: Registry, at| async move { registry.tags(&at).await };
        self.first(repository, By::Tag, &format!("tags of {repository}"), ask).await
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        Ok(None)
    }
}
