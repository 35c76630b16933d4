//! [`Journal`]: what a run notes beside the volume in the making, so that the next run can go on.
//!
//! **Invariants.** Entries are appended whole, each with its checksum; reading stops at the first that is not sound. A
//! lost journal costs work, never content: without one the volume is begun anew.
//!
//! *Not here:* acting on it (`resume`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::chunk::File as FileInTar;
use crate::codec::{Cursor, length, put_bytes, put_digest, put_uvarint};
use crate::delta::{Blob, Cost, Key};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::{FrameRow, MemberKind, MemberRow};
use crate::layout::Id;
use crate::recipe::Record;

/// The longest entry that is read, in bytes.
const MAX_ENTRY_BYTES: u64 = 256 << 20;

/// One note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// The first one: which set this is of.
    Begin {
        /// Its set id.
        set: Id,
    },
    /// A volume was begun.
    Volume {
        /// Its number.
        number: u32,
    },
    /// The file is whole up to `mark.end`.
    Mark(Mark),
    /// The file of the last volume is durable up to here.
    Synced {
        /// Its size then.
        end: u64,
    },
    /// A blob was cut into these chunks of its plain form.
    Chunks(Blob, Vec<(Key, u64)>),
    /// A blob holds these files, which later ones can be compressed after.
    Files(Digest, Vec<FileInTar>),
    /// What it takes to read frames with a prefix, by volume and place in its stream.
    Costs(Vec<((u32, u64), Cost)>),
    /// A volume is finished.
    Done(Done),
    /// What is to be done with each finished volume was done with this one.
    Handled {
        /// Its number.
        number: u32,
        /// Whether its file was let go.
        released: bool,
    },
}

/// What one group of members added: exactly what the index needs of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The size of the file with it.
    pub(super) end: u64,
    /// The number of its pack, or of its `.rec` without one.
    pub(super) pack: u32,
    /// Its members.
    pub(super) members: Vec<MemberRow>,
    /// Its frames.
    pub(super) frames: Vec<FrameRow>,
    /// Its records, and where the content of verbatim ones begins.
    pub(super) records: Vec<(Record, u64)>,
    /// Which chunks lie where in the stream.
    pub(super) chunks: Vec<(Key, u64)>,
    /// The blobs of earlier sets that its records and frames refer to.
    pub(super) needs: Vec<Digest>,
}

/// What it takes to read frames with a prefix, by volume and place in its stream.
pub(super) type Costs = BTreeMap<(u32, u64), Cost>;

/// A finished volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its number.
    pub number: u32,
    /// The size of its file.
    pub bytes: u64,
    /// Its volume root.
    pub root: Digest,
    /// The SHA-256 of its file.
    pub sum: Digest,
}

/// The file of notes.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// A new journal of `set`, in place of any that is there.
    pub(super) fn create(path: &Path, set: Id) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path).map_err(|error| Error::io(path, &error))?;
        file.set_len(0).map_err(|error| Error::io(path, &error))?;
        let journal = Self { path: path.to_owned(), file: Mutex::new(file) };
        journal.append(&Entry::Begin { set })?;
        Ok(journal)
    }

    /// The journal at `path` with its sound entries, if it is of `set`.
    pub(super) fn open(path: &Path, set: Id) -> Result<Option<(Self, Vec<Entry>)>> {
        let mut bytes = Vec::new();
        let mut file = match File::options().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, &error)),
        };
        file.read_to_end(&mut bytes).map_err(|error| Error::io(path, &error))?;
        let (entries, sound_bytes) = decode(&bytes);
        if entries.first() != Some(&Entry::Begin { set }) {
            return Ok(None);
        }
        file.set_len(sound_bytes).map_err(|error| Error::io(path, &error))?;
        Ok(Some((Self { path: path.to_owned(), file: Mutex::new(file) }, entries)))
    }

    /// Notes an entry.
    pub(super) fn append(&self, entry: &Entry) -> Result<()> {
        let mut body = Vec::new();
        encode(entry, &mut body);
        let mut out = length(&body).to_le_bytes().to_vec();
        out.extend(crc32c::crc32c(&body).to_le_bytes());
        out.extend(body);
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&out).map_err(|error| Error::io(&self.path, &error))
    }

    /// Makes all entries durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).sync_data().map_err(|error| Error::io(&self.path, &error))
    }
}

/// The sound entries at the front of `bytes`, and how many bytes they take.
fn decode(bytes: &[u8]) -> (Vec<Entry>, u64) {
    let mut cursor = Cursor::new(bytes, "journal");
    let mut entries = Vec::new();
    let mut sound = 0;
    while let Ok(entry) = take(&mut cursor) {
        entries.push(entry);
        sound = length(bytes).saturating_sub(length(cursor.rest()));
    }
    (entries, sound)
}

fn take(cursor: &mut Cursor<'_>) -> Result<Entry> {
    let body_bytes = crate::error::cap(cursor.u64()?, MAX_ENTRY_BYTES, "journal entry")?;
    let sum = cursor.u32()?;
    let body = cursor.take(body_bytes)?;
    if crc32c::crc32c(body) != sum {
        return Err(cursor.wrong("a checksum does not hold"));
    }
    let mut body = Cursor::new(body, "journal entry");
    match body.u8()? {
        0 => Ok(Entry::Begin { set: Id(body.array()?) }),
        1 => Ok(Entry::Volume { number: body.u32()? }),
        2 => take_mark(&mut body).map(Entry::Mark),
        3 => Ok(Entry::Synced { end: body.u64()? }),
        4 => Ok(Entry::Done(Done { number: body.u32()?, bytes: body.u64()?, root: body.digest()?, sum: body.digest()? })),
        5 => Ok(Entry::Handled { number: body.u32()?, released: body.u8()? != 0 }),
        6 => {
            let blob = Blob { digest: body.digest()?, bytes: body.u64()?, plain_bytes: body.u64()? };
            Ok(Entry::Chunks(blob, take_chunks(&mut body)?))
        }
        7 => Ok(Entry::Files(body.digest()?, take_rows(&mut body, take_file)?)),
        8 => take_rows(&mut body, take_cost).map(Entry::Costs),
        _ => Err(body.wrong("its kind is unknown")),
    }
}

fn encode(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Begin { set } => {
            out.push(0);
            out.extend(set.0);
        }
        Entry::Volume { number } => {
            out.push(1);
            out.extend(number.to_le_bytes());
        }
        Entry::Mark(mark) => {
            out.push(2);
            put_mark(out, mark);
        }
        Entry::Synced { end } => {
            out.push(3);
            out.extend(end.to_le_bytes());
        }
        Entry::Done(done) => {
            out.push(4);
            out.extend(done.number.to_le_bytes());
            out.extend(done.bytes.to_le_bytes());
            put_digest(out, &done.root);
            put_digest(out, &done.sum);
        }
        Entry::Handled { number, released } => {
            out.push(5);
            out.extend(number.to_le_bytes());
            out.push(u8::from(*released));
        }
        Entry::Chunks(blob, chunks) => {
            out.push(6);
            put_digest(out, &blob.digest);
            out.extend(blob.bytes.to_le_bytes());
            out.extend(blob.plain_bytes.to_le_bytes());
            put_chunks(out, chunks);
        }
        Entry::Files(digest, files) => {
            out.push(7);
            put_digest(out, digest);
            put_rows(out, files, |out, file| {
                out.extend(file.name.to_le_bytes());
                put_uvarint(out, file.offset);
                put_uvarint(out, file.bytes);
            });
        }
        Entry::Costs(costs) => {
            out.push(8);
            put_rows(out, costs, |out, ((volume, offset), cost)| {
                out.extend(volume.to_le_bytes());
                out.push(cost.depth);
                [*offset, cost.frames, cost.steps].into_iter().for_each(|n| put_uvarint(out, n));
            });
        }
    }
}

fn take_file(cursor: &mut Cursor<'_>) -> Result<FileInTar> {
    Ok(FileInTar { name: cursor.u64()?, offset: cursor.uvarint()?, bytes: cursor.uvarint()? })
}

fn take_cost(cursor: &mut Cursor<'_>) -> Result<((u32, u64), Cost)> {
    let (volume, depth) = (cursor.u32()?, cursor.u8()?);
    let (offset, frames, steps) = (cursor.uvarint()?, cursor.uvarint()?, cursor.uvarint()?);
    Ok(((volume, offset), Cost { depth, frames, steps }))
}

fn put_mark(out: &mut Vec<u8>, mark: &Mark) {
    put_uvarint(out, mark.end);
    out.extend(mark.pack.to_le_bytes());
    put_rows(out, &mark.members, |out, row| {
        put_uvarint(out, row.offset);
        put_uvarint(out, row.bytes);
        out.push(row.kind.code());
        put_bytes(out, row.name.as_bytes());
        put_digest(out, &row.digest);
    });
    put_rows(out, &mark.frames, |out, row| {
        [row.stream_offset, row.file_offset, row.plain_bytes.into(), row.stored_bytes.into()].into_iter().for_each(|n| put_uvarint(out, n));
        out.push(row.codec);
        put_digest(out, &row.digest);
    });
    put_rows(out, &mark.records, |out, (record, file_offset)| {
        record.encode(out);
        put_uvarint(out, *file_offset);
    });
    put_chunks(out, &mark.chunks);
    put_rows(out, &mark.needs, put_digest);
}

fn put_chunks(out: &mut Vec<u8>, chunks: &[(Key, u64)]) {
    put_rows(out, chunks, |out, (key, offset)| {
        out.extend_from_slice(key);
        put_uvarint(out, *offset);
    });
}

fn take_chunks(cursor: &mut Cursor<'_>) -> Result<Vec<(Key, u64)>> {
    take_rows(cursor, |cursor| Ok((cursor.array()?, cursor.uvarint()?)))
}

fn put_rows<T>(out: &mut Vec<u8>, rows: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_uvarint(out, u64::try_from(rows.len()).unwrap_or(u64::MAX));
    rows.iter().for_each(|row| put(out, row));
}

fn take_mark(cursor: &mut Cursor<'_>) -> Result<Mark> {
    let small = |n: u64| u32::try_from(n).map_err(|_| Error::damaged("journal entry: a frame is too long"));
    Ok(Mark {
        end: cursor.uvarint()?,
        pack: cursor.u32()?,
        members: take_rows(cursor, |cursor| {
            Ok(MemberRow {
                offset: cursor.uvarint()?,
                bytes: cursor.uvarint()?,
                kind: MemberKind::decode(cursor.u8()?)?,
                name: cursor.text(100, "member name")?.to_owned(),
                digest: cursor.digest()?,
            })
        })?,
        frames: take_rows(cursor, |cursor| {
            Ok(FrameRow {
                stream_offset: cursor.uvarint()?,
                file_offset: cursor.uvarint()?,
                plain_bytes: small(cursor.uvarint()?)?,
                stored_bytes: small(cursor.uvarint()?)?,
                codec: cursor.u8()?,
                digest: cursor.digest()?,
            })
        })?,
        records: take_rows(cursor, |cursor| Ok((Record::decode(cursor)?, cursor.uvarint()?)))?,
        chunks: take_chunks(cursor)?,
        needs: take_rows(cursor, Cursor::digest)?,
    })
}

fn take_rows<'a, T>(cursor: &mut Cursor<'a>, take: impl Fn(&mut Cursor<'a>) -> Result<T>) -> Result<Vec<T>> {
    let count = cursor.uvarint()?;
    let mut rows = Vec::new();
    for _ in 0..count {
        rows.push(take(cursor)?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let digest = Digest::of(b"x");
        let mark = Mark {
            end: 9000,
            pack: 3,
            members: vec![MemberRow { offset: 1024, bytes: 5, kind: MemberKind::Pack, name: "packs/000003.zst".into(), digest }],
            frames: vec![FrameRow { stream_offset: 1, plain_bytes: 2, file_offset: 3, stored_bytes: 4, codec: 1, digest }],
            records: vec![(
                Record { digest, bytes: 1, note: "n".into(), recipe: crate::recipe::Recipe::Verbatim, plain: crate::recipe::Plain::Own },
                77,
            )],
            chunks: vec![([7; 20], 12)],
            needs: vec![digest],
        };
        let done = Done { number: 1, bytes: 10, root: digest, sum: digest };
        let handled = Entry::Handled { number: 1, released: true };
        vec![
            Entry::Begin { set: Id([1; 16]) },
            Entry::Volume { number: 1 },
            Entry::Chunks(Blob { digest, bytes: 3, plain_bytes: 5 }, vec![([9; 20], 0), ([8; 20], 4)]),
            Entry::Files(digest, vec![FileInTar { name: u64::MAX, offset: 512, bytes: 4096 }]),
            Entry::Costs(vec![((1, 9), Cost { depth: 2, frames: 17, steps: 300 })]),
            Entry::Mark(mark),
            Entry::Synced { end: 9000 },
            Entry::Done(done),
            handled,
        ]
    }

    #[test]
    fn entries_come_back_up_to_the_first_that_is_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let journal = Journal::create(&path, Id([1; 16])).expect("a journal");
        entries().iter().skip(1).for_each(|entry| journal.append(entry).expect("noted"));
        let whole = std::fs::read(&path).expect("bytes");
        for cut in 0..whole.len() {
            let (read, sound) = decode(&whole[..cut]);
            assert!(read.len() < entries().len() && sound <= cut as u64);
            assert_eq!(read, entries()[..read.len()]);
        }
        let (_, read) = Journal::open(&path, Id([1; 16])).expect("readable").expect("of this set");
        assert_eq!(read, entries());
        assert!(Journal::open(&path, Id([2; 16])).expect("readable").is_none());
    }
}
