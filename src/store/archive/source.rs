//! [`ArchiveSource`]: the sets that a person means, read where they lie.
//!
//! **Invariants.** Nothing is unpacked. Content that this set refers to and that is not in it is looked for in every other
//! set at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use ocm_format::catalogue::Catalogue;
use ocm_format::delta::Older;
use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::index::PlainRow;
use ocm_format::layout::Id;
use ocm_format::reader::{BlobInfo, Options, Past, Reader};
use ocm_format::set::{ParentSet, SetFiles, SetManifest, group};

use super::ahead::whole;
use super::base::{Base, Lack, Old};
use super::order::nearest_first;
use super::records::{Listed, Records};
use super::shelf::{KnownSet, Shelf};
use super::{document, told};
use crate::error::{Error, Result};
use crate::image::manifest::MAX_MANIFEST_BYTES;
use crate::image::{Body, Contents, Descriptor, Manifest, Reference, Repository, Source, Verified};
use crate::store::family::Family;

/// Bytes that are read at once for a part of a blob.
const PART_BYTES: u64 = 1 << 20;

/// What is known of a set.
#[derive(Debug, Clone)]
pub struct SetFacts {
    /// What its manifest says.
    pub manifest: SetManifest,
    /// Its root.
    pub root: Digest,
    /// What it lists.
    pub contents: Contents,
    /// The signature in its files, where it has one.
    pub signature: Option<Vec<u8>>,
}

/// What a set builds on, by what stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentId {
    /// An earlier set.
    Set {
        /// Its set id.
        id: [u8; 16],
        /// Its generation.
        generation: u32,
    },
    /// What a destination holds.
    Receipt {
        /// The digest of its receipt.
        root: Digest,
        /// The destination, where that is known.
        destination: Option<String>,
    },
}

/// Sets of an archive, as a source. Clones share everything.
#[derive(Clone)]
pub struct ArchiveSource {
    inner: Arc<Inner>,
}

struct Inner {
    place: String,
    sets: Vec<SetFacts>,
    generations: BTreeMap<Id, u32>,
    contents: Contents,
    reader: Reader,
    catalogues: Vec<Catalogue>,
    listed: Vec<Listed>,
    elsewhere: Vec<(u32, Digest)>,
    destinations: Vec<(Option<String>, Digest)>,
    held: BTreeMap<Digest, Repository>,
    family: OnceLock<Family>,
    base: OnceLock<Arc<Base>>,
}

impl SetFacts {
    /// What the files of a set say of it; needs its manifest.
    pub fn of(set: &SetFiles) -> Result<Self> {
        let (Some(manifest), Some(root)) = (&set.manifest, set.root) else {
            return Err(Error::needed(format!("set {}: its last volume and its catalogue are not here", set.header.generation)));
        };
        let signature = set.signatures.first().map(|signature| signature.bytes.clone());
        Ok(Self { contents: document::contents(manifest)?, manifest: manifest.clone(), root, signature })
    }

    /// The set id.
    #[must_use]
    pub fn id_bytes(&self) -> [u8; 16] {
        self.manifest.set.0
    }

    /// The lineage id.
    #[must_use]
    pub fn lineage_bytes(&self) -> [u8; 16] {
        self.manifest.lineage.id.0
    }

    /// What it builds on, by what stands for that.
    #[must_use]
    pub fn parent(&self) -> Option<ParentId> {
        Some(match self.manifest.parent.as_ref()? {
            ParentSet::Set { id, generation, .. } => ParentId::Set { id: id.0, generation: *generation },
            ParentSet::Receipt { root, destination } => ParentId::Receipt { root: *root, destination: destination.clone() },
        })
    }

    /// The set id, 32 hex digits.
    #[must_use]
    pub fn id(&self) -> String {
        self.manifest.set.to_string()
    }

    /// The lineage id, 32 hex digits.
    #[must_use]
    pub fn lineage_id(&self) -> String {
        self.manifest.lineage.id.to_string()
    }

    /// The name of the lineage.
    #[must_use]
    pub fn lineage_name(&self) -> &str {
        &self.manifest.lineage.name
    }

    /// The generation, from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.manifest.generation
    }
}

impl ArchiveSource {
    /// Reads `chosen`, sets of the shelves, of each lineage the newest first; what they refer to is looked for on all `shelves`.
    pub fn open(place: &Path, chosen: &[&SetFiles], shelves: &[&Shelf]) -> Result<Self> {
        Self::open_with(place, chosen, shelves, Options::default())
    }

    /// The same, within these bounds of memory.
    pub fn open_with(place: &Path, chosen: &[&SetFiles], shelves: &[&Shelf], options: Options) -> Result<Self> {
        let sets = chosen.iter().map(|set| SetFacts::of(set)).collect::<Result<Vec<_>>>()?;
        let mut by_age: Vec<&SetFacts> = sets.iter().collect();
        by_age.sort_by_key(|set| (set.manifest.time, set.manifest.generation));
        // Of a name that several sets have, the newest counts.
        let contents = Contents::new(by_age.iter().flat_map(|set| set.contents.items().iter().cloned()));
        let all = nearest_first(chosen, &sets, shelves);
        let reader = Reader::open(all.iter().copied(), options);
        let listed = all.iter().filter_map(|set| Listed::of(set)).collect();
        let catalogues =
            chosen.iter().filter_map(|set| Catalogue::open(set).map_err(|error| told(&error)).transpose()).collect::<Result<_>>()?;
        let whole = |id: Id| shelves.iter().any(|shelf| shelf.set(id).is_some_and(SetFiles::is_complete));
        let ancestors = sets.iter().flat_map(|set| &set.manifest.ancestors).filter(|ancestor| !whole(ancestor.id));
        let elsewhere = ancestors.map(|ancestor| (ancestor.generation, ancestor.root)).collect();
        let (destinations, held) = destinations(chosen, shelves);
        let generations = all.iter().map(|set| (set.id(), set.header.generation)).collect();
        let known = Inner::of(place, reader, contents);
        let inner = Inner { sets, generations, catalogues, listed, elsewhere, destinations, held, ..known };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Reads what `reader` has, and lists these.
    pub(super) fn of_reader(place: &Path, reader: Reader, contents: Contents) -> Self {
        Self { inner: Arc::new(Inner::of(place, reader, contents)) }
    }

    /// Reads one set, of what the shelves have of it together; its volumes may be elsewhere.
    pub fn of_known(known: &KnownSet, shelves: &[&Shelf]) -> Result<Self> {
        let knows = |shelf: &&&Shelf| shelf.set(Id(known.id)).is_some_and(|set| set.manifest.is_some());
        let absent = || Error::needed(format!("set {} of {:?} is not here", known.generation, known.name));
        let shelf = shelves.iter().find(knows).ok_or_else(absent)?;
        let parts = shelves.iter().filter_map(|shelf| shelf.set(Id(known.id)));
        let files = parts.flat_map(|set| set.volumes.values().chain(set.catalogues.values()).map(|file| file.path.clone()));
        let together = group(files.collect::<BTreeSet<_>>());
        let set = together.sets.iter().find(|set| set.id() == Id(known.id)).ok_or_else(absent)?;
        Self::open(shelf.path(), &[set], shelves)
    }

    /// The sets that those read build on and that are not all here: generation and root, newest first.
    #[must_use]
    pub fn elsewhere(&self) -> &[(u32, Digest)] {
        &self.inner.elsewhere
    }

    /// The destinations that sets read build on, or sets that these build on as far as they are known: by name, and the digest of
    /// the receipt.
    pub fn destinations(&self) -> impl Iterator<Item = (Option<&str>, Digest)> {
        self.inner.destinations.iter().map(|(destination, root)| (destination.as_deref(), *root))
    }

    /// The repository that a receipt said a blob is in, of a destination that sets build on.
    #[must_use]
    pub fn held_at(&self, digest: &Digest) -> Option<&Repository> {
        self.inner.held.get(digest)
    }

    /// The sets that it reads.
    #[must_use]
    pub fn sets(&self) -> &[SetFacts] {
        &self.inner.sets
    }

    /// What they list together.
    #[must_use]
    pub fn listed(&self) -> &Contents {
        &self.inner.contents
    }

    /// Whether there is a record of a blob in a set at hand.
    pub(super) fn holds(&self, digest: &Digest) -> Result<bool> {
        match self.inner.reader.blob(digest) {
            Ok(found) => Ok(found.is_some()),
            Err(error) if error.kind() == Kind::Missing => Ok(false),
            Err(error) => Err(told(&error)),
        }
    }

    /// What of a blob is in no set at hand, as far as the indexes tell.
    pub fn lacks(&self, digest: &Digest) -> Result<Lack> {
        let reader = &self.inner.reader;
        let elsewhere = match reader.blob(digest) {
            Ok(None) => return Ok(Lack::All),
            Ok(Some(_)) if reader.is_closed() => return Ok(Lack::Nothing),
            Ok(Some(_)) => reader.reach(digest).map(|reach| reach.elsewhere),
            Err(error) => Err(error),
        };
        match elsewhere {
            Ok(none) if none.is_empty() => Ok(Lack::Nothing),
            Ok(old) => Ok(Lack::Old(Old::of(old))),
            Err(error) if error.kind() == Kind::Missing => Ok(Lack::All),
            Err(error) => Err(told(&error)),
        }
    }

    /// Reads a blob from front to back and checks it, if it is made of more than the sets that were chosen.
    pub fn check_base(&self, digest: &Digest) -> Result<()> {
        if self.inner.base.get().is_some_and(|base| base.whole(digest).is_some()) {
            return Ok(());
        }
        let reader = &self.inner.reader;
        let own = |(id, _): &(Id, u32)| self.inner.sets.iter().any(|set| set.manifest.set == *id);
        let reach = reader.reach(digest).map_err(|error| told(&error))?;
        if reach.elsewhere.is_empty() && reach.volumes.iter().all(own) {
            return Ok(());
        }
        let mut stream = reader.stream(digest).map_err(|error| told(&error))?;
        while stream.next_chunk().map_err(|error| told(&error))?.is_some() {}
        Ok(())
    }

    /// From now on takes from `base` what no set at hand has. The first one that is told stays.
    pub fn build_on(&self, base: &Arc<Base>) {
        self.inner.reader.look_in(base.spool());
        let _ = self.inner.base.set(Arc::clone(base));
    }

    /// Where it is, as text.
    pub(super) fn path_text(&self) -> &str {
        &self.inner.place
    }

    /// What reads the volumes at hand.
    pub(super) fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    /// The generation of a set at hand.
    pub(super) fn generation_of(&self, set: Id) -> Option<u32> {
        self.inner.generations.get(&set).copied()
    }

    /// The plain forms of its blobs.
    pub(super) fn older(&self) -> Arc<dyn Older> {
        Arc::new(Past::new(self.inner.reader.clone()))
    }

    /// What catalogues at hand tell of the blobs of a set and of those that it builds on.
    pub(super) fn records(&self, facts: &SetFacts) -> Records {
        Records::open(facts, &self.inner.listed)
    }

    /// Whether the volumes of the sets that it reads are here, and not their catalogues alone.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.inner.sets.iter().all(|set| self.inner.reader.volumes(set.manifest.set).next().is_some())
    }

    /// What is known of a blob.
    pub(super) fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>, ocm_format::error::Error> {
        self.inner.reader.blob(digest)
    }

    /// The manifest with this digest, now.
    pub(super) fn manifest_now(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.inner.manifest(wanted)
    }

    /// The manifest or configuration with this digest, as it is stored, now.
    pub(super) fn document_now(&self, digest: &Digest) -> Result<Option<Verified<Bytes>>> {
        let Some(bytes) = self.inner.document(digest)? else { return Ok(None) };
        Verified::check_digest(bytes, digest, &self.inner.place).map(Some)
    }

    /// The volumes that the bytes of a blob lie in, by set and number; also those that are not here, where records lead
    /// to them.
    pub(super) fn volumes_of(&self, digest: &Digest) -> Result<BTreeSet<(Id, u32)>> {
        self.inner.reader.volumes_of(digest).map_err(|error| told(&error))
    }
}

/// A destination by name, where that is known, and the digest of its receipt.
type Destination = (Option<String>, Digest);

/// The receipts that these sets count on, themselves or by the sets before them that are known; and where content lies by these.
fn destinations(chosen: &[&SetFiles], shelves: &[&Shelf]) -> (Vec<Destination>, BTreeMap<Digest, Repository>) {
    let (mut found, mut held, mut seen) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    let mut ahead: Vec<&SetFiles> = chosen.to_vec();
    while let Some(set) = ahead.pop() {
        let counts = |manifest: &&SetManifest| manifest.needs.chain > 0 && seen.insert(set.id());
        let Some(manifest) = set.manifest.as_ref().filter(counts) else { continue };
        match &manifest.parent {
            Some(ParentSet::Receipt { root, destination }) => {
                found.push((destination.clone(), *root));
                held.extend(super::holding::held(&manifest.options));
            }
            Some(ParentSet::Set { id, .. }) => ahead.extend(shelves.iter().find_map(|shelf| shelf.set(*id))),
            None => {}
        }
    }
    (found, held)
}

impl Inner {
    /// A reader of no set that is known.
    fn of(place: &Path, reader: Reader, contents: Contents) -> Self {
        Self {
            place: place.display().to_string(),
            sets: Vec::new(),
            generations: BTreeMap::new(),
            contents,
            reader,
            catalogues: Vec::new(),
            listed: Vec::new(),
            elsewhere: Vec::new(),
            destinations: Vec::new(),
            held: BTreeMap::new(),
            family: OnceLock::new(),
            base: OnceLock::new(),
        }
    }

    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let Some(bytes) = self.document(&wanted.digest)? else { return Ok(None) };
        let bytes = Verified::check_digest(bytes, &wanted.digest, &self.place)?;
        Manifest::parse(bytes, &wanted.media_type).map(Some)
    }

    /// The bytes of a manifest, from a volume or a catalogue.
    fn document(&self, digest: &Digest) -> Result<Option<Bytes>> {
        for catalogue in &self.catalogues {
            if let Some(bytes) = catalogue.read(digest).map_err(|error| told(&error))? {
                return Ok(Some(bytes.into()));
            }
        }
        let Some(info) = self.reader.blob(digest).map_err(|error| told(&error))? else { return Ok(None) };
        if info.bytes > MAX_MANIFEST_BYTES {
            return Err(Error::failed(format!(
                "manifest {digest}: {} bytes are more than the {MAX_MANIFEST_BYTES} that are taken",
                info.bytes
            )));
        }
        self.read_range(digest, 0..info.bytes).map(Some)
    }

    /// Bytes of a blob, at most [`PART_BYTES`] or a manifest's.
    fn read_range(&self, digest: &Digest, range: Range<u64>) -> Result<Bytes> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| Error::usage("a part is too long"))?;
        let mut buffer = vec![0; length];
        let count = self.reader.read_at(digest, range.start, &mut buffer).map_err(|error| told(&error))?;
        buffer.truncate(count);
        Ok(buffer.into())
    }

    /// How attached manifests stand to what they are attached to.
    fn family(&self) -> Result<&Family> {
        if let Some(family) = self.family.get() {
            return Ok(family);
        }
        let mut family = Family::default();
        for attached in self.contents.items().iter().flat_map(|item| &item.attached) {
            if let Some(manifest) = self.manifest(attached)? {
                family.add(&manifest);
            }
        }
        Ok(self.family.get_or_init(|| family))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::failed(format!("reading an archive: {error}")))?
}

#[async_trait]
impl Source for ArchiveSource {
    fn place(&self) -> String {
        self.inner.place.clone()
    }

    async fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>> {
        Ok(self.inner.contents.root(&name.clone().or_latest()).cloned())
    }

    async fn manifest(&self, _: &Repository, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let (inner, wanted) = (Arc::clone(&self.inner), wanted.clone());
        blocking(move || inner.manifest(&wanted)).await
    }

    async fn blob_size(&self, _: &Repository, blob: &Digest) -> Result<Option<u64>> {
        let (inner, digest) = (Arc::clone(&self.inner), *blob);
        let found = blocking(move || inner.reader.blob(&digest).map_err(|error| told(&error))).await?;
        Ok(found.map(|info| info.bytes))
    }

    async fn read(&self, _: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
        if let Some(there) = self.inner.base.get().and_then(|base| base.whole(&blob.digest)) {
            let is_all = range == (0..there.descriptor().size);
            return if is_all { there.whole().await } else { there.read(range).await }.map(Some);
        }
        let (inner, digest) = (Arc::clone(&self.inner), blob.digest);
        let found = blocking(move || inner.reader.blob(&digest).map_err(|error| told(&error))).await?;
        let Some(info) = found else { return Ok(None) };
        let what = format!("blob {digest} from {}", self.inner.place);
        if range.start > range.end || range.end > info.bytes {
            return Err(Error::damaged(format!("{what}: it has {} bytes, not {}", info.bytes, range.end)));
        }
        let (bytes, inner) = (range.end - range.start, Arc::clone(&self.inner));
        if range == (0..info.bytes) {
            return Ok(Some(Body::new(bytes, what, whole(move || inner.reader.stream_unchecked(&digest)))));
        }
        let parts = stream::try_unfold(range, move |rest| {
            let inner = Arc::clone(&inner);
            async move {
                if rest.is_empty() {
                    return Ok(None);
                }
                let end = rest.end.min(rest.start + PART_BYTES);
                let part = blocking(move || inner.read_range(&digest, rest.start..end)).await?;
                Ok(Some((part, end..rest.end)))
            }
        });
        Ok(Some(Body::new(bytes, what, parts)))
    }

    async fn plain(&self, _: &Repository, blob: &Descriptor) -> Result<Option<Body>> {
        let (inner, digest) = (Arc::clone(&self.inner), blob.digest);
        if inner.base.get().is_some_and(|base| base.whole(&digest).is_some()) {
            return Ok(None);
        }
        let found = blocking(move || inner.reader.blob(&digest).map_err(|error| told(&error))).await?;
        let Some(PlainRow::Listed { bytes, .. }) = found.map(|info| info.plain) else { return Ok(None) };
        let inner = Arc::clone(&self.inner);
        let what = format!("the plain form of blob {digest} from {}", inner.place);
        Ok(Some(Body::new(bytes, what, whole(move || inner.reader.plain_stream(&digest)))))
    }

    async fn referrers(&self, _: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        let (inner, subject) = (Arc::clone(&self.inner), *subject);
        blocking(move || Ok(inner.family()?.referrers(&subject))).await
    }

    async fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>> {
        let items = self.inner.contents.items().iter().filter(|item| item.origin.repository() == repository);
        let mut tags: Vec<String> = items.clone().filter_map(|item| item.origin.tag().map(str::to_owned)).collect();
        tags.sort();
        Ok(items.clone().next().map(|_| tags))
    }

    async fn contents(&self) -> Result<Option<Contents>> {
        Ok(Some(self.inner.contents.clone()))
    }
}
