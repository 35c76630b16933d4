//! Which files of a directory are volumes, and of which sets (SPEC section 12).
//!
//! **Invariants.** Identity comes from headers and footers, never from names of files. A volume is offered for use only
//! if it is whole, agrees with its set, and is the only one of its number or the one that SET.json names. Every file that looks like a
//! volume is accounted for: used, spare, broken or a stranger.
//!
//! *Not here:* content (`reader`), and whether one set builds on another as it says (the caller compares roots).

mod canonical;
pub mod json;
mod manifest;
pub mod name;
mod walk;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub use canonical::Canonical;
pub use manifest::{Ancestor, IndexEntry, Lineage, MAX_ANCESTORS, Needs, ParentSet, SetManifest, VolumeEntry};

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::layout::{FLAG_LAST, Footer, HEADER_MAGIC, HEADER_OFFSET, Header, Id, VolumeKind};
use crate::tail::read_signature;
use crate::volume::{Ends, Volume};

/// What is in a directory.
#[derive(Debug, Default)]
pub struct Found {
    /// The sets, newest generation first.
    pub sets: Vec<SetFiles>,
    /// Files that begin as a volume and cannot be told to any set, with the reason.
    pub strangers: Vec<(PathBuf, Error)>,
}

/// The files of one set.
#[derive(Debug)]
pub struct SetFiles {
    /// The header that all its volumes share, number and kind aside.
    pub header: Header,
    /// What SET.json says, where it is at hand.
    pub manifest: Option<SetManifest>,
    /// The set root, where SET.json is at hand.
    pub root: Option<Digest>,
    /// The data volumes that can be used, by number.
    pub volumes: BTreeMap<u32, VolumeFile>,
    /// The catalogue's volumes, by number.
    pub catalogues: BTreeMap<u32, VolumeFile>,
    /// The parity volumes, by number.
    pub parity: BTreeMap<u32, VolumeFile>,
    /// More files with the content of a volume that is used.
    pub spares: Vec<VolumeFile>,
    /// Files of this set that cannot be used, with the reason.
    pub broken: Vec<BrokenFile>,
    /// What is wrong with SET.json or its signature, where that could not be read.
    pub problems: Vec<Error>,
    /// The signatures that stand behind SET.json, each once, with a file that has it.
    pub signatures: Vec<SetSignature>,
}

/// A signature of a set, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSignature {
    /// The file.
    pub path: PathBuf,
    /// The signature; opaque here.
    pub bytes: Vec<u8>,
}

/// A whole volume.
#[derive(Debug, Clone)]
pub struct VolumeFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its header.
    pub header: Header,
    /// Its footer.
    pub footer: Footer,
}

/// A file that names its set and cannot be used.
#[derive(Debug, Clone)]
pub struct BrokenFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its header.
    pub header: Header,
    /// The size that it has, in bytes.
    pub file_bytes: u64,
    /// Why it cannot be used; [`Kind::Incomplete`] for the beginning of a volume.
    pub error: Error,
}

/// What a set lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lacking {
    /// The numbers of data volumes that are not here.
    pub numbers: Vec<u32>,
    /// Whether there may be more after the last known number.
    pub more: bool,
}

/// Looks at the regular files of `directory`: not those whose names begin with a dot or end in `.partial`, which are in the
/// making, and not in directories below.
pub fn scan(directory: &Path) -> Result<Found> {
    Ok(group(files(directory)?))
}

/// The files of `directory` that [`scan`] looks at and that look like volumes, in order.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| Error::io(directory, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let (hidden, in_the_making) = (name.as_encoded_bytes().starts_with(b"."), name.as_encoded_bytes().ends_with(b".partial"));
        if !hidden && !in_the_making {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths.retain(|path| looks_like_a_volume(path));
    Ok(paths)
}

/// Whether the magic of a volume stands where it must, or cannot be read there: such a file may be a volume, and is told of.
#[must_use]
pub fn looks_like_a_volume(path: &Path) -> bool {
    let mut magic = [0u8; 8];
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let Some(file) = fs::File::open(path).ok().filter(|_| is_file) else { return false };
    match file.read_exact_at(&mut magic, HEADER_OFFSET) {
        Ok(()) => magic == HEADER_MAGIC,
        Err(error) => error.kind() != ErrorKind::UnexpectedEof,
    }
}

/// Puts files together that belong to the same set. Files that are no volumes become strangers.
pub fn group(paths: impl IntoIterator<Item = PathBuf>) -> Found {
    let mut found = Found::default();
    let mut sets: BTreeMap<Id, Vec<(PathBuf, Ends)>> = BTreeMap::new();
    for path in paths {
        match Ends::open(&path) {
            Ok(ends) => sets.entry(ends.header.set).or_default().push((path, ends)),
            Err(error) => found.strangers.push((path, error)),
        }
    }
    found.sets = sets.into_values().filter_map(SetFiles::new).collect();
    found.sets.sort_by_key(|set| {
        let header = set.header;
        (header.lineage, std::cmp::Reverse((header.generation, header.time)), header.set)
    });
    found
}

impl SetFiles {
    /// The set id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.header.set
    }

    /// Whether every data volume is here, and known to be.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.manifest.is_some() && self.lacking() == Lacking::default()
    }

    /// Which data volumes are not here.
    #[must_use]
    pub fn lacking(&self) -> Lacking {
        let last = self.volumes.values().find(|volume| volume.footer.flags & FLAG_LAST != 0);
        let known = match (&self.manifest, last) {
            (Some(manifest), _) => u32::try_from(manifest.volumes.len()).ok(),
            (None, Some(last)) => Some(last.header.number),
            (None, None) => None,
        };
        let seen = self.broken.iter().map(|file| file.header).filter(|header| header.kind == VolumeKind::Data);
        let seen = seen.map(|header| header.number).chain(self.volumes.keys().copied()).max();
        let end = known.or(seen).unwrap_or(0);
        let numbers = (1..=end).filter(|number| !self.volumes.contains_key(number)).collect();
        Lacking { numbers, more: known.is_none() }
    }

    /// The number of data volumes, where it is known.
    #[must_use]
    pub fn volume_count(&self) -> Option<u32> {
        let lacking = self.lacking();
        let known = u32::try_from(self.volumes.len().saturating_add(lacking.numbers.len())).ok()?;
        (!lacking.more).then_some(known)
    }

    fn new(files: Vec<(PathBuf, Ends)>) -> Option<Self> {
        let (_, first) = files.first()?;
        let mut set = Self {
            header: first.header,
            manifest: None,
            root: None,
            volumes: BTreeMap::new(),
            catalogues: BTreeMap::new(),
            parity: BTreeMap::new(),
            spares: Vec::new(),
            broken: Vec::new(),
            problems: Vec::new(),
            signatures: Vec::new(),
        };
        let mut whole: BTreeMap<(VolumeKind, u32), Vec<VolumeFile>> = BTreeMap::new();
        for (path, ends) in files {
            let header = ends.header;
            match ends.footer {
                Ok(footer) => whole.entry((header.kind, header.number)).or_default().push(VolumeFile { path, header, footer }),
                Err(error) => set.broken.push(BrokenFile { path, header, file_bytes: ends.file_bytes, error }),
            }
        }
        set.find_manifest(whole.values().flatten());
        set.find_signatures(whole.values().flatten());
        whole.into_values().for_each(|files| set.choose(files));
        Some(set)
    }

    /// Takes SET.json from whichever file has it; two that differ are a problem, and then neither counts.
    fn find_manifest<'a>(&mut self, files: impl Iterator<Item = &'a VolumeFile>) {
        let mut read = BTreeMap::new();
        for file in files.filter(|file| file.footer.set_json_bytes > 0) {
            if read.contains_key(&file.footer.set_json) {
                continue;
            }
            match read_manifest(file) {
                Ok(manifest) => drop(read.insert(file.footer.set_json, manifest)),
                Err(error) => self.problems.push(error),
            }
        }
        if read.len() > 1 {
            self.problems.push(Error::damaged(format!("set {}: there are {} different SET.json of it", self.header.set, read.len())));
        } else if let Some((root, manifest)) = read.pop_first() {
            (self.root, self.manifest) = (Some(root), Some(manifest));
        }
    }

    /// Takes the signatures of the SET.json that counts.
    fn find_signatures<'a>(&mut self, files: impl Iterator<Item = &'a VolumeFile>) {
        let root = self.root;
        for file in files.filter(|file| root == Some(file.footer.set_json)) {
            match read_signature(&file.path, &file.footer, file.header.time) {
                Ok(Some(bytes)) if self.signatures.iter().all(|known| known.bytes != bytes) => {
                    self.signatures.push(SetSignature { path: file.path.clone(), bytes });
                }
                Ok(_) => {}
                Err(error) => self.problems.push(error.in_volume(file.header.number)),
            }
        }
    }

    /// Decides among the files of one kind and number.
    fn choose(&mut self, mut files: Vec<VolumeFile>) {
        let refused = |file: VolumeFile, why: &str| {
            let error = Error::damaged(why).in_file(&file.path).in_volume(file.header.number);
            BrokenFile { path: file.path, header: file.header, file_bytes: file.footer.file_bytes, error }
        };
        let odd: Vec<_> = files.extract_if(.., |file| !self.agrees(file)).collect();
        let why = match self.manifest {
            Some(_) => "it is not the volume that SET.json names",
            None => "its header is not that of the set",
        };
        self.broken.extend(odd.into_iter().map(|file| refused(file, why)));
        let roots_differ = files.iter().any(|file| files.first().is_some_and(|first| first.footer.root != file.footer.root));
        if roots_differ {
            let why = "there are two different volumes of this number, and no SET.json to tell which is right";
            self.broken.extend(files.into_iter().map(|file| refused(file, why)));
            return;
        }
        let mut files = files.into_iter();
        let Some(used) = files.next() else { return };
        self.spares.extend(files);
        let place = match used.header.kind {
            VolumeKind::Data => &mut self.volumes,
            VolumeKind::Parity => &mut self.parity,
            VolumeKind::Catalogue => &mut self.catalogues,
        };
        place.insert(used.header.number, used);
    }

    /// Whether a volume is one of this set, as far as is known.
    fn agrees(&self, file: &VolumeFile) -> bool {
        let Some(manifest) = &self.manifest else { return shared(&file.header) == shared(&self.header) };
        let header = &file.header;
        let says = (manifest.lineage.id, manifest.generation, manifest.cap, manifest.time);
        let same_set = says == (header.lineage, header.generation, header.cap, header.time);
        let listed = manifest.volume(header.number);
        let named = listed.is_some_and(|entry| (entry.root, entry.bytes) == (file.footer.root, file.footer.file_bytes));
        same_set && (header.kind != VolumeKind::Data || named)
    }
}

/// What all volumes of a set have in common.
fn shared(header: &Header) -> Header {
    Header { kind: VolumeKind::Data, number: 1, ..*header }
}

fn read_manifest(file: &VolumeFile) -> Result<SetManifest> {
    let placed = |error: Error| error.in_volume(file.header.number).in_file(&file.path);
    let volume = Volume::open(&file.path)?;
    let bytes = volume.read_set_json()?.ok_or_else(|| placed(Error::damaged("SET.json: it is gone")))?;
    let manifest = SetManifest::parse(&bytes).map_err(placed)?;
    if manifest.set != file.header.set {
        return Err(placed(Error::new(Kind::Damaged, format!("SET.json: it is of set {}", manifest.set))));
    }
    Ok(manifest)
}
