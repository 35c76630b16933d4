//! [`LayoutSink`]: an OCI layout that images are written to.
//!
//! **Invariants.** Nothing is written before there is something to write. A blob has its name only when it is whole,
//! checked and on the disk; `index.json` follows in `finish`, and keeps what others listed there.
//!
//! *Not here:* removing blobs that no image needs any more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::sync::OnceCell;

use super::files::{self, PART_BYTES, TEMPORARY, Temporary, blocking};
use super::index::{Entry, Index};
use super::{Folder, MARKER, MAX_INDEX_BYTES};
use crate::durable::sync_folder;
use crate::error::{Error, Kind, Result};
use crate::image::attachment::subject_of;
use crate::image::ends::{Moved, Rest};
use crate::image::name::is_tag;
use crate::image::place::Location;
use crate::image::{Blob, Body, Contents, Descriptor, Digest, Manifest, Reference, Repository, Sink};
use crate::store::family::is_complete;

/// An OCI layout in the making, or one that gets more images.
pub struct LayoutSink {
    place: String,
    folder: Folder,
    /// The name that the one image gets, where the person gave it one.
    reference: Option<String>,
    /// The index as it was when this was opened.
    before: Index,
    prepared: OnceCell<()>,
    pending: Mutex<Pending>,
}

/// What `finish` puts into the index.
#[derive(Default)]
struct Pending {
    names: BTreeMap<Reference, Descriptor>,
    /// Names of what may be attached to the one image that gets another name, by the tags that they came with.
    beside: BTreeMap<Reference, Descriptor>,
    attached: BTreeMap<Digest, Descriptor>,
    /// What an index of this run lists already.
    children: BTreeSet<Digest>,
}

impl LayoutSink {
    /// A sink at `path`: a layout, an empty directory, or nothing yet. With a `reference`, the image that is brought
    /// goes by that name.
    pub async fn open(path: impl Into<PathBuf>, reference: Option<&str>) -> Result<Self> {
        let folder = Folder { path: path.into() };
        let reference = reference.map(str::to_owned);
        let place = Location::Layout { path: folder.path.clone(), reference: reference.clone() }.to_string();
        if let Some(reference) = reference.as_deref().filter(|reference| !is_tag(reference)) {
            reference.parse::<Reference>().map_err(|error| error.context(&place))?;
        }
        let there = folder.clone();
        let before = blocking(move || inspect(&there)).await?;
        Ok(Self { place, folder, reference, before, prepared: OnceCell::new(), pending: Mutex::default() })
    }

    /// Makes the directory a layout, before the first thing is written.
    async fn prepare(&self) -> Result<()> {
        let prepare = || {
            let folder = self.folder.clone();
            blocking(move || prepare(&folder))
        };
        self.prepared.get_or_try_init(prepare).await.copied()
    }

    /// What is pending. Every change is one insertion, so it is whole even if a task panicked with it in hand.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name that an image gets here: a tag where there is one, without the digest that it was pinned to.
    fn name(&self, name: &Reference) -> Result<Reference> {
        let name = name.clone().or_latest();
        match (self.reference.as_deref(), name.tag()) {
            (Some(tag), _) if is_tag(tag) => name.repository().tagged(tag),
            (Some(full), _) => full.parse().map(Reference::or_latest),
            (None, Some(tag)) => name.repository().tagged(tag),
            (None, None) => Ok(name),
        }
    }

    /// The name that something gets that is attached to an image by this tag: beside that one.
    fn beside(&self, name: &Reference) -> Result<Option<Reference>> {
        let tag = name.tag().filter(|tag| self.reference.is_some() && subject_of(tag).is_some());
        tag.map(|tag| self.name(name)?.repository().tagged(tag)).transpose()
    }

    /// Notes the name of an image; where the person gave one, there is one image.
    fn put_name(&self, pending: &mut Pending, name: Reference, root: Descriptor) -> Result<()> {
        if self.reference.is_some() && pending.names.keys().any(|there| *there != name) {
            return Err(Error::usage(format!("{}: it is the name of one image, and several are brought", self.place))
                .hint(format!("write oci:{} to keep their names", self.folder.path.display())));
        }
        pending.names.insert(name, root);
        Ok(())
    }

    /// Of what may be attached to an image, gives the name of one to what no item has attached: it was asked for itself.
    fn settle(&self, pending: &mut Pending, contents: &Contents) -> Result<()> {
        let tagged: BTreeSet<&str> = contents.items().iter().flat_map(|item| &item.tagged).map(|tagged| tagged.tag.as_str()).collect();
        let (beside, own) =
            std::mem::take(&mut pending.beside).into_iter().partition(|(name, _)| name.tag().is_some_and(|tag| tagged.contains(tag)));
        pending.beside = beside;
        own.into_iter().try_for_each(|(name, root): (Reference, Descriptor)| self.put_name(pending, self.name(&name)?, root))
    }

    async fn write(&self, digest: &Digest, mut body: Body, moved: &Moved) -> Result<()> {
        let target = self.folder.blob_path(digest);
        let folder = self.folder.blobs_path(digest.algorithm());
        let wrong = |error: std::io::Error| Error::io(target.display(), &error);
        let temporary = blocking(move || Temporary::create(&folder)).await?;
        let mut writer = BufWriter::with_capacity(PART_BYTES as usize, tokio::fs::File::from_std(temporary.writer()?));
        while let Some(part) = body.next().await? {
            writer.write_all(&part).await.map_err(wrong)?;
            moved(part.len() as u64);
        }
        writer.flush().await.map_err(wrong)?;
        blocking(move || temporary.keep(&target)).await
    }

    /// The referrers to list: those brought in this run, and those of the contents that are here.
    async fn attached(&self, brought: BTreeMap<Digest, Descriptor>, contents: &Contents) -> Result<BTreeMap<Digest, Descriptor>> {
        let listed: Vec<Descriptor> = contents.items().iter().flat_map(|item| item.attached.iter().cloned()).collect();
        let folder = self.folder.clone();
        blocking(move || {
            let mut all = brought;
            for referrer in listed {
                if folder.has_blob(&referrer)? {
                    all.insert(referrer.digest, referrer);
                }
            }
            Ok(all)
        })
        .await
    }
}

impl Pending {
    fn note(&mut self, manifest: &Manifest) {
        self.children.extend(manifest.children().iter().map(|child| child.digest));
        if manifest.subject().is_some() {
            self.attached.insert(manifest.digest(), manifest.descriptor().clone());
        }
    }

    /// The referrers that nothing else lists.
    fn unlisted(&self) -> BTreeMap<Digest, Descriptor> {
        let unlisted = self.attached.iter().filter(|(digest, _)| !self.children.contains(digest));
        unlisted.map(|(digest, referrer)| (*digest, referrer.clone())).collect()
    }
}

/// What is at a place before anything is written; an error if it is neither a layout nor free.
fn inspect(folder: &Folder) -> Result<Index> {
    if folder.is_layout()? {
        return folder.index();
    }
    if folder.path.exists() && !folder.path.is_dir() {
        return Err(Error::usage(format!("{}: it is not a directory", folder.path.display())).hint("name a directory"));
    }
    let is_ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY));
    match files::entries(&folder.path)?.iter().all(is_ours) {
        true => Ok(Index::default()),
        false => Err(Error::usage(format!("{}: it is not empty, and not an OCI layout", folder.path.display()))
            .hint("name an empty directory, a new one, or a layout")),
    }
}

fn prepare(folder: &Folder) -> Result<()> {
    files::create_folder(&folder.path)?;
    files::clear(&folder.path)?;
    if !folder.is_layout()? {
        files::write_small(&folder.marker_path(), MARKER.as_bytes())?;
    }
    for algorithm in ["sha256", "sha512"] {
        files::clear(&folder.blobs_path(algorithm))?;
    }
    files::create_folder(&folder.blobs_path("sha256"))
}

/// Adds what a run brought to the index that is there now, and makes all of it durable.
fn commit(folder: &Folder, reference: Option<&str>, pending: &Pending, attached: BTreeMap<Digest, Descriptor>) -> Result<()> {
    let mut index = folder.index()?;
    for (name, root) in &pending.beside {
        index.put(Entry::of_name(name, None, root)?, |entry| entry.name.as_ref() == Some(name));
    }
    for (name, root) in &pending.names {
        let is_called_so = |entry: &Entry| reference.is_some() && entry.ref_name.as_deref() == reference;
        index.put(Entry::of_name(name, reference, root)?, |entry| entry.name.as_ref() == Some(name) || is_called_so(entry));
    }
    for referrer in attached.into_values() {
        index.list(Entry::of_root(referrer)?);
    }
    // `blobs` itself is the directory of no algorithm.
    ["sha256", "sha512", ""].iter().try_for_each(|algorithm| sync_folder(&folder.blobs_path(algorithm)))?;
    write_index(folder, &index)?;
    sync_folder(&folder.path)?;
    folder.path.parent().map_or(Ok(()), sync_folder)
}

/// Writes the index, unless that is what is there.
fn write_index(folder: &Folder, index: &Index) -> Result<()> {
    let (path, bytes) = (folder.index_path(), index.to_bytes()?);
    if bytes.len() as u64 > MAX_INDEX_BYTES {
        return Err(
            Error::failed(format!("{}: it would have more than {MAX_INDEX_BYTES} bytes", path.display())).hint("write to another layout")
        );
    }
    match files::read_small(&path, MAX_INDEX_BYTES)? {
        Some(there) if there == bytes => Ok(()),
        _ => files::write_small(&path, &bytes),
    }
}

#[async_trait]
impl Sink for LayoutSink {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn shares_blobs(&self) -> bool {
        true
    }

    async fn current(&self, name: &Reference) -> Result<Option<Digest>> {
        let listed = match (self.reference.as_deref(), self.beside(name)?) {
            (_, Some(beside)) => self.before.named(&beside),
            (Some(reference), None) => self.before.called(reference),
            (None, None) => self.before.named(&self.name(name)?),
        };
        let Some(root) = listed.map(|entry| entry.root.clone()) else { return Ok(None) };
        let folder = self.folder.clone();
        blocking(move || {
            let load = |wanted: &Descriptor| or_none(folder.manifest(wanted));
            Ok(is_complete(&root, load, |blob| folder.has_blob(blob))?.then_some(root.digest))
        })
        .await
    }

    async fn has(&self, _: &Repository, content: &Descriptor) -> Result<bool> {
        let (folder, content) = (self.folder.clone(), content.clone());
        blocking(move || match content.is_manifest() {
            true => Ok(or_none(folder.manifest(&content))?.is_some()),
            false => or_none(folder.has_blob(&content).map(Some)).map(|has| has == Some(true)),
        })
        .await
    }

    async fn put(&self, repository: &Repository, blob: &Blob, moved: &Moved) -> Result<Rest> {
        if self.has(repository, blob.descriptor()).await? {
            return Ok(None);
        }
        self.prepare().await?;
        self.write(&blob.descriptor().digest, blob.whole().await?, moved).await?;
        Ok(None)
    }

    async fn put_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<Rest> {
        if !self.has(repository, manifest.descriptor()).await? {
            self.prepare().await?;
            let path = self.folder.blob_path(&manifest.digest());
            let bytes = manifest.bytes().clone().into_inner();
            blocking(move || files::write_small(&path, &bytes)).await?;
        }
        self.pending().note(manifest);
        Ok(None)
    }

    async fn point(&self, name: &Reference, root: &Manifest) -> Result<Rest> {
        let descriptor = Descriptor { annotations: None, ..root.descriptor().clone() };
        match self.beside(name)? {
            Some(beside) => drop(self.pending().beside.insert(beside, descriptor)),
            None => self.put_name(&mut self.pending(), self.name(name)?, descriptor)?,
        }
        Ok(None)
    }

    async fn finish(self: Box<Self>, contents: &Contents) -> Result<()> {
        self.prepare().await?;
        let mut pending = std::mem::take(&mut *self.pending());
        self.settle(&mut pending, contents)?;
        let attached = self.attached(pending.unlisted(), contents).await?;
        let Self { folder, reference, .. } = *self;
        blocking(move || commit(&folder, reference.as_deref(), &pending, attached)).await
    }
}

/// Damage here is no answer but a reason to bring it again.
fn or_none<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(error) if error.kind() == Kind::Damaged => Ok(None),
        other => other,
    }
}
