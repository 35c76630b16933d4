//! [`Place`]: one store under test, empty, and what it promises beyond the traits.
//!
//! *Not here:* what is expected of it (`conformance`).

use std::sync::Arc;

use async_trait::async_trait;
use ocm::image::{Repository, Sink, Source};
use ocm::store::archive::{ArchiveSink, ArchiveSource, BuildsOn, NewSet, Packing, Shelf};
use ocm::store::layout::{LayoutSink, LayoutSource};
use ocm::store::memory::Memory;
use ocm::store::registry::{Options, Registry, RegistrySink};
use tempfile::TempDir;

use crate::support;

/// One store, with nothing in it at first.
#[async_trait]
pub(super) trait Place: Send + Sync {
    /// The repository that images are brought to.
    fn repository(&self) -> Repository {
        "registry.example.com/team/app".parse().expect("a repository")
    }

    /// A repository beside it to which nothing is brought.
    fn elsewhere(&self) -> Repository {
        let here = self.repository();
        Repository::new(here.registry(), &format!("{}-not", here.path())).expect("a repository")
    }

    /// A sink for one run.
    async fn sink(&self) -> Box<dyn Sink>;

    /// A source of what is there now.
    async fn source(&self) -> Arc<dyn Source>;

    /// Whether names that were pointed are not seen before `finish`.
    fn names_wait_for_finish(&self) -> bool {
        true
    }

    /// Whether a sink says what a name stands for (an archive in the making does not).
    fn knows_names_while_writing(&self) -> bool {
        true
    }

    /// Whether a source lists its contents.
    fn lists_itself(&self) -> bool {
        true
    }
}

/// [`Memory`].
#[derive(Default)]
pub(super) struct InMemory(Memory);

#[async_trait]
impl Place for InMemory {
    async fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.0.clone())
    }

    async fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.0.clone())
    }
}

/// An OCI layout in a temporary directory.
pub(super) struct InLayout(TempDir);

impl InLayout {
    pub(super) fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }
}

#[async_trait]
impl Place for InLayout {
    async fn sink(&self) -> Box<dyn Sink> {
        Box::new(LayoutSink::open(self.0.path().join("layout"), None).await.expect("a sink"))
    }

    async fn source(&self) -> Arc<dyn Source> {
        Arc::new(LayoutSource::open(self.0.path().join("layout"), None).await.expect("a source"))
    }
}

/// An archive: each run adds a set to what the one before lists.
pub(super) struct InArchive(TempDir);

impl InArchive {
    pub(super) fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    fn shelf(&self) -> Shelf {
        Shelf::open(self.0.path()).expect("a shelf")
    }
}

#[async_trait]
impl Place for InArchive {
    async fn sink(&self) -> Box<dyn Sink> {
        let shelf = self.shelf();
        let newest = shelf.known_sets().into_iter().max_by_key(|set| set.generation);
        let parent = newest.as_ref().map(|set| ArchiveSource::of_known(set, &[&shelf]).expect("the parent"));
        let generation = newest.map_or(1, |set| set.generation + 1);
        let new = NewSet {
            folder: self.0.path().to_owned(),
            set: [generation as u8; 16],
            lineage: [7; 16],
            lineage_name: "lab".into(),
            generation,
            time: 1_700_000_000 + u64::from(generation),
            inherited: parent.as_ref().map(|parent| parent.listed().clone()).unwrap_or_default(),
            parent: parent.map(BuildsOn::Set),
            cap: 300_000,
            reserve_bytes: 0,
            packing: Packing { level: 3, ..Packing::default() },
            basis: Default::default(),
            delta: Default::default(),
            threads: 2,
            notes: Default::default(),
            options: serde_json::json!({}),
            catalogue: self.0.path().join("catalogues"),
            on_volume: Box::new(|_| Ok(false)),
            seal: Default::default(),
            lock: None,
        };
        Box::new(ArchiveSink::prepare(new, false).expect("a sink"))
    }

    async fn source(&self) -> Arc<dyn Source> {
        let shelf = self.shelf();
        match shelf.select(None) {
            Ok(selection) => Arc::new(ArchiveSource::open(self.0.path(), &selection.sets, &[&shelf]).expect("a source")),
            // Before the first set there is no archive to open; there is nothing in it either.
            Err(_) => Arc::new(Memory::default()),
        }
    }

    fn knows_names_while_writing(&self) -> bool {
        false
    }
}

/// Debian's registry; it has no referrers API, so that referrers go by the fallback tag.
pub(super) struct InRegistry {
    server: support::registry::Registry,
}

impl InRegistry {
    /// A registry of its own; `None` where none is installed.
    pub(super) fn start() -> Option<Self> {
        Some(Self { server: support::registry::Registry::start()? })
    }
}

#[async_trait]
impl Place for InRegistry {
    fn repository(&self) -> Repository {
        Repository::new(self.server.host(), "team/app").expect("a repository")
    }

    async fn sink(&self) -> Box<dyn Sink> {
        let registry = Registry::new(Options::default());
        Box::new(RegistrySink::new(&registry, self.server.host()).expect("a sink"))
    }

    async fn source(&self) -> Arc<dyn Source> {
        Arc::new(Registry::new(Options::default()))
    }

    fn names_wait_for_finish(&self) -> bool {
        false
    }

    fn lists_itself(&self) -> bool {
        false
    }
}
