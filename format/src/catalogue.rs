//! [`Catalogue`]: the documents of a set, read from its catalogue, where its volumes are elsewhere.
//!
//! **Invariants.** What comes out has its digest.
//!
//! *Not here:* making catalogues (`writer`), content in packs (`reader`).

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::{Error, Result, cap};
use crate::index::MemberKind;
use crate::layout::MAX_VERBATIM_BYTES;
use crate::set::SetFiles;
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
