//! [`Chunks`]: the chunk index of a set: which chunk lies where in the plain form of which of its blobs.
//!
//! **Invariants.** A file of it is whole, of this version, and of the set that was asked for, or it is refused. It stays where
//! it was made, and no archive holds it.
//!
//! *Not here:* how it comes about (`gathered`).

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::{ENTRY_BYTES, Key};
use crate::codec::{Cursor, put_digest};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result, cap};
use crate::layout::Id;

const MAGIC: [u8; 8] = *b"OCMCHNK\x01";
/// What stands before the blobs: magic, set id, counts of blobs and entries.
const HEAD_BYTES: usize = 8 + 16 + 8 + 8;
/// A blob in the file: digest (one byte and at most 64, padded), size, plain size.
const BLOB_BYTES: usize = 65 + 8 + 8;
/// An entry in the file.
const ROW_BYTES: usize = 20 + 4 + 8;
const MAX_BLOBS: u64 = 1 << 24;

/// A blob that chunks lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The size of its plain form.
    pub plain_bytes: u64,
}

/// A chunk, the number of a blob, and where in its plain form the chunk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) blob: u32,
    pub(super) offset: u64,
}

/// The chunk index of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunks {
    pub(super) blobs: Vec<Blob>,
    /// In the order of their keys, each once.
    pub(super) entries: Vec<Entry>,
}

impl Chunks {
    /// The blobs that chunks lie in; they are numbered in this order.
    #[must_use]
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// The blob with this number.
    pub fn blob(&self, number: u32) -> Result<&Blob> {
        let blob = usize::try_from(number).ok().and_then(|number| self.blobs.get(number));
        blob.ok_or_else(|| Error::new(Kind::Usage, format!("chunk index: there is no blob {number}")))
    }

    /// How many chunks it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes that its entries take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap_or(u64::MAX).saturating_mul(ENTRY_BYTES)
    }

    /// Where a chunk lies: the number of a blob, and the offset in its plain form.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<(u32, u64)> {
        let at = self.entries.binary_search_by(|entry| entry.key.cmp(key)).ok()?;
        self.entries.get(at).map(|entry| (entry.blob, entry.offset))
    }

    /// Writes it to a file, as that of a set; it is there whole and durable, or not at all.
    pub fn write(&self, path: &Path, set: Id) -> Result<()> {
        let failed = |error: std::io::Error| Error::io(path, &error);
        let partial = path.with_extension("partial");
        let file = std::fs::File::create(&partial).map_err(failed)?;
        let mut out = Summed { inner: BufWriter::with_capacity(1 << 20, &file), hasher: Hasher::sha256() };
        self.put(&mut out, set).map_err(failed)?;
        let Summed { mut inner, hasher } = out;
        inner.write_all(hasher.finish().bytes()).and_then(|()| inner.flush()).map_err(failed)?;
        drop(inner);
        file.sync_all().and_then(|()| std::fs::rename(&partial, path)).map_err(failed)
    }

    fn put(&self, out: &mut impl Write, set: Id) -> std::io::Result<()> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes();
        out.write_all(&MAGIC)?;
        out.write_all(&set.0)?;
        out.write_all(&count(self.blobs.len()))?;
        out.write_all(&count(self.entries.len()))?;
        for blob in &self.blobs {
            out.write_all(&padded::<65>(&blob.digest))?;
            out.write_all(&blob.bytes.to_le_bytes())?;
            out.write_all(&blob.plain_bytes.to_le_bytes())?;
        }
        for entry in &self.entries {
            out.write_all(&entry.key)?;
            out.write_all(&entry.blob.to_le_bytes())?;
            out.write_all(&entry.offset.to_le_bytes())?;
        }
        Ok(())
    }

    /// Reads the index of a set. One of more than `memory_bytes` is read in part: every second chunk, or
    /// every fourth, and so on, by their keys. `None` where there is no such file.
    pub fn read(path: &Path, set: Id, memory_bytes: u64) -> Result<Option<Self>> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, &error)),
        };
        let bytes = file.metadata().map_err(|error| Error::io(path, &error))?.len();
        let mut input = Input { inner: BufReader::with_capacity(1 << 20, file), hasher: Hasher::sha256() };
        Self::take(&mut input, bytes, set, memory_bytes).map(Some).map_err(|error| error.in_file(path))
    }

    fn take(input: &mut Input, file_bytes: u64, set: Id, memory_bytes: u64) -> Result<Self> {
        let head = input.take::<HEAD_BYTES>()?;
        let mut head = Cursor::new(&head, "chunk index");
        if head.array::<8>()? != MAGIC {
            return Err(head.wrong("it is none, or of another version of ocm"));
        }
        if head.array()? != set.0 {
            return Err(Error::damaged("chunk index: it is of another set"));
        }
        let blobs = cap(head.u64()?, MAX_BLOBS, "chunk index: number of blobs")?;
        let entries = head.u64()?;
        let size = |count: u64, each: usize| count.saturating_mul(u64::try_from(each).unwrap_or(u64::MAX));
        let sizes = [size(1, HEAD_BYTES), size(u64::try_from(blobs).unwrap_or(u64::MAX), BLOB_BYTES), size(entries, ROW_BYTES), 32];
        if sizes.into_iter().fold(0, u64::saturating_add) != file_bytes {
            return Err(Error::damaged("chunk index: it is cut"));
        }
        let mut index = Self::default();
        for _ in 0..blobs {
            index.blobs.push(blob(&input.take::<BLOB_BYTES>()?)?);
        }
        let mut sieve = super::Sieve::default();
        for _ in 0..entries {
            let entry = entry(&input.take::<ROW_BYTES>()?)?;
            if sieve.takes(&entry.key) {
                index.entries.push(entry);
            }
            while index.memory_bytes() > memory_bytes {
                sieve.halve();
                index.entries.retain(|entry| sieve.takes(&entry.key));
            }
        }
        let sum = std::mem::replace(&mut input.hasher, Hasher::sha256()).finish();
        let sound = sum.bytes() == input.take::<32>()? && index.is_sound();
        if sound { Ok(index) } else { Err(Error::damaged("chunk index: it is damaged")) }
    }

    fn is_sound(&self) -> bool {
        let ordered = self.entries.is_sorted_by(|a, b| a.key < b.key);
        let inside = |entry: &Entry| {
            let blob = usize::try_from(entry.blob).ok().and_then(|number| self.blobs.get(number));
            blob.is_some_and(|blob| entry.offset < blob.plain_bytes)
        };
        ordered && self.entries.iter().all(inside)
    }
}

fn blob(row: &[u8]) -> Result<Blob> {
    let mut row = Cursor::new(row, "chunk index");
    let mut name = Cursor::new(row.take(65)?, "chunk index");
    Ok(Blob { digest: name.digest()?, bytes: row.u64()?, plain_bytes: row.u64()? })
}

fn entry(row: &[u8]) -> Result<Entry> {
    let mut row = Cursor::new(row, "chunk index");
    Ok(Entry { key: row.array()?, blob: row.u32()?, offset: row.u64()? })
}

fn padded<const N: usize>(digest: &Digest) -> [u8; N] {
    let mut text = Vec::with_capacity(N);
    put_digest(&mut text, digest);
    text.resize(N, 0);
    text.first_chunk().copied().unwrap_or([0; N])
}

/// Bytes on their way to a file, and the sum of them.
struct Summed<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Bytes from a file, and the sum of them.
struct Input {
    inner: BufReader<std::fs::File>,
    hasher: Hasher,
}

impl Input {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::damaged("chunk index: it is cut"),
            kind => Error::new(Kind::Io(kind), format!("chunk index: {error}")),
        })?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::{Gathered, key};

    fn index() -> Chunks {
        let mut gathered = Gathered::new(u64::MAX);
        for blob in 0..3u8 {
            let chunks = (0..50u64).map(|n| (key(&[blob, n as u8]), n * 10));
            gathered.add(Blob { digest: Digest::of(&[blob]), bytes: 7, plain_bytes: 500 }, chunks);
        }
        gathered.finish()
    }

    #[test]
    fn an_index_comes_back_from_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, set, index) = (folder.path().join("x.chunks"), Id([7; 16]), index());
        index.write(&path, set).expect("written");
        let read = Chunks::read(&path, set, u64::MAX).expect("readable").expect("there");
        assert_eq!(read, index);
        assert_eq!(read.find(&key(&[1, 7])), Some((1, 70)));
        assert_eq!(read.find(&key(b"nowhere")), None);
        assert_eq!(Chunks::read(&folder.path().join("none"), set, u64::MAX).expect("no error"), None);
    }

    #[test]
    fn less_memory_keeps_a_part_that_is_the_same_every_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, set, index) = (folder.path().join("x.chunks"), Id([7; 16]), index());
        index.write(&path, set).expect("written");
        let half = Chunks::read(&path, set, index.memory_bytes() / 2).expect("readable").expect("there");
        assert!(half.len() < index.len() && !half.is_empty(), "{}", half.len());
        assert!(half.entries.iter().all(|entry| index.find(&entry.key) == Some((entry.blob, entry.offset))));
        assert_eq!(Chunks::read(&path, set, index.memory_bytes() / 2).expect("readable"), Some(half));
    }

    #[test]
    fn one_that_is_damaged_cut_or_of_another_set_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, set) = (folder.path().join("x.chunks"), Id([7; 16]));
        index().write(&path, set).expect("written");
        let whole = std::fs::read(&path).expect("bytes");
        let error = Chunks::read(&path, Id([8; 16]), u64::MAX).expect_err("another set");
        assert!(error.to_string().contains("of another set"), "{error}");
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).expect("written");
            assert!(Chunks::read(&path, set, u64::MAX).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).expect("written");
            assert!(Chunks::read(&path, set, u64::MAX).is_err(), "cut at {at}");
        }
    }
}
