//! [`VolumeWriter`]: one volume in the making, and the room that is left in it.
//!
//! **Invariants.** Before anything is taken in, the whole volume as it would then end – pack, records, index, tail, footer
//! – is known to stay below the cap. Members are written in whole groups: verbatim blobs, a pack, its records.
//!
//! *Not here:* which frames and blobs come when (`set`), the bytes of the index (`index`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::journal::{Done, Entry, Journal, Mark};
use super::output::Output;
use super::own::Own;
use super::pool::Packed;
use super::shelf::Filed;
use crate::codec::length;
use crate::delta::{Cost, Key};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::idle::Idle;
use crate::index::write::IndexWriter;
use crate::index::{FrameRow, MemberKind, MemberRow};
use crate::layout::{self, Codec, FLAG_CATALOGUE, FLAG_LAST, FLAG_SET, FOOTER_FROM_END, Footer, Header, VolumeKind};
use crate::recipe::{Plain, Recipe, Record};
use crate::records;
use crate::tar;

/// A pack is closed when it has this many bytes, or an eighth of the cap.
const PACK_BYTES: u64 = 8 << 20;
/// Verbatim blobs that wait for their group are at most this many bytes together.
const QUEUE_BYTES: u64 = 1 << 20;
/// What a row of MEMBERS, FRAMES, BLOBS or PARTS takes at the most, with its share of a block.
const ROW_BOUND: u64 = 320;
/// What a part takes in PARTS at the most.
const PART_BOUND: u64 = 90;

/// The members of row 5: they stand between index and footer of the last volume.
pub(super) type Tail = Vec<(&'static str, Vec<u8>)>;

/// Makes the tail, given the size that the last volume would have and its root.
pub(super) type MakeTail<'a> = dyn FnMut(u64, Digest) -> Result<Tail> + 'a;

/// A volume in the making.
pub(super) struct VolumeWriter {
    header: Header,
    partial: PathBuf,
    path: PathBuf,
    output: Output,
    end: u64,
    stream_bytes: u64,
    index: IndexWriter,
    packs: u32,
    group: Group,
    own: Option<Arc<Own>>,
    /// What is left free below the cap.
    reserve_bytes: u64,
}

/// What waits to be written together.
#[derive(Default)]
struct Group {
    verbatim: Vec<(Digest, Vec<u8>)>,
    verbatim_bytes: u64,
    frames: Vec<(u32, Packed)>,
    frame_bytes: u64,
    records: Vec<Record>,
    record_bytes: u64,
    chunks: Vec<(Key, u64)>,
    needs: BTreeSet<Digest>,
    index_bytes: u64,
}

impl VolumeWriter {
    /// Begins a volume: header and texts are its first group.
    pub(super) fn create(path: &Path, header: Header, texts: &[(&str, &[u8])], journal: &Arc<Journal>, idle: &Arc<Idle>) -> Result<Self> {
        let mut volume = Self::at(path, header, 0, journal, idle)?;
        journal.append(&Entry::Volume { number: header.number })?;
        let header = header.encode();
        let texts = texts.iter().map(|(name, text)| (*name, MemberKind::Text, *text));
        volume.write_members(std::iter::once(("OCM.VOLUME", MemberKind::Header, header.as_slice())).chain(texts))?;
        Ok(volume)
    }

    /// Goes on with a volume whose file is sound up to `end`; the marks are applied next.
    pub(super) fn at(path: &Path, header: Header, end: u64, journal: &Arc<Journal>, idle: &Arc<Idle>) -> Result<Self> {
        let partial = partial_of(path);
        let output = Output::open(&partial, end, Arc::clone(journal), Arc::clone(idle))?;
        let (index, group) = (IndexWriter::default(), Group::default());
        Ok(Self {
            header,
            partial,
            path: path.to_owned(),
            output,
            end,
            stream_bytes: 0,
            index,
            packs: 0,
            group,
            own: None,
            reserve_bytes: 0,
        })
    }

    /// The same volume, whose frames `own` reads again.
    pub(super) fn read_by(self, own: Option<Arc<Own>>) -> Self {
        Self { own, ..self }
    }

    /// The same volume, which leaves so much free below its cap.
    pub(super) fn leaving(self, reserve_bytes: u64) -> Self {
        Self { reserve_bytes, ..self }
    }

    /// The number of this volume.
    pub(super) fn number(&self) -> u32 {
        self.header.number
    }

    /// Takes over what a mark says: the next group, or one of an earlier run.
    pub(super) fn apply(&mut self, mark: &Mark) -> Result<()> {
        for row in &mark.members {
            self.index.member(row)?;
        }
        for row in &mark.frames {
            self.index.frame(row)?;
            self.stream_bytes = row.stream_offset.saturating_add(row.plain_bytes.into());
        }
        for (record, file_offset) in &mark.records {
            self.index.record(record, *file_offset)?;
        }
        self.packs = self.packs.max(mark.pack);
        self.end = mark.end;
        Ok(())
    }

    /// Whether a frame of this many bytes, header included, has room.
    pub(super) fn has_room_for_frame(&self, packed_bytes: u64) -> bool {
        self.fits(packed_bytes, 0, 0, ROW_BOUND)
    }

    /// Whether a verbatim blob of this size has room, with its record.
    pub(super) fn has_room_for_verbatim(&self, bytes: u64, record: &Record) -> bool {
        self.fits(0, tar::member_bytes(bytes), encoded_bytes(record), ROW_BOUND.saturating_mul(2))
    }

    /// Whether a record has room.
    pub(super) fn has_room_for_record(&self, record: &Record) -> bool {
        self.fits(0, 0, encoded_bytes(record), index_bytes(record))
    }

    /// Whether nothing but the beginning is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.packs == 0 && self.group.is_empty()
    }

    fn fits(&self, frame: u64, verbatim: u64, record: u64, index: u64) -> bool {
        let group = &self.group;
        let pack = group.frame_bytes.saturating_add(frame);
        let pack_member = if pack == 0 { 0 } else { tar::member_bytes(pack) };
        let records = tar::member_bytes(records::bound(group.record_bytes.saturating_add(record)));
        let members = ROW_BOUND.saturating_mul(4);
        let index = self.index.bound().saturating_add(group.index_bytes).saturating_add(index).saturating_add(members);
        let parts = [group.verbatim_bytes, verbatim, pack_member, records, tar::member_bytes(index), FOOTER_FROM_END, tar::BLOCK];
        parts.into_iter().fold(self.end, u64::saturating_add) < self.header.cap.saturating_sub(self.reserve_bytes)
    }

    /// Takes in frame `id`; says where in the stream it begins. `chunks` are keys of its chunks and their offsets in it.
    pub(super) fn push_frame(&mut self, id: u32, frame: Packed, chunks: &[(Key, u32)]) -> u64 {
        let stream_offset =
            self.group.frames.iter().fold(self.stream_bytes, |sum, (_, frame)| sum.saturating_add(frame.plain_bytes.into()));
        let group = &mut self.group;
        group.chunks.extend(chunks.iter().map(|(key, offset)| (*key, stream_offset.saturating_add(u64::from(*offset)))));
        group.frame_bytes = group.frame_bytes.saturating_add(frame.bytes());
        group.index_bytes = group.index_bytes.saturating_add(ROW_BOUND);
        group.needs.extend(frame.codec.runs().iter().map(|run| run.digest));
        group.frames.push((id, frame));
        stream_offset
    }

    /// Takes in a blob that is stored verbatim, with its record.
    pub(super) fn push_verbatim(&mut self, content: Vec<u8>, record: Record) {
        let group = &mut self.group;
        group.verbatim_bytes = group.verbatim_bytes.saturating_add(tar::member_bytes(length(&content)));
        group.index_bytes = group.index_bytes.saturating_add(ROW_BOUND);
        group.verbatim.push((record.digest, content));
        self.push_record(record);
    }

    /// Takes in the record of a blob whose frames are all placed.
    pub(super) fn push_record(&mut self, record: Record) {
        let group = &mut self.group;
        group.record_bytes = group.record_bytes.saturating_add(encoded_bytes(&record));
        group.needs.extend(record.runs().map(|run| run.digest));
        group.index_bytes = group.index_bytes.saturating_add(index_bytes(&record));
        group.records.push(record);
    }

    /// Writes the group if it is large enough.
    pub(super) fn settle(&mut self) -> Result<()> {
        let group = &self.group;
        let full =
            group.frame_bytes >= PACK_BYTES.min(self.header.cap >> 3) || group.verbatim_bytes >= QUEUE_BYTES.min(self.header.cap >> 3);
        if full { self.close_group() } else { Ok(()) }
    }

    /// Writes what waits, as one group.
    pub(super) fn close_group(&mut self) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let group = std::mem::take(&mut self.group);
        let needs = group.needs.into_iter().collect();
        let mut mark = Mark { pack: self.packs.saturating_add(1), chunks: group.chunks, needs, ..Mark::default() };
        let mut out = Vec::new();
        let mut verbatim_offsets = std::collections::BTreeMap::new();
        for (digest, content) in &group.verbatim {
            let name = format!("blobs/sha256/{}", digest.hex());
            let offset = self.put_member(&mut out, &name, MemberKind::Blob, content, &mut mark)?;
            verbatim_offsets.insert(*digest, offset.saturating_add(tar::BLOCK));
        }
        let mut parts = vec![Arc::new(out)];
        let mut filed = Vec::new();
        if !group.frames.is_empty() {
            let costs = costs(self.header.number, self.stream_bytes, &group.frames);
            if !costs.is_empty() {
                self.output.mark(Entry::Costs(costs))?;
            }
            filed = self.put_pack(&mut parts, group.frames, group.frame_bytes, &mut mark)?;
        }
        let mut out = Vec::new();
        self.put_records(&mut out, &group.records, &mut mark)?;
        parts.push(Arc::new(out));
        mark.records = group
            .records
            .into_iter()
            .map(|record| (verbatim_offsets.get(&record.digest).copied().unwrap_or_default(), record))
            .map(|(offset, record)| (record, offset))
            .collect();
        mark.end = self.end;
        self.apply(&mark)?;
        self.output.write(parts)?;
        if let Some(own) = self.own.clone() {
            self.output.then(Box::new(move || own.shelf.file(filed)))?;
        }
        self.output.mark(Entry::Mark(mark))
    }

    /// Makes a pack of frames; says where each will be.
    fn put_pack(
        &mut self,
        parts: &mut Vec<Arc<Vec<u8>>>,
        frames: Vec<(u32, Packed)>,
        bytes: u64,
        mark: &mut Mark,
    ) -> Result<Vec<(u32, Filed)>> {
        let mut filed = Vec::new();
        let has_prefix = frames.iter().any(|(_, frame)| *frame.codec != Codec::Zstd);
        let name = format!("packs/{:06}.{}", mark.pack, if has_prefix { "pzst" } else { "zst" });
        let offset = self.end;
        parts.push(Arc::new(tar::header(&name, bytes, self.header.time)?.to_vec()));
        let (mut file_offset, mut stream_offset) = (offset.saturating_add(tar::BLOCK), self.stream_bytes);
        let mut hasher = Hasher::sha256();
        for (id, frame) in frames {
            filed.push((id, Filed { volume: self.header.number, offset: file_offset, bytes: frame.bytes() }));
            file_offset = file_offset.saturating_add(frame.header_bytes);
            let header = frame.header(stream_offset).encode();
            let (stored_bytes, plain_bytes, digest, codec) = (frame.stored_bytes, frame.plain_bytes, frame.digest, frame.codec.number());
            mark.frames.push(FrameRow { stream_offset, plain_bytes, file_offset, stored_bytes, codec, digest });
            hasher.update(digest.bytes());
            file_offset = file_offset.saturating_add(stored_bytes.into());
            stream_offset = stream_offset.saturating_add(plain_bytes.into());
            parts.extend([Arc::new(header), frame.stored]);
        }
        let mut padding = Vec::new();
        tar::put_padding(&mut padding, bytes);
        parts.push(Arc::new(padding));
        mark.members.push(MemberRow { offset, bytes, kind: MemberKind::Pack, name, digest: hasher.finish() });
        self.end = self.end.saturating_add(tar::member_bytes(bytes));
        Ok(filed)
    }

    fn put_records(&mut self, out: &mut Vec<u8>, group: &[Record], mark: &mut Mark) -> Result<()> {
        let content = records::close(group)?;
        let name = format!("packs/{:06}.rec", mark.pack);
        self.put_member(out, &name, MemberKind::Records, &content, mark).map(drop)
    }

    /// Appends a member to `out` and to the mark; says where its header begins.
    fn put_member(&mut self, out: &mut Vec<u8>, name: &str, kind: MemberKind, content: &[u8], mark: &mut Mark) -> Result<u64> {
        let offset = self.end;
        tar::put_member(out, name, content, self.header.time)?;
        mark.members.push(MemberRow { offset, bytes: length(content), kind, name: name.to_owned(), digest: Digest::of(content) });
        self.end = self.end.saturating_add(tar::member_bytes(length(content)));
        Ok(offset)
    }

    /// Writes members as a group of their own.
    pub(super) fn write_members<'a>(&mut self, members: impl IntoIterator<Item = (&'a str, MemberKind, &'a [u8])>) -> Result<()> {
        let (mut out, mut mark) = (Vec::new(), Mark { pack: self.packs, ..Mark::default() });
        for (name, kind, content) in members {
            self.put_member(&mut out, name, kind, content, &mut mark)?;
        }
        mark.end = self.end;
        self.apply(&mark)?;
        self.output.write(vec![Arc::new(out)])?;
        self.output.mark(Entry::Mark(mark))
    }

    /// Whether a member of this size has room, with what would follow it.
    pub(super) fn has_room_for_member(&self, bytes: u64) -> bool {
        self.fits(0, tar::member_bytes(bytes), 0, ROW_BOUND)
    }

    /// Whether a tail of this many bytes (members with their padding) has room.
    pub(super) fn has_room_for_tail(&self, bytes: u64) -> bool {
        self.fits(0, bytes, 0, 0)
    }

    /// Ends the volume: index, tail, footer; durable, and under its name.
    pub(super) fn close(mut self, tail: Option<&mut MakeTail<'_>>) -> Result<Done> {
        self.close_group()?;
        let index = std::mem::take(&mut self.index).finish()?;
        let index_offset = self.end.saturating_add(tar::BLOCK);
        let mut out = Vec::new();
        tar::put_member(&mut out, "OCM.INDEX", &index.bytes, self.header.time)?;
        let index_bytes = length(&index.bytes);
        let tail_start = tar::BLOCK.saturating_add(index_bytes);
        let header = self.header.encode();
        let root = layout::volume_root(&header, &index.directory, self.stream_bytes);
        let last = tail.is_some();
        let before_tail = self.end.saturating_add(length(&out));
        let members = tail.map(|make| self.fixed_point(before_tail, root, make)).transpose()?.unwrap_or_default();
        let mut set_json = (0, 0, Digest::Sha256([0; 32]));
        for (name, content) in &members {
            if *name == "SET.json" {
                let offset = self.end.saturating_add(length(&out)).saturating_add(tar::BLOCK);
                set_json = (offset, length(content), Digest::of(content));
            }
            tar::put_member(&mut out, name, content, self.header.time)?;
        }
        let tail_bytes = out.get(usize::try_from(tail_start).unwrap_or(usize::MAX)..).unwrap_or_default();
        let kind_flags = if self.header.kind == VolumeKind::Catalogue { FLAG_CATALOGUE } else { 0 };
        let footer = Footer {
            flags: kind_flags | if last { FLAG_SET | if kind_flags == 0 { FLAG_LAST } else { 0 } } else { 0 },
            set: self.header.set,
            number: self.header.number,
            file_bytes: self.end.saturating_add(length(&out)).saturating_add(tar::BLOCK).saturating_add(FOOTER_FROM_END),
            index_offset,
            index_bytes,
            directory_bytes: index.directory_bytes,
            directory: index.directory,
            set_json_offset: set_json.0,
            set_json_bytes: set_json.1,
            set_json: set_json.2,
            tail: Digest::of(tail_bytes),
            stream_bytes: self.stream_bytes,
            root,
        };
        tar::put_member(&mut out, "OCM.FOOTER", &footer.encode(), self.header.time)?;
        out.extend([0; 1024]);
        self.commit(out, &footer)
    }

    /// The tail, which states the size of the file that it makes.
    fn fixed_point(&self, before_tail: u64, root: Digest, make: &mut MakeTail<'_>) -> Result<Tail> {
        let rest = tar::BLOCK.saturating_add(FOOTER_FROM_END);
        let mut bytes = before_tail;
        for _ in 0..4 {
            let tail = make(bytes, root)?;
            let made = tail
                .iter()
                .fold(before_tail.saturating_add(rest), |sum, (_, content)| sum.saturating_add(tar::member_bytes(length(content))));
            if made == bytes {
                return Ok(tail);
            }
            bytes = made;
        }
        Err(Error::limit("SET.json: its length does not settle"))
    }

    fn commit(mut self, out: Vec<u8>, footer: &Footer) -> Result<Done> {
        if footer.file_bytes >= self.header.cap {
            let text =
                format!("volume {}: {} bytes would not be below the cap of {}", self.header.number, footer.file_bytes, self.header.cap);
            return Err(Error::new(Kind::Limit, text));
        }
        self.output.write(vec![Arc::new(out)])?;
        let sum = self.output.finish()?;
        std::fs::rename(&self.partial, &self.path).map_err(|error| Error::io(&self.path, &error))?;
        sync_folder(&self.path)?;
        Ok(Done { number: self.header.number, bytes: footer.file_bytes, root: footer.root, sum })
    }
}

impl Group {
    fn is_empty(&self) -> bool {
        self.verbatim.is_empty() && self.frames.is_empty() && self.records.is_empty()
    }
}

/// The name of a volume while it is being made.
pub(super) fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Makes a rename in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::io(folder, &error))
}

/// What those of the frames take that have a prefix; the first begins at `stream_offset`.
fn costs(volume: u32, mut stream_offset: u64, frames: &[(u32, Packed)]) -> Vec<((u32, u64), Cost)> {
    let mut costs = Vec::new();
    for (_, frame) in frames {
        if *frame.codec != Codec::Zstd {
            costs.push(((volume, stream_offset), frame.cost));
        }
        stream_offset = stream_offset.saturating_add(frame.plain_bytes.into());
    }
    costs
}

fn encoded_bytes(record: &Record) -> u64 {
    let mut out = Vec::new();
    record.encode(&mut out);
    length(&out)
}

/// What a record adds to the index at the most.
fn index_bytes(record: &Record) -> u64 {
    let raw = match &record.recipe {
        Recipe::Verbatim => 0,
        Recipe::Raw(parts) => parts.len(),
        Recipe::Pieces(pieces) => pieces.len().saturating_mul(2),
    };
    let plain = match &record.plain {
        Plain::Listed { parts, .. } => parts.len(),
        Plain::Own | Plain::Unknown => 0,
    };
    let parts = u64::try_from(raw.saturating_add(plain)).unwrap_or(u64::MAX);
    parts.saturating_mul(PART_BOUND).saturating_add(ROW_BOUND)
}
