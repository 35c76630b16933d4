//! [`Catalogue`] and [`Records`]: the documents of a set and what is known of its blobs, read from its catalogue, where its volumes
//! are elsewhere.
//!
//! **Invariants.** What comes out has its digest, or is of an index that has it.
//!
//! *Not here:* making catalogues (`writer`), content in packs (`reader`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Error, Result, cap};
use crate::index::read::IndexCache;
use crate::index::{BlobRow, MemberKind};
use crate::layout::{FIXED_BYTES, MAX_VERBATIM_BYTES};
use crate::set::{SetFiles, VolumeEntry};
use crate::tar;
use crate::volume::Volume;

/// The verbatim blobs of a set.
#[derive(Debug)]
pub struct Catalogue {
    volumes: Vec<Volume>,
    blobs: BTreeMap<Digest, (usize, u64, u64)>,
}

impl Catalogue {
    /// Opens the catalogue of `set`; `None` where none is here.
    pub fn open(set: &SetFiles) -> Result<Option<Self>> {
        if set.catalogues.is_empty() {
            return Ok(None);
        }
        let mut catalogue = Self { volumes: Vec::new(), blobs: BTreeMap::new() };
        for (at, file) in set.catalogues.values().enumerate() {
            let volume = Volume::open(&file.path)?;
            for member in volume.members() {
                let member = member?;
                if member.kind == MemberKind::Blob {
                    catalogue.blobs.insert(member.digest, (at, member.offset.saturating_add(tar::BLOCK), member.bytes));
                }
            }
            catalogue.volumes.push(volume);
        }
        Ok(Some(catalogue))
    }

    /// The bytes of a document; `None` if it is not in the catalogue.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let Some((at, offset, bytes)) = self.blobs.get(digest) else { return Ok(None) };
        let Some(volume) = self.volumes.get(*at) else { return Ok(None) };
        let content = volume.read_vec(*offset, cap(*bytes, MAX_VERBATIM_BYTES, "verbatim blob")?)?;
        let damaged = || volume.placed(Error::damaged(format!("blob {digest}: its bytes do not match its digest")));
        if digest.matches(&content) { Ok(Some(content)) } else { Err(damaged()) }
    }
}

/// What is known of the blobs of a set, from the indexes in its catalogue.
#[derive(Debug)]
pub struct Records {
    volumes: Vec<Volume>,
}

/// What was seen of a volume: its parts follow one another, perhaps in two files of the catalogue.
#[derive(Default)]
struct Kept<'a> {
    header: Option<[u8; FIXED_BYTES]>,
    index: Option<(&'a PathBuf, u64)>,
}

impl Records {
    /// Opens the indexes of all `volumes` of a set in the `files` of its catalogue; an error where one is not there.
    pub fn open(files: &[PathBuf], volumes: &[VolumeEntry]) -> Result<Self> {
        let cache = Arc::new(IndexCache::default());
        let (mut kept, mut found) = (Kept::default(), BTreeMap::new());
        for path in files {
            let catalogue = Volume::open(path)?;
            for member in catalogue.members() {
                let member = member?;
                let Some((volume, part)) = member.name.split_once('/').filter(|(volume, _)| volume.starts_with('v')) else { continue };
                let offset = member.offset.saturating_add(tar::BLOCK);
                match part {
                    "OCM.VOLUME" => kept = Kept { header: Some(fixed(&catalogue, offset)?), index: None },
                    "OCM.INDEX" => kept.index = Some((path, offset)),
                    "OCM.FOOTER" => {
                        let (Some(header), Some((file, index))) = (kept.header, kept.index) else {
                            return Err(catalogue.placed(Error::damaged(format!("{volume} stands there in part")).at(offset)));
                        };
                        let volume = Volume::of_index(file, &header, &fixed(&catalogue, offset)?, index, &cache)?;
                        found.insert(volume.number(), volume);
                    }
                    _ => {}
                }
            }
        }
        let all = volumes.iter().map(|entry| {
            let volume = found.remove(&entry.number).filter(|volume| volume.root() == entry.root);
            volume.ok_or_else(|| Error::damaged(format!("catalogue: it lacks the index of volume {}", entry.number)))
        });
        Ok(Self { volumes: all.collect::<Result<_>>()? })
    }

    /// The record of a blob; `None` if the set has none.
    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobRow>> {
        for volume in &self.volumes {
            if let Some(row) = volume.blob(digest)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

fn fixed(catalogue: &Volume, offset: u64) -> Result<[u8; FIXED_BYTES]> {
    let mut bytes = [0; FIXED_BYTES];
    catalogue.read_at(offset, &mut bytes).map(|()| bytes)
}
