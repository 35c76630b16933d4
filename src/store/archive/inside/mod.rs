//! An archive to look into: [`Inside`] for [`ArchiveSource`].
//!
//! **Invariants.** Nothing is read ahead of a question, and nothing of content but what was asked for.

mod meant;
mod mending;

use bytes::Bytes;
use ocm_format::index::{PlainRow, Stored};
use ocm_format::layout::Id;
use ocm_format::reader::BlobInfo;
use ocm_format::set::name::stem;

pub use self::meant::{Meant, OpenSets};
use super::source::ArchiveSource;
use super::told;
use crate::error::Result;
use crate::image::inside::{Ailment, Facts, Form, Inside, Lies, Made, Sizes};
use crate::image::{Contents, Descriptor, Digest, Manifest};

impl Inside for ArchiveSource {
    fn place(&self) -> String {
        self.path_text().to_owned()
    }

    fn contents(&self) -> &Contents {
        self.listed()
    }

    fn time(&self) -> u64 {
        self.sets().iter().map(|set| set.manifest.time).max().unwrap_or_default()
    }

    fn documents(&self) -> Result<Vec<(String, Bytes)>> {
        let document = |set: &super::SetFacts| {
            let manifest = &set.manifest;
            let name = stem(&manifest.lineage.name, manifest.generation, manifest.set);
            Ok((format!("{name}.json"), manifest.to_bytes().map_err(|error| told(&error))?.into()))
        };
        self.sets().iter().map(document).collect()
    }

    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        self.manifest_now(wanted)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Facts>> {
        Ok(self.reader().blob(digest).map_err(|error| told(&error))?.map(|info| facts(&info)))
    }

    fn blobs(&self) -> Result<Vec<(Digest, u64)>> {
        let rows = self.reader().blobs().map(|row| row.map(|row| (row.digest, row.bytes)));
        let mut blobs = rows.collect::<Result<Vec<_>, _>>().map_err(|error| told(&error))?;
        blobs.sort_unstable();
        blobs.dedup_by_key(|(digest, _)| *digest);
        Ok(blobs)
    }

    fn read(&self, blob: &Digest, form: Form, offset: u64, most: u64) -> Result<Bytes> {
        let chunk = match form {
            Form::Stored => self.reader().chunk_at(blob, offset, most),
            Form::Plain => self.reader().plain_chunk_at(blob, offset, most),
        };
        chunk.map(Bytes::from_owner).map_err(|error| told(&error))
    }

    fn lies(&self, blob: &Digest) -> Result<Vec<Lies>> {
        let here = |id: Id, number: u32| self.reader().volumes(id).any(|volume| volume.number() == number);
        let place = |(id, volume)| Lies { set: self.generation_of(id).unwrap_or_default(), volume, here: here(id, volume) };
        Ok(self.volumes_of(blob)?.into_iter().map(place).collect())
    }

    fn health(&self) -> Vec<Ailment> {
        let unusable = self.reader().unusable().map(|(id, volume, error)| {
            let what = format!("set {} volume {volume}", self.generation_of(id).unwrap_or_default());
            Ailment { what, why: error.to_string(), damaged: told(error).kind() == crate::error::Kind::Damaged }
        });
        let absent = self.reader().lacking().flat_map(|(id, lacking)| {
            let set = self.generation_of(id).unwrap_or_default();
            lacking.numbers.iter().map(move |volume| (format!("set {set} volume {volume}"), "it is not here"))
        });
        let earlier = self.elsewhere().iter().map(|(set, _)| (format!("set {set}"), "what is here builds on it, and it is not all here"));
        let missing = absent.chain(earlier).map(|(what, why)| Ailment { what, why: why.to_owned(), damaged: false });
        unusable.chain(missing).collect()
    }

    fn sizes(&self) -> Result<Sizes> {
        let stored_bytes = self.reader().all_volumes().fold(0, |sum: u64, volume| sum.saturating_add(volume.bytes()));
        let (mut sizes, mut seen) = (Sizes { stored_bytes, ..Sizes::default() }, std::collections::HashSet::new());
        for row in self.reader().blobs() {
            let row = row.map_err(|error| told(&error))?;
            if seen.insert(row.digest) {
                let plain = if let PlainRow::Listed { bytes, .. } = row.plain { bytes } else { row.bytes };
                sizes.plain_bytes = sizes.plain_bytes.saturating_add(plain);
                sizes.blobs += 1;
            }
        }
        Ok(sizes)
    }
}

fn facts(info: &BlobInfo) -> Facts {
    let made = match info.stored {
        Stored::Verbatim { .. } => Made::Verbatim,
        Stored::Raw { .. } => Made::Stored,
        Stored::Pieces { .. } => Made::Replayed,
    };
    let plain_bytes = match info.plain {
        PlainRow::Listed { bytes, .. } => Some(bytes),
        PlainRow::Own if made != Made::Replayed => Some(info.bytes),
        PlainRow::Own | PlainRow::Unknown => None,
    };
    Facts { bytes: info.bytes, made, plain_bytes }
}
