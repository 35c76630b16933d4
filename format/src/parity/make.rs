//! [`make`]: writes parity volumes from the data volumes of a set.
//!
//! **Invariants.** The same data volumes give the same bytes, whichever of the parity volumes are asked for. No file reaches the cap. Data
//! volumes are read once, column by column; what is in memory does not grow with them. Files are durable when it returns, under the
//! names that were given.
//!
//! *Not here:* whether the data volumes are sound, and the final names (the caller).

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::code::Code;
use super::group::encode_row;
use super::holder::{Files, Holder};
use super::shape::Shape;
use super::survey::truncated;
use super::{OnBytes, stopped};
use crate::codec::length;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::index::write::IndexWriter;
use crate::index::{MemberKind, MemberRow};
use crate::layout::{self, FLAG_PARITY, FOOTER_FROM_END, Footer, HEADER_OFFSET, Header, ParityHeader, ShardEntry, VolumeKind};
use crate::tar;
use crate::writer::RESTORE_TXT;

/// Files that are kept open at once.
const MOST_OPEN: usize = 256;

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    header: Header,
    parity: ParityHeader,
    volumes: Vec<PathBuf>,
}

/// A parity volume that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its number, from 1.
    pub number: u32,
    /// The size of its file.
    pub bytes: u64,
    /// Its volume root.
    pub root: Digest,
}

impl Plan {
    /// Plans `parity` volumes for a set of this root. `header` is that of any of its data volumes, which are given in order.
    pub fn new(header: Header, set_root: Digest, volumes: Vec<(PathBuf, ShardEntry)>, parity: u32) -> Result<Self> {
        let (volumes, entries): (Vec<PathBuf>, Vec<ShardEntry>) = volumes.into_iter().unzip();
        let shape = Shape::fitting(&entries, parity, header.cap, length(RESTORE_TXT))?;
        let (column_bytes, shard_offset) = (shape.column_bytes, shape.shard_offset());
        let parity = ParityHeader { parity, column_bytes, shard_offset, set: header.set, set_root, volumes: entries };
        Ok(Self { header, parity, volumes })
    }

    /// What each of the volumes will say.
    #[must_use]
    pub fn parity(&self) -> &ParityHeader {
        &self.parity
    }

    /// The header of the parity volume of this number.
    #[must_use]
    pub fn header(&self, number: u32) -> Header {
        Header { kind: VolumeKind::Parity, number, ..self.header }
    }
}

/// Writes the parity volumes of these numbers, from 1, into these files.
pub fn make(plan: &Plan, targets: &BTreeMap<u32, PathBuf>, on_bytes: &mut OnBytes<'_>) -> Result<Vec<Made>> {
    let shape = Shape::of(&plan.parity);
    for (path, entry) in plan.volumes.iter().zip(&plan.parity.volumes) {
        let bytes = std::fs::metadata(path).map_err(|error| Error::io(path, &error))?.len();
        if bytes != entry.bytes {
            let text = format!("it has {bytes} bytes, and {} were expected", entry.bytes);
            return Err(Error::new(Kind::Damaged, text).in_file(path));
        }
    }
    let outputs = targets.iter().map(|(number, path)| Output::begin(plan, &shape, *number, path, targets.len() <= MOST_OPEN));
    let mut outputs = outputs.collect::<Result<Vec<_>>>()?;
    let table = Work { plan, shape, files: Files::default() }.run(&mut outputs, on_bytes)?;
    outputs.into_iter().map(|output| output.finish(plan, &shape, table)).collect()
}

struct Work<'a> {
    plan: &'a Plan,
    shape: Shape,
    files: Files,
}

impl Work<'_> {
    /// Writes shards and rows; says the SHA-256 of the table of hashes.
    fn run(mut self, outputs: &mut [Output], on_bytes: &mut OnBytes<'_>) -> Result<Digest> {
        let mut code = Code::new(self.shape.data, self.shape.parity)?;
        let slice_bytes = code.slice_bytes(self.shape.column_bytes);
        let mut table = Hasher::sha256();
        for column in 0..self.shape.columns() {
            let mut hashers = vec![Hasher::sha256(); usize::try_from(self.shape.shards()).unwrap_or_default()];
            let range = self.shape.column(column);
            let mut at = range.start;
            while at < range.end {
                let end = at.saturating_add(slice_bytes).min(range.end);
                self.slice(&mut code, at..end, &mut hashers, outputs)?;
                let read = end.saturating_sub(at).saturating_mul(self.shape.data.into());
                if let ControlFlow::Break(()) = on_bytes(read) {
                    return Err(stopped());
                }
                at = end;
            }
            let hashes: Vec<_> = hashers.into_iter().map(truncated).collect();
            let row = encode_row(column, &hashes);
            table.update(&row);
            let offset = self.shape.row_offset(column);
            outputs.iter().try_for_each(|output| output.put(offset, &row))?;
        }
        Ok(table.finish())
    }

    fn slice(&mut self, code: &mut Code, range: Range<u64>, hashers: &mut [Hasher], outputs: &mut [Output]) -> Result<()> {
        let (plan, files, shape) = (self.plan, &mut self.files, self.shape);
        let bytes = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default();
        let hashers = std::cell::RefCell::new(hashers);
        let note = |shard: u32, slice: &[u8]| {
            let at = usize::try_from(shard).unwrap_or(usize::MAX);
            hashers.borrow_mut().get_mut(at).into_iter().for_each(|hasher| hasher.update(slice));
        };
        let mut read = |shard: u32, buffer: &mut [u8]| {
            let at = usize::try_from(shard).unwrap_or(usize::MAX);
            let (path, entry) = plan.volumes.get(at).zip(plan.parity.volumes.get(at)).ok_or_else(|| Error::damaged("no such shard"))?;
            Holder::file(path).read_data(files, entry.bytes, range.start, buffer)?;
            note(shard, buffer);
            Ok(())
        };
        let mut write = |shard: u32, slice: &[u8]| {
            note(shard, slice);
            let number = shard.saturating_sub(shape.data).saturating_add(1);
            let output = outputs.iter_mut().find(|output| output.number == number);
            output.map_or(Ok(()), |output| output.shard(&shape, range.start, slice))
        };
        code.encode(bytes, &mut read, &mut write)
    }
}

/// A parity volume in the making.
struct Output {
    number: u32,
    path: PathBuf,
    time: u64,
    file: Option<File>,
    index: IndexWriter,
    member: Hasher,
}

impl Output {
    fn begin(plan: &Plan, shape: &Shape, number: u32, path: &Path, keep_open: bool) -> Result<Self> {
        let header = plan.header(number).encode();
        let file = File::create(path).map_err(|error| Error::io(path, &error))?;
        let (time, file) = (plan.header.time, keep_open.then_some(file));
        let mut output = Self { number, path: path.to_owned(), time, file, index: IndexWriter::default(), member: Hasher::sha256() };
        let mut out = Vec::new();
        let parity = plan.parity.encode();
        let members: [(&str, MemberKind, &[u8]); 3] = [
            ("OCM.VOLUME", MemberKind::Header, &header),
            ("OCM.PARITY", MemberKind::Parity, &parity),
            ("RESTORE.txt", MemberKind::Text, RESTORE_TXT),
        ];
        for (name, kind, content) in members {
            let offset = length(&out);
            tar::put_member(&mut out, name, content, time)?;
            output.index.member(&MemberRow { offset, bytes: length(content), kind, name: name.into(), digest: Digest::of(content) })?;
        }
        debug_assert_eq!(length(&out), shape.shard_offset());
        output.put(0, &out)?;
        Ok(output)
    }

    fn put(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let failed = |error: std::io::Error| Error::io(&self.path, &error).at(offset);
        match &self.file {
            Some(file) => file.write_all_at(bytes, offset).map_err(failed),
            None => File::options().write(true).open(&self.path).and_then(|file| file.write_all_at(bytes, offset)).map_err(failed),
        }
    }

    /// Writes a slice that begins at byte `at` of the shard: slices come in order, and none is in two members.
    fn shard(&mut self, shape: &Shape, at: u64, slice: &[u8]) -> Result<()> {
        let (offset, left) = shape.in_file(at);
        self.put(offset, slice)?;
        self.member.update(slice);
        let end = at.saturating_add(length(slice));
        if left == length(slice) || end == shape.shard_bytes { self.end_member(shape, at) } else { Ok(()) }
    }

    /// Notes the member that byte `at` of the shard is in.
    fn end_member(&mut self, shape: &Shape, at: u64) -> Result<()> {
        let number = at.checked_div(super::MEMBER_BYTES).unwrap_or(0);
        let bytes = shape.members().nth(usize::try_from(number).unwrap_or(usize::MAX)).unwrap_or(0);
        let offset = shape.in_file(number.saturating_mul(super::MEMBER_BYTES)).0.saturating_sub(tar::BLOCK);
        let name = shard_name(number.saturating_add(1));
        self.put(offset, &tar::header(&name, bytes, self.time)?)?;
        let digest = std::mem::replace(&mut self.member, Hasher::sha256()).finish();
        self.index.member(&MemberRow { offset, bytes, kind: MemberKind::Parity, name, digest })
    }

    /// Writes what follows the shard; the rows of the table are there.
    fn finish(mut self, plan: &Plan, shape: &Shape, table: Digest) -> Result<Made> {
        let (offset, bytes) = (shape.table_offset(), shape.table_bytes());
        let name = String::from(HASHES);
        self.put(offset, &tar::header(&name, bytes, self.time)?)?;
        self.index.member(&MemberRow { offset, bytes, kind: MemberKind::Parity, name, digest: table })?;
        let mut out = Vec::new();
        tar::put_padding(&mut out, bytes);
        self.put(offset.saturating_add(tar::BLOCK).saturating_add(bytes), &out)?;
        let end = offset.saturating_add(tar::member_bytes(bytes));
        let footer = self.end(plan, end)?;
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options().write(true).open(&self.path).map_err(|error| Error::io(&self.path, &error))?,
        };
        file.sync_all().map_err(|error| Error::io(&self.path, &error))?;
        Ok(Made { number: self.number, bytes: footer.file_bytes, root: footer.root })
    }

    /// Writes index, footer and the end.
    fn end(&mut self, plan: &Plan, end: u64) -> Result<Footer> {
        let index = std::mem::take(&mut self.index).finish()?;
        let header = plan.header(self.number);
        let mut out = Vec::new();
        tar::put_member(&mut out, "OCM.INDEX", &index.bytes, self.time)?;
        let tail = out.get(usize::try_from(length(&index.bytes).saturating_add(HEADER_OFFSET)).unwrap_or(usize::MAX)..);
        let file_bytes = end.saturating_add(length(&out)).saturating_add(tar::BLOCK).saturating_add(FOOTER_FROM_END);
        let footer = Footer {
            flags: FLAG_PARITY,
            set: header.set,
            number: self.number,
            file_bytes,
            index_offset: end.saturating_add(tar::BLOCK),
            index_bytes: length(&index.bytes),
            directory_bytes: index.directory_bytes,
            directory: index.directory,
            set_json_offset: 0,
            set_json_bytes: 0,
            set_json: Digest::Sha256([0; 32]),
            tail: Digest::of(tail.unwrap_or_default()),
            stream_bytes: 0,
            root: layout::volume_root(&header.encode(), &index.directory, 0),
        };
        if file_bytes >= header.cap {
            let text = format!("parity volume {}: {file_bytes} bytes would not be below the cap of {}", self.number, header.cap);
            return Err(Error::limit(text));
        }
        tar::put_member(&mut out, "OCM.FOOTER", &footer.encode(), self.time)?;
        out.extend([0; 1024]);
        self.put(end, &out)?;
        Ok(footer)
    }
}

/// The name of the member that the hashes are in.
pub(crate) const HASHES: &str = "parity/hashes";

/// The name of a member that shards are in; the first is 1.
pub(crate) fn shard_name(number: u64) -> String {
    format!("parity/{number:06}.shard")
}
