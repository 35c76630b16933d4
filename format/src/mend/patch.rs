//! [`Patch`]: a file with just the bytes that a ticket asked for (SPEC section 11).
//!
//! **Invariants.** A patch in memory has a sound table whose entries fill the file, in order and apart; their content counts once
//! [`Patch::check`] has read it.
//!
//! *Not here:* where the bytes go (`overlays`), and making one (`answer`).

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::PIECE_BYTES;
use crate::codec::{Cursor, length};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result, cap};
use crate::layout::{FIXED_BYTES, Id, MAX_VOLUMES, put_version, take_version};
use crate::volume::read_exact;

/// The first bytes of a patch.
const MAGIC: [u8; 8] = *b"\x8FOCMR\n\x1A\n";
/// The most entries.
pub(super) const MAX_ENTRIES: u64 = 1 << 18;
const ENTRY_BYTES: u64 = 96;
const HEAD_BYTES: u64 = 512;

/// Bytes of a volume in a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchEntry {
    /// The number of the volume.
    pub volume: u32,
    /// Which of its bytes.
    pub range: Range<u64>,
    /// The size of the volume.
    pub volume_bytes: u64,
    /// Its volume root.
    pub root: Digest,
    /// The SHA-256 of these bytes.
    pub sum: Digest,
    /// Where they are in the patch.
    pub offset: u64,
}

/// A patch.
#[derive(Debug, Clone)]
pub struct Patch {
    path: PathBuf,
    set: Id,
    root: Digest,
    entries: Vec<PatchEntry>,
}

impl Patch {
    /// Reads the table of a patch.
    pub fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let bytes = file.metadata().map_err(|error| Error::io(path, &error))?.len();
        Self::read(path, &file, bytes).map_err(|error| error.in_file(path))
    }

    fn read(path: &Path, file: &File, bytes: u64) -> Result<Self> {
        let mut fixed = [0u8; FIXED_BYTES];
        if bytes < HEAD_BYTES {
            return Err(Error::new(Kind::NotAVolume, "it is no patch of ocm"));
        }
        read_exact(file, 0, &mut fixed)?;
        let (set, root, count, sum) = head(&fixed)?;
        let mut table = vec![0u8; cap(count.saturating_mul(ENTRY_BYTES), MAX_ENTRIES.saturating_mul(ENTRY_BYTES), "table of a patch")?];
        read_exact(file, HEAD_BYTES, &mut table)?;
        if !sum.matches(&table) {
            return Err(Error::damaged("patch: its table is damaged").at(HEAD_BYTES));
        }
        let entries = entries(&table)?;
        let end = entries.last().map_or(0, |entry| entry.offset.saturating_add(entry.range.end.saturating_sub(entry.range.start)));
        if end != bytes {
            return Err(Error::new(Kind::Incomplete, format!("patch: it has {bytes} bytes and should have {end}")));
        }
        Ok(Self { path: path.to_owned(), set, root, entries })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The set that it is for.
    #[must_use]
    pub fn set(&self) -> Id {
        self.set
    }

    /// The root of that set.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// What it holds.
    #[must_use]
    pub fn entries(&self) -> &[PatchEntry] {
        &self.entries
    }

    /// Fails unless it is for this set, with this root where it is known.
    pub fn expect(&self, set: Id, root: Option<Digest>) -> Result<()> {
        if self.set != set {
            return Err(Error::new(Kind::Usage, format!("it is for set {}, not for set {set}", self.set)).in_file(&self.path));
        }
        match root.filter(|root| *root != self.root) {
            Some(root) => Err(Error::new(Kind::Usage, format!("it is for root {}, not for root {root}", self.root)).in_file(&self.path)),
            None => Ok(()),
        }
    }

    /// Reads all that it holds, and holds it against its sums.
    pub fn check(&self) -> Result<()> {
        let file = open(&self.path)?;
        for entry in &self.entries {
            let bytes = entry.range.end.saturating_sub(entry.range.start);
            if hash(&file, entry.offset, bytes).map_err(|error| error.in_file(&self.path))? != entry.sum {
                let text = format!("patch: what it holds of volume {} at {:#x} is damaged", entry.volume, entry.range.start);
                return Err(Error::damaged(text).in_file(&self.path).at(entry.offset));
            }
        }
        Ok(())
    }
}

/// What stands before the content of a patch with these entries; their offsets are not written.
pub(super) fn encode(set: Id, root: &Digest, entries: &[PatchEntry]) -> Vec<u8> {
    let mut table = Vec::new();
    for entry in entries {
        table.extend(entry.volume.to_le_bytes());
        table.extend([0; 4]);
        for number in [entry.range.start, entry.range.end.saturating_sub(entry.range.start), entry.volume_bytes] {
            table.extend(number.to_le_bytes());
        }
        table.extend(entry.root.bytes());
        table.extend(entry.sum.bytes());
    }
    let mut out = MAGIC.to_vec();
    put_version(&mut out);
    out.extend(u32::try_from(entries.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(set.0);
    out.extend(root.bytes());
    out.extend(Digest::of(&table).bytes());
    let mut whole = crate::layout::seal(&out).to_vec();
    whole.extend(table);
    whole
}

/// Where the content of the first of so many entries begins.
pub(super) fn content_offset(entries: u64) -> u64 {
    HEAD_BYTES.saturating_add(entries.saturating_mul(ENTRY_BYTES))
}

fn open(path: &Path) -> Result<File> {
    // Before it is opened: opening a pipe waits for its other end.
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, &error))?;
    if !metadata.is_file() {
        return Err(Error::new(Kind::NotAVolume, "it is not a regular file").in_file(path));
    }
    File::open(path).map_err(|error| Error::io(path, &error))
}

fn head(fixed: &[u8; FIXED_BYTES]) -> Result<(Id, Digest, u64, Digest)> {
    let (covered, sum) = fixed.split_last_chunk::<4>().ok_or_else(|| Error::damaged("patch: it is too short"))?;
    let mut cursor = Cursor::new(covered, "patch");
    if cursor.array()? != MAGIC {
        return Err(Error::new(Kind::NotAVolume, "it is no patch of ocm"));
    }
    if crc32c::crc32c(covered) != u32::from_le_bytes(*sum) {
        return Err(cursor.wrong("its checksum does not hold"));
    }
    take_version(&mut cursor, "patch")?;
    let count = u64::from(cursor.u32()?);
    let (set, root, sum) = (Id(cursor.array()?), cursor.sha256()?, cursor.sha256()?);
    cursor.zeros(cursor.rest().len())?;
    if count == 0 || count > MAX_ENTRIES {
        return Err(Error::limit(format!("patch: {count} entries, and 1 to {MAX_ENTRIES} are allowed")));
    }
    Ok((set, root, count, sum))
}

fn entries(table: &[u8]) -> Result<Vec<PatchEntry>> {
    let mut cursor = Cursor::new(table, "patch");
    let mut entries: Vec<PatchEntry> = Vec::new();
    let mut offset = HEAD_BYTES.saturating_add(length(table));
    while !cursor.is_empty() {
        let volume = cursor.u32()?;
        cursor.zeros(4)?;
        let (begin, bytes, volume_bytes) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let (root, sum) = (cursor.sha256()?, cursor.sha256()?);
        let end = begin.checked_add(bytes).filter(|end| bytes > 0 && *end <= volume_bytes && volume_bytes < 1 << 62);
        let end = end.filter(|_| (1..=MAX_VOLUMES).contains(&volume)).ok_or_else(|| cursor.wrong("an entry is out of bounds"))?;
        let in_order = entries.last().is_none_or(|before| {
            let same = (before.volume_bytes, before.root) == (volume_bytes, root) && before.range.end < begin;
            before.volume < volume || (before.volume == volume && same)
        });
        if !in_order {
            return Err(cursor.wrong("its entries are not in order and apart"));
        }
        entries.push(PatchEntry { volume, range: begin..end, volume_bytes, root, sum, offset });
        offset = offset.checked_add(bytes).ok_or_else(|| cursor.wrong("an entry is out of bounds"))?;
    }
    Ok(entries)
}

/// The SHA-256 of a stretch of a file.
fn hash(file: &File, begin: u64, bytes: u64) -> Result<Digest> {
    let mut buffer = vec![0u8; usize::try_from(bytes.min(PIECE_BYTES)).unwrap_or_default()];
    let (mut hasher, mut at, end) = (Hasher::sha256(), begin, begin.saturating_add(bytes));
    while at < end {
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..most).unwrap_or_default();
        read_exact(file, at, piece)?;
        hasher.update(piece);
        at = at.saturating_add(length(piece));
    }
    Ok(hasher.finish())
}
