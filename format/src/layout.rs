//! Header, footer and frame header: every fixed structure of a volume (SPEC sections 4, 5, 6).
//!
//! **Invariants.** The only file with offsets of fixed structures. Decoding takes exactly what encoding makes:
//! reserved bytes are zero, sums hold, kinds are known.
//!
//! *Not here:* structures of growing size (`recipe`, `index`).

mod frame;
mod parity;

pub use self::frame::{Codec, FrameHeader};
pub use self::parity::{
    CODE_LEOPARD, HASH_BYTES, MAX_COLUMN_BYTES, MAX_SHARDS, MAX_TABLE_BYTES, MIN_COLUMN_BYTES, PARITY_MAGIC, PARITY_OFFSET, ParityHeader,
    ShardEntry,
};
use crate::codec::Cursor;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
pub use crate::id::Id;

/// The version of the format that this crate writes.
pub const VERSION: u16 = 1;
/// The draft of that version; 0, since it is frozen.
pub const DRAFT: u16 = 0;
/// The first bytes of a header: they catch text-mode and 7-bit damage.
pub const HEADER_MAGIC: [u8; 8] = *b"\x8FOCM\r\n\x1A\n";
/// The first bytes of a footer.
pub const FOOTER_MAGIC: [u8; 8] = *b"\x8FOCMF\n\x1A\n";
/// The size of header and footer, in bytes.
pub const FIXED_BYTES: usize = 512;
/// Where the header stands in the file.
pub const HEADER_OFFSET: u64 = 512;
/// How far before the end of the file the footer stands.
pub const FOOTER_FROM_END: u64 = 1536;
/// The skippable-frame magic of frame headers.
pub const FRAME_MAGIC: u32 = 0x184D_2A57;
/// A frame header with its 8 bytes of zstd framing, for codec 1.
pub const FRAME_HEADER_BYTES: u64 = 68;

/// The smallest cap of a volume.
pub const MIN_CAP: u64 = 64 << 10;
/// The highest number of a volume.
pub const MAX_VOLUMES: u32 = 65_535;
/// The most plain bytes of a frame.
pub const MAX_FRAME_BYTES: u64 = 16 << 20;
/// The most bytes of a pack.
pub const MAX_PACK_BYTES: u64 = 32 << 20;
/// The most bytes of a blob that is stored verbatim.
pub const MAX_VERBATIM_BYTES: u64 = 64 << 10;
/// The most bytes of the prefix of a frame.
pub const MAX_PREFIX_BYTES: u64 = 2 << 20;
/// The greatest depth of prefixes.
pub const MAX_DEPTH: u8 = 4;
/// The most bytes of SET.json, index.json, a directory and a `.rec`.
pub const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// Footer flag: the last data volume of its set.
pub const FLAG_LAST: u32 = 1;
/// Footer flag: SET.json is in here.
pub const FLAG_SET: u32 = 2;
/// Footer flag: a parity volume.
pub const FLAG_PARITY: u32 = 4;
/// Footer flag: a catalogue.
pub const FLAG_CATALOGUE: u32 = 8;

/// What kind of volume a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VolumeKind {
    /// It holds packs.
    Data,
    /// It can rebuild lost ones.
    Parity,
    /// It is the set without packs.
    Catalogue,
}

/// What a set builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Nothing: it is a base.
    None,
    /// An earlier set.
    Set {
        /// Its set id.
        id: Id,
        /// Its set root.
        root: Digest,
    },
    /// What a destination holds.
    Receipt {
        /// The SHA-256 of the receipt.
        root: Digest,
    },
}

/// `OCM.VOLUME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What kind of volume it is.
    pub kind: VolumeKind,
    /// Feature bits that a reader may ignore.
    pub compatible: u64,
    /// Feature bits that a reader must know.
    pub incompatible: u64,
    /// The set that it belongs to.
    pub set: Id,
    /// The lineage of that set.
    pub lineage: Id,
    /// The generation of that set, from 1.
    pub generation: u32,
    /// The number of the volume within its kind, from 1.
    pub number: u32,
    /// The size that the file stays strictly below.
    pub cap: u64,
    /// The time of the set, seconds since 1970.
    pub time: u64,
    /// What the set builds on.
    pub parent: Parent,
}

impl Header {
    /// The 512 bytes of this header.
    #[must_use]
    pub fn encode(&self) -> [u8; FIXED_BYTES] {
        let (parent_kind, parent_id, parent_root) = match self.parent {
            Parent::None => (0, Id::default(), Digest::Sha256([0; 32])),
            Parent::Set { id, root } => (1, id, root),
            Parent::Receipt { root } => (2, Id::default(), root),
        };
        let kind = match self.kind {
            VolumeKind::Data => 0,
            VolumeKind::Parity => 1,
            VolumeKind::Catalogue => 2,
        };
        let mut out = HEADER_MAGIC.to_vec();
        put_version(&mut out);
        out.extend([kind, parent_kind, 0, 0]);
        out.extend(self.compatible.to_le_bytes());
        out.extend(self.incompatible.to_le_bytes());
        out.extend(self.set.0);
        out.extend(self.lineage.0);
        out.extend(self.generation.to_le_bytes());
        out.extend(self.number.to_le_bytes());
        out.extend(self.cap.to_le_bytes());
        out.extend(self.time.to_le_bytes());
        out.extend(parent_id.0);
        out.extend(parent_root.bytes());
        seal(&out)
    }

    /// Reads a header. The magic is checked first, so that a stranger is told from damage.
    pub fn decode(bytes: &[u8; FIXED_BYTES]) -> Result<Self> {
        let mut cursor = open(bytes, HEADER_MAGIC, "header")?;
        let kind = match cursor.u8()? {
            0 => VolumeKind::Data,
            1 => VolumeKind::Parity,
            2 => VolumeKind::Catalogue,
            other => return Err(cursor.unknown("volume kind", other.into())),
        };
        let parent_kind = cursor.u8()?;
        cursor.zeros(2)?;
        let (compatible, incompatible) = (cursor.u64()?, cursor.u64()?);
        if incompatible != 0 {
            return Err(Error::new(
                Kind::Unsupported,
                format!("header: it uses features {incompatible:#x}, and this version cannot do without them"),
            ));
        }
        let (set, lineage) = (Id(cursor.array()?), Id(cursor.array()?));
        let (generation, number) = (cursor.u32()?, cursor.u32()?);
        let (cap, time) = (cursor.u64()?, cursor.u64()?);
        let (id, root) = (Id(cursor.array()?), cursor.sha256()?);
        let none = Digest::Sha256([0; 32]);
        let parent = match parent_kind {
            0 if id == Id::default() && root == none => Parent::None,
            1 => Parent::Set { id, root },
            2 if id == Id::default() => Parent::Receipt { root },
            3.. => return Err(cursor.unknown("kind of parent", parent_kind.into())),
            _ => return Err(cursor.wrong("its parent makes no sense")),
        };
        if generation == 0 || number == 0 || number > MAX_VOLUMES || cap < MIN_CAP {
            return Err(cursor.wrong("generation, number or cap is out of bounds"));
        }
        Ok(Self { kind, compatible, incompatible, set, lineage, generation, number, cap, time, parent })
    }
}

/// `OCM.FOOTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// See `FLAG_…`.
    pub flags: u32,
    /// The set, as in the header.
    pub set: Id,
    /// The volume number, as in the header.
    pub number: u32,
    /// The size of the file.
    pub file_bytes: u64,
    /// Where the content of `OCM.INDEX` is.
    pub index_offset: u64,
    /// Its length.
    pub index_bytes: u64,
    /// The length of the directory at its end.
    pub directory_bytes: u64,
    /// The SHA-256 of the directory.
    pub directory: Digest,
    /// Where SET.json is; 0 without one.
    pub set_json_offset: u64,
    /// Its length; 0 without one.
    pub set_json_bytes: u64,
    /// Its SHA-256; zero without one.
    pub set_json: Digest,
    /// The SHA-256 of the tail.
    pub tail: Digest,
    /// The length of the stream.
    pub stream_bytes: u64,
    /// The volume root.
    pub root: Digest,
}

impl Footer {
    /// The 512 bytes of this footer.
    #[must_use]
    pub fn encode(&self) -> [u8; FIXED_BYTES] {
        let mut out = FOOTER_MAGIC.to_vec();
        put_version(&mut out);
        out.extend(self.flags.to_le_bytes());
        out.extend(self.set.0);
        out.extend(self.number.to_le_bytes());
        out.extend([0; 4]);
        for number in [self.file_bytes, self.index_offset, self.index_bytes, self.directory_bytes] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.directory.bytes());
        out.extend(self.set_json_offset.to_le_bytes());
        out.extend(self.set_json_bytes.to_le_bytes());
        out.extend(self.set_json.bytes());
        out.extend(self.tail.bytes());
        out.extend(self.stream_bytes.to_le_bytes());
        out.extend(self.root.bytes());
        seal(&out)
    }

    /// Reads a footer; that its numbers fit the file is the caller's matter.
    pub fn decode(bytes: &[u8; FIXED_BYTES]) -> Result<Self> {
        let mut cursor = open(bytes, FOOTER_MAGIC, "footer")?;
        let flags = cursor.u32()?;
        if flags & !(FLAG_LAST | FLAG_SET | FLAG_PARITY | FLAG_CATALOGUE) != 0 {
            return Err(cursor.wrong("a flag is unknown"));
        }
        let (set, number) = (Id(cursor.array()?), cursor.u32()?);
        cursor.zeros(4)?;
        Ok(Self {
            flags,
            set,
            number,
            file_bytes: cursor.u64()?,
            index_offset: cursor.u64()?,
            index_bytes: cursor.u64()?,
            directory_bytes: cursor.u64()?,
            directory: cursor.sha256()?,
            set_json_offset: cursor.u64()?,
            set_json_bytes: cursor.u64()?,
            set_json: cursor.sha256()?,
            tail: cursor.sha256()?,
            stream_bytes: cursor.u64()?,
            root: cursor.sha256()?,
        })
    }
}

/// The volume root: what SET.json says of a volume.
#[must_use]
pub fn volume_root(header: &[u8; FIXED_BYTES], directory: &Digest, stream_bytes: u64) -> Digest {
    let mut hasher = Hasher::sha256();
    hasher.update(b"ocm archive volume root\0");
    hasher.update(header);
    hasher.update(directory.bytes());
    hasher.update(&stream_bytes.to_le_bytes());
    hasher.finish()
}

/// What stands after every magic.
pub(crate) fn put_version(out: &mut Vec<u8>) {
    out.extend(VERSION.to_le_bytes());
    out.extend(DRAFT.to_le_bytes());
}

/// Takes what [`put_version`] wrote; refuses another version and names both.
pub(crate) fn take_version(cursor: &mut Cursor<'_>, what: &str) -> Result<()> {
    let (version, draft) = (cursor.u16()?, cursor.u16()?);
    check_version(version.into(), draft.into(), what)
}

/// Refuses another version than the one that this crate reads, by name.
pub(crate) fn check_version(version: u64, draft: u64, what: &str) -> Result<()> {
    if (version, draft) == (VERSION.into(), DRAFT.into()) {
        return Ok(());
    }
    let draft = if draft == 0 { String::new() } else { format!(" draft {draft}") };
    Err(Error::new(Kind::Version, format!("{what}: it is of format version {version}{draft}; this program reads version {VERSION}")))
}

/// `content` with zeros up to the checksum, and the checksum.
pub(crate) fn seal(content: &[u8]) -> [u8; FIXED_BYTES] {
    let mut out = [0u8; FIXED_BYTES];
    out.iter_mut().zip(content).for_each(|(place, byte)| *place = *byte);
    if let Some((covered, sum)) = out.split_last_chunk_mut::<4>() {
        *sum = crc32c::crc32c(covered).to_le_bytes();
    }
    out
}

/// Checks magic, checksum and version; what is left are the fields, and after them zeros that are checked here too.
fn open<'a>(bytes: &'a [u8; FIXED_BYTES], magic: [u8; 8], what: &'static str) -> Result<Cursor<'a>> {
    let mut cursor = Cursor::new(bytes, what);
    if cursor.array()? != magic {
        return Err(Error::new(Kind::NotAVolume, format!("{what}: its magic is wrong")));
    }
    let (covered, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| cursor.wrong("it is too short"))?;
    if crc32c::crc32c(covered) != u32::from_le_bytes(*sum) {
        return Err(cursor.wrong("its checksum does not hold"));
    }
    take_version(&mut cursor, what)?;
    let fields = if magic == HEADER_MAGIC { 136 } else { 224 };
    let reserved = covered.get(fields..).ok_or_else(|| cursor.wrong("it is too short"))?;
    Cursor::new(reserved, what).zeros(reserved.len())?;
    Ok(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        Header {
            kind: VolumeKind::Catalogue,
            compatible: 5,
            incompatible: 0,
            set: Id([1; 16]),
            lineage: Id([2; 16]),
            generation: 7,
            number: 3,
            cap: MIN_CAP,
            time: 1_700_000_000,
            parent: Parent::Set { id: Id([3; 16]), root: Digest::of(b"parent") },
        }
    }

    #[test]
    fn a_header_comes_back_and_every_flipped_bit_is_seen() {
        let bytes = sample().encode();
        assert_eq!(Header::decode(&bytes).expect("a header"), sample());
        for bit in 0..FIXED_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn headers_at_the_limits_come_back_and_beyond_them_are_refused() {
        let none = Parent::Receipt { root: Digest::of(b"receipt") };
        for header in [
            Header { generation: 1, number: 1, cap: MIN_CAP, parent: Parent::None, ..sample() },
            Header { generation: u32::MAX, number: MAX_VOLUMES, cap: u64::MAX, parent: none, ..sample() },
        ] {
            assert_eq!(Header::decode(&header.encode()).expect("a header"), header);
        }
        for header in [
            Header { generation: 0, ..sample() },
            Header { number: 0, ..sample() },
            Header { number: MAX_VOLUMES + 1, ..sample() },
            Header { cap: MIN_CAP - 1, ..sample() },
        ] {
            let error = Header::decode(&header.encode()).expect_err("out of bounds");
            assert!(error.to_string().contains("generation, number or cap is out of bounds"), "{error}");
        }
    }

    #[test]
    fn a_parent_that_its_kind_does_not_have_is_refused() {
        // Kind of parent, whether there is an id, whether there is a root.
        for (kind, id, root, is_sound) in [
            (0, false, false, true),
            (0, true, false, false),
            (0, false, true, false),
            (1, true, true, true),
            (2, false, true, true),
            (2, true, true, false),
        ] {
            let mut bytes = Header { parent: Parent::None, ..sample() }.encode();
            bytes[13] = kind;
            bytes[88] = id.into();
            bytes[104] = root.into();
            assert_eq!(Header::decode(&seal(&bytes[..508])).is_ok(), is_sound, "{kind} {id} {root}");
        }
    }

    #[test]
    fn a_footer_has_known_flags_alone() {
        for bit in 0..32u32 {
            let mut bytes = [0; FIXED_BYTES];
            bytes[..8].copy_from_slice(&FOOTER_MAGIC);
            bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
            bytes[12..16].copy_from_slice(&(1u32 << bit).to_le_bytes());
            assert_eq!(Footer::decode(&seal(&bytes[..508])).is_ok(), bit < 4, "bit {bit}");
        }
    }

    #[test]
    fn a_footer_comes_back() {
        let footer = Footer {
            flags: FLAG_LAST | FLAG_SET,
            set: Id([1; 16]),
            number: 3,
            file_bytes: 1,
            index_offset: 2,
            index_bytes: 3,
            directory_bytes: 4,
            directory: Digest::of(b"d"),
            set_json_offset: 5,
            set_json_bytes: 6,
            set_json: Digest::of(b"s"),
            tail: Digest::of(b"t"),
            stream_bytes: 7,
            root: Digest::of(b"r"),
        };
        assert_eq!(Footer::decode(&footer.encode()).expect("a footer"), footer);
    }

    #[test]
    fn another_version_is_refused_with_both_numbers() {
        for (at, value, name) in [(8, 2, "version 2;"), (10, 9, "version 1 draft 9;")] {
            let mut bytes = sample().encode();
            bytes[at] = value;
            let error = Header::decode(&seal(&bytes[..508])).expect_err("another version");
            assert_eq!(error.kind(), Kind::Version);
            assert!(error.to_string().contains(name) && error.to_string().ends_with("reads version 1"), "{error}");
        }
    }
}
