//! `OCM.INDEX`: the tables of a volume, as columns in blocks (SPEC section 7).
//!
//! **Invariants.** A row refers to places in this volume, or by volume number to streams of its set; it holds no
//! content. Rows are in ascending order of their key.
//!
//! *Not here:* which rows a writer makes (`writer`), and what readers do with them (`reader`).

pub(crate) mod decode;
mod directory;
pub mod read;
pub(crate) mod segments;
pub mod write;

pub use directory::Directory;

use crate::codec::Cursor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::FrameHeader;
use crate::recipe::Part;

/// The tag before a directory.
pub const DIRECTORY_TAG: [u8; 4] = *b"OCMD";
/// The plain bytes at which a block is closed.
pub const BLOCK_BYTES: usize = 60 << 10;
/// The most plain bytes of a block.
pub const MAX_BLOCK_BYTES: u64 = 1 << 20;
/// Table flag: a reader that does not know the table may skip it.
pub const FLAG_SKIP: u64 = 1;

/// Table ids.
pub mod table {
    /// FRAMES.
    pub const FRAMES: u64 = 1;
    /// PARTS.
    pub const PARTS: u64 = 2;
    /// PIECES.
    pub const PIECES: u64 = 3;
    /// BLOBS.
    pub const BLOBS: u64 = 4;
    /// MEMBERS.
    pub const MEMBERS: u64 = 5;
}

/// Decodes a plain block of a table that is the only one of it and begins at key 0; says how many rows it has.
pub fn rows_of_block(table: u64, plain: &[u8]) -> Result<usize> {
    let count = u32::try_from(Cursor::new(plain, "block").uvarint()?).map_err(|_| Error::damaged("block: it has too many rows"))?;
    match table {
        table::FRAMES => decode::rows::<FrameRow>(plain, 0, None, count).map(|rows| rows.len()),
        table::PARTS => decode::rows::<PartRow>(plain, 0, None, count).map(|rows| rows.len()),
        table::PIECES => decode::rows::<PieceRow>(plain, 0, None, count).map(|rows| rows.len()),
        table::MEMBERS => decode::rows::<MemberRow>(plain, 0, None, count).map(|rows| rows.len()),
        _ => Err(Error::damaged("block: it is of no table with positions")),
    }
}

/// A row of FRAMES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRow {
    /// Where its plain bytes begin in the stream.
    pub stream_offset: u64,
    /// How many plain bytes.
    pub plain_bytes: u32,
    /// Where the zstd frame begins in the file.
    pub file_offset: u64,
    /// How long it is.
    pub stored_bytes: u32,
    /// 1 zstd, 2 zstd with a prefix.
    pub codec: u8,
    /// The SHA-256 of the zstd frame.
    pub digest: Digest,
}

impl FrameRow {
    /// Whether it says the same as this frame header.
    pub(crate) fn is_of(&self, header: &FrameHeader) -> bool {
        let FrameHeader { codec, stored_bytes, plain_bytes, stream_offset, digest } = header;
        let says = (codec.number(), *stored_bytes, *plain_bytes, *stream_offset, *digest);
        says == (self.codec, self.stored_bytes, self.plain_bytes, self.stream_offset, self.digest)
    }
}

/// A row of PARTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRow {
    /// The sum of the lengths of all parts before it.
    pub position: u64,
    /// The part.
    pub part: Part,
}

/// A row of PIECES.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceRow {
    /// The sum of the output lengths of all rows before it.
    pub position: u64,
    /// How many bytes it makes.
    pub bytes: u64,
    /// How.
    pub kind: PieceKind,
}

/// How the bytes of a piece row are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceKind {
    /// From the parts at this position.
    Raw {
        /// Position in PARTS.
        position: u64,
    },
    /// By an encoder that begins here.
    Replay {
        /// Its id.
        encoder: u64,
        /// Its parameters.
        parameters: Vec<u8>,
        /// Its input.
        segment: Segment,
    },
    /// By the encoder of the row before, which can begin anew here.
    Restart {
        /// Its input.
        segment: Segment,
    },
}

/// The input of an encoder between two restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the plain form.
    pub plain_offset: u64,
    /// How long it is.
    pub plain_bytes: u64,
    /// How many bits of the first output byte belong to the segment before: 0 to 7.
    pub bits: u8,
    /// CRC-32C of the output.
    pub check: u32,
}

/// A row of BLOBS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRow {
    /// The blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where its bytes come from.
    pub stored: Stored,
    /// What is known of its plain form.
    pub plain: PlainRow,
}

/// Where the bytes of a blob come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The content of a member.
    Verbatim {
        /// Where it begins in the file.
        file_offset: u64,
    },
    /// Parts.
    Raw {
        /// Position in PARTS.
        position: u64,
    },
    /// Pieces.
    Pieces {
        /// Position in PIECES.
        position: u64,
    },
}

/// What a row of BLOBS says of a plain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainRow {
    /// The blob is its own plain form.
    Own,
    /// Made by decompressing the blob.
    Unknown,
    /// Parts.
    Listed {
        /// The diff id.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
        /// Position in PARTS.
        position: u64,
    },
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// `OCM.VOLUME`.
    Header,
    /// A text for people or a program that reads the archive.
    Text,
    /// A blob, verbatim.
    Blob,
    /// Frames.
    Pack,
    /// Records.
    Records,
    /// A structure of another volume, in a catalogue.
    Other,
    /// What a parity volume is there for: its header, its shard, its hashes.
    Parity,
}

impl MemberKind {
    /// Its byte in the table.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Text => 2,
            Self::Blob => 3,
            Self::Pack => 4,
            Self::Records => 5,
            Self::Other => 6,
            Self::Parity => 7,
        }
    }

    /// The kind of a byte in the table.
    pub fn decode(code: u8) -> Result<Self> {
        [Self::Header, Self::Text, Self::Blob, Self::Pack, Self::Records, Self::Other, Self::Parity]
            .into_iter()
            .find(|kind| kind.code() == code)
            .ok_or_else(|| crate::codec::unknown("MEMBERS", "member kind", code.into()))
    }
}

/// A row of MEMBERS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Where its tar header begins.
    pub offset: u64,
    /// The size of its content, in bytes.
    pub bytes: u64,
    /// What it is.
    pub kind: MemberKind,
    /// Its name.
    pub name: String,
    /// The SHA-256 of its content; of a pack: of the hashes of its frames, one after another.
    pub digest: Digest,
}
