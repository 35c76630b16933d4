//! [`Attributes`]: how a thing looks from outside: `stat`, and where a link leads.
//!
//! **Invariants.** Devices and fifos are shown as empty files and set-id bits of files are masked, unless they were asked for. A size that would
//! cost work is left open until somebody really asks for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};

use super::numbers::{Image, Number, Part};
use super::rootfs::Entry;
use super::view::{Content, View};
use crate::error::Result;
use crate::image::tree::What;

/// What `stat` shows.
pub(super) struct Attributes {
    pub(super) attr: FileAttr,
    /// Whether that is how it stays.
    pub(super) settled: bool,
}

/// How much work an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// None: it is one of many.
    Listed,
    /// As much as it takes: somebody wants to know.
    Asked,
}

impl View {
    /// How something looks. None where there is nothing.
    pub(super) fn attributes(&self, number: Number, effort: Effort) -> Result<Option<Attributes>> {
        let settled = |attr| Some(Attributes { attr, settled: true });
        Ok(match number {
            Number::Root | Number::Blobs | Number::Sha256 | Number::Sha512 | Number::Images | Number::Notes => settled(self.folder(number)),
            Number::Folder(_) | Number::Part(_, Part::Folder | Part::Layers) => settled(self.folder(number)),
            Number::Blob(blob) => self.blob_bytes(blob)?.and_then(|bytes| settled(self.regular(number, bytes))),
            Number::Note(_) => self.sized(number)?.map(|attr| Attributes { attr, settled: false }),
            Number::Part(image, Part::Layer(layer)) => self.layer_attributes(number, image, layer, effort)?,
            // A list of images is no reason to look into all of them.
            Number::Node(_, 0) if effort == Effort::Listed => Some(self.unknown(number)),
            Number::Node(image, entry) => {
                let rootfs = self.rootfs(image)?;
                rootfs.as_ref().and_then(|rootfs| rootfs.get(entry)).and_then(|entry| settled(self.node(image, entry, number)))
            }
            Number::Marker | Number::Index | Number::Part(_, Part::Manifest | Part::Config) => self.sized(number)?.and_then(settled),
        })
    }

    /// How something looks of which no more is known, or can be.
    pub(super) fn unknown(&self, number: Number) -> Attributes {
        let is_root = matches!(number, Number::Node(_, 0));
        Attributes { attr: if is_root { self.folder(number) } else { self.regular(number, 0) }, settled: false }
    }

    /// Where a symbolic link leads.
    pub(super) fn target(&self, number: Number) -> Result<Option<Vec<u8>>> {
        let Number::Node(image, entry) = number else { return Ok(None) };
        let rootfs = self.rootfs(image)?;
        Ok(rootfs.and_then(|rootfs| match &rootfs.get(entry)?.node.what {
            What::Symlink(target) => Some(target.to_vec()),
            _ => None,
        }))
    }

    /// How large a layer is uncompressed is not known of those that the archive has as they came.
    fn layer_attributes(&self, number: Number, image: Image, layer: u32, effort: Effort) -> Result<Option<Attributes>> {
        let Some(digest) = self.layer(image, layer)? else { return Ok(None) };
        let known = match effort {
            Effort::Listed => self.plains.plain_bytes(&digest)?,
            Effort::Asked => Some(self.plains.plain(&digest)?.bytes),
        };
        Ok(Some(Attributes { attr: self.regular(number, known.unwrap_or(0)), settled: known.is_some() }))
    }

    fn sized(&self, number: Number) -> Result<Option<FileAttr>> {
        let bytes = self.content(number)?.map(|content| match content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Extent(extent) => extent.bytes,
        });
        Ok(bytes.map(|bytes| self.regular(number, bytes)))
    }

    fn folder(&self, number: Number) -> FileAttr {
        FileAttr { kind: FileType::Directory, perm: 0o555, ..self.regular(number, 0) }
    }

    fn regular(&self, number: Number, bytes: u64) -> FileAttr {
        let (uid, gid) = self.showing.owner;
        let time = UNIX_EPOCH + Duration::from_secs(self.inside.time());
        FileAttr {
            ino: INodeNo(number.to_u64()),
            size: bytes,
            blocks: bytes.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: FileType::RegularFile,
            perm: 0o444,
            nlink: 1,
            uid,
            gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn node(&self, image: Image, entry: &Entry, number: Number) -> FileAttr {
        let number = if entry.is_directory() { number } else { Number::Node(image, entry.first) };
        let node = &entry.node;
        let (kind, bytes, rdev) = match &node.what {
            What::File(bytes, _) => (FileType::RegularFile, *bytes, 0),
            What::Symlink(target) => (FileType::Symlink, target.len() as u64, 0),
            What::Directory => (FileType::Directory, 0, 0),
            _ if !self.showing.devices => (FileType::RegularFile, 0, 0),
            &What::CharacterDevice(major, minor) => (FileType::CharDevice, 0, device(major, minor)),
            &What::BlockDevice(major, minor) => (FileType::BlockDevice, 0, device(major, minor)),
            What::Fifo => (FileType::NamedPipe, 0, 0),
        };
        let perm = match kind {
            // Linux gives links no other mode.
            FileType::Symlink => 0o777,
            FileType::Directory => node.mode,
            _ if self.showing.set_ids => node.mode,
            _ => node.mode & !SET_IDS,
        };
        let time = time(node.modified);
        let owner = |id: u64| u32::try_from(id).unwrap_or(NOBODY);
        FileAttr {
            kind,
            perm,
            mtime: time,
            atime: time,
            ctime: time,
            nlink: entry.links,
            uid: owner(node.owner.0),
            gid: owner(node.owner.1),
            rdev,
            ..self.regular(number, bytes)
        }
    }
}

/// The bits of a mode that give a program the rights of the owner of its file.
const SET_IDS: u16 = 0o6000;
/// Who owns what belongs to a number that Linux does not have.
const NOBODY: u32 = 65534;

/// The number of a device as the kernel passes it to file systems.
fn device(major: u64, minor: u64) -> u32 {
    let (major, minor) = (major as u32 & 0xfff, minor as u32 & 0xf_ffff);
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// A time: seconds, perhaps before 1970, and nanoseconds after that. One that cannot be is 1970.
fn time((seconds, nanoseconds): (i64, u32)) -> SystemTime {
    let whole = match u64::try_from(seconds) {
        Ok(after) => UNIX_EPOCH.checked_add(Duration::from_secs(after)),
        Err(_) => UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    };
    whole.and_then(|whole| whole.checked_add(Duration::from_nanos(nanoseconds.into()))).unwrap_or(UNIX_EPOCH)
}
