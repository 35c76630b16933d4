//! One set or one image of an archive, in full.
//!
//! **Invariants.** What is shown of a document was checked against its digest. Where content lies is told from indexes
//! alone; the content itself is not read.
//!
//! *Not here:* an overview (`listing`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ocm_format::layout::Id;
use ocm_format::set::SetFiles;
use serde::{Deserialize, Serialize};

use super::listing::{self, SetLine};
use super::shelf::Shelf;
use super::source::ArchiveSource;
use crate::error::{Error, Result};
pub use crate::image::inside::Lies;
use crate::image::manifest::Parts;
use crate::image::{Descriptor, Digest, Item, Manifest, Platform, Reference, Role};

/// One set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetView {
    /// What a listing says of it.
    #[serde(flatten)]
    pub line: SetLine,
    /// The program that wrote it.
    pub writer: String,
    /// What it was made with.
    pub options: serde_json::Value,
    /// How many blobs it needs of earlier sets, and their bytes.
    pub needs_blobs: u64,
    /// The bytes of these.
    pub needs_bytes: u64,
    /// Its volumes.
    pub files: Vec<VolumeLine>,
    /// How many items it lists, by what they are for.
    pub roles: BTreeMap<Role, usize>,
}

/// One volume of a set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeLine {
    /// Its number.
    pub number: u32,
    /// The size of its file, in bytes.
    pub bytes: u64,
    /// Its root.
    pub root: Digest,
    /// Its file; absent where it is elsewhere.
    pub path: Option<PathBuf>,
}

/// One image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageView {
    /// The item that it is.
    pub item: Item,
    /// The generation of the set that lists it.
    pub set: u32,
    /// What its name stands for.
    pub root: Option<ManifestView>,
    /// What is attached to it.
    pub attached: Vec<ManifestView>,
    /// The volumes that its content lies in.
    pub volumes: Vec<Lies>,
}

/// A manifest or index.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestView {
    /// What it is called by what lists it.
    pub descriptor: Descriptor,
    /// Whether it is not in the set: a platform that was left out.
    pub absent: bool,
    /// The volumes that its bytes lie in.
    pub lies: Vec<Lies>,
    /// The configuration, of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigView>,
    /// The layers, of an image; lowest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<BlobView>,
    /// What an index lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<ManifestView>,
}

/// A configuration: where it lies, and what a person asks of it first.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigView {
    /// The blob.
    #[serde(flatten)]
    pub blob: BlobView,
    /// What it says, where it is the configuration of an image.
    pub says: Option<Highlights>,
}

/// A blob, and where it lies.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobView {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// The volumes that its bytes lie in; none for foreign layers, and where that is not known.
    pub lies: Vec<Lies>,
}

/// What a person asks of a configuration first (OCI image-spec, "Image Configuration").
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Highlights {
    /// When the image was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What it is for.
    #[serde(flatten)]
    pub platform: Platform,
    /// How it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Execution>,
}

/// How an image runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// As whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// What comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// What comes then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// With these variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// With these labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// The sets that `generation` means, in full.
pub fn sets(path: &Path, generation: Option<u32>) -> Result<Vec<SetView>> {
    let shelf = Shelf::open(path)?;
    shelf.select(generation)?.sets.into_iter().map(|set| set_view(set, &shelf)).collect()
}

/// The image that goes by `name`, in full.
pub fn image(path: &Path, generation: Option<u32>, name: &Reference) -> Result<ImageView> {
    Opened::chosen(path, generation)?.image(name)
}

/// The bytes of the manifest that goes by `name`, exactly as they are stored.
pub fn raw(path: &Path, generation: Option<u32>, name: &Reference) -> Result<Bytes> {
    let opened = Opened::chosen(path, generation)?;
    let digest = match name.digest() {
        Some(digest) => digest,
        None => opened.find(name)?.1.digest().ok_or_else(|| opened.not_there(name))?,
    };
    let document = opened.source.document_now(&digest)?;
    document.map(crate::image::Verified::into_inner).ok_or_else(|| opened.not_there(name))
}

/// The configuration of a manifest that is an image's.
pub(super) fn config_of(manifest: &Manifest) -> Option<&Descriptor> {
    match manifest.parts() {
        Parts::Image { config, .. } => config.as_ref(),
        Parts::Index { .. } => None,
    }
}

fn set_view(set: &SetFiles, shelf: &Shelf) -> Result<SetView> {
    let manifest = set.manifest.as_ref().ok_or_else(|| Error::needed(format!("set {}: its manifest is not here", set.id())))?;
    let mut roles = BTreeMap::new();
    for item in listing::contents(set).items() {
        *roles.entry(item.role).or_insert(0) += 1;
    }
    let files = manifest.volumes.iter().map(|volume| VolumeLine {
        number: volume.number,
        bytes: volume.bytes,
        root: volume.root,
        path: set.volumes.get(&volume.number).map(|file| file.path.clone()),
    });
    Ok(SetView {
        line: listing::set_line(set, Some(shelf)),
        writer: manifest.writer.clone(),
        options: manifest.options.read().map_err(|error| Error::damaged(format!("set {}: its options: {error}", set.id())))?,
        needs_blobs: manifest.needs.blobs,
        needs_bytes: manifest.needs.bytes,
        files: files.collect(),
        roles,
    })
}

/// An archive that is looked into.
pub(super) struct Opened {
    /// The sets that are meant.
    pub(super) source: ArchiveSource,
    path: PathBuf,
    /// Generation and present volumes of each set.
    sets: BTreeMap<Id, (u32, BTreeSet<u32>)>,
}

impl Opened {
    fn chosen(path: &Path, generation: Option<u32>) -> Result<Self> {
        let shelf = Shelf::open(path)?;
        Self::of(&shelf, &shelf.select(generation)?.sets)
    }

    /// Looks into these sets of a shelf; what they refer to is looked for on all of it.
    pub(super) fn of(shelf: &Shelf, chosen: &[&SetFiles]) -> Result<Self> {
        let path = shelf.path();
        let source = ArchiveSource::open(path, chosen, &[shelf])?;
        let sets = shelf.found().sets.iter().map(|set| (set.id(), (set.header.generation, set.volumes.keys().copied().collect())));
        Ok(Self { source, path: path.to_owned(), sets: sets.collect() })
    }

    fn image(&self, name: &Reference) -> Result<ImageView> {
        let (set, item) = self.find(name)?;
        let root = item.root.as_ref().filter(|_| item.is_complete()).map(|root| self.manifest(root)).transpose()?;
        let attached = item.attachments().map(|attached| self.manifest(attached)).collect::<Result<Vec<_>>>()?;
        let mut volumes = BTreeSet::new();
        root.iter().chain(&attached).for_each(|view| lies_in(view, &mut volumes));
        Ok(ImageView { item: item.clone(), set, root, attached, volumes: volumes.into_iter().collect() })
    }

    /// The item that goes by `name`, and the generation of the set that lists it.
    fn find(&self, name: &Reference) -> Result<(u32, &Item)> {
        let name = name.clone().or_latest();
        let found = self.source.sets().iter().find_map(|set| Some((set.manifest.generation, set.contents.find(&name)?)));
        found.ok_or_else(|| self.not_there(&name))
    }

    fn not_there(&self, name: &Reference) -> Error {
        let path = self.path.display();
        Error::usage(format!("{path}: there is no image {name}")).hint(format!("see what there is with `ocm ls {path}`"))
    }

    /// A manifest with all below it. Indexes nest as deep as they do; what was seen above is not entered again.
    fn manifest(&self, descriptor: &Descriptor) -> Result<ManifestView> {
        self.manifest_below(descriptor, &mut BTreeSet::new())
    }

    fn manifest_below(&self, descriptor: &Descriptor, above: &mut BTreeSet<Digest>) -> Result<ManifestView> {
        /// No real index nests deeper.
        const MOST_LEVELS: usize = 16;
        let BlobView { descriptor: described, lies } = self.blob(descriptor);
        let empty = ManifestView { descriptor: described, absent: false, lies, config: None, layers: Vec::new(), manifests: Vec::new() };
        let Some(manifest) = self.source.manifest_now(descriptor)? else { return Ok(ManifestView { absent: true, ..empty }) };
        if above.len() >= MOST_LEVELS || !above.insert(descriptor.digest) {
            return Ok(empty);
        }
        let config = config_of(&manifest).map(|config| self.config(config));
        let layers = match manifest.parts() {
            Parts::Image { layers, .. } => layers.iter().map(|layer| self.blob(layer)).collect(),
            Parts::Index { .. } => Vec::new(),
        };
        let manifests = manifest.children().iter().map(|child| self.manifest_below(child, above)).collect::<Result<_>>()?;
        above.remove(&descriptor.digest);
        Ok(ManifestView { config, layers, manifests, ..empty })
    }

    fn config(&self, descriptor: &Descriptor) -> ConfigView {
        let document = self.source.document_now(&descriptor.digest).ok().flatten();
        let says = document.and_then(|document| serde_json::from_slice::<Highlights>(&document).ok());
        ConfigView { blob: self.blob(descriptor), says: says.filter(|says| !says.platform.is_unknown()) }
    }

    fn blob(&self, descriptor: &Descriptor) -> BlobView {
        BlobView { descriptor: descriptor.clone(), lies: self.lies(&descriptor.digest) }
    }

    /// The volumes that the bytes of a blob lie in; none where that is not known.
    pub(super) fn lies(&self, digest: &Digest) -> Vec<Lies> {
        let volumes = self.source.volumes_of(digest).unwrap_or_default();
        let lies = volumes.into_iter().filter_map(|(set, volume)| {
            let (generation, here) = self.sets.get(&set)?;
            Some(Lies { set: *generation, volume, here: here.contains(&volume) })
        });
        lies.collect()
    }
}

fn lies_in(view: &ManifestView, volumes: &mut BTreeSet<Lies>) {
    let blobs = view.config.iter().map(|config| &config.blob).chain(&view.layers);
    volumes.extend(blobs.flat_map(|blob| &blob.lies).chain(&view.lies).cloned());
    view.manifests.iter().for_each(|child| lies_in(child, volumes));
}
