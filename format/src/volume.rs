//! [`Volume`]: one open file of a set, known by header, footer and directory.
//!
//! **Invariants.** An open volume has a sound header and footer that agree with each other and with the size of the
//! file, and a directory that matches the footer; nothing else was read. Reads are positioned and bounded by the file,
//! so a file that changes or vanishes gives an error for one read, not more.
//!
//! *Not here:* which volumes belong together (`set`), the content (`reader`), checking all of it (`check`).

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::features;
use crate::index::Directory;
use crate::index::read::IndexCache;
use crate::index::write::Index;
use crate::layout::{self, FIXED_BYTES, FOOTER_FROM_END, Footer, HEADER_OFFSET, Header, VolumeKind};
use crate::tar;

/// The size of the smallest file that has a header: the tar header of `OCM.VOLUME` and its content.
const HEAD_BYTES: usize = 1024;
/// What ends a volume: the tar header of `OCM.FOOTER`, its content, and the end of the tar file.
pub(crate) const END_BYTES: u64 = 2048;

/// One open volume.
#[derive(Debug)]
pub struct Volume {
    file: File,
    /// Where the index is, if not in the file itself.
    index: Option<File>,
    path: PathBuf,
    header: Header,
    footer: Footer,
    directory: Directory,
    cache: Arc<IndexCache>,
    serial: u64,
    /// The file as it was when it was opened, where that is known.
    stamp: Option<Stamp>,
}

/// What tells whether a file was written to: its size, and when it and its inode were changed.
type Stamp = (u64, (i64, i64), (i64, i64));

fn stamp(file: &File) -> Option<Stamp> {
    let metadata = file.metadata().ok()?;
    Some((metadata.len(), (metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec())))
}

impl Volume {
    /// Opens the volume at `path`, reading header, footer and directory alone.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Arc::new(IndexCache::default()))
    }

    /// The same, with a cache of index blocks that several volumes share.
    pub fn open_with(path: &Path, cache: &Arc<IndexCache>) -> Result<Self> {
        let ends = Ends::open(path)?;
        let (header, footer) = (ends.header, ends.footer?);
        let in_volume = |error: Error| error.in_volume(header.number).in_file(path);
        let directory = read_directory(&ends.file, &footer, Directory::parse).map_err(in_volume)?;
        let serial = cache.next_serial();
        let stamp = stamp(&ends.file);
        Ok(Self { file: ends.file, index: None, path: path.to_owned(), header, footer, directory, cache: Arc::clone(cache), serial, stamp })
    }

    /// A volume that is elsewhere, known by what its catalogue keeps of it: `header` and `footer`, and the index, which begins at
    /// `index_offset` of the file at `path`. Nothing but the tables of the index can be read of it.
    pub(crate) fn of_index(
        path: &Path,
        header: &[u8; FIXED_BYTES],
        footer: &[u8; FIXED_BYTES],
        index_offset: u64,
        cache: &Arc<IndexCache>,
    ) -> Result<Self> {
        let in_file = |error: Error| error.in_file(path);
        let (known, mut footer) = (Header::decode(header).map_err(in_file)?, Footer::decode(footer).map_err(in_file)?);
        if layout::volume_root(header, &footer.directory, footer.stream_bytes) != footer.root {
            return Err(Error::damaged("footer: the volume root does not follow from header and directory").in_file(path));
        }
        footer.index_offset = index_offset;
        let file = File::open(path).map_err(|error| Error::io(path, &error))?;
        let directory = read_directory(&file, &footer, Directory::parse).map_err(in_file)?;
        let serial = cache.next_serial();
        Ok(Self {
            file,
            index: None,
            path: path.to_owned(),
            header: known,
            footer,
            directory,
            cache: Arc::clone(cache),
            serial,
            stamp: None,
        })
    }

    /// A volume that was walked without its index, with the index that came of it: what `made` says, in the file `index`.
    pub(crate) fn of_scan(
        path: &Path,
        header: Header,
        stream_bytes: u64,
        made: &Index,
        index: File,
        cache: &Arc<IndexCache>,
    ) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io(path, &error))?;
        let stamp = stamp(&file);
        let none = Digest::Sha256([0; 32]);
        let footer = Footer {
            flags: 0,
            set: header.set,
            number: header.number,
            file_bytes: stamp.map_or(0, |(bytes, ..)| bytes),
            index_offset: 0,
            index_bytes: crate::codec::length(&made.bytes),
            directory_bytes: made.directory_bytes,
            directory: made.directory,
            set_json_offset: 0,
            set_json_bytes: 0,
            set_json: none,
            tail: none,
            stream_bytes,
            root: none,
        };
        let directory = read_directory(&index, &footer, Directory::of_scan)?;
        let serial = cache.next_serial();
        Ok(Self { file, index: Some(index), path: path.to_owned(), header, footer, directory, cache: Arc::clone(cache), serial, stamp })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The footer.
    #[must_use]
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Whether its index was made from what is left of the file.
    pub(crate) fn is_scanned(&self) -> bool {
        self.index.is_some()
    }

    /// The directory of the index.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The number of the volume within its kind.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.header.number
    }

    /// The volume root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.footer.root
    }

    /// The size of the file, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.footer.file_bytes
    }

    /// The cache of index blocks, and what this volume is called there.
    pub(crate) fn cache(&self) -> (&IndexCache, u64) {
        (&self.cache, self.serial)
    }

    /// Whether nobody has written to the file since it was opened, so that what was verified counts as verified.
    pub(crate) fn is_as_opened(&self) -> bool {
        self.stamp.is_some() && self.stamp == stamp(&self.file)
    }

    /// Fills `buffer` from `offset` of the file, or fails.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        read_exact(&self.file, offset, buffer).map_err(|error| self.placed(error))
    }

    /// Has the disk bring what will be read; a file system that cannot is asked in vain.
    pub(crate) fn will_read(&self, offset: u64, bytes: usize) {
        let bytes = u64::try_from(bytes).ok().and_then(std::num::NonZeroU64::new);
        let _in_vain = rustix::fs::fadvise(&self.file, offset, bytes, rustix::fs::Advice::WillNeed);
    }

    /// `bytes` bytes from `offset` of the file. The caller has checked `bytes` against a limit.
    pub(crate) fn read_vec(&self, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        self.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// `bytes` bytes from `offset` of where the index is. The caller has checked `bytes` against a limit.
    pub(crate) fn read_index(&self, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        read_exact(self.index.as_ref().unwrap_or(&self.file), offset, &mut buffer).map_err(|error| self.placed(error))?;
        Ok(buffer)
    }

    /// `error`, in this file and volume.
    pub(crate) fn placed(&self, error: Error) -> Error {
        error.in_volume(self.header.number).in_file(&self.path)
    }

    /// The end of the content of `OCM.INDEX`, where the tail begins.
    pub(crate) fn tail_offset(&self) -> u64 {
        self.footer.index_offset.saturating_add(self.footer.index_bytes)
    }

    /// Where the tar header of `OCM.FOOTER` is, and the tail ends.
    pub(crate) fn end_offset(&self) -> u64 {
        self.footer.file_bytes.saturating_sub(END_BYTES)
    }
}

/// A file whose header is sound, and what stands at its end.
pub(crate) struct Ends {
    pub(crate) file: File,
    pub(crate) header: Header,
    /// The size that the file has now.
    pub(crate) file_bytes: u64,
    pub(crate) footer: Result<Footer>,
}

impl Ends {
    /// Reads header and footer; fails where the file is no volume or its header is not sound.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        // Before it is opened: opening a pipe waits for its other end.
        let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, &error))?;
        if !metadata.is_file() {
            return Err(Error::new(Kind::NotAVolume, "it is not a regular file").in_file(path));
        }
        let file = File::open(path).map_err(|error| Error::io(path, &error))?;
        let metadata = file.metadata().map_err(|error| Error::io(path, &error))?;
        let file_bytes = metadata.len();
        let header = read_header(&file, file_bytes).map_err(|error| named(error, &file, file_bytes).in_file(path))?;
        let placed = |error: Error| error.in_volume(header.0.number).in_file(path);
        let footer = read_footer(&file, file_bytes, &header).map_err(placed);
        Ok(Self { file, header: header.0, file_bytes, footer })
    }
}

fn read_header(file: &File, file_bytes: u64) -> Result<(Header, [u8; FIXED_BYTES])> {
    let stranger = || Error::new(Kind::NotAVolume, "it is no volume of an ocm archive");
    let mut magic = [0u8; 8];
    match read_exact(file, HEADER_OFFSET, &mut magic) {
        Err(error) if error.kind() == Kind::Incomplete => return Err(stranger()),
        other => other?,
    }
    if magic != layout::HEADER_MAGIC {
        return Err(stranger());
    }
    let mut head = [0u8; HEAD_BYTES];
    match read_exact(file, 0, &mut head) {
        Err(error) if error.kind() == Kind::Incomplete => return Err(incomplete(file_bytes)),
        other => other?,
    }
    let (tar_header, content) = halves(&head);
    let header = Header::decode(content).map_err(|error| error.at(HEADER_OFFSET))?;
    expect_tar_header(tar_header, "OCM.VOLUME", header.time, 0)?;
    if file_bytes >= header.cap {
        return Err(Error::limit(format!("it has {file_bytes} bytes and its cap is {}", header.cap)));
    }
    Ok((header, *content))
}

/// `error`, with the names of features where it is one about them and SET.json has any.
fn named(error: Error, file: &File, file_bytes: u64) -> Error {
    let names = (error.kind() == Kind::Unsupported).then(|| features::named(file, file_bytes)).flatten();
    match names {
        Some(names) => Error::new(error.kind(), format!("{}; SET.json has features {names}", error.message())),
        None => error,
    }
}

fn read_footer(file: &File, file_bytes: u64, header: &(Header, [u8; FIXED_BYTES])) -> Result<Footer> {
    let (header, header_bytes) = header;
    let smallest = END_BYTES.saturating_add(HEADER_OFFSET.saturating_mul(3));
    let Some(start) = file_bytes.checked_sub(END_BYTES).filter(|_| file_bytes >= smallest) else {
        return Err(incomplete(file_bytes));
    };
    let (mut head, mut end) = ([0u8; HEAD_BYTES], [0u8; HEAD_BYTES]);
    read_exact(file, start, &mut head)?;
    let footer_offset = file_bytes.saturating_sub(FOOTER_FROM_END);
    read_exact(file, footer_offset.saturating_add(tar::BLOCK), &mut end)?;
    let (tar_header, content) = halves(&head);
    let regenerates = expect_tar_header(tar_header, "OCM.FOOTER", header.time, start);
    let zeros = end.iter().all(|byte| *byte == 0);
    let footer = match Footer::decode(content) {
        // Two of the three things at the end are there: the third is damaged. Otherwise the end is elsewhere.
        Err(error) if error.kind() == Kind::NotAVolume && (regenerates.is_err() || !zeros) => {
            return Err(incomplete(file_bytes));
        }
        Err(error) if error.kind() == Kind::NotAVolume => return Err(Error::damaged(error.message()).at(footer_offset)),
        other => other.map_err(|error| error.at(footer_offset))?,
    };
    regenerates?;
    if !zeros {
        return Err(Error::damaged("the end of the tar file is not zero").at(footer_offset.saturating_add(tar::BLOCK)));
    }
    check_footer(&footer, header, header_bytes, file_bytes).map_err(|error| error.at(footer_offset))?;
    Ok(footer)
}

/// Whether the numbers of `footer` agree with the header and with the file.
fn check_footer(footer: &Footer, header: &Header, header_bytes: &[u8; FIXED_BYTES], file_bytes: u64) -> Result<()> {
    let wrong = |why: &str| Err(Error::damaged(format!("footer: {why}")));
    if (footer.set, footer.number) != (header.set, header.number) {
        return wrong("it names another set or volume than the header");
    }
    if footer.file_bytes != file_bytes {
        return wrong(&format!("it states {} bytes and the file has {file_bytes}", footer.file_bytes));
    }
    let kind = footer.flags & (layout::FLAG_PARITY | layout::FLAG_CATALOGUE);
    let last = footer.flags & layout::FLAG_LAST != 0;
    let agrees = match header.kind {
        VolumeKind::Data => kind == 0,
        VolumeKind::Parity => kind == layout::FLAG_PARITY && !last,
        VolumeKind::Catalogue => kind == layout::FLAG_CATALOGUE && !last && footer.stream_bytes == 0,
    };
    if !agrees {
        return wrong("its flags are not those of the header's kind");
    }
    let places_hold = check_places(footer).is_some();
    if !places_hold {
        return wrong("a place lies outside of the file");
    }
    crate::error::cap(footer.directory_bytes, layout::MAX_DOCUMENT_BYTES, "directory")?;
    crate::error::cap(footer.set_json_bytes, layout::MAX_DOCUMENT_BYTES, "SET.json")?;
    if layout::volume_root(header_bytes, &footer.directory, footer.stream_bytes) != footer.root {
        return wrong("the volume root does not follow from header and directory");
    }
    Ok(())
}

/// `Some` if index, directory and SET.json lie in order, in whole blocks, before the footer.
fn check_places(footer: &Footer) -> Option<()> {
    let end = footer.file_bytes.checked_sub(END_BYTES)?;
    let index_end = footer.index_offset.checked_add(footer.index_bytes)?;
    let first = HEADER_OFFSET.checked_mul(3)?;
    let whole_blocks = footer.file_bytes.is_multiple_of(tar::BLOCK) && footer.index_offset.is_multiple_of(tar::BLOCK);
    let index_holds = whole_blocks && footer.index_offset >= first && tar::padded(index_end) <= end;
    let has_set = footer.flags & layout::FLAG_SET != 0;
    let (set_offset, set_bytes) = (footer.set_json_offset, footer.set_json_bytes);
    let set_holds = if has_set {
        let begins = tar::padded(index_end).checked_add(tar::BLOCK)?;
        set_offset.is_multiple_of(tar::BLOCK) && set_offset >= begins && set_offset.checked_add(set_bytes)? <= end
    } else {
        (set_offset, set_bytes, footer.set_json) == (0, 0, Digest::Sha256([0; 32]))
    };
    (index_holds && set_holds && footer.directory_bytes <= footer.index_bytes).then_some(())
}

fn read_directory(file: &File, footer: &Footer, parse: fn(&[u8], u64) -> Result<Directory>) -> Result<Directory> {
    let bytes = crate::error::cap(footer.directory_bytes, layout::MAX_DOCUMENT_BYTES, "directory")?;
    let blocks = footer.index_bytes.saturating_sub(footer.directory_bytes);
    let offset = footer.index_offset.saturating_add(blocks);
    let mut buffer = vec![0; bytes];
    read_exact(file, offset, &mut buffer)?;
    if !footer.directory.matches(&buffer) {
        return Err(Error::damaged("directory: its SHA-256 is not that of the footer").at(offset));
    }
    parse(&buffer, blocks).map_err(|error| error.at(offset))
}

/// Compares a tar header with the one that must stand there.
fn expect_tar_header(found: &tar::Header, name: &str, time: u64, offset: u64) -> Result<()> {
    if *found == tar::header(name, layout::FIXED_BYTES.try_into().unwrap_or(u64::MAX), time)? {
        return Ok(());
    }
    Err(Error::damaged(format!("the tar header of {name} is not what it must be")).at(offset))
}

fn halves(head: &[u8; HEAD_BYTES]) -> (&[u8; FIXED_BYTES], &[u8; FIXED_BYTES]) {
    let (first, second) = head.split_first_chunk().expect("512 of 1024 bytes");
    (first, second.first_chunk().expect("the other 512"))
}

fn incomplete(file_bytes: u64) -> Error {
    Error::new(Kind::Incomplete, format!("incomplete: it has {file_bytes} bytes and no footer at its end"))
}

/// A positioned read. That the file ends first is [`Kind::Incomplete`].
pub(crate) fn read_exact(file: &File, offset: u64, buffer: &mut [u8]) -> Result<()> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Error::new(Kind::Incomplete, "the file ends before these bytes").at(offset),
        kind => Error::new(Kind::Io(kind), error.to_string()).at(offset),
    })
}

#[cfg(test)]
mod tests;
