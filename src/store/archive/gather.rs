//! [`Gathering`]: the volumes on the media that are in, and what an archive still lacks.
//!
//! **Invariants.** Media are never written. A sound volume is never overwritten; a damaged one makes room only for a whole one
//! that was proved. What is taken fits the set manifest where one is at hand, on a medium or here; where there is none
//! and two volumes claim one number, neither is taken.
//!
//! *Not here:* the copy itself (`copy`), what is left to be brought (`standing`), the lock (`workflow`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ocm_format::error::Kind;
use ocm_format::layout::{Header, Id, VolumeKind};
use ocm_format::set::name::{file_name, lineage_in};
use ocm_format::set::{self, Found, SetFiles, VolumeFile};
use serde::Serialize;

use super::check::{FileKind, file_kind};
pub use super::copy::OnBytes;
use super::copy::{Copy, evict, fault};
use super::room::Room;
use super::standing::Seen;
pub use super::standing::Standing;
use super::{SCRATCH, told};
use crate::error::{Error, Result};

/// What makes two files the same volume.
pub(super) type Key = (Id, VolumeKind, u32);

/// A volume, as a person knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeName {
    /// The id of its set, 32 hex digits.
    pub set: String,
    /// The generation of its set.
    pub generation: u32,
    /// The name of its lineage, where that is known.
    pub lineage: Option<String>,
    /// What it is.
    pub kind: FileKind,
    /// Its number within its kind.
    pub number: u32,
}

/// A file on a medium.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; unknown where its header cannot be read.
    pub volume: Option<VolumeName>,
    /// Its size, in bytes.
    pub bytes: u64,
    fit: Result<Header>,
}

/// What became of an offer.
#[derive(Debug, Clone)]
pub enum Taken {
    /// It is here now.
    Copied,
    /// It was here, and sound.
    HadAlready,
    /// It is here now, in place of a damaged one.
    ReplacedDamaged,
    /// It was not taken.
    Refused(Error),
}

/// The volumes on media beside those of an archive.
pub struct Gathering {
    archive: PathBuf,
    threads: usize,
    offers: Vec<Offer>,
    lineages: BTreeMap<Id, String>,
    seen: Seen,
    /// Files here that are whole as far as their ends tell.
    whole: BTreeMap<Key, Vec<PathBuf>>,
    /// Files here that cannot be used.
    bad: BTreeMap<Key, Vec<PathBuf>>,
    /// Files here whose header cannot be read.
    strangers: BTreeSet<PathBuf>,
    /// Volumes here of which every byte was found sound.
    sound: BTreeSet<Key>,
}

/// The files on `sources`, which are folders or files, that are volumes or are called so.
pub fn files_on(sources: &[PathBuf], archive: &Path) -> Result<Vec<PathBuf>> {
    let here = archive.canonicalize().ok();
    let mut files = Vec::new();
    for source in sources {
        let there =
            source.canonicalize().map_err(|error| Error::io(source.display(), &error).hint("name the folder where the medium is"))?;
        let folder = if there.is_dir() { Some(there.as_path()) } else { there.parent() };
        if here.is_some() && folder == here.as_deref() {
            return Err(
                Error::usage(format!("{}: it is the archive itself", source.display())).hint("name the medium first, the archive last")
            );
        }
        if there.is_dir() { files.extend(volume_files(source)?) } else { files.push(source.clone()) }
    }
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(path.clone()));
    if files.is_empty() {
        let names: Vec<String> = sources.iter().map(|source| source.display().to_string()).collect();
        return Err(Error::usage(format!("{}: there is no volume of an ocm archive here", names.join(", ")))
            .hint("name the folder that holds the files NAME.g0001-….ocm.tar, or put in another medium"));
    }
    Ok(files)
}

/// The files of a folder that are volumes or are called so. What is hidden or in the making is neither.
fn volume_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| Error::io(folder.display(), &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (name, path) = (entry.file_name().to_string_lossy().to_lowercase(), entry.path());
        let in_making = name.starts_with('.') || name.ends_with(".partial");
        if !in_making && path.is_file() && (name.ends_with(".ocm.tar") || set::looks_like_a_volume(&path)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl Gathering {
    /// Compares `media`, files as [`files_on`] names them, with the archive. `threads` hash.
    pub fn look(media: &[PathBuf], archive: &Path, threads: usize) -> Result<Self> {
        let here = volume_files(archive)?;
        // What is here comes first: where two headers of a set contradict each other, the one here counts.
        let found = set::group(here.iter().chain(media).cloned());
        let mut gathering = Self {
            archive: archive.to_owned(),
            threads,
            offers: Vec::new(),
            lineages: found.sets.iter().filter_map(lineage).collect(),
            seen: Seen::default(),
            whole: BTreeMap::new(),
            bad: BTreeMap::new(),
            strangers: BTreeSet::new(),
            sound: BTreeSet::new(),
        };
        let here: BTreeSet<PathBuf> = here.into_iter().collect();
        gathering.sort(&found, &here);
        gathering.offers.sort_by_key(|offer| (offer.fit.as_ref().ok().map(|header| (header.generation, key(header))), offer.path.clone()));
        Ok(gathering)
    }

    /// Puts each file where it belongs: here or on a medium, good or bad.
    fn sort(&mut self, found: &Found, here: &BTreeSet<PathBuf>) {
        for set in &found.sets {
            for file in files(set) {
                match here.contains(&file.path) {
                    true => self.whole.entry(key(&file.header)).or_default().push(file.path.clone()),
                    false => self.offer(&file.path, Some(&file.header), file.footer.file_bytes, Ok(file.header)),
                }
            }
            for file in &set.broken {
                match here.contains(&file.path) {
                    true => self.bad.entry(key(&file.header)).or_default().push(file.path.clone()),
                    false => self.offer(&file.path, Some(&file.header), file.file_bytes, Err(told(&file.error))),
                }
            }
            self.seen.take_in(set, self.offers.iter().any(|offer| offer.is_of(set.id())));
        }
        for (path, error) in &found.strangers {
            let another_version = matches!(error.kind(), Kind::Version | Kind::Unsupported | Kind::Io(_));
            match here.contains(path) {
                true if another_version => {}
                true => drop(self.strangers.insert(path.clone())),
                false => self.offer(path, None, 0, Err(told(error))),
            }
        }
    }

    fn offer(&mut self, path: &Path, header: Option<&Header>, bytes: u64, fit: Result<Header>) {
        let volume = header.map(|header| VolumeName {
            set: header.set.to_string(),
            generation: header.generation,
            lineage: self.lineages.get(&header.set).cloned(),
            kind: file_kind(header.kind),
            number: header.number,
        });
        self.offers.push(Offer { path: path.to_owned(), volume, bytes, fit });
    }

    /// What is on the media, by set, kind and number.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The sizes of the volumes that are plainly not here, and fails where they have no room.
    pub fn plan(&self) -> Result<u64> {
        let mut wanted = BTreeMap::new();
        for offer in &self.offers {
            if let Some(header) = offer.fit.as_ref().ok().filter(|header| !self.whole.contains_key(&key(header))) {
                wanted.insert(key(header), (offer.bytes, self.partial(header)));
            }
        }
        let there = wanted.values().map(|(_, partial)| std::fs::metadata(partial).map_or(0, |metadata| metadata.len())).sum();
        let sizes: Vec<u64> = wanted.values().map(|(bytes, _)| *bytes).collect();
        Room::of(&self.archive)?.check(&self.archive, &sizes, there)?;
        Ok(sizes.iter().sum())
    }

    /// Takes an offer, unless it is here. An error is one of the archive: nothing more can be taken.
    pub fn take(&mut self, offer: &Offer, on_bytes: &mut OnBytes<'_>) -> Result<Taken> {
        let header = match &offer.fit {
            Ok(header) => header,
            Err(error) => return Ok(Taken::Refused(error.clone())),
        };
        if self.has_sound(&key(header)) {
            return Ok(Taken::HadAlready);
        }
        let target = self.archive.join(self.name(header));
        let damaged = self.bad.get(&key(header)).is_some_and(|bad| !bad.is_empty()) || self.strangers.contains(&target);
        if let Some(refused) = self.occupied(&target, header) {
            return Ok(Taken::Refused(refused));
        }
        let partial = self.partial(header);
        let there = std::fs::metadata(&partial).map_or(0, |metadata| metadata.len());
        Room::of(&self.archive)?.check(&self.archive, &[offer.bytes], there)?;
        let copy = Copy { source: &offer.path, name: &offer.label(), bytes: offer.bytes, partial, threads: self.threads };
        if let Some(refused) = copy.make(on_bytes)? {
            return Ok(Taken::Refused(refused));
        }
        self.put(&copy.partial, &target, header)?;
        Ok(if damaged { Taken::ReplacedDamaged } else { Taken::Copied })
    }

    /// Whether this volume is here, every byte of it.
    fn has_sound(&mut self, key: &Key) -> bool {
        if self.sound.contains(key) {
            return true;
        }
        for path in self.whole.remove(key).unwrap_or_default() {
            if fault(&path, self.threads).is_none() {
                self.whole.insert(*key, vec![path]);
                self.sound.insert(*key);
                return true;
            }
            self.bad.entry(*key).or_default().push(path);
        }
        false
    }

    /// Whether something else has the name that a volume gets.
    fn occupied(&self, target: &Path, header: &Header) -> Option<Error> {
        let own = self.bad.get(&key(header)).is_some_and(|bad| bad.iter().any(|path| path == target));
        let free = own || self.strangers.contains(target) || target.symlink_metadata().is_err();
        (!free).then(|| Error::failed(format!("{}: another file has the name of this volume", target.display())).hint("rename that file"))
    }

    /// Gives a proved copy its name, and lets go of what it replaces.
    fn put(&mut self, partial: &Path, target: &Path, header: &Header) -> Result<()> {
        let failed = |error: std::io::Error| Error::io(target.display(), &error);
        std::fs::rename(partial, target).map_err(failed)?;
        std::fs::File::open(&self.archive).and_then(|folder| folder.sync_all()).map_err(failed)?;
        if Room::of(&self.archive)?.renames_can_tear() {
            evict(target);
            if fault(target, self.threads).is_some() {
                return Err(Error::failed(format!("{}: it is not there as it was written", target.display())).hint("look after this disk"));
            }
        }
        for old in self.bad.remove(&key(header)).unwrap_or_default().into_iter().filter(|old| old != target) {
            std::fs::remove_file(&old).map_err(|error| Error::io(old.display(), &error))?;
        }
        self.strangers.remove(target);
        self.whole.insert(key(header), vec![target.to_owned()]);
        self.sound.insert(key(header));
        Ok(())
    }

    /// How the sets stand that the media have volumes of, by generation.
    pub fn standing(&self) -> Result<Vec<Standing>> {
        let here = set::group(volume_files(&self.archive)?);
        let bad: BTreeSet<Key> = self.bad.keys().copied().filter(|key| !self.sound.contains(key)).collect();
        Ok(self.seen.standing(&here, &bad, &self.lineages))
    }

    fn name(&self, header: &Header) -> String {
        file_name(self.lineages.get(&header.set).map_or("", String::as_str), header)
    }

    fn partial(&self, header: &Header) -> PathBuf {
        self.archive.join(SCRATCH).join(format!("{}.partial", self.name(header)))
    }
}

impl Offer {
    /// What a person calls it.
    #[must_use]
    pub fn label(&self) -> String {
        let Some(volume) = &self.volume else { return "a file that is no volume".to_owned() };
        let kind = match volume.kind {
            FileKind::Volume => "volume",
            FileKind::Parity => "parity volume",
            FileKind::Catalogue => "catalogue volume",
        };
        format!("{kind} {} of set {}", volume.number, volume.generation)
    }

    fn is_of(&self, set: Id) -> bool {
        self.volume.as_ref().is_some_and(|volume| volume.set == set.to_string())
    }
}

fn key(header: &Header) -> Key {
    (header.set, header.kind, header.number)
}

fn files(set: &SetFiles) -> impl Iterator<Item = &VolumeFile> {
    set.volumes.values().chain(set.catalogues.values()).chain(set.parity.values()).chain(&set.spares)
}

/// The name of the lineage of a set: from its manifest, else from the name of one of its files.
pub(super) fn lineage(set: &SetFiles) -> Option<(Id, String)> {
    let told = set.manifest.as_ref().map(|manifest| manifest.lineage.name.clone());
    let by_name = || files(set).find_map(|file| Some(lineage_in(file.path.file_name()?.to_str()?, &file.header)?.to_owned()));
    Some((set.id(), told.or_else(by_name)?))
}
