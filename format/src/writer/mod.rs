//! [`SetWriter`]: writes a set, blob by blob, into volumes below a cap.
//!
//! **Invariants.** Same blobs in the same order with the same head and options: same bytes, on any number of threads,
//! interrupted or not. What is under a volume's final name is whole and durable; a set is there once its last volume is.
//! Nothing that exists is overwritten.
//!
//! *Not here:* whether a blob has its digest – the caller has checked that – and what the items of a set mean.

mod alike;
mod builder;
mod catalogue;
mod history;
mod journal;
mod layer;
mod line;
mod output;
mod own;
mod place;
mod pool;
mod prefix;
mod resume;
mod seal;
mod shelf;
mod table;
mod volume;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::builder::Builder;
pub use self::journal::Done;
use self::journal::Entry;
use self::layer::Cut;
use self::line::{Event, Laid, Line};
use self::own::Own;
use self::place::Spot;
pub use self::prefix::may_be_prefix;
pub use self::seal::{Seal, Sign};
use self::volume::Tail;
use crate::chunk::Shape;
use crate::codec::length;
use crate::delta::{Blob, Earlier, Gathered};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::gzip::{At, Content, Inflated, Plan};
use crate::layout::{Header, Id, MAX_VERBATIM_BYTES, MIN_CAP, Parent, VolumeKind};
use crate::set::{Ancestor, Canonical, Lineage, Needs, ParentSet, SetManifest, name};
use crate::tail::SIGNATURE;

/// From this cap on, each volume has the programs that read it.
const PROGRAM_CAP: u64 = 1 << 20;
/// The text that every volume has.
pub(crate) const RESTORE_TXT: &[u8] = include_bytes!("../../RESTORE.txt");
const RESTORE_PY: &[u8] = include_bytes!("../../restore.py");
const RESTORE_GZIP_PY: &[u8] = include_bytes!("../../restore-gzip.py");

/// What a set is: the inputs of its headers.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its id: a hash of everything that determines it.
    pub set: Id,
    /// The lineage that it belongs to.
    pub lineage: Lineage,
    /// Its generation, from 1.
    pub generation: u32,
    /// Its time, in seconds since 1970.
    pub time: u64,
    /// What it builds on.
    pub parent: Option<ParentSet>,
}

/// How a set is written.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its volumes go.
    pub folder: PathBuf,
    /// Where notes and parts of the catalogue wait; on the same file system.
    pub scratch: PathBuf,
    /// The size that every file stays strictly below.
    pub cap: u64,
    /// The plain bytes of a frame, where the cap allows it.
    pub frame_bytes: u64,
    /// The zstd level, 1 to 19.
    pub level: i32,
    /// Threads that compress.
    pub threads: usize,
    /// What the chunk index of the set may take in memory while it is made, in bytes.
    pub index_bytes: u64,
    /// Whether blobs are compressed after those that the set got before, and what the table of their files may take in memory then, in
    /// bytes. That needs all finished volumes until the set is: none may be let go before. `None`: each blob by itself.
    pub own_version_bytes: Option<u64>,
    /// What data volumes leave free below the cap, in bytes: [`crate::parity::reserve_bytes`] where parity volumes come after them.
    pub reserve_bytes: u64,
}

/// What kind of content a blob is; it decides how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A manifest, index, configuration or small artifact: verbatim, where it is small enough.
    Document,
    /// Compressed already: as it came.
    Packed,
    /// An uncompressed tar: cut at its entries.
    Tar,
    /// Anything else.
    Plain,
}

/// A blob to be stored. That its content has this digest and size was checked by the caller.
#[derive(Debug, Clone)]
pub struct NewBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it is.
    pub form: Form,
    /// A note that is found again with it; empty for none.
    pub note: String,
}

/// A finished volume, for whoever carries it away.
#[derive(Debug, Clone)]
pub struct Volume<'a> {
    /// Its file.
    pub path: &'a Path,
    /// Number, size, root and sum.
    pub done: &'a Done,
}

/// What becomes of the file of a finished volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// It is let go: it is elsewhere now.
    Released,
}

/// Called for each finished volume, once, before its file is let go; an error stops the run at that volume.
pub type OnVolume = Box<dyn FnMut(&Volume<'_>) -> Result<Fate> + Send>;

/// What the end of a set says.
#[derive(Debug, Clone)]
pub struct Closing {
    /// What the set means; opaque here.
    pub items: Canonical,
    /// What it was made with; opaque here.
    pub options: Canonical,
    /// The sets before it, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// What it needs of them.
    pub needs: Needs,
    /// `oci-layout`.
    pub oci_layout: Vec<u8>,
    /// `index.json`.
    pub index_json: Vec<u8>,
    /// Name and version of the program.
    pub writer: String,
    /// Where the catalogue goes, besides the folder of the volumes where the set has more than one; and the chunk index.
    pub catalogue: Option<PathBuf>,
    /// The blobs that the set lists: its chunk index is of these.
    pub listed: BTreeSet<Digest>,
}

/// A finished set.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The SHA-256 of SET.json.
    pub root: Digest,
    /// SET.json.
    pub manifest: SetManifest,
    /// Its volumes, in order, with the names of their files.
    pub volumes: Vec<(PathBuf, Done)>,
    /// The files of its catalogue.
    pub catalogue: Vec<PathBuf>,
}

/// A set in the making.
pub struct SetWriter {
    builder: Builder,
    line: Line,
    known: HashSet<Digest>,
    blob_bytes: u64,
    earlier: Arc<Earlier>,
    gathered: Gathered,
    /// The blobs up to now, where later ones can be compressed after them.
    own: Option<Arc<Own>>,
}

impl SetWriter {
    /// Begins the set, or goes on with what an earlier run with the same head has written.
    pub fn create(head: Head, options: Options, on_volume: OnVolume) -> Result<Self> {
        Self::create_after(head, options, Arc::default(), on_volume)
    }

    /// The same, for a set that takes from earlier ones what it can.
    pub fn create_after(head: Head, options: Options, earlier: Arc<Earlier>, on_volume: OnVolume) -> Result<Self> {
        if options.cap < MIN_CAP {
            return Err(Error::new(Kind::Limit, format!("a cap of {} bytes is below the smallest, {MIN_CAP}", options.cap)));
        }
        if !(1..=crate::frame::MAX_LEVEL).contains(&options.level) {
            return Err(Error::new(Kind::Limit, format!("zstd level {} is not between 1 and {}", options.level, crate::frame::MAX_LEVEL)));
        }
        std::fs::create_dir_all(&options.scratch).map_err(|error| Error::io(&options.scratch, &error))?;
        let mut set = resume::open(head, options, earlier, on_volume)?;
        set.line.hand_over()?;
        Ok(set)
    }

    /// The same set, with a signature.
    #[must_use]
    pub fn sealed(mut self, seal: Seal) -> Self {
        self.line.seal = seal;
        self
    }

    /// Whether the blob is stored already, or on its way.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.known.contains(digest)
    }

    /// The sum of the sizes of all blobs stored, those of an interrupted run too.
    #[must_use]
    pub fn blob_bytes(&self) -> u64 {
        self.blob_bytes
    }

    /// Stores a blob. `content` is all of it; its record is written once all of its frames are.
    pub fn add(&mut self, blob: NewBlob, content: &mut dyn Read) -> Result<()> {
        if !self.note(blob.digest, blob.bytes) {
            return Ok(());
        }
        let small = blob.bytes <= MAX_VERBATIM_BYTES.min(self.line.options.cap >> 3) && matches!(blob.digest, Digest::Sha256(_));
        let event = if blob.form == Form::Document && small { verbatim(blob, content)? } else { self.store(blob, content)? };
        self.line.put(event)
    }

    /// Stores a blob by its plain form; `plan` says how it is made from that again, as [`crate::gzip::find`] proved.
    pub fn add_replayed(&mut self, blob: NewBlob, plan: &Plan, content: &dyn Content) -> Result<()> {
        if !self.note(blob.digest, blob.bytes) {
            return Ok(());
        }
        let Self { builder, line, .. } = self;
        let after = |builder: &mut Builder| line.put_frames(builder);
        let mut inflated = Inflated::new(content, plan);
        let plain = builder.chunk(&blob.digest, Shape::Tar, &mut inflated, after)?;
        let mut left = At::new(content, blob.bytes.saturating_sub(plan.rest_bytes));
        let after = |builder: &mut Builder| line.put_frames(builder);
        let rest = builder.chunk(&blob.digest, Shape::Plain, &mut left, after)?.spots;
        let closed = builder.close(&blob.digest, bytes_of(&plain.spots))?;
        line.put_frames(builder)?;
        let digest = inflated.finish();
        let plain = self.gather(&blob, plain)?;
        self.line.put(Event::End(blob, Laid::Plain { pieces: plan.pieces(), rest, digest, plain }, closed))
    }

    /// Takes note of a blob; whether it is new.
    fn note(&mut self, digest: Digest, bytes: u64) -> bool {
        let is_new = self.known.insert(digest);
        if is_new {
            self.blob_bytes = self.blob_bytes.saturating_add(bytes);
        }
        is_new
    }

    fn store(&mut self, blob: NewBlob, content: &mut dyn Read) -> Result<Event> {
        let Self { builder, line, .. } = self;
        let after = |builder: &mut Builder| line.put_frames(builder);
        let cut = match blob.form {
            Form::Packed => Cut { spots: builder.wrap(&blob.digest, content, after)?, ..Cut::default() },
            Form::Tar => builder.chunk(&blob.digest, Shape::Tar, content, after)?,
            Form::Plain | Form::Document => builder.chunk(&blob.digest, Shape::Plain, content, after)?,
        };
        check_length(&blob, bytes_of(&cut.spots))?;
        if blob.form == Form::Packed {
            line.put_frames(builder)?;
            return Ok(Event::End(blob, Laid::Whole(cut.spots), BTreeSet::new()));
        }
        let closed = builder.close(&blob.digest, bytes_of(&cut.spots))?;
        line.put_frames(builder)?;
        let spots = self.gather(&blob, cut)?;
        Ok(Event::End(blob, Laid::Whole(spots), closed))
    }

    /// Takes note of the chunks of the plain form of a blob, and of its files: later sets, and later blobs of this one, can refer to it.
    fn gather(&mut self, blob: &NewBlob, plain: Cut) -> Result<Vec<Spot>> {
        let Cut { spots, chunks, files } = plain;
        let blob = Blob { digest: blob.digest, bytes: blob.bytes, plain_bytes: bytes_of(&spots) };
        if let Some(own) = &self.own {
            if let Some(files) = own.with(|table| table.wanted(&blob.digest, &files)) {
                // Before its chunks, which give it its place among the others.
                self.line.journal.append(&Entry::Files(blob.digest, files.clone()))?;
                own.with(|table| table.add(blob.digest, blob.plain_bytes, chunks.len(), &files));
            }
            own.with(|table| table.lay(&blob.digest, spots.clone()));
        }
        self.gathered.add(blob, chunks.iter().copied());
        self.line.journal.append(&Entry::Chunks(blob, chunks))?;
        Ok(spots)
    }

    /// Writes everything that was added; says which blobs of earlier sets this one refers to, and their sizes in bytes.
    pub fn settle(&mut self) -> Result<BTreeMap<Digest, u64>> {
        self.builder.flush()?;
        self.line.put_frames(&mut self.builder)?;
        self.line.settle(0)?;
        let blobs = self.earlier.chunks.blobs().iter();
        Ok(blobs.filter(|blob| self.line.needs.contains(&blob.digest)).map(|blob| (blob.digest, blob.bytes)).collect())
    }

    /// Ends the set: what is left is written, the last volume gets the set manifest and its name, and the catalogue is made.
    pub fn finish(mut self, closing: Closing) -> Result<Finished> {
        self.settle()?;
        let (mut line, mut chunks) = (self.line, self.gathered);
        if let Some(folder) = &closing.catalogue {
            chunks.inherit(&self.earlier.chunks, |digest| closing.listed.contains(digest));
            std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, &error))?;
            chunks.finish().write(&chunks_path(folder, &stem(&line.head)), line.head.set)?;
        }
        let manifest = line.end_set(&closing)?;
        finish(line, &closing, manifest)
    }
}

/// Does what an interrupted run has left to be done for a set after its last volume had its name: the catalogue, and
/// handing over what was not. `closing` and `seal` are those of the set. `None` where nothing is left.
pub fn complete(manifest: SetManifest, closing: &Closing, seal: Seal, options: Options, on_volume: OnVolume) -> Result<Option<Finished>> {
    let (lineage, parent) = (manifest.lineage.clone(), manifest.parent.clone());
    let head = Head { set: manifest.set, lineage, generation: manifest.generation, time: manifest.time, parent };
    if !resume::is_begun(&head, &options) {
        return Ok(None);
    }
    let mut line = resume::open(head, options, Arc::default(), on_volume)?.line;
    line.seal = seal;
    if line.done.len() == manifest.volumes.len() { finish(line, closing, manifest).map(Some) } else { Ok(None) }
}

/// What comes after the last volume has its name.
fn finish(mut line: Line, closing: &Closing, manifest: SetManifest) -> Result<Finished> {
    let root = Digest::of(&manifest.to_bytes()?);
    let catalogue = catalogue::write(&line, closing, &manifest)?;
    line.hand_over()?;
    let name = |done: &Done| line.options.folder.join(volume_name(&line.head, 'v', done.number));
    let volumes = line.done.iter().map(|done| (name(done), done.clone())).collect();
    resume::clean(&line.head, &line.options)?;
    Ok(Finished { root, manifest, volumes, catalogue })
}

fn bytes_of(spots: &[Spot]) -> u64 {
    spots.iter().fold(0, |sum, spot| sum.saturating_add(spot.bytes.into()))
}

fn verbatim(blob: NewBlob, content: &mut dyn Read) -> Result<Event> {
    let mut bytes = Vec::new();
    let read = content.take(blob.bytes.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| Error::new(Kind::Io(error.kind()), format!("blob {}: {error}", blob.digest)))?;
    check_length(&blob, length(&bytes))?;
    Ok(Event::Verbatim(blob, bytes))
}

fn tail(closing: &Closing, seal: &Seal, manifest: &SetManifest) -> Result<Tail> {
    let set_json = manifest.to_bytes()?;
    let signature = seal.signature(manifest, &set_json)?;
    let mut tail = vec![("oci-layout", closing.oci_layout.clone()), ("index.json", closing.index_json.clone()), ("SET.json", set_json)];
    tail.extend(signature.map(|signature| (SIGNATURE, signature)));
    Ok(tail)
}

fn check_length(blob: &NewBlob, bytes: u64) -> Result<()> {
    if bytes == blob.bytes {
        Ok(())
    } else {
        Err(Error::damaged(format!("blob {}: it has {bytes} bytes and should have {}", blob.digest, blob.bytes)))
    }
}

/// The header of a volume of the set.
fn header_of(head: &Head, kind: VolumeKind, number: u32, cap: u64) -> Header {
    let parent = match &head.parent {
        None => Parent::None,
        Some(ParentSet::Set { id, root, .. }) => Parent::Set { id: *id, root: *root },
        Some(ParentSet::Receipt { root, .. }) => Parent::Receipt { root: *root },
    };
    let (set, lineage, generation, time) = (head.set, head.lineage.id, head.generation, head.time);
    Header { kind, compatible: 0, incompatible: 0, set, lineage, generation, number, cap, time, parent }
}

/// The texts that each volume begins with.
fn texts(cap: u64) -> Vec<(&'static str, &'static [u8])> {
    let mut texts = vec![("RESTORE.txt", RESTORE_TXT)];
    if cap >= PROGRAM_CAP {
        texts.extend([("restore.py", RESTORE_PY), ("restore-gzip.py", RESTORE_GZIP_PY)]);
    }
    texts
}

/// What the file names of a set begin with: `NAME.g0001-1a2b3c4d`.
fn stem(head: &Head) -> String {
    name::stem(&head.lineage.name, head.generation, head.set)
}

fn volume_name(head: &Head, series: char, number: u32) -> String {
    stem(head) + &numbered(series, number)
}

/// What the name of a volume ends with: `.v001.ocm.tar`.
fn numbered(series: char, number: u32) -> String {
    format!(".{series}{number:03}.ocm.tar")
}

/// Where the chunk index of a set is, beside its catalogue: `stem` is what its file names begin with.
#[must_use]
pub fn chunks_path(folder: &Path, stem: &str) -> PathBuf {
    folder.join(format!("{stem}.chunks"))
}

/// Writes a small file so that it is there whole or not at all.
fn write_durably(path: &Path, content: &[u8]) -> Result<()> {
    let partial = volume::partial_of(path);
    let written = std::fs::File::create(&partial).and_then(|mut file| {
        std::io::Write::write_all(&mut file, content)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&partial, path)).map_err(|error| Error::io(path, &error))?;
    volume::sync_folder(path)
}
