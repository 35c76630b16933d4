//! Wrappers: what a workflow puts around a place to change how it answers.
//!
//! **Invariants.** A wrapper holds no content. Each has one purpose; they combine by standing one in another.
//!
//! *Not here:* any kind of place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::Result;
use crate::image::ends::{Moved, Rest};
use crate::image::{Blob, Body, Contents, Descriptor, Digest, Manifest, Reference, Repository, Sink, Source};

/// A far place whose content may also be had nearer by. Names, tags, referrers and contents are those of the far
/// place; what goes by a digest comes from the nearest place that has it, so that nothing is asked twice.
pub struct Overlay {
    far: Arc<dyn Source>,
    /// All places, the nearest first and the far one last.
    places: Vec<Arc<dyn Source>>,
}

impl Overlay {
    /// The place `far`, before which the places `near` are asked, in this order.
    pub fn new(near: impl IntoIterator<Item = Arc<dyn Source>>, far: Arc<dyn Source>) -> Self {
        let places = near.into_iter().chain([Arc::clone(&far)]).collect();
        Self { far, places }
    }
}

#[async_trait]
impl Source for Overlay {
    fn place(&self) -> String {
        self.far.place()
    }

    fn place_of(&self, name: &Reference) -> String {
        self.far.place_of(name)
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        let Some(digest) = name.digest() else { return self.far.resolve(name).await };
        for near in &self.places[..self.places.len() - 1] {
            if let Ok(Some(there)) = near.manifest(name.repository(), &Descriptor::new("", digest, 0)).await {
                return Ok(Some(Descriptor { annotations: None, ..there.descriptor().clone() }));
            }
        }
        self.far.resolve(name).await
    }

    /// The first that has it; a place that fails is an error only if no later one has it.
    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let mut failed = Ok(None);
        for place in &self.places {
            match place.manifest(repository, wanted).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }

    /// As for manifests.
    async fn blob_size(&self, repository: &Repository, blob: &Digest) -> Result<Option<u64>> {
        let mut failed = Ok(None);
        for place in &self.places {
            match place.blob_size(repository, blob).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }

    /// As for manifests.
    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        let mut failed = Ok(None);
        for place in &self.places {
            match place.read(repository, blob, range.clone()).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }

    /// As for manifests.
    async fn plain(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<Body>> {
        let mut failed = Ok(None);
        for place in &self.places {
            match place.plain(repository, blob).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }

    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.far.referrers(repository, subject).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        self.far.tags(repository).await
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        self.far.contents().await
    }
}

/// A source that counts what it is asked.
pub struct Recorded {
    source: Arc<dyn Source>,
    calls: Mutex<BTreeMap<&'static str, u64>>,
}

impl Recorded {
    /// Counts what `source` is asked.
    #[must_use]
    pub fn new(source: Arc<dyn Source>) -> Arc<Self> {
        Arc::new(Self { source, calls: Mutex::default() })
    }

    /// How often each method was called, by its name; one that was not called is not there.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, method: &'static str) -> &dyn Source {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(method).or_default() += 1;
        &*self.source
    }
}

#[async_trait]
impl Source for Recorded {
    fn place(&self) -> String {
        self.source.place()
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        self.count("resolve").resolve(name).await
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.count("manifest").manifest(repository, wanted).await
    }

    async fn blob_size(&self, repository: &Repository, blob: &Digest) -> Result<Option<u64>> {
        self.count("blob_size").blob_size(repository, blob).await
    }

    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        self.count("read").read(repository, blob, range).await
    }

    async fn plain(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<Body>> {
        self.count("plain").plain(repository, blob).await
    }

    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.count("referrers").referrers(repository, subject).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        self.count("tags").tags(repository).await
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        self.count("contents").contents().await
    }
}

/// A source in which names stand for what they stood for before, and which is not asked for what is at hand.
pub struct Recalling {
    source: Arc<dyn Source>,
    known: Arc<BTreeMap<Reference, Descriptor>>,
    earlier: Arc<dyn Source>,
}

impl Recalling {
    /// The place `source`, which is not asked for the names that are `known`, nor for manifests that `earlier` has: a manifest is the
    /// same wherever it is read.
    pub fn of(source: Arc<dyn Source>, known: Arc<BTreeMap<Reference, Descriptor>>, earlier: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(Self { source, known, earlier })
    }
}

#[async_trait]
impl Source for Recalling {
    fn place(&self) -> String {
        self.source.place()
    }

    fn place_of(&self, name: &Reference) -> String {
        self.source.place_of(name)
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        match self.known.get(name) {
            Some(known) => Ok(Some(known.clone())),
            None => self.source.resolve(name).await,
        }
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        // What cannot be read there is read where it comes from.
        if let Ok(Some(manifest)) = self.earlier.manifest(repository, wanted).await {
            return Ok(Some(manifest));
        }
        self.source.manifest(repository, wanted).await
    }

    async fn blob_size(&self, repository: &Repository, blob: &Digest) -> Result<Option<u64>> {
        self.source.blob_size(repository, blob).await
    }

    async fn read(&self, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        self.source.read(repository, blob, range).await
    }

    async fn plain(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<Body>> {
        self.source.plain(repository, blob).await
    }

    async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.source.referrers(repository, subject).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        self.source.tags(repository).await
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        self.source.contents().await
    }
}

/// A sink that answers as the one behind it, writes nothing, and keeps what would have been written.
pub struct DryRun {
    sink: Box<dyn Sink>,
    would: Arc<Mutex<Would>>,
}

/// What a run would have written, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Would {
    /// Blobs by where they would have gone, with their sizes in bytes.
    pub blobs: BTreeMap<(Repository, Digest), u64>,
    /// Manifests by where they would have gone, with their sizes in bytes.
    pub manifests: BTreeMap<(Repository, Digest), u64>,
    /// Names, and what they would have stood for.
    pub names: BTreeMap<Reference, Digest>,
}

impl DryRun {
    /// A dry run of what would go to `sink`, and where to look afterwards.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>) -> (Self, Arc<Mutex<Would>>) {
        let would = Arc::new(Mutex::new(Would::default()));
        (Self { sink, would: Arc::clone(&would) }, would)
    }

    fn would(&self) -> MutexGuard<'_, Would> {
        self.would.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sink for DryRun {
    fn place(&self) -> String {
        self.sink.place()
    }

    fn shares_blobs(&self) -> bool {
        self.sink.shares_blobs()
    }

    fn names_bring_manifests(&self) -> bool {
        self.sink.names_bring_manifests()
    }

    async fn current(&self, name: &Reference) -> Result<Option<Digest>> {
        self.sink.current(name).await
    }

    async fn has(&self, repository: &Repository, content: &Descriptor) -> Result<bool> {
        self.sink.has(repository, content).await
    }

    async fn put(&self, repository: &Repository, blob: &Blob, _: &Moved) -> Result<Rest> {
        let blob = blob.descriptor();
        self.would().blobs.insert((repository.clone(), blob.digest), blob.size);
        Ok(None)
    }

    async fn put_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<Rest> {
        let size_bytes = manifest.descriptor().size;
        self.would().manifests.insert((repository.clone(), manifest.digest()), size_bytes);
        Ok(None)
    }

    async fn point(&self, name: &Reference, root: &Manifest) -> Result<Rest> {
        self.would().names.insert(name.clone(), root.digest());
        Ok(None)
    }

    async fn finish(self: Box<Self>, _: &Contents) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::Error;
    use crate::image::Verified;
    use crate::store::memory::Memory;

    /// A place that fails, whatever it is asked.
    struct Broken;

    #[async_trait]
    impl Source for Broken {
        fn place(&self) -> String {
            "broken".to_owned()
        }
        async fn resolve(&self, _: &Reference) -> Result<Option<Descriptor>> {
            Err(Error::failed("broken"))
        }
        async fn manifest(&self, _: &Repository, _: &Descriptor) -> Result<Option<Manifest>> {
            Err(Error::failed("broken"))
        }
        async fn read(&self, _: &Repository, _: &Descriptor, _: Range<u64>) -> Result<Option<Body>> {
            Err(Error::failed("broken"))
        }
        async fn referrers(&self, _: &Repository, _: &Digest) -> Result<Vec<Descriptor>> {
            Err(Error::failed("broken"))
        }
        async fn tags(&self, _: &Repository) -> Result<Option<Vec<String>>> {
            Err(Error::failed("broken"))
        }
        async fn contents(&self) -> Result<Option<Contents>> {
            Err(Error::failed("broken"))
        }
    }

    fn image(memory: &Memory) -> Manifest {
        let config = serde_json::to_string(&memory.insert_blob("c", "{}")).expect("json");
        let json = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        let manifest = Manifest::parse(Verified::own(Bytes::from(json)), "").expect("a manifest");
        memory.insert_manifest(&manifest);
        manifest
    }

    fn name() -> Reference {
        "quay.io/a:1".parse().expect("a name")
    }

    #[tokio::test]
    async fn names_are_resolved_far_away_and_content_comes_from_nearby() {
        let (near, far) = (Memory::default(), Memory::default());
        let manifest = image(&near);
        image(&far);
        far.insert_name(&name(), manifest.digest());
        let (near, far) = (Recorded::new(Arc::new(near)), Recorded::new(Arc::new(far)));
        let both = Overlay::new([near.clone() as Arc<dyn Source>], far.clone());
        let repository = name().repository().clone();
        let root = both.resolve(&name()).await.expect("an answer").expect("a root");
        assert_eq!(both.manifest(&repository, &root).await.expect("an answer").expect("a manifest"), manifest);
        let config = manifest.blobs().next().expect("a config").clone();
        assert!(both.read(&repository, &config, 0..2).await.expect("an answer").is_some());
        assert!(both.resolve(&repository.at(root.digest)).await.expect("an answer").is_some());
        assert_eq!(far.calls(), BTreeMap::from([("resolve", 1)]));
        assert_eq!(near.calls(), BTreeMap::from([("manifest", 2), ("read", 1)]));
    }

    #[tokio::test]
    async fn a_place_that_fails_matters_only_where_no_other_has_it() {
        let far = Memory::default();
        let manifest = image(&far);
        let both = Overlay::new([Arc::new(Broken) as Arc<dyn Source>], Arc::new(far));
        let repository = name().repository().clone();
        assert!(both.manifest(&repository, manifest.descriptor()).await.expect("an answer").is_some());
        assert!(both.resolve(&repository.at(manifest.digest())).await.expect("an answer").is_some());
        let other = Descriptor::new("", Digest::of(b"other"), 5);
        assert!(both.manifest(&repository, &other).await.is_err());
        assert!(both.read(&repository, &other, 0..5).await.is_err());
    }

    #[tokio::test]
    async fn a_dry_run_writes_nothing_and_says_what_it_would() {
        let (source, target) = (Memory::default(), Memory::default());
        let manifest = image(&source);
        let (dry, would) = DryRun::new(Box::new(target.clone()));
        let repository = name().repository().clone();
        let blob = Blob::new(Arc::new(source), repository.clone(), manifest.blobs().next().expect("a config").clone());
        let moved: Moved = Arc::new(|_| panic!("nothing moves"));
        assert!(!dry.has(&repository, blob.descriptor()).await.expect("an answer"));
        dry.put(&repository, &blob, &moved).await.expect("put");
        dry.put_manifest(&repository, &manifest).await.expect("put");
        dry.point(&name(), &manifest).await.expect("pointed");
        Box::new(dry).finish(&Contents::default()).await.expect("finished");
        let would = would.lock().expect("a lock").clone();
        assert_eq!(would.blobs, BTreeMap::from([((repository.clone(), blob.descriptor().digest), 2)]));
        assert_eq!(would.names, BTreeMap::from([(name(), manifest.digest())]));
        assert_eq!(target.contents().await.expect("an answer"), Some(Contents::default()));
        assert!(!Sink::has(&target, &repository, manifest.descriptor()).await.expect("an answer"));
    }
}
