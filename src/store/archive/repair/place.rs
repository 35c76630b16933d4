//! [`Place`]: where new files wait, are proved, and get their names.
//!
//! **Invariants.** What a new file replaces is kept in the folder `damaged` before the name is the new file's; where hard links are
//! possible, the name is never free in between.
//!
//! *Not here:* what goes into the files (`repair`).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use ocm_format::layout::{Header, VolumeKind};
use ocm_format::set::name::file_name;
use ocm_format::set::{SetFiles, scan};
use ocm_format::volume::Volume;

use super::assess::{Expected, lineage_of};
use super::{FileKind, Rebuilt, Request};
use crate::durable::sync_folder;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::store::archive::copy::{evict, fault};
use crate::store::archive::room::Room;
use crate::store::archive::{SCRATCH, told};

/// The folder, beside the volumes, where damaged files are kept.
pub(super) const KEPT: &str = "damaged";

/// Where new files go.
pub(super) struct Place<'a> {
    request: &'a Request,
    set: &'a SetFiles,
    to: &'a Path,
    lineage: String,
}

impl<'a> Place<'a> {
    /// New files of a set go to `to`, whose lock the caller holds.
    pub(super) fn new(request: &'a Request, set: &'a SetFiles, to: &'a Path) -> Result<Self> {
        let same = |one: &Path, other: &Path| one.canonicalize().ok().is_some_and(|one| Some(one) == other.canonicalize().ok());
        if request.to.is_some() && same(to, request.shelf.path()) {
            return Err(Error::usage(format!("{}: it is the archive itself", to.display())).hint("leave --to out, or name another folder"));
        }
        Ok(Self { request, set, to, lineage: lineage_of(set) })
    }

    /// Where the new files go.
    pub(super) fn folder(&self) -> &Path {
        self.to
    }

    /// Fails where files of these sizes do not fit.
    pub(super) fn check_room(&self, sizes: &[u64]) -> Result<()> {
        Room::of(self.to)?.check(self.to, sizes, 0)
    }

    /// The name of a data volume.
    fn name(&self, number: u32) -> String {
        file_name(&self.lineage, &Header { kind: VolumeKind::Data, number, ..self.set.header })
    }

    /// Where a file waits for its name.
    pub(super) fn hidden(&self, name: &str) -> PathBuf {
        self.to.join(SCRATCH).join(format!("{name}.rebuilt.partial"))
    }

    /// Begins a data volume.
    pub(super) fn begin(&self, number: u32) -> Result<File> {
        let path = self.hidden(&self.name(number));
        File::create(&path).map_err(|error| Error::io(path.display(), &error))
    }

    /// What is wrong with a data volume that was made; nothing where it is what it must be, read back from the disk.
    pub(super) fn prove(&self, number: u32, expected: &Expected, root: Option<Digest>) -> Result<Option<String>> {
        let path = self.hidden(&self.name(number));
        evict(&path);
        let wrong = self.wrong(&path, expected, root).err().map(|error| error.to_string());
        if wrong.is_some() {
            std::fs::remove_file(&path).map_err(|error| Error::io(path.display(), &error))?;
        }
        Ok(wrong)
    }

    fn wrong(&self, path: &Path, expected: &Expected, root: Option<Digest>) -> Result<()> {
        let volume = Volume::open(path).map_err(|error| told(&error))?;
        let footer = volume.footer();
        if volume.header().set != self.set.id()
            || (footer.root, footer.file_bytes) != (expected.root.unwrap_or(footer.root), expected.bytes)
        {
            return Err(Error::damaged("what was made is not the volume that the set has"));
        }
        if let Some(root) = root.filter(|root| volume.has_set() && *root != footer.set_json) {
            return Err(Error::damaged(format!("what was made has another SET.json than that of root {root}")));
        }
        match fault(path, self.request.threads) {
            Some(fault) => Err(Error::damaged(format!("what was made is not sound: {}", fault.text()))),
            None => Ok(()),
        }
    }

    /// Gives a proved data volume its name.
    pub(super) fn put(&self, number: u32, bytes: u64) -> Result<Rebuilt> {
        let name = self.name(number);
        let (path, kept) = self.rename(&name, VolumeKind::Data, number)?;
        Ok(Rebuilt { kind: FileKind::Volume, number, path, bytes, kept })
    }

    /// Proves a parity volume that was made, and gives it its name.
    pub(super) fn put_parity(&self, number: u32, name: &str) -> Result<Rebuilt> {
        let hidden = self.hidden(name);
        evict(&hidden);
        if let Some(fault) = fault(&hidden, self.request.threads) {
            return Err(Error::damaged(format!("{name}: what was made is not sound: {}", fault.text())));
        }
        let bytes = std::fs::metadata(&hidden).map_err(|error| Error::io(hidden.display(), &error))?.len();
        let (path, kept) = self.rename(name, VolumeKind::Parity, number)?;
        Ok(Rebuilt { kind: FileKind::Parity, number, path, bytes, kept })
    }

    fn rename(&self, name: &str, kind: VolumeKind, number: u32) -> Result<(PathBuf, Option<PathBuf>)> {
        let (hidden, target) = (self.hidden(name), self.to.join(name));
        let mut kept = None;
        if self.request.to.is_none() {
            for old in self.old_files(&target, kind, number) {
                kept = Some(self.keep(&old, old == target)?);
            }
        } else if target.exists() {
            return Err(Error::usage(format!("{}: it is there already", target.display())).hint("name an empty folder"));
        }
        std::fs::rename(&hidden, &target).map_err(|error| Error::io(target.display(), &error))?;
        sync_folder(self.to)?;
        Ok((target, kept))
    }

    /// The files here that the new one replaces: what has its name, and what claims its number and is broken.
    fn old_files(&self, target: &Path, kind: VolumeKind, number: u32) -> Vec<PathBuf> {
        let is_it = |header: &Header| (header.kind, header.number) == (kind, number);
        let broken = self.set.broken.iter().filter(|file| is_it(&file.header)).map(|file| file.path.clone());
        let spares = self.set.spares.iter().filter(|file| is_it(&file.header)).map(|file| file.path.clone());
        let used = [&self.set.volumes, &self.set.parity].into_iter().flat_map(|files| files.values());
        let used = used.filter(|file| is_it(&file.header)).map(|file| file.path.clone());
        let mut old: Vec<PathBuf> = broken.chain(spares).chain(used).chain([target.to_owned()]).filter(|path| path.exists()).collect();
        old.sort();
        old.dedup();
        old
    }

    /// Puts a damaged file aside; with `stays` under its old name too, until that is taken, where the file system can.
    fn keep(&self, old: &Path, stays: bool) -> Result<PathBuf> {
        let folder = self.to.join(KEPT);
        std::fs::create_dir_all(&folder).map_err(|error| Error::io(folder.display(), &error))?;
        let name = old.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names = std::iter::once(name.clone()).chain((2u32..).map(|count| format!("{name}.{count}")));
        let free = names.map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_err());
        let kept = free.ok_or_else(|| Error::failed(format!("{}: no name is free in it", folder.display())))?;
        let linked = stays && std::fs::hard_link(old, &kept).is_ok();
        if !linked {
            std::fs::rename(old, &kept).map_err(|error| Error::io(old.display(), &error))?;
        }
        sync_folder(&folder)?;
        Ok(kept)
    }

    /// The set as it is now, with what was rebuilt elsewhere.
    pub(super) fn set_again(&self) -> Result<SetFiles> {
        let mut files = ocm_format::set::files(self.request.shelf.path()).map_err(|error| told(&error))?;
        if self.request.to.is_some() {
            // What was rebuilt comes first: of two files of a number, the sound one is used.
            files.splice(0..0, scan_files(self.to)?);
        }
        let found = ocm_format::set::group(files);
        let set = found.sets.into_iter().find(|set| set.id() == self.set.id());
        set.ok_or_else(|| Error::needed(format!("set {} is gone", self.set.header.generation)))
    }

    /// The data volumes of the set, each sound: those rebuilt from where they were put.
    pub(super) fn volumes(&self, set: &SetFiles, rebuilt: &BTreeMap<u32, Expected>) -> Result<Vec<(PathBuf, u64, Digest)>> {
        let manifest = set.manifest.as_ref().ok_or_else(|| Error::needed("SET.json is not here"))?;
        let volume = |entry: &ocm_format::set::VolumeEntry| {
            let here = set.volumes.get(&entry.number).map(|file| file.path.clone());
            let path = if rebuilt.contains_key(&entry.number) { Some(self.to.join(self.name(entry.number))) } else { here };
            let path =
                path.ok_or_else(|| Error::needed(format!("volume {} of set {} is not here", entry.number, set.header.generation)))?;
            Ok((path, entry.bytes, entry.root))
        };
        manifest.volumes.iter().map(volume).collect()
    }
}

fn scan_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = scan(folder).map_err(|error| told(&error))?;
    let paths = found.sets.iter().flat_map(|set| set.volumes.values().chain(set.parity.values())).map(|file| file.path.clone());
    Ok(paths.collect())
}
