//! [`Signed`]: what of a set is signed, and the signatures that lie there; and [`admit`], which lets read only what those vouch for.
//!
//! **Invariants.** The bytes that are signed have the root of the set. Sets that are read because others need them are those that an
//! admitted set lists, by root.
//!
//! *Not here:* whether a signature is right, and whose counts (`trust`).

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocm_format::layout::Id;
use ocm_format::set::{SetFiles, SetManifest};
use ocm_format::tail::MAX_SIGNATURE_BYTES;
use ocm_format::writer;

use super::shelf::Shelf;
use super::told;
use crate::error::{Error, Result};
use crate::image::Digest;

/// What a signature file is called.
const ENDING: &str = "minisig";
/// The most signature files that are looked at in one directory.
const MAX_FILES: usize = 1000;

/// What of a set is signed, and by what.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Its set id, 32 hex digits.
    pub id: String,
    /// The name of its lineage.
    pub lineage: String,
    /// Its generation.
    pub generation: u32,
    /// Its root.
    pub root: Digest,
    /// SET.json: what is signed.
    pub bytes: Vec<u8>,
    /// The sets that it builds on, by id and root.
    pub ancestors: Vec<(String, Digest)>,
    /// The signatures in its files.
    pub inside: Vec<SignatureFile>,
    /// The signature files beside it, whatever they are of.
    pub beside: Vec<SignatureFile>,
}

/// A signature, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureFile {
    /// The file.
    pub path: PathBuf,
    /// The signature.
    pub bytes: Vec<u8>,
}

/// Refuses a set that is not to be read.
pub type Admit = Arc<dyn Fn(&Signed) -> Result<()> + Send + Sync>;

/// Makes the signature of a set.
pub type Sign = dyn Fn(&ToSign<'_>) -> Vec<u8> + Send + Sync;

/// How a new set gets its signature.
#[derive(Clone, Default)]
pub enum Seal {
    /// Not at all.
    #[default]
    None,
    /// By what this makes of it, each time the same.
    Made(Arc<Sign>),
    /// By the signature that it had before.
    Kept(Vec<u8>),
}

/// A set that is to be signed.
pub struct ToSign<'a> {
    /// Its set id, 32 hex digits.
    pub id: String,
    /// The name of its lineage.
    pub lineage: &'a str,
    /// Its generation.
    pub generation: u32,
    /// Its root.
    pub root: Digest,
    /// SET.json.
    pub bytes: &'a [u8],
}

impl Seal {
    /// The same for the writer of the format.
    pub(super) fn of_format(self) -> writer::Seal {
        match self {
            Self::None => writer::Seal::None,
            Self::Kept(signature) => writer::Seal::Kept(signature),
            Self::Made(sign) => writer::Seal::Made(Arc::new(move |manifest, bytes| {
                let (id, lineage, generation) = (manifest.set.to_string(), manifest.lineage.name.as_str(), manifest.generation);
                Ok(sign(&ToSign { id, lineage, generation, root: Digest::of(bytes), bytes }))
            })),
        }
    }
}

impl Signed {
    /// What is known of a set by its files; signature files are looked for beside each of them, and in `folder`.
    pub(super) fn of(set: &SetFiles, folder: &Path) -> Result<Self> {
        let (Some(manifest), Some(root)) = (&set.manifest, set.root) else {
            return Err(Error::needed(format!("set {}: its last volume and its catalogue are not here", set.header.generation)));
        };
        let bytes = bytes_of(manifest, &root)?;
        let inside = set.signatures.iter().map(|found| SignatureFile { path: found.path.clone(), bytes: found.bytes.clone() });
        let files = set.volumes.values().chain(set.catalogues.values()).filter_map(|file| file.path.parent());
        let folders: BTreeSet<&Path> = files.chain(folder.is_dir().then_some(folder)).collect();
        let mut beside = Vec::new();
        for folder in folders {
            beside.extend(files_in(folder)?);
        }
        Ok(Self {
            id: manifest.set.to_string(),
            lineage: manifest.lineage.name.clone(),
            generation: manifest.generation,
            root,
            bytes,
            ancestors: manifest.ancestors.iter().map(|ancestor| (ancestor.id.to_string(), ancestor.root)).collect(),
            inside: inside.collect(),
            beside,
        })
    }

    /// The one set at `path` that `generation` means, or the newest; it may lack volumes.
    pub fn find(path: &Path, generation: Option<u32>) -> Result<Self> {
        let shelf = Shelf::open(path)?;
        let sets = || shelf.found().sets.iter().filter(|set| set.manifest.is_some());
        let wanted: Vec<&SetFiles> = sets().filter(|set| generation.is_none_or(|wanted| set.header.generation == wanted)).collect();
        let lineages: BTreeSet<Id> = wanted.iter().map(|set| set.header.lineage).collect();
        if lineages.len() > 1 || (generation.is_some() && wanted.len() > 1) {
            return Err(Error::usage(format!("{}: several sets are here that could be meant", path.display()))
                .hint("name a directory with one lineage, or one file of the set"));
        }
        // Of a lineage the newest comes first.
        match wanted.first() {
            Some(set) => Self::of(set, path),
            None => {
                shelf.select(generation).and_then(|_| Err(Error::needed(format!("{}: no set here says what it lists", path.display()))))
            }
        }
    }

    /// What the files of the set begin with.
    #[must_use]
    pub fn stem(&self) -> String {
        ocm_format::set::name::stem(&self.lineage, self.generation, self.id.parse().unwrap_or(Id([0; 16])))
    }
}

/// SET.json of a set, exactly as it stands in its files.
fn bytes_of(manifest: &SetManifest, root: &Digest) -> Result<Vec<u8>> {
    let bytes = manifest.to_bytes().map_err(|error| told(&error))?;
    match Digest::of(&bytes) == *root {
        true => Ok(bytes),
        false => Err(Error::damaged(format!("set {}: SET.json does not have its root {root}", manifest.generation))),
    }
}

/// The signature files in a directory, in order of their names.
fn files_in(folder: &Path) -> Result<Vec<SignatureFile>> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) && path.is_file() {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(Error::usage(format!("{}: more than {MAX_FILES} signature files are here", folder.display())));
        }
    }
    paths.sort();
    paths.into_iter().map(read).collect()
}

/// A signature file, as far as it may be long.
fn read(path: PathBuf) -> Result<SignatureFile> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MAX_SIGNATURE_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| Error::io(path.display(), &error))?;
    Ok(SignatureFile { path, bytes })
}

/// Lets `judge` refuse the `chosen` sets; then leaves on the shelves only these, and those that they list as what they build on.
pub(super) fn admit_chosen(judge: &Admit, chosen: &BTreeSet<Id>, shelves: &mut [&mut Shelf]) -> Result<()> {
    let mut vouched = BTreeSet::new();
    for shelf in shelves.iter() {
        for set in shelf.found().sets.iter().filter(|set| chosen.contains(&set.id()) && set.manifest.is_some()) {
            let signed = Signed::of(set, shelf.path())?;
            judge(&signed)?;
            vouched.insert((signed.id, signed.root));
            vouched.extend(signed.ancestors);
        }
    }
    for shelf in shelves {
        shelf.keep(|set| set.root.is_some_and(|root| vouched.contains(&(set.id().to_string(), root))));
    }
    Ok(())
}

/// The same for the sets of a shelf that `generation` means, given what they may build on.
pub fn admit(judge: &Admit, shelf: &mut Shelf, bases: &mut [Shelf], generation: Option<u32>) -> Result<()> {
    let chosen: BTreeSet<Id> = shelf.select(generation)?.sets.iter().map(|set| set.id()).collect();
    let mut shelves: Vec<&mut Shelf> = std::iter::once(shelf).chain(bases).collect();
    admit_chosen(judge, &chosen, &mut shelves)
}
