//! [`View`]: what is at each number: the file system without the kernel.
//!
//! **Invariants.** Absence is `Ok(None)`; an error hurts what was asked for, and the next time it is tried afresh. Everything but the
//! files of `.ocm` is the same as long as it is mounted.
//!
//! *Not here:* how things look from outside (`attributes`), the kernel's requests and answers (`fs`).

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::cache::Cache;
use super::directory::{Blobs, Directory};
use super::layout;
use super::names::{Names, shown};
use super::numbers::{Image, Number, Part};
use super::pictures::{Pictures, config, has_files, layer_name, layers};
use super::plains::{Extent, Plains, Trust};
use super::rootfs::Rootfs;
use super::spool::Spool;
use super::status::{Known, Status};
use crate::error::{Error, Result};
use crate::image::inside::{Made, Sizes};
use crate::image::manifest::Parts;
use crate::image::tree::What;
use crate::image::{Digest, Inside, Manifest};
use crate::monitor::SharedMonitor;

/// How a place is shown.
#[derive(Debug, Clone)]
pub struct Showing {
    /// Show device nodes and fifos as what they are; otherwise they are empty files.
    pub devices: bool,
    /// Show set-id bits.
    pub set_ids: bool,
    /// When the digest of a whole blob is compared.
    pub trust: Trust,
    /// The directory in which layers are decompressed that have to be.
    pub spool: PathBuf,
    /// How many bytes that may take.
    pub spool_bytes: u64,
    /// Who owns what is no part of an image.
    pub owner: (u32, u32),
}

/// The file system.
pub(super) struct View {
    pub(super) inside: Arc<dyn Inside>,
    pub(super) showing: Showing,
    pub(super) plains: Plains,
    pub(super) status: Status,
    pictures: Pictures,
    documents: Cache<(), Vec<(String, Bytes)>>,
    names: OnceLock<Arc<Names>>,
    blobs: Cache<(), Blobs>,
    index: Cache<(), Bytes>,
    sizes: Cache<(), Sizes>,
}

/// What a file consists of.
pub(super) enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// A part of a blob.
    Extent(Extent),
}

/// Extended attributes: names and values.
pub(super) type Named = Vec<(Vec<u8>, Vec<u8>)>;

/// The files of `.ocm` that are made when they are looked at. After them come the documents of the place.
const REPORTS: [&str; 2] = ["status", "status.json"];

impl View {
    pub(super) fn new(inside: Arc<dyn Inside>, showing: Showing, monitor: SharedMonitor) -> Self {
        let spool = Spool::new(showing.spool.clone(), showing.spool_bytes);
        Self {
            plains: Plains::new(Arc::clone(&inside), spool, showing.trust),
            status: Status::new(monitor),
            pictures: Pictures::new(Arc::clone(&inside)),
            documents: Cache::new(usize::MAX),
            names: OnceLock::new(),
            blobs: Cache::new(usize::MAX),
            index: Cache::new(usize::MAX),
            sizes: Cache::new(usize::MAX),
            inside,
            showing,
        }
    }

    /// What is in a directory. None where there is none.
    pub(super) fn directory(&self, number: Number) -> Result<Option<Directory>> {
        let few = |entries: &[(&str, Number)]| Directory::Few(entries.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect());
        Ok(Some(match number {
            Number::Root => few(&[
                (".ocm", Number::Notes),
                ("blobs", Number::Blobs),
                ("images", Number::Images),
                ("index.json", Number::Index),
                ("oci-layout", Number::Marker),
            ]),
            Number::Blobs => {
                let all = [("sha256", Number::Sha256), ("sha512", Number::Sha512)];
                let has_long = self.blobs()?.last().is_some_and(|(digest, _)| digest.algorithm() == "sha512");
                few(if has_long { &all } else { &all[..1] })
            }
            Number::Sha256 => Directory::blobs(self.blobs()?, "sha256"),
            Number::Sha512 => Directory::blobs(self.blobs()?, "sha512"),
            Number::Images => Directory::Folder(self.names(), 0),
            Number::Folder(folder) => Directory::Folder(self.names(), folder),
            Number::Notes => {
                let documents = self.documents()?;
                let names = REPORTS.iter().map(|name| (*name).to_owned()).chain(documents.iter().map(|(name, _)| shown(name)));
                Directory::Few(names.zip((0..).map(Number::Note)).collect())
            }
            Number::Part(image, Part::Folder) => match self.pictures.manifest(image)? {
                Some(manifest) => Directory::Few(self.picture(image, &manifest)?),
                None => return Ok(None),
            },
            Number::Part(image, Part::Layers) => match self.pictures.manifest(image)? {
                Some(manifest) => Directory::Few(layer_files(image, &manifest)),
                None => return Ok(None),
            },
            Number::Node(image, entry) => match self.rootfs(image)? {
                Some(rootfs) if rootfs.get(entry).is_some_and(super::rootfs::Entry::is_directory) => Directory::Tree(rootfs, image, entry),
                _ => return Ok(None),
            },
            Number::Marker | Number::Index | Number::Note(_) | Number::Blob(_) | Number::Part(..) => return Ok(None),
        }))
    }

    /// What a file consists of. None where there is none.
    pub(super) fn content(&self, number: Number) -> Result<Option<Content>> {
        let part = |image, part| match self.pictures.manifest(image)? {
            Some(manifest) => self.document(&manifest, part),
            None => Ok(None),
        };
        match number {
            Number::Marker => Ok(Some(Content::Bytes(Bytes::from_static(layout::MARKER)))),
            Number::Index => self.index().map(|index| Some(Content::Bytes(index))),
            Number::Note(note) => Ok(self.report(note)?.map(Content::Bytes)),
            Number::Blob(blob) => Ok(self.blob(blob)?.map(|digest| self.plains.stored(&digest)).transpose()?.map(Content::Extent)),
            Number::Part(image, wanted) => part(image, wanted),
            Number::Node(image, entry) => Ok(self.file(image, entry)?.map(Content::Extent)),
            _ => Ok(None),
        }
    }

    /// Makes sure that a file may be read, where all of a blob is to be checked before. What root file systems are made of was.
    pub(super) fn open(&self, number: Number) -> Result<()> {
        match self.content(number)? {
            Some(Content::Extent(extent)) => self.plains.prove(&extent.blob),
            _ => Ok(()),
        }
    }

    /// The extended attributes of something.
    pub(super) fn attributes_of(&self, number: Number) -> Result<Named> {
        match number {
            Number::Blob(blob) => self.blob(blob)?.map_or_else(|| Ok(Vec::new()), |digest| self.inspect(&digest)),
            Number::Node(image, entry) => {
                let rootfs = self.rootfs(image)?;
                let attributes = rootfs.as_ref().and_then(|rootfs| rootfs.get(entry)?.node.attributes.as_deref());
                Ok(attributes.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// How much there is, as it was when somebody asked first: to find out, all blobs are looked at.
    pub(super) fn sizes(&self) -> Result<Sizes> {
        self.sizes.get((), || Ok((self.inside.sizes()?, 0))).map(|sizes| *sizes)
    }

    /// How many images are shown.
    pub(super) fn images(&self) -> usize {
        self.inside.contents().content().filter(|item| item.root.is_some()).count()
    }

    /// The layer that a file of `layers` is the plain form of.
    pub(super) fn layer(&self, image: Image, layer: u32) -> Result<Option<Digest>> {
        let manifest = self.pictures.manifest(image)?;
        Ok(manifest.and_then(|manifest| layers(&manifest).get(layer as usize).map(|layer| layer.digest)))
    }

    /// The root file system of an image.
    pub(super) fn rootfs(&self, image: Image) -> Result<Option<Arc<Rootfs>>> {
        let Some(manifest) = self.pictures.manifest(image)?.filter(|manifest| has_files(manifest)) else { return Ok(None) };
        let told = |unshown| {
            let what = format!("root file system of image {}: {unshown} names in it are too long to be shown", manifest.digest());
            self.status.note(&Error::failed(what));
        };
        self.pictures.rootfs(&manifest, &self.plains, told).map(Some)
    }

    /// The digest of a blob.
    fn blob(&self, blob: u32) -> Result<Option<Digest>> {
        Ok(self.blobs()?.get(blob as usize).map(|(digest, _)| *digest))
    }

    /// The size of a blob in bytes, as the table has it.
    pub(super) fn blob_bytes(&self, blob: u32) -> Result<Option<u64>> {
        Ok(self.blobs()?.get(blob as usize).map(|(_, bytes)| *bytes))
    }

    fn blobs(&self) -> Result<Arc<Blobs>> {
        self.blobs.get((), || Ok((self.inside.blobs()?, 0)))
    }

    fn documents(&self) -> Result<Arc<Vec<(String, Bytes)>>> {
        self.documents.get((), || Ok((self.inside.documents()?, 0)))
    }

    fn names(&self) -> Arc<Names> {
        Arc::clone(self.names.get_or_init(|| Arc::new(Names::of(self.inside.contents()))))
    }

    fn index(&self) -> Result<Bytes> {
        let blobs = self.blobs()?;
        let is_here = |digest: &Digest| blobs.binary_search_by(|(there, _)| there.cmp(digest)).is_ok();
        self.index.get((), || Ok((layout::index(self.inside.contents(), is_here)?, 0))).map(|index| Bytes::clone(&index))
    }

    /// A file of `.ocm`, as it is now.
    fn report(&self, note: u32) -> Result<Option<Bytes>> {
        match note {
            0 => Ok(Some(self.status.text(&self.known()?).into())),
            1 => self.status.json(&self.known()?).map(|json| Some(json.into())),
            note => Ok(self.documents()?.get(note as usize - REPORTS.len()).map(|(_, bytes)| bytes.clone())),
        }
    }

    /// What a report is of.
    fn known(&self) -> Result<Known<'_>> {
        Ok(Known { inside: &*self.inside, images: self.images(), sizes: self.sizes()? })
    }

    /// What is in the directory of an image, or of what is made of several.
    fn picture(&self, image: Image, manifest: &Manifest) -> Result<Vec<(String, Number)>> {
        let part = |name: &str, part| (name.to_owned(), Number::Part(image, part));
        if matches!(manifest.parts(), Parts::Index { .. }) {
            let platforms = self.pictures.platforms(manifest)?;
            let platform = |(name, at): (&String, u32)| (name.clone(), Number::Part(Image { platform: at, ..image }, Part::Folder));
            let folders = platforms.iter().map(|(name, _)| name).zip(1..).map(platform);
            return Ok(std::iter::once(part("index.json", Part::Manifest)).chain(folders).collect());
        }
        let mut all = vec![part("manifest.json", Part::Manifest), part("layers", Part::Layers)];
        all.extend(config(manifest).map(|_| part("config.json", Part::Config)));
        all.extend(has_files(manifest).then(|| ("rootfs".to_owned(), Number::Node(image, 0))));
        Ok(all)
    }

    /// A file in the directory of an image.
    fn document(&self, manifest: &Manifest, part: Part) -> Result<Option<Content>> {
        let extent = |extent: Result<Extent>| extent.map(|extent| Some(Content::Extent(extent)));
        match part {
            Part::Manifest => Ok(Some(Content::Bytes(manifest.bytes().clone().into_inner()))),
            Part::Config => config(manifest).map_or(Ok(None), |config| extent(self.plains.stored(&config.digest))),
            Part::Layer(layer) => layers(manifest).get(layer as usize).map_or(Ok(None), |layer| extent(self.plains.plain(&layer.digest))),
            Part::Folder | Part::Layers => Ok(None),
        }
    }

    /// Where the content of a file in a root file system lies.
    fn file(&self, image: Image, entry: u32) -> Result<Option<Extent>> {
        let Some(rootfs) = self.rootfs(image)? else { return Ok(None) };
        Ok(rootfs.get(entry).and_then(|entry| match entry.node.what {
            What::File(bytes, _) => rootfs.content(entry, bytes),
            _ => None,
        }))
    }

    /// What an inspector may know of a blob.
    fn inspect(&self, digest: &Digest) -> Result<Named> {
        let facts = self.plains.facts(digest)?;
        let lies = self.inside.lies(digest)?;
        let volumes = |here: bool| {
            let these = lies.iter().filter(|lies| lies.here == here).map(|lies| format!("{}:{}", lies.set, lies.volume));
            these.collect::<Vec<_>>().join(" ")
        };
        let kind = match facts.made {
            Made::Verbatim => "verbatim",
            Made::Stored => "stored",
            Made::Replayed => "replayed",
        };
        let mut all =
            vec![("user.ocm.kind", kind.to_owned()), ("user.ocm.size", facts.bytes.to_string()), ("user.ocm.volumes", volumes(true))];
        if lies.iter().any(|lies| !lies.here) {
            all.push(("user.ocm.missing", volumes(false)));
        }
        if let Some(plain_bytes) = facts.plain_bytes {
            all.push(("user.ocm.plain", plain_bytes.to_string()));
            all.push(("user.ocm.ratio", format!("{:.2}", plain_bytes as f64 / facts.bytes.max(1) as f64)));
        }
        Ok(all.into_iter().map(|(name, value)| (name.into(), value.into_bytes())).collect())
    }
}

/// The files of `layers`.
fn layer_files(image: Image, manifest: &Manifest) -> Vec<(String, Number)> {
    let file = |(at, layer)| (layer_name(at, layer), Number::Part(image, Part::Layer(at as u32)));
    layers(manifest).iter().enumerate().map(file).collect()
}
