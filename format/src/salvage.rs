//! [`salvage`]: what can still be read of sets whose files are cut, damaged or not all there.
//!
//! **Invariants.** Nothing is written but an index that no name leads to. Volumes that are whole are read as always; of the others
//! every frame, record and blob is found that stands where the walk of the file comes by, and what comes out of it later is verified like
//! everything else. What the walk passed over is told.
//!
//! *Not here:* which of it makes a whole image (the caller asks for blobs), and mending files.

mod record;
mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::scan::Scan;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::read::IndexCache;
use crate::index::write::Index;
use crate::index::{BlobRow, FrameRow, PartRow, PieceRow};
use crate::layout::{Id, VolumeKind};
use crate::reader::{Options, Reader};
use crate::set::SetFiles;
use crate::volume::Volume;

/// What was found.
pub struct Salvaged {
    /// Reads it.
    pub reader: Reader,
    /// The notes of blobs, of sets without SET.json.
    pub notes: Vec<Note>,
    /// What could not be made out, by file and place.
    pub lost: Vec<Error>,
}

/// What a record notes of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The set of the record.
    pub set: Id,
    /// The blob.
    pub digest: Digest,
    /// The note.
    pub text: String,
}

/// Opens what there is of `sets`, newest first. Indexes of volumes that have none go to files in the directory `scratch`, which have no
/// names any more when this returns.
pub fn salvage<'a>(sets: impl IntoIterator<Item = &'a SetFiles>, scratch: &Path, options: Options) -> Result<Salvaged> {
    let cache = Arc::new(IndexCache::new(options.index_cache_bytes));
    let mut work = Work { scratch, cache: &cache, notes: Vec::new(), lost: Vec::new() };
    let open = sets.into_iter().map(|set| Ok((set, work.volumes(set)?))).collect::<Result<Vec<_>>>()?;
    let Work { notes, lost, .. } = work;
    Ok(Salvaged { reader: Reader::of_volumes(open, options), notes, lost })
}

struct Work<'s> {
    scratch: &'s Path,
    cache: &'s Arc<IndexCache>,
    notes: Vec<Note>,
    lost: Vec<Error>,
}

impl Work<'_> {
    /// The data volumes of a set, by number: as they are where they are whole and what they hold is known, else scanned.
    fn volumes(&mut self, set: &SetFiles) -> Result<BTreeMap<u32, Arc<Volume>>> {
        let mut volumes = BTreeMap::new();
        for (number, file) in &set.volumes {
            let whole = Volume::open_with(&file.path, self.cache).and_then(|volume| index_is_sound(&volume).map(|()| volume));
            match whole {
                // Without SET.json nothing but the notes tells what is in it.
                Ok(volume) if set.manifest.is_some() => drop(volumes.insert(*number, Arc::new(volume))),
                Ok(_) => self.scan(&file.path, &mut volumes)?,
                Err(error) => {
                    self.lost.push(error);
                    self.scan(&file.path, &mut volumes)?;
                }
            }
        }
        let mut broken: Vec<_> = set.broken.iter().filter(|file| file.header.kind == VolumeKind::Data).collect();
        broken.sort_by_key(|file| std::cmp::Reverse(file.file_bytes));
        for file in broken {
            if !volumes.contains_key(&file.header.number) {
                self.scan(&file.path, &mut volumes)?;
            }
        }
        Ok(volumes)
    }

    fn scan(&mut self, path: &Path, volumes: &mut BTreeMap<u32, Arc<Volume>>) -> Result<()> {
        let scan = match Scan::of(path) {
            Ok(scan) => scan,
            Err(error) => {
                self.lost.push(error);
                return Ok(());
            }
        };
        let set = scan.header.set;
        let found = scan.run()?;
        let index = self.keep(&found.index)?;
        self.notes.extend(found.notes.into_iter().map(|(digest, text)| Note { set, digest, text }));
        self.lost.extend(found.lost);
        let volume = Volume::of_scan(path, found.header, found.stream_bytes, &found.index, index, self.cache)?;
        volumes.insert(found.header.number, Arc::new(volume));
        Ok(())
    }

    /// A file without a name that holds this.
    fn keep(&self, index: &Index) -> Result<File> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("salvage-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path: PathBuf = self.scratch.join(name);
        let failed = |error: std::io::Error| Error::io(&path, &error);
        let mut file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
        file.write_all(&index.bytes).map_err(failed)?;
        Ok(file)
    }
}

/// Whether every block of an index that reading needs is sound.
fn index_is_sound(volume: &Volume) -> Result<()> {
    volume.rows::<FrameRow>(0).try_for_each(|row| row.map(drop))?;
    volume.rows::<PartRow>(0).try_for_each(|row| row.map(drop))?;
    volume.rows::<PieceRow>(0).try_for_each(|row| row.map(drop))?;
    volume.rows::<BlobRow>(0).try_for_each(|row| row.map(drop))
}
