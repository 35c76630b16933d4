//! The catalogue of a set: everything but its packs (SPEC section 9).
//!
//! **Invariants.** What a catalogue needs of a volume is kept as soon as that volume is finished, so that its file may be
//! let go. The kept parts are tar members, copied as they are.
//!
//! *Not here:* reading a catalogue (`volume`, `set`).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::journal::Journal;
use super::line::Line;
use super::volume::VolumeWriter;
use super::{Closing, Head, header_of, stem, tail, texts, volume_name, write_durably};
use crate::codec::length;
use crate::error::{Error, Result, cap};
use crate::index::MemberKind;
use crate::layout::{FIXED_BYTES, FOOTER_FROM_END, Footer, HEADER_OFFSET, MAX_DOCUMENT_BYTES, VolumeKind};
use crate::set::SetManifest;
use crate::tar;

/// The file of parts of volume `number`.
fn parts_path(scratch: &Path, head: &Head, number: u32) -> PathBuf {
    scratch.join(format!("{}.v{number:03}.parts", stem(head)))
}

/// Keeps header, index, footer and verbatim blobs of a finished volume.
pub(super) fn keep_parts(scratch: &Path, head: &Head, path: &Path, number: u32) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::io(path, &error))?;
    let end = file.metadata().map_err(|error| Error::io(path, &error))?.len();
    let read = |offset, bytes| read_at(&file, path, offset, bytes);
    let fixed = u64::try_from(FIXED_BYTES).unwrap_or(u64::MAX);
    let header = read(HEADER_OFFSET, fixed)?;
    let footer = read(end.saturating_sub(FOOTER_FROM_END), fixed)?;
    let fields = footer.first_chunk().map(Footer::decode).ok_or_else(|| Error::damaged("footer: it is too short").in_file(path))??;
    let index = read(fields.index_offset, fields.index_bytes)?;
    let mut out = Vec::new();
    for (name, content) in [("OCM.VOLUME", &header), ("OCM.INDEX", &index), ("OCM.FOOTER", &footer)] {
        tar::put_member(&mut out, &format!("v{number:03}/{name}"), content, head.time)?;
    }
    put_verbatim(&mut out, &file, path, head, fields.index_offset)?;
    write_durably(&parts_path(scratch, head, number), &out)
}

/// Appends the verbatim blobs of a volume, found by walking its members.
fn put_verbatim(out: &mut Vec<u8>, file: &File, path: &Path, head: &Head, index_offset: u64) -> Result<()> {
    let mut offset = 0u64;
    while offset.saturating_add(tar::BLOCK) < index_offset {
        let header = read_at(file, path, offset, tar::BLOCK)?;
        let (name, size) = member(&header, head).ok_or_else(|| Error::damaged("a member has a foreign header").in_file(path).at(offset))?;
        if name.starts_with("blobs/") {
            out.extend(read_at(file, path, offset, tar::member_bytes(size))?);
        }
        offset = offset.saturating_add(tar::member_bytes(size));
    }
    Ok(())
}

fn member(header: &[u8], head: &Head) -> Option<(String, u64)> {
    tar::scanned_size(header.first_chunk()?, head.time)
}

fn read_at(file: &File, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>> {
    let mut buffer = vec![0u8; cap(bytes, MAX_DOCUMENT_BYTES.saturating_mul(64), "index")?];
    file.read_exact_at(&mut buffer, offset).map_err(|error| Error::io(path, &error).at(offset))?;
    Ok(buffer)
}

/// Writes the catalogue where it is wanted; says which files it became.
pub(super) fn write(set: &Line, closing: &Closing, manifest: &SetManifest) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<&Path> = closing.catalogue.iter().map(PathBuf::as_path).collect();
    if set.done.len() > 1 {
        folders.push(&set.options.folder);
    }
    let mut files = Vec::new();
    for folder in folders {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, &error))?;
        files.extend(write_into(set, closing, manifest, folder)?);
    }
    Ok(files)
}

fn write_into(set: &Line, closing: &Closing, manifest: &SetManifest, folder: &Path) -> Result<Vec<PathBuf>> {
    let journal = Arc::new(Journal::create(&set.options.scratch.join(format!("{}.catalogue", stem(&set.head))), set.head.set)?);
    let path = |number: u32| folder.join(volume_name(&set.head, 'c', number));
    let begin = |number| {
        VolumeWriter::create(
            &path(number),
            header_of(&set.head, VolumeKind::Catalogue, number, set.options.cap),
            &texts(set.options.cap),
            &journal,
            &set.idle,
        )
    };
    let mut volume = begin(1)?;
    for done in &set.done {
        let parts = parts_path(&set.options.scratch, &set.head, done.number);
        let bytes = std::fs::read(&parts).map_err(|error| Error::io(&parts, &error))?;
        let mut rest = bytes.as_slice();
        while let Some((header, after)) = rest.split_at_checked(512) {
            let wrong = || Error::damaged("the kept parts of a volume are not whole").in_file(&parts);
            let (name, size) = member(header, &set.head).ok_or_else(wrong)?;
            let padded = usize::try_from(tar::padded(size)).unwrap_or(usize::MAX);
            let (content, after) = after.split_at_checked(padded).ok_or_else(wrong)?;
            let content = content.get(..usize::try_from(size).unwrap_or(usize::MAX)).ok_or_else(wrong)?;
            volume = with_room(volume, size, &begin)?;
            let kind = if name.starts_with("blobs/") { MemberKind::Blob } else { MemberKind::Other };
            volume.write_members([(name.as_str(), kind, content)])?;
            rest = after;
        }
    }
    let end = tail(closing, &set.seal, manifest)?;
    let tail_bytes = end.iter().fold(0u64, |sum, (_, content)| sum.saturating_add(tar::member_bytes(length(content))));
    volume = with_room(volume, tail_bytes, &begin)?;
    let last = volume.close(Some(&mut |_, _| Ok(end.clone())))?;
    Ok((1..=last.number).map(path).collect())
}

/// The volume, or the next one if a member of `bytes` has no room in it.
fn with_room(volume: VolumeWriter, bytes: u64, begin: &impl Fn(u32) -> Result<VolumeWriter>) -> Result<VolumeWriter> {
    if volume.has_room_for_member(bytes) {
        return Ok(volume);
    }
    let done = volume.close(None)?;
    begin(done.number.saturating_add(1))
}
