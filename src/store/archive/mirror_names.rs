//! An archive directory as a person of oc-mirror knows it: it holds exactly the newest set, as `mirror_000001.tar` and so on
//! (semantics H.1).
//!
//! **Invariants.** Nothing is overwritten and nothing is removed before its copy is durable. What was half done is known by the
//! headers of the files, whatever they are called, so the same call does the rest. A set whose manifest is not here is one in
//! the making: it is left alone.
//!
//! *Not here:* which set is the newest (`workflow::sync::mirror_tars`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ocm_format::layout::{Header, Id, VolumeKind};
use ocm_format::set::name::{file_name, stem};
use ocm_format::set::{SetFiles, VolumeFile};

use super::foreign::foreign;
use super::shelf::{KnownSet, Shelf};
use crate::durable::{folder_of, partial_of, sync_folder, write_whole};
use crate::error::{Error, Result};

/// Where archives of oc-mirror go.
const FOREIGN: &str = "oc-mirror-v2";

/// The longest list of sums that is read, in bytes.
const MAX_SUMS_BYTES: u64 = 64 << 20;

/// What a directory came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// The volumes of the newest set, by number.
    pub volumes: BTreeMap<u32, PathBuf>,
    /// Where earlier sets were moved.
    pub moved: Vec<PathBuf>,
    /// Where archives of oc-mirror were moved.
    pub foreign: Vec<PathBuf>,
}

/// Leaves exactly `newest` in `folder`, under the names of oc-mirror. Earlier sets go to folders of their own below `old_sets`, and archives of
/// oc-mirror aside. The caller holds the lock of the directory.
pub fn settle(folder: &Path, newest: &KnownSet, old_sets: &Path) -> Result<Settled> {
    let shelf = Shelf::open(folder)?;
    let mut settled = Settled::default();
    for set in &shelf.found().sets {
        match &set.manifest {
            Some(manifest) if set.id() != Id(newest.id) => {
                let to = old_sets.join(stem(&manifest.lineage.name, set.header.generation, set.id()));
                move_set(folder, set, &manifest.lineage.name, &to)?;
                settled.moved.push(to);
            }
            _ => {}
        }
    }
    for file in foreign(folder) {
        let to = free_name(&folder.join(FOREIGN), &file)?;
        move_file(&file, &to)?;
        settled.foreign.push(to);
    }
    if let Some(set) = shelf.set(Id(newest.id)) {
        let own_name = |volume: &VolumeFile| file_name(&newest.name, &volume.header);
        let named: BTreeMap<String, String> = set.volumes.values().map(|volume| (own_name(volume), mirror_name(&volume.header))).collect();
        retell_sums(&sums_of(folder, &newest.name, &set.header), folder, &named)?;
        for (number, volume) in &set.volumes {
            settled.volumes.insert(*number, call(folder, volume)?);
        }
    }
    Ok(settled)
}

/// The name that oc-mirror would give a volume.
fn mirror_name(volume: &Header) -> String {
    format!("mirror_{:06}.tar", volume.number)
}

/// The file with the sums of a set.
fn sums_of(folder: &Path, lineage: &str, set: &Header) -> PathBuf {
    folder.join(format!("{}.sha256", stem(lineage, set.generation, set.set)))
}

/// Writes the sums of a set into `folder`, with the names that its files have from now on. Where there are none, none are written.
fn retell_sums(sums: &Path, folder: &Path, names: &BTreeMap<String, String>) -> Result<()> {
    let mut text = String::new();
    match File::open(sums).map(|file| file.take(MAX_SUMS_BYTES).read_to_string(&mut text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.and_then(|read| read).map_err(|error| Error::io(sums.display(), &error))?,
    };
    let retold = |line: &str| match line.split_once("  ").and_then(|(sum, name)| Some((sum, names.get(name)?))) {
        Some((sum, name)) => format!("{sum}  {name}\n"),
        None => format!("{line}\n"),
    };
    let retold: String = text.lines().map(retold).collect();
    let to = folder.join(sums.file_name().unwrap_or_default());
    if retold == text && to == sums {
        return Ok(());
    }
    write_whole(&to, retold.as_bytes())
}

/// Gives a volume the name that oc-mirror would give it.
fn call(folder: &Path, volume: &VolumeFile) -> Result<PathBuf> {
    let to = folder.join(mirror_name(&volume.header));
    if volume.path != to {
        rename(&volume.path, &to)?;
        sync_folder(folder)?;
    }
    Ok(to)
}

fn move_set(folder: &Path, set: &SetFiles, lineage: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|error| Error::io(to.display(), &error))?;
    let sums = sums_of(folder, lineage, &set.header);
    // All of its volumes: a run that was killed may have moved some already.
    let volumes = (1..=set.volume_count().unwrap_or_default()).map(|number| Header { number, kind: VolumeKind::Data, ..set.header });
    let own = volumes.map(|volume| (mirror_name(&volume), file_name(lineage, &volume)));
    retell_sums(&sums, to, &own.collect())?;
    let files = [&set.volumes, &set.catalogues, &set.parity].into_iter().flat_map(BTreeMap::values).chain(&set.spares);
    let files = files.map(|file| (&file.path, &file.header)).chain(set.broken.iter().map(|file| (&file.path, &file.header)));
    for (from, header) in files {
        let name = to.join(file_name(lineage, header));
        let name = if name.exists() { free_name(to, from)? } else { name };
        move_file(from, &name)?;
    }
    match fs::remove_file(&sums) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(sums.display(), &error)),
        _ => Ok(()),
    }
}

/// A name for `file` in `folder` that nothing has: its own, or its own with a number.
fn free_name(folder: &Path, file: &Path) -> Result<PathBuf> {
    let own = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = (1..10_000).map(|number| folder.join(format!("{own}.{number}")));
    let free = std::iter::once(folder.join(&own)).chain(numbered).find(|path| fs::symlink_metadata(path).is_err());
    free.ok_or_else(|| Error::failed(format!("{}: there is no free name for {own}", folder.display())))
}

/// Moves a file, to another file system by a copy that is durable before the file is removed.
fn move_file(from: &Path, to: &Path) -> Result<()> {
    let folder = folder_of(to);
    fs::create_dir_all(folder).map_err(|error| Error::io(folder.display(), &error))?;
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, to)?,
        moved => moved.map_err(|error| Error::io(format!("moving {} to {}", from.display(), to.display()), &error))?,
    }
    sync_folder(folder)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: io::Error| Error::io(format!("copying {} to {}", from.display(), to.display()), &error);
    let partial = partial_of(to);
    fs::copy(from, &partial).and_then(|_| File::open(&partial)?.sync_all()).map_err(failed)?;
    rename(&partial, to)?;
    sync_folder(folder_of(to))?;
    fs::remove_file(from).map_err(|error| Error::io(from.display(), &error))
}

/// Renames a file to a name that must be free.
fn rename(from: &Path, to: &Path) -> Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(Error::failed(format!("{}: it is in the way of {}", to.display(), from.display()))
            .hint("move it away: it is no archive that ocm knows"));
    }
    fs::rename(from, to).map_err(|error| Error::io(format!("renaming {} to {}", from.display(), to.display()), &error))
}
