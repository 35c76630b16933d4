//! Makes an archive of a terabyte whose packs are holes: header, index, manifest and footer of each volume are real, the content is not.
//! Whoever opens it does what a real one of that size would take.
//!
//! `huge DIR VOLUMES BYTES MANIFEST…` makes so many volumes of so many bytes. Each MANIFEST is a file that is stored verbatim in the last
//! volume; `ITEMS` names a file with the items of the set.
//!
//! *Not here:* measuring.
#![allow(missing_docs, reason = "a program")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ocm_format::digest::Digest;
use ocm_format::error::{Error, Result};
use ocm_format::index::write::IndexWriter;
use ocm_format::index::{FrameRow, MemberKind, MemberRow};
use ocm_format::layout::{self, FIXED_BYTES, FLAG_LAST, FLAG_SET, Footer, Header, Id, Parent, VolumeKind};
use ocm_format::recipe::{Part, Plain, Range, Recipe, Record};
use ocm_format::set::{Canonical, IndexEntry, Lineage, Needs, SetManifest, VolumeEntry};
use ocm_format::tar;

const TIME: u64 = 1_700_000_000;
const FRAME_BYTES: u32 = 1 << 20;
/// The stored bytes of a frame: as of content that compresses by half.
const STORED_BYTES: u32 = 1 << 19;
/// Frames of a pack, and blobs of so many frames.
const PACK_FRAMES: u64 = 60;
const BLOB_FRAMES: u64 = 200;
const INDEX_JSON: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

/// A volume in the making: what stands in it, and how far it has come.
struct Volume {
    file: File,
    header: Header,
    index: IndexWriter,
    at: u64,
    stream: u64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let [folder, volumes, bytes, manifests @ ..] = arguments.as_slice() else { return Ok(()) };
    let number = |text: &String| text.parse::<u64>().map_err(|error| Error::limit(format!("{text}: {error}")));
    make(Path::new(folder), u32::try_from(number(volumes)?).unwrap_or(1), number(bytes)?, manifests)
}

pub(crate) fn make(folder: &Path, volumes: u32, bytes: u64, manifests: &[String]) -> Result<()> {
    let mut done = Vec::new();
    for number in 1..=volumes {
        let path = folder.join(format!("huge.g0001-01010101.v{number:03}.ocm.tar"));
        let mut volume = Volume::begin(&path, number, bytes)?;
        if number == volumes {
            for manifest in manifests {
                volume.verbatim(&std::fs::read(manifest).map_err(|error| Error::io(&PathBuf::from(manifest), &error))?)?;
            }
        }
        volume.holes(bytes)?;
        let entry = volume.end(&path, (number == volumes).then_some(&done))?;
        done.push(entry);
    }
    Ok(())
}

impl Volume {
    fn begin(path: &Path, number: u32, bytes: u64) -> Result<Self> {
        let file = File::create(path).map_err(|error| Error::io(path, &error))?;
        let (set, lineage) = (Id([1; 16]), Id([9; 16]));
        let (kind, parent) = (VolumeKind::Data, Parent::None);
        let header =
            Header { kind, compatible: 0, incompatible: 0, set, lineage, generation: 1, number, cap: bytes << 1, time: TIME, parent };
        let mut volume = Self { file, header, index: IndexWriter::default(), at: 0, stream: 0 };
        volume.member("OCM.VOLUME", MemberKind::Header, &header.encode())?;
        Ok(volume)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.at).map_err(|error| Error::io(Path::new("volume"), &error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn tar_member(&mut self, name: &str, content: &[u8]) -> Result<u64> {
        let mut member = Vec::new();
        tar::put_member(&mut member, name, content, TIME)?;
        let offset = self.at + tar::BLOCK;
        self.write(&member)?;
        Ok(offset)
    }

    fn member(&mut self, name: &str, kind: MemberKind, content: &[u8]) -> Result<u64> {
        let row = MemberRow { offset: self.at, bytes: content.len() as u64, kind, name: name.into(), digest: Digest::of(content) };
        self.index.member(&row)?;
        self.tar_member(name, content)
    }

    fn verbatim(&mut self, content: &[u8]) -> Result<()> {
        let digest = Digest::of(content);
        let offset = self.member(&format!("blobs/sha256/{}", digest.hex()), MemberKind::Blob, content)?;
        let (bytes, note) = (content.len() as u64, String::new());
        self.index.record(&Record { digest, bytes, note, recipe: Recipe::Verbatim, plain: Plain::Own }, offset)
    }

    /// Packs of frames that are holes, and blobs that lie in them.
    fn holes(&mut self, bytes: u64) -> Result<()> {
        for pack in 1.. {
            let content = PACK_FRAMES * u64::from(STORED_BYTES);
            if self.at + content >= bytes {
                return Ok(());
            }
            let (offset, name) = (self.at, format!("packs/{pack:06}.zst"));
            self.index.member(&MemberRow { offset, bytes: content, kind: MemberKind::Pack, name, digest: Digest::of(&[]) })?;
            self.at += tar::BLOCK;
            for _ in 0..PACK_FRAMES {
                self.frame()?;
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<()> {
        let digest = Digest::of(&[self.at.to_le_bytes(), u64::from(self.header.number).to_le_bytes()].concat());
        let (plain_bytes, stored_bytes) = (FRAME_BYTES, STORED_BYTES);
        self.index.frame(&FrameRow { stream_offset: self.stream, plain_bytes, file_offset: self.at, stored_bytes, codec: 1, digest })?;
        (self.at, self.stream) = (self.at + u64::from(STORED_BYTES), self.stream + u64::from(FRAME_BYTES));
        let blob = u64::from(FRAME_BYTES) * BLOB_FRAMES;
        if self.stream.is_multiple_of(blob) {
            let range = Range { volume: self.header.number, offset: self.stream - blob, bytes: blob };
            let recipe = Recipe::Raw(vec![Part::Range(range)]);
            self.index.record(&Record { digest, bytes: blob, note: String::new(), recipe, plain: Plain::Own }, 0)?;
        }
        Ok(())
    }

    /// Ends the volume; the last one gets the manifest of the set, of which `before` are the other volumes.
    fn end(mut self, path: &Path, before: Option<&Vec<VolumeEntry>>) -> Result<VolumeEntry> {
        let index = std::mem::take(&mut self.index).finish()?;
        let index_offset = self.tar_member("OCM.INDEX", &index.bytes)?;
        let (header, begin) = (self.header, self.at);
        let root = layout::volume_root(&header.encode(), &index.directory, self.stream);
        let (mut tail, mut set) = (Vec::new(), Vec::new());
        let end = FIXED_BYTES as u64 * 4;
        if let Some(before) = before {
            let entry = |bytes| VolumeEntry { number: header.number, bytes, root };
            let documents = |set: &[u8]| -> Result<Vec<u8>> {
                let mut documents = Vec::new();
                for (name, content) in [("oci-layout", &b"{}"[..]), ("index.json", INDEX_JSON), ("SET.json", set)] {
                    tar::put_member(&mut documents, name, content, TIME)?;
                }
                Ok(documents)
            };
            let bytes = begin + documents(&manifest(&header, before, entry(begin))?)?.len() as u64 + end;
            set = manifest(&header, before, entry(bytes))?;
            tail = documents(&set)?;
        }
        self.write(&tail)?;
        let file_bytes = self.at + end;
        let footer = Footer {
            flags: if before.is_some() { FLAG_LAST | FLAG_SET } else { 0 },
            set: header.set,
            number: header.number,
            file_bytes,
            index_offset,
            index_bytes: index.bytes.len() as u64,
            directory_bytes: index.directory_bytes,
            directory: index.directory,
            set_json_offset: if before.is_some() { self.at - tar::padded(set.len() as u64) } else { 0 },
            set_json_bytes: set.len() as u64,
            set_json: if before.is_some() { Digest::of(&set) } else { Digest::Sha256([0; 32]) },
            tail: Digest::of(&tail),
            stream_bytes: self.stream,
            root,
        };
        self.tar_member("OCM.FOOTER", &footer.encode())?;
        self.write(&[0; 1024])?;
        self.file.sync_all().map_err(|error| Error::io(path, &error))?;
        Ok(VolumeEntry { number: header.number, bytes: file_bytes, root })
    }
}

fn manifest(header: &Header, before: &[VolumeEntry], last: VolumeEntry) -> Result<Vec<u8>> {
    let items = std::env::var_os("ITEMS").and_then(|path| std::fs::read(path).ok());
    let items = items.and_then(|items| Canonical::of(&serde_json::from_slice(&items).ok()?).ok());
    let manifest = SetManifest {
        features: Vec::new(),
        set: header.set,
        time: header.time,
        cap: header.cap,
        generation: header.generation,
        lineage: Lineage { id: header.lineage, name: "huge".into() },
        parent: None,
        ancestors: Vec::new(),
        needs: Needs::default(),
        volumes: before.iter().cloned().chain([last]).collect(),
        index: IndexEntry { digest: Digest::of(INDEX_JSON), bytes: INDEX_JSON.len() as u64 },
        items: items.map_or_else(|| "[]".parse(), Ok)?,
        options: "{}".parse()?,
        writer: "bench".into(),
        others: Default::default(),
    };
    manifest.to_bytes()
}
