//! Volumes made by hand: what the writer never makes, or not yet.

use std::path::Path;

use ocm_format::digest::Digest;
use ocm_format::frame;
use ocm_format::index::write::IndexWriter;
use ocm_format::index::{FrameRow, MemberKind, MemberRow};
use ocm_format::layout::{Codec, FrameHeader, Header, Id, Parent, VolumeKind};
use ocm_format::recipe::{Part, Piece, Plain, Range, Recipe, Record, Run};
use ocm_format::records;
use ocm_format::set::{IndexEntry, Lineage, Needs, SetManifest, VolumeEntry};
use ocm_format::tar;
use zstd::zstd_safe::{CCtx, CParameter};

use super::forged::Forged;
use super::tables;

const CAP: u64 = 16 << 20;
const TIME: u64 = 1_700_000_000;
const INDEX_JSON: &[u8] = b"{}";

/// The only volume of a set in the making.
pub(crate) struct Built {
    header: Header,
    out: Vec<u8>,
    index: IndexWriter,
    stream: u64,
    groups: u32,
}

/// A frame to be stored.
pub(crate) struct NewFrame<'a> {
    pub(crate) plain: &'a [u8],
    /// Runs of the prefix, and the bytes that they stand for.
    pub(crate) prefix: Option<(Vec<Run>, &'a [u8])>,
}

impl Built {
    pub(crate) fn new(id: u8, parent: Parent) -> Self {
        let header = Header {
            kind: VolumeKind::Data,
            compatible: 0,
            incompatible: 0,
            set: Id([id; 16]),
            lineage: Id([9; 16]),
            generation: id.into(),
            number: 1,
            cap: CAP,
            time: TIME,
            parent,
        };
        let mut built = Self { header, out: Vec::new(), index: IndexWriter::default(), stream: 0, groups: 1 };
        built.member("OCM.VOLUME", MemberKind::Header, &header.encode());
        built
    }

    fn member(&mut self, name: &str, kind: MemberKind, content: &[u8]) -> u64 {
        self.member_with(name, kind, content, Digest::of(content))
    }

    fn member_with(&mut self, name: &str, kind: MemberKind, content: &[u8], digest: Digest) -> u64 {
        let offset = self.out.len() as u64;
        self.index.member(&MemberRow { offset, bytes: content.len() as u64, kind, name: name.into(), digest }).expect("a row");
        tar::put_member(&mut self.out, name, content, TIME).expect("a member");
        offset + 512
    }

    /// Stores frames as a pack; they begin in the stream where the ones before end.
    pub(crate) fn pack(&mut self, frames: &[NewFrame<'_>]) -> &mut Self {
        let stored = frames.iter().map(|frame| {
            let (codec, stored) = match &frame.prefix {
                None => (Codec::Zstd, frame::compress(frame.plain, 3).expect("compressed")),
                Some((runs, bytes)) => (Codec::Prefix { depth: 1, runs: runs.clone() }, compress_after(frame.plain, bytes)),
            };
            (codec, stored, frame.plain.len() as u32)
        });
        self.stored_pack(stored.collect(), |_| ())
    }

    /// Stores frames that are compressed already, each with what is said of its plain length; `change` has its way with their rows.
    pub(crate) fn stored_pack(&mut self, frames: Vec<(Codec, Vec<u8>, u32)>, change: impl Fn(&mut FrameRow)) -> &mut Self {
        let mut content = Vec::new();
        let mut digests = Vec::new();
        let begin = self.out.len() as u64 + 512;
        let mut patch = false;
        for (codec, stored, plain_bytes) in frames {
            let (number, digest) = (codec.number(), codec.digest(&stored));
            patch |= number == 2;
            let sizes = (stored.len() as u32, plain_bytes);
            content.extend(FrameHeader { codec, stored_bytes: sizes.0, plain_bytes, stream_offset: self.stream, digest }.encode());
            let file_offset = begin + content.len() as u64;
            let (stream_offset, codec) = (self.stream, number);
            let mut row = FrameRow { stream_offset, plain_bytes, file_offset, stored_bytes: sizes.0, codec, digest };
            change(&mut row);
            self.index.frame(&row).expect("a row");
            self.stream += u64::from(sizes.1);
            digests.extend_from_slice(digest.bytes());
            content.extend(stored);
        }
        let name = format!("packs/{:06}.{}", self.groups, if patch { "pzst" } else { "zst" });
        self.member_with(&name, MemberKind::Pack, &content, Digest::of(&digests));
        self
    }

    pub(crate) fn plain_pack(&mut self, frames: &[&[u8]]) -> &mut Self {
        let frames: Vec<_> = frames.iter().map(|plain| NewFrame { plain, prefix: None }).collect();
        self.pack(&frames)
    }

    /// Stores `content` as a member and its record; `digest` is what is said of it.
    pub(crate) fn verbatim(&mut self, content: &[u8], digest: Digest) -> &mut Self {
        let name = format!("blobs/sha256/{}", Digest::of(content).hex());
        let file_offset = self.member(&name, MemberKind::Blob, content);
        let record = Record { digest, bytes: content.len() as u64, note: String::new(), recipe: Recipe::Verbatim, plain: Plain::Own };
        self.records(&[(record, file_offset)])
    }

    pub(crate) fn records(&mut self, records: &[(Record, u64)]) -> &mut Self {
        self.rows(records);
        self.rec(&records::close(records.iter().map(|(record, _)| record)).expect("closed"))
    }

    /// Puts blobs into the index alone.
    pub(crate) fn rows(&mut self, records: &[(Record, u64)]) -> &mut Self {
        for (record, file_offset) in records {
            self.index.record(record, *file_offset).expect("a row");
        }
        self
    }

    /// Ends the group with a `.rec` of this content, of which the index knows nothing.
    pub(crate) fn rec(&mut self, content: &[u8]) -> &mut Self {
        self.member(&format!("packs/{:06}.rec", self.groups), MemberKind::Records, content);
        self.groups += 1;
        self
    }

    /// Ends the volume and writes it into `folder`; gives the set root.
    pub(crate) fn write(self, folder: &Path) -> Digest {
        self.forged().write(folder).1
    }

    /// Ends the volume, so that it can be changed before it is sealed.
    pub(crate) fn forged(self) -> Forged {
        let index = self.index.finish().expect("an index");
        Forged {
            header: self.header.encode(),
            members: self.out,
            tables: tables::open(&index),
            stream: self.stream,
            set: serde_json::from_slice(&manifest(&self.header)).expect("a document"),
            index_json: INDEX_JSON.to_vec(),
            time: TIME,
            on_set: |_| (),
            on_tail: |_| (),
            on_footer: |_| (),
        }
    }
}

fn manifest(header: &Header) -> Vec<u8> {
    let parent = match header.parent {
        Parent::Set { id, root } => Some(ocm_format::set::ParentSet::Set { id, root, generation: header.generation - 1 }),
        Parent::None | Parent::Receipt { .. } => None,
    };
    let manifest = SetManifest {
        features: vec![],
        set: header.set,
        time: header.time,
        cap: header.cap,
        generation: header.generation,
        lineage: Lineage { id: header.lineage, name: "lab".into() },
        parent,
        ancestors: vec![],
        needs: Needs::default(),
        volumes: vec![VolumeEntry { number: 1, bytes: 1, root: Digest::of(b"") }],
        index: IndexEntry { digest: Digest::of(INDEX_JSON), bytes: INDEX_JSON.len() as u64 },
        items: "[]".parse().expect("canonical"),
        options: "{}".parse().expect("canonical"),
        writer: "test".into(),
        others: Default::default(),
    };
    manifest.to_bytes().expect("bytes")
}

fn compress_after(plain: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut context = CCtx::create();
    context.set_parameter(CParameter::ContentSizeFlag(true)).expect("a parameter");
    context.ref_prefix(prefix).expect("a prefix");
    let mut out = Vec::with_capacity(plain.len() + 1000);
    context.compress2(&mut out, plain).expect("compressed");
    out
}

pub(crate) fn range(offset: u64, bytes: u64) -> Part {
    Part::Range(Range { volume: 1, offset, bytes })
}

pub(crate) fn run(digest: Digest, offset: u64, bytes: u64) -> Run {
    Run { digest, offset, bytes }
}

pub(crate) fn raw(digest: Digest, parts: Vec<Part>) -> (Record, u64) {
    let bytes = parts.iter().map(Part::bytes).sum();
    (Record { digest, bytes, note: String::new(), recipe: Recipe::Raw(parts), plain: Plain::Own }, 0)
}

pub(crate) fn pieces(digest: Digest, pieces: Vec<Piece>, plain: Plain) -> (Record, u64) {
    let bytes = pieces.iter().map(|piece| piece.bytes().expect("a length")).sum();
    (Record { digest, bytes, note: String::new(), recipe: Recipe::Pieces(pieces), plain }, 0)
}
