//! [`ArchiveSink`]: a new set of an archive.
//!
//! **Invariants.** A blob enters the set whole and checked, in the order of the plan. What the parent set holds is not
//! written again; manifests always are, so that a set alone says what it means. The set is there once `finish` returned.
//!
//! *Not here:* which parent, which items stay (`workflow`); volumes and frames (`ocm_format`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use ocm_format::delta::Earlier;
use ocm_format::gzip::{Verdict, find};
use ocm_format::layout::Id;
use ocm_format::set::{Lineage, Needs as FormatNeeds};
use ocm_format::writer::{Closing, Fate, Finished, Form, Head, NewBlob, OnVolume, Options, Seal as FormatSeal, SetWriter};

use super::basis::{Basis, Delta, Depth};
use super::gzip::GzipShare;
use super::needs::Needs;
use super::packing::{GZIP, Packing, form_of};
use super::parent::{BuildsOn, Parent};
use super::signed::Seal;
use super::stage::{Behind, Stage, Staged, Trouble};
use super::{Lock, SCRATCH, document, told};
use crate::error::{Error, Kind, Result};
use crate::image::ends::{Moved, Rest};
use crate::image::{Blob, Contents, Descriptor, Digest, Manifest, Reference, Repository, Sink};

/// Called for each finished volume, once; says whether its file is to be let go.
pub type HandOver = Box<dyn FnMut(&WrittenVolume) -> Result<bool> + Send>;

/// What a new set is.
pub struct NewSet {
    /// The archive directory.
    pub folder: PathBuf,
    /// The set id.
    pub set: [u8; 16],
    /// The lineage id.
    pub lineage: [u8; 16],
    /// The name of the lineage.
    pub lineage_name: String,
    /// The generation, from 1.
    pub generation: u32,
    /// The time, in seconds since 1970.
    pub time: u64,
    /// What it builds on.
    pub parent: Option<BuildsOn>,
    /// Items of the parent that the new set lists too, unless a new item has their name.
    pub inherited: Contents,
    /// The size that every file stays strictly below, in bytes.
    pub cap: u64,
    /// What data volumes leave free below it, for parity.
    pub reserve_bytes: u64,
    /// How content is packed.
    pub packing: Packing,
    /// What it can take from earlier sets.
    pub basis: Basis,
    /// What its own chunk index may take in memory, with that of the parent, in bytes.
    pub delta: Delta,
    /// Threads that compress.
    pub threads: usize,
    /// Notes of roots, found again when a volume is scanned.
    pub notes: BTreeMap<Digest, String>,
    /// What the set was made with.
    pub options: serde_json::Value,
    /// Where its catalogue goes.
    pub catalogue: PathBuf,
    /// Called for each finished volume, once; says whether its file is to be let go.
    pub on_volume: HandOver,
    /// How it gets its signature.
    pub seal: Seal,
    /// The right to write into the directory; kept until the last thread that writes has ended.
    pub lock: Option<Arc<Lock>>,
}

/// A finished volume.
#[derive(Debug, Clone)]
pub struct WrittenVolume {
    /// Its number, from 1.
    pub number: u32,
    /// Its file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of its file.
    pub sum: Digest,
}

/// A finished set.
#[derive(Debug, Clone)]
pub struct Written {
    /// The set root.
    pub root: Digest,
    /// What it lists.
    pub contents: Contents,
    /// The longest chain of earlier sets that it needs; 0 where it needs none.
    pub chain: u64,
    /// The sum of the sizes of the blobs stored in it, in bytes.
    pub blob_bytes: u64,
    /// What became of the gzip blobs of this run.
    pub gzip: GzipShare,
    /// How deep the delta goes; `None` of a base.
    pub depth: Option<Depth>,
    /// Its volumes.
    pub volumes: Vec<WrittenVolume>,
    /// The files of its catalogue.
    pub catalogue: Vec<PathBuf>,
}

/// A set in the making.
pub struct ArchiveSink {
    shared: Arc<Shared>,
    stage: Stage,
    written: Arc<OnceLock<Written>>,
}

struct Shared {
    folder: PathBuf,
    parent: Option<Parent>,
    inherited: Contents,
    notes: BTreeMap<Digest, String>,
    options: serde_json::Value,
    replays: bool,
    catalogue: PathBuf,
    stopped: Stopped,
    state: Mutex<State>,
    _lock: Option<Arc<Lock>>,
}

struct State {
    writer: Writer,
    behind: Behind,
    manifests: BTreeMap<Digest, Manifest>,
    gzip: GzipShare,
    depth: Depth,
}

/// Why handing a volume over failed. The format passes on its text alone.
pub(super) type Stopped = Arc<OnceLock<Error>>;

/// The writer of the set. It is opened when there is something to write, so that a plan alone leaves nothing behind.
enum Writer {
    Ready(Box<(Head, Options, Arc<Earlier>, OnVolume, FormatSeal)>),
    Open(Box<SetWriter>),
    Finished,
}

impl Writer {
    fn open(&mut self) -> Result<&mut SetWriter> {
        if let Self::Ready(_) = self
            && let Self::Ready(ready) = std::mem::replace(self, Self::Finished)
        {
            let (head, options, earlier, on_volume, seal) = *ready;
            let writer = SetWriter::create_after(head, options, earlier, on_volume).map_err(|error| told(&error))?;
            *self = Self::Open(Box::new(writer.sealed(seal)));
        }
        match self {
            Self::Open(writer) => Ok(writer),
            Self::Ready(_) | Self::Finished => Err(finished_already()),
        }
    }

    fn take(&mut self) -> Result<SetWriter> {
        self.open()?;
        match std::mem::replace(self, Self::Finished) {
            Self::Open(writer) => Ok(*writer),
            Self::Ready(_) | Self::Finished => Err(finished_already()),
        }
    }

    fn has(&self, digest: &Digest) -> bool {
        matches!(self, Self::Open(writer) if writer.has(digest))
    }
}

fn finished_already() -> Error {
    Error::failed("the set is finished already, or could not be begun")
}

impl ArchiveSink {
    /// Gets ready to write the set. With `resume` it goes on with what an earlier run of the same set id has written:
    /// then it opens that at once. Otherwise nothing is opened before there is something to write.
    pub fn prepare(new: NewSet, resume: bool) -> Result<Self> {
        let parent = new.parent.map(Parent::new).transpose()?;
        let parent_set = parent.as_ref().map(|parent| parent.named.clone());
        let lineage = Lineage { id: Id(new.lineage), name: new.lineage_name };
        let head = Head { set: Id(new.set), lineage, generation: new.generation, time: new.time, parent: parent_set };
        let scratch = new.folder.join(SCRATCH);
        let stage = Stage::new(scratch.clone());
        let (cap, threads, Packing { frame_bytes, level, replays }) = (new.cap, new.threads, new.packing);
        let (index_bytes, own_version_bytes) = (new.delta.chunk_bytes(), new.delta.own_version_bytes());
        let (folder, reserve_bytes) = (new.folder.clone(), new.reserve_bytes);
        let options = Options { folder, scratch, cap, frame_bytes, level, threads, index_bytes, own_version_bytes, reserve_bytes };
        let stopped = Stopped::default();
        let handed = handing(new.on_volume, Arc::clone(&stopped));
        let mut writer = Writer::Ready(Box::new((head, options, new.basis.earlier, handed, new.seal.of_format())));
        if resume {
            writer.open().map_err(|error| cause(&stopped, error))?;
        }
        let state =
            State { writer, behind: Behind::default(), manifests: BTreeMap::new(), gzip: GzipShare::default(), depth: new.basis.depth };
        let shared = Shared {
            folder: new.folder,
            parent,
            inherited: new.inherited,
            notes: new.notes,
            options: new.options,
            replays,
            catalogue: new.catalogue,
            stopped,
            state: Mutex::new(state),
            _lock: new.lock,
        };
        Ok(Self { shared: Arc::new(shared), stage, written: Arc::default() })
    }

    /// Takes from `basis` what it can, from now on. That is for a set that was not begun: what is open stays as it is.
    pub fn build_on(&self, basis: Basis) {
        let mut state = self.shared.state();
        if let Writer::Ready(ready) = &mut state.writer {
            ready.2 = basis.earlier;
            state.depth = basis.depth;
        }
    }

    /// What the set would list, given what a run brings: that, and what stays of the parent's.
    #[must_use]
    pub fn merge(&self, contents: &Contents) -> Contents {
        self.shared.merge(contents)
    }

    /// Where the finished set will be told.
    #[must_use]
    pub fn written(&self) -> Arc<OnceLock<Written>> {
        Arc::clone(&self.written)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, digest: &Digest) -> bool {
        self.state().writer.has(digest)
    }

    /// Whether content need not be brought. A manifest that an interrupted run has stored is brought again, because
    /// the end of the set must know what stands in it; it is not written again.
    fn has(&self, content: &Descriptor) -> bool {
        if self.parent.as_ref().is_some_and(|parent| parent.holds.contains(&content.digest)) {
            return true;
        }
        let state = self.state();
        if content.is_manifest() { state.manifests.contains_key(&content.digest) } else { state.writer.has(&content.digest) }
    }

    fn cause(&self, error: Error) -> Error {
        cause(&self.stopped, error)
    }

    /// Stores a blob that is whole and checked.
    fn store(&self, descriptor: &Descriptor, staged: Staged, verdict: Option<Verdict>) -> Result<()> {
        let form = form_of(descriptor, &staged.start()?);
        let blob = NewBlob { digest: descriptor.digest, bytes: staged.bytes(), form, note: String::new() };
        let mut state = self.state();
        state.add(blob, &staged, verdict).map_err(|error| self.cause(error))?;
        state.behind.push(staged)
    }

    /// How a gzip blob can be made again. It takes longer than anything else, and needs nobody's turn.
    fn judge(&self, staged: &Staged) -> Result<Option<Verdict>> {
        if !self.replays || !staged.start()?.starts_with(GZIP) {
            return Ok(None);
        }
        find(staged).map(Some).map_err(|error| Error::io("a blob that waits", &error))
    }

    fn store_manifest(&self, manifest: Manifest) -> Result<()> {
        let note = self.notes.get(&manifest.digest()).cloned().unwrap_or_default();
        let blob = NewBlob { digest: manifest.digest(), bytes: manifest.descriptor().size, form: Form::Document, note };
        let mut state = self.state();
        state.writer.open()?.add(blob, &mut &manifest.bytes()[..]).map_err(|error| self.cause(told(&error)))?;
        state.manifests.insert(manifest.digest(), manifest);
        Ok(())
    }

    /// A manifest of this run, or of the parent.
    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let kept = self.state().manifests.get(&wanted.digest).cloned();
        match (kept, &self.parent) {
            (Some(manifest), _) => Ok(Some(manifest)),
            (None, Some(parent)) => parent.manifest(wanted),
            (None, None) => Ok(None),
        }
    }

    /// The items of the new set: those of the run, and those that stay. One that could not be had leaves the old one.
    fn merge(&self, contents: &Contents) -> Contents {
        let mut all = self.inherited.clone();
        for item in contents.items() {
            let old_stays = !item.is_complete() && all.items().iter().any(|old| (&old.origin, old.role) == (&item.origin, item.role));
            if !old_stays {
                all.put(item.clone());
            }
        }
        all
    }

    /// The items, each index with the platforms that are there.
    fn with_platforms(&self, contents: Contents) -> Result<Contents> {
        let mut all = Contents::default();
        for item in contents.items() {
            let mut item = item.clone();
            let root = item.root.as_ref().filter(|_| item.platforms.is_empty() && item.is_complete());
            if let Some(index) = root.map(|root| self.manifest(root)).transpose()?.flatten() {
                for child in index.children() {
                    if self.manifest(child)?.is_some() {
                        item.platforms.extend(child.platform.clone().filter(|platform| !platform.is_unknown()));
                    }
                }
            }
            all.put(item);
        }
        Ok(all)
    }

    fn finish(&self, contents: &Contents) -> Result<Written> {
        let all = self.with_platforms(self.merge(contents))?;
        let needs = Needs::of(&all, |wanted| self.manifest(wanted))?;
        needs.manifests.iter().try_for_each(|manifest| self.store_manifest(manifest.clone()))?;
        let mut state = self.state();
        let mut writer = state.writer.take()?;
        let mut elsewhere = writer.settle().map_err(|error| self.cause(told(&error)))?;
        elsewhere.extend(needs.blobs.iter().filter(|(digest, _)| !writer.has(digest)).map(|(digest, bytes)| (*digest, *bytes)));
        let chain = self.parent.as_ref().map_or(0, |parent| parent.chain_of_child(!elsewhere.is_empty()));
        let depth = self.parent.as_ref().filter(|_| chain > 0).map_or(0, Parent::depth);
        let options = self.parent.as_ref().map(|parent| parent.options(&self.options, elsewhere.keys()));
        let closing = Closing {
            items: document::items(&all)?,
            options: document::canonical(options.as_ref().unwrap_or(&self.options))?,
            ancestors: self.parent.as_ref().map(|parent| parent.ancestors.clone()).unwrap_or_default(),
            needs: FormatNeeds { blobs: elsewhere.len() as u64, bytes: elsewhere.values().sum(), chain, depth },
            oci_layout: document::OCI_LAYOUT.to_vec(),
            index_json: document::index_json(&all)?,
            writer: concat!("ocm ", env!("CARGO_PKG_VERSION")).to_owned(),
            catalogue: Some(self.catalogue.clone()),
            listed: needs.blobs.into_keys().collect(),
        };
        let blob_bytes = writer.blob_bytes();
        let finished = writer.finish(closing).map_err(|error| self.cause(told(&error)))?;
        state.behind.clear()?;
        let mut written = written(finished, all, blob_bytes, std::mem::take(&mut state.gzip));
        written.depth = self.parent.as_ref().map(|_| state.depth);
        Ok(written)
    }
}

impl State {
    fn add(&mut self, blob: NewBlob, staged: &Staged, verdict: Option<Verdict>) -> Result<()> {
        let writer = self.writer.open()?;
        if writer.has(&blob.digest) {
            return Ok(());
        }
        if let Some(verdict) = &verdict {
            self.gzip.count(blob.bytes, verdict);
        }
        let added = match verdict {
            Some(Verdict::Replay(plan)) => writer.add_replayed(blob, &plan, staged),
            Some(Verdict::Keep(_)) | None => writer.add(blob, &mut *staged.reader()?),
        };
        added.map_err(|error| told(&error))
    }
}

/// Hands finished volumes over; why that failed is kept in `stopped`.
pub(super) fn handing(mut on_volume: HandOver, stopped: Stopped) -> OnVolume {
    Box::new(move |volume| {
        let done = volume.done;
        let written = WrittenVolume { number: done.number, path: volume.path.to_owned(), bytes: done.bytes, sum: done.sum };
        on_volume(&written).map(|released| if released { Fate::Released } else { Fate::Kept }).map_err(|error| {
            let text = error.to_string();
            // It stops the run, so there is no second one.
            let _ = stopped.set(error);
            ocm_format::error::Error::new(ocm_format::error::Kind::Io(std::io::ErrorKind::Other), text)
        })
    })
}

/// What an error of the writer was at first.
pub(super) fn cause(stopped: &Stopped, error: Error) -> Error {
    let error = stopped.get().cloned().unwrap_or(error);
    match error.kind() {
        Kind::Needed => error.hint("put the file back and run the same command again, or remove the folder .ocm to begin the set anew"),
        _ => error,
    }
}

/// What a finished set is, for those who asked for it.
pub(super) fn written(finished: Finished, contents: Contents, blob_bytes: u64, gzip: GzipShare) -> Written {
    let volume =
        |(path, done): (PathBuf, ocm_format::writer::Done)| WrittenVolume { number: done.number, path, bytes: done.bytes, sum: done.sum };
    let volumes = finished.volumes.into_iter().map(volume).collect();
    Written {
        root: finished.root,
        contents,
        chain: finished.manifest.needs.chain,
        blob_bytes,
        gzip,
        depth: None,
        volumes,
        catalogue: finished.catalogue,
    }
}

/// Runs work that writes files on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::failed(format!("writing an archive: {error}")))?
}

#[async_trait]
impl Sink for ArchiveSink {
    fn place(&self) -> String {
        self.shared.folder.display().to_string()
    }

    fn shares_blobs(&self) -> bool {
        true
    }

    async fn current(&self, _: &Reference) -> Result<Option<Digest>> {
        Ok(None)
    }

    async fn has(&self, _: &Repository, content: &Descriptor) -> Result<bool> {
        let (shared, content) = (Arc::clone(&self.shared), content.clone());
        blocking(move || Ok(shared.has(&content))).await // A command may hold the turn for long; Ctrl-C must be heard.
    }

    async fn put(&self, _: &Repository, blob: &Blob, moved: &Moved) -> Result<Rest> {
        let (shared, digest) = (Arc::clone(&self.shared), blob.descriptor().digest);
        if blocking(move || Ok(shared.holds(&digest))).await? {
            return Ok(None);
        }
        let staged = match self.stage.fetch(blob, moved).await {
            Ok(staged) => staged,
            Err(Trouble::Blob(error)) => return Err(error),
            // A disk that is full is no fault of this blob: the run stops here, and what is written stays.
            Err(Trouble::Place(error)) => return Ok(Some(Box::pin(async { Err(error) }))),
        };
        let (shared, descriptor) = (Arc::clone(&self.shared), blob.descriptor().clone());
        let (staged, verdict) = blocking({
            let shared = Arc::clone(&shared);
            move || shared.judge(&staged).map(|verdict| (staged, verdict))
        })
        .await?;
        Ok(Some(Box::pin(blocking(move || shared.store(&descriptor, staged, verdict)))))
    }

    async fn put_manifest(&self, _: &Repository, manifest: &Manifest) -> Result<Rest> {
        let (shared, manifest) = (Arc::clone(&self.shared), manifest.clone());
        Ok(Some(Box::pin(blocking(move || shared.store_manifest(manifest)))))
    }

    async fn point(&self, _: &Reference, _: &Manifest) -> Result<Rest> {
        Ok(None)
    }

    async fn finish(self: Box<Self>, contents: &Contents) -> Result<()> {
        let (shared, contents) = (Arc::clone(&self.shared), contents.clone());
        let written = blocking(move || shared.finish(&contents)).await?;
        self.written.set(written).map_err(|_| finished_already())
    }
}
