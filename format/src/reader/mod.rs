//! [`Reader`]: the blobs of a set, with those of the sets before it that it refers to.
//!
//! **Invariants.** No byte comes out that did not match a hash: of its frame, of its index block, of its own digest. Memory is bounded by
//! [`Options`], whatever is in the archive. What is not here hurts only those who need it: other blobs go on. All methods may be called from many threads.
//!
//! *Not here:* finding sets (`set`), checking everything (`check`), what blobs mean.

mod ahead;
mod base;
pub(crate) mod form;
mod frames;
mod line;
mod older;
mod prefix;
mod reach;
mod replay;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

pub use base::Base;
pub use frames::Chunk;
pub use older::Past;
pub use reach::Reach;
pub use stream::Stream;

use self::form::{Form, Steps};
use self::frames::Frames;
use self::reach::Walk;
use self::replay::Replays;
use crate::cache::{Cache, Weight};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::index::read::{DEFAULT_CACHE_BYTES, IndexCache};
use crate::index::{BlobRow, PlainRow, Stored};
use crate::layout::{Id, Parent};
use crate::set::{Lacking, SetFiles};
use crate::volume::Volume;

/// Bounds of memory.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Decoded frames that are kept, in bytes.
    pub cache_bytes: u64,
    /// Decoded index blocks that are kept, in bytes.
    pub index_cache_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, index_cache_bytes: DEFAULT_CACHE_BYTES }
    }
}

/// What is known of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    /// The blob.
    pub digest: Digest,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The set that has it.
    pub set: Id,
    /// The volume with its record.
    pub volume: u32,
    /// How it is stored.
    pub stored: Stored,
    /// What is known of its plain form.
    pub plain: PlainRow,
}

/// Reads blobs. Clones share everything.
#[derive(Clone)]
pub struct Reader {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    sets: Vec<OpenSet>,
    frames: Frames,
    found: Cache<(usize, Digest), Located>,
    replays: Replays,
    base: OnceLock<Arc<dyn Base>>,
}

struct OpenSet {
    id: Id,
    parent: Parent,
    volumes: BTreeMap<u32, Arc<Volume>>,
    /// Volumes that are here and could not be opened.
    unusable: BTreeMap<u32, Error>,
    lacking: Lacking,
}

/// The record of a blob and where it was found.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    set: usize,
    volume: Arc<Volume>,
    row: BlobRow,
}

/// Where blobs were found is kept for this many of them.
const FOUND_BLOBS: u64 = 4096;

impl Weight for Located {
    fn weight(&self) -> u64 {
        1
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.inner.sets.iter().map(|set| set.id)).finish()
    }
}

impl Reader {
    /// Opens the volumes of `sets`: the newest first, then those before it, nearest first. A volume that cannot be
    /// opened is an error for the blobs that need it, not for the others.
    #[must_use]
    pub fn open<'a>(sets: impl IntoIterator<Item = &'a SetFiles>, options: Options) -> Self {
        let index = Arc::new(IndexCache::new(options.index_cache_bytes));
        Self::of(sets.into_iter().map(|set| OpenSet::open(set, &index)).collect(), options)
    }

    /// The same, of volumes that are open.
    pub(crate) fn of_volumes<'a>(sets: impl IntoIterator<Item = (&'a SetFiles, BTreeMap<u32, Arc<Volume>>)>, options: Options) -> Self {
        let open = |(files, volumes): (&SetFiles, _)| OpenSet {
            id: files.id(),
            parent: files.header.parent,
            volumes,
            unusable: BTreeMap::new(),
            lacking: files.lacking(),
        };
        Self::of(sets.into_iter().map(open).collect(), options)
    }

    fn of(sets: Vec<OpenSet>, options: Options) -> Self {
        let (frames, found) = (Frames::new(options.cache_bytes), Cache::new(FOUND_BLOBS));
        let replays = Replays::new(options.cache_bytes / 4);
        Self { inner: Arc::new(Inner { sets, frames, found, replays, base: OnceLock::new() }) }
    }

    /// What is known of a blob; `None` if it is certainly in none of these sets.
    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        Ok(self.inner.locate(0, digest)?.map(|located| self.inner.info(&located)))
    }

    /// Fills `buffer` with bytes of a blob from `offset`; says how many there were, which is less only at its end.
    pub fn read_at(&self, digest: &Digest, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let located = self.inner.must_locate(digest)?;
        self.inner.fill(&Form::stored(&located), offset, buffer)
    }

    /// The same of its plain form.
    pub fn plain_at(&self, digest: &Digest, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let located = self.inner.must_locate(digest)?;
        self.inner.fill(&Form::plain(&located)?, offset, buffer)
    }

    /// Bytes of a blob from `offset`, in the memory of the frame that they lie in: as many as lie together, at most `most`; none at its
    /// end or beyond. Where few are wanted, a frame is decompressed only as far as they lie.
    pub fn chunk_at(&self, digest: &Digest, offset: u64, most: u64) -> Result<Chunk> {
        let located = self.inner.must_locate(digest)?;
        self.inner.next_chunk(&Form::stored(&located), offset, most, Steps::anywhere(most))
    }

    /// The same of its plain form.
    pub fn plain_chunk_at(&self, digest: &Digest, offset: u64, most: u64) -> Result<Chunk> {
        let located = self.inner.must_locate(digest)?;
        self.inner.next_chunk(&Form::plain(&located)?, offset, most, Steps::anywhere(most))
    }

    /// The records of all blobs in these sets, as they come: a blob that several volumes have a record of comes several times.
    pub fn blobs(&self) -> impl Iterator<Item = Result<BlobRow>> + use<'_> {
        self.all_volumes().flat_map(|volume| volume.blobs())
    }

    /// A blob from front to back, checked against its digest.
    pub fn stream(&self, digest: &Digest) -> Result<Stream> {
        let located = self.inner.must_locate(digest)?;
        Ok(Stream::new(Arc::clone(&self.inner), Form::stored(&located), Some(*digest)))
    }

    /// A blob from front to back, for a caller that checks the digest itself. Frames are verified all the same.
    pub fn stream_unchecked(&self, digest: &Digest) -> Result<Stream> {
        let located = self.inner.must_locate(digest)?;
        Ok(Stream::new(Arc::clone(&self.inner), Form::stored(&located), None))
    }

    /// The plain form of a blob from front to back, checked against the diff id.
    pub fn plain_stream(&self, digest: &Digest) -> Result<Stream> {
        let located = self.inner.must_locate(digest)?;
        let check = match located.row.plain {
            PlainRow::Listed { digest, .. } => digest,
            PlainRow::Own | PlainRow::Unknown => *digest,
        };
        Ok(Stream::new(Arc::clone(&self.inner), Form::plain(&located)?, Some(check)))
    }

    /// The data volumes, by set and number, that the bytes of a blob lie in, and those of what it refers to. Volumes that are
    /// not here are named too, as far as records lead to them; an error where they do not.
    pub fn volumes_of(&self, digest: &Digest) -> Result<BTreeSet<(Id, u32)>> {
        let reach = Walk::new(&self.inner, false).blob(digest)?;
        match reach.elsewhere.keys().next() {
            Some(absent) => Err(self.inner.nowhere(0, absent)),
            None => Ok(reach.volumes),
        }
    }

    /// Where the bytes of a blob come from. A [`Kind::Missing`] error means that the blob itself, not what it refers to, is
    /// in none of these sets.
    pub fn reach(&self, digest: &Digest) -> Result<Reach> {
        Walk::new(&self.inner, true).blob(digest)
    }

    /// Whether these sets are whole and everything that they build on is among them, so that nothing can be elsewhere.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let here = |id: Id| self.inner.sets.iter().any(|set| set.id == id);
        self.inner.sets.iter().all(|set| {
            let parent = match set.parent {
                Parent::None => true,
                Parent::Set { id, .. } => here(id),
                Parent::Receipt { .. } => false,
            };
            parent && set.unusable.is_empty() && set.lacking.numbers.is_empty() && !set.lacking.more
        })
    }

    /// From now on looks there too for what runs refer to. The first one that is told stays.
    pub fn look_in(&self, base: Arc<dyn Base>) {
        let _ = self.inner.base.set(base);
    }

    /// How many plain bytes encoders took so far, to make gzip blobs again.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        self.inner.replays.taken_bytes.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The open volumes of a set, by number.
    pub fn volumes(&self, set: Id) -> impl Iterator<Item = &Arc<Volume>> + use<'_> {
        self.inner.sets.iter().filter(move |open| open.id == set).flat_map(|open| open.volumes.values())
    }

    /// The open volumes of all sets.
    pub fn all_volumes(&self) -> impl Iterator<Item = &Arc<Volume>> + use<'_> {
        self.inner.sets.iter().flat_map(|set| set.volumes.values())
    }

    /// What each set lacks.
    pub fn lacking(&self) -> impl Iterator<Item = (Id, &Lacking)> + use<'_> {
        self.inner.sets.iter().map(|set| (set.id, &set.lacking))
    }

    /// The volumes of all sets that are here and could not be opened, with the reason.
    pub fn unusable(&self) -> impl Iterator<Item = (Id, u32, &Error)> + use<'_> {
        self.inner.sets.iter().flat_map(|set| set.unusable.iter().map(|(number, error)| (set.id, *number, error)))
    }
}

impl OpenSet {
    fn open(files: &SetFiles, index: &Arc<IndexCache>) -> Self {
        let (mut volumes, mut unusable) = (BTreeMap::new(), BTreeMap::new());
        for (number, file) in &files.volumes {
            match Volume::open_with(&file.path, index) {
                Ok(volume) if volume.root() == file.footer.root => drop(volumes.insert(*number, Arc::new(volume))),
                Ok(volume) => drop(unusable.insert(*number, volume.placed(Error::damaged("the file was replaced")))),
                Err(error) => drop(unusable.insert(*number, error)),
            }
        }
        Self { id: files.id(), parent: files.header.parent, volumes, unusable, lacking: files.lacking() }
    }
}

impl Inner {
    /// Volume `number` of a set, by the set's place.
    fn volume(&self, set: usize, number: u32) -> Result<&Arc<Volume>> {
        let open = self.sets.get(set).ok_or_else(|| Error::new(Kind::Usage, "there is no such set"))?;
        if let Some(error) = open.unusable.get(&number) {
            return Err(error.clone());
        }
        open.volumes.get(&number).ok_or_else(|| Error::new(Kind::Missing, format!("volume {number} of set {} is not here", open.id)))
    }

    /// Looks for a blob in the set at `first` and those before it. `None` if it is certainly in none.
    fn locate(&self, first: usize, digest: &Digest) -> Result<Option<Arc<Located>>> {
        if let Some(located) = self.found.get((first, *digest)) {
            return Ok(Some(located));
        }
        let mut unreadable = None;
        for (set, open) in self.sets.iter().enumerate().skip(first) {
            for volume in open.volumes.values() {
                match volume.blob(digest) {
                    Ok(Some(row)) => {
                        let located = Located { set, volume: Arc::clone(volume), row };
                        return self.found.get_or_load((first, *digest), || Ok(located)).map(Some);
                    }
                    Ok(None) => {}
                    // Another volume may have a record of it as well.
                    Err(error) => unreadable = Some(error),
                }
            }
        }
        match unreadable.or_else(|| self.doubt(first, digest)) {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    fn must_locate(&self, digest: &Digest) -> Result<Arc<Located>> {
        self.locate(0, digest)?.ok_or_else(|| self.nowhere(0, digest))
    }

    fn nowhere(&self, first: usize, digest: &Digest) -> Error {
        let sets: Vec<String> = self.sets.iter().skip(first).map(|set| set.id.to_string()).collect();
        Error::new(Kind::Missing, format!("blob {digest} is in none of the sets {}", sets.join(", ")))
    }

    /// Why a blob that was not found may be there nevertheless.
    fn doubt(&self, first: usize, digest: &Digest) -> Option<Error> {
        let mut reasons = Vec::new();
        for set in self.sets.iter().skip(first) {
            let missing = set.lacking.numbers.iter().chain(set.unusable.keys()).map(u32::to_string);
            let mut missing: Vec<String> = missing.collect();
            if set.lacking.more {
                missing.push("those after the last one here".into());
            }
            if !missing.is_empty() {
                reasons.push(format!("volumes {} of set {}", missing.join(", "), set.id));
            }
        }
        let here = |id: &Id| self.sets.iter().any(|set| set.id == *id);
        if let Some(Parent::Set { id, .. }) = self.sets.last().map(|set| set.parent)
            && !here(&id)
        {
            reasons.push(format!("set {id}"));
        }
        (!reasons.is_empty())
            .then(|| Error::new(Kind::Missing, format!("blob {digest} is not here; not here either: {}", reasons.join("; "))))
    }

    fn info(&self, located: &Located) -> BlobInfo {
        let row = &located.row;
        let set = self.sets.get(located.set).map(|set| set.id).unwrap_or_default();
        BlobInfo { digest: row.digest, bytes: row.bytes, set, volume: located.volume.number(), stored: row.stored, plain: row.plain }
    }

    fn next_chunk(&self, form: &Form, at: u64, most: u64, mut steps: Steps) -> Result<Chunk> {
        if at >= form.bytes || most == 0 {
            return Ok(Chunk::of(Arc::new(self.frames.own(Vec::new())), 0, 0));
        }
        self.chunk(form, at, most, &mut steps).map_err(|error| error.context(format!("blob {}", form.blob)))
    }

    fn fill(&self, form: &Form, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let (mut rest, mut at, mut count) = (buffer, offset, 0usize);
        while !rest.is_empty() && at < form.bytes {
            let chunk = self.next_chunk(form, at, crate::codec::length(rest), Steps::default())?;
            let Some((to, after)) = rest.split_at_mut_checked(chunk.len()) else { break };
            to.copy_from_slice(&chunk);
            rest = after;
            at = at.saturating_add(crate::codec::length(&chunk));
            count = count.saturating_add(chunk.len());
        }
        Ok(count)
    }
}
