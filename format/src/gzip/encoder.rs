//! [`Encoder`]: which encoder wrote a gzip member, with what settings, as archives name it.
//!
//! **Invariants.** Numbers and parameters never change their meaning: an archive of today names them for ever (SPEC
//! section 6). A number that is not known is refused by name.
//!
//! *Not here:* how encoders work (`klauspost`, `go`, `zlib`, `gnu`).

use super::klauspost::{self, Generation};
use super::{Deflate, gnu, go, pigz, zlib};
use crate::codec::{Cursor, put_uvarint};
use crate::error::{Error, Kind, Result};

/// The largest piece of pgzip, in bytes: it is held in memory.
const MAX_BLOCK_BYTES: u64 = 16 << 20;
/// pgzip takes no smaller ones.
const MIN_BLOCK_BYTES: u64 = 16_385;

/// An encoder and its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoder {
    /// pgzip on klauspost/compress, level 5: pieces that are made one by one.
    Pgzip {
        /// Which releases.
        generation: Generation,
        /// The plain bytes of a piece.
        block_bytes: u64,
    },
    /// klauspost/compress by itself, level 5.
    Klauspost {
        /// Which releases.
        generation: Generation,
    },
    /// compress/flate of Go up to 1.26.
    Go {
        /// 1, or 4 to 9.
        level: u8,
    },
    /// zlib.
    Zlib {
        /// 1 to 9.
        level: u8,
        /// The size of its buffers: 8 for most, 9 for some.
        memory_level: u8,
    },
    /// GNU gzip.
    Gnu {
        /// 1 to 9.
        level: u8,
    },
    /// pigz, in pieces of 128 KiB.
    Pigz {
        /// 1 to 9.
        level: u8,
    },
}

impl Encoder {
    /// Its number in archives.
    #[must_use]
    pub fn id(self) -> u64 {
        match self {
            Self::Pgzip { .. } => 1,
            Self::Klauspost { .. } => 2,
            Self::Go { .. } => 3,
            Self::Zlib { .. } => 4,
            Self::Gnu { .. } => 5,
            Self::Pigz { .. } => 6,
        }
    }

    /// The encoder as a stream, and for how many plain bytes it makes what a member begins with.
    pub(super) fn probing(self) -> (Box<dyn Deflate>, usize) {
        match self {
            Self::Pgzip { generation, block_bytes } => {
                (Self::Klauspost { generation }.stream(), usize::try_from(block_bytes).unwrap_or(usize::MAX))
            }
            other => (other.stream(), usize::MAX),
        }
    }

    /// The encoder over all of its input. Of pgzip, over one piece.
    pub(super) fn stream(self) -> Box<dyn Deflate> {
        match self {
            Self::Pgzip { generation, .. } | Self::Klauspost { generation } => Box::new(klauspost::Stream::new(generation)),
            Self::Go { level } => Box::new(go::Encoder::new(level)),
            Self::Zlib { level, memory_level } => Box::new(zlib::Encoder::new(level, memory_level)),
            Self::Gnu { level } => Box::new(gnu::Encoder::new(level)),
            Self::Pigz { level } => Box::new(pigz::Encoder::new(level)),
        }
    }

    /// Appends its settings.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Pgzip { generation, block_bytes } => {
                put_uvarint(out, generation.id());
                put_uvarint(out, block_bytes);
            }
            Self::Klauspost { generation } => put_uvarint(out, generation.id()),
            Self::Go { level } | Self::Gnu { level } | Self::Pigz { level } => put_uvarint(out, level.into()),
            Self::Zlib { level, memory_level } => {
                put_uvarint(out, level.into());
                put_uvarint(out, memory_level.into());
            }
        }
    }

    /// Refuses the number of an encoder that is not known.
    pub(super) fn check_id(id: u64) -> Result<()> {
        if (1..=6).contains(&id) { Ok(()) } else { Err(lacks(&format!("encoder {id}"))) }
    }

    /// Reads the settings of encoder `id`, up to the end.
    pub(super) fn take(id: u64, cursor: &mut Cursor<'_>) -> Result<Self> {
        let encoder = match id {
            1 => Self::Pgzip { generation: generation(cursor)?, block_bytes: number(cursor, MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES)? },
            2 => Self::Klauspost { generation: generation(cursor)? },
            3 => Self::Go { level: small(cursor, 1..=9)? },
            4 => Self::Zlib { level: small(cursor, 1..=9)?, memory_level: small(cursor, 8..=9)? },
            5 => Self::Gnu { level: small(cursor, 1..=9)? },
            6 => Self::Pigz { level: small(cursor, 1..=9)? },
            _ => return Err(lacks(&format!("encoder {id}"))),
        };
        if matches!(encoder, Self::Go { level: 2 | 3 }) {
            return Err(lacks("encoder 3 with these settings"));
        }
        cursor.end()?;
        Ok(encoder)
    }
}

fn generation(cursor: &mut Cursor<'_>) -> Result<Generation> {
    let id = cursor.uvarint()?;
    Generation::from_id(id).ok_or_else(|| lacks(&format!("generation {id} of klauspost/compress")))
}

fn number(cursor: &mut Cursor<'_>, allowed: std::ops::RangeInclusive<u64>) -> Result<u64> {
    let value = cursor.uvarint()?;
    if allowed.contains(&value) { Ok(value) } else { Err(lacks(&format!("an encoder with the setting {value}"))) }
}

fn small(cursor: &mut Cursor<'_>, allowed: std::ops::RangeInclusive<u8>) -> Result<u8> {
    let value = number(cursor, u64::from(*allowed.start())..=u64::from(*allowed.end()))?;
    Ok(u8::try_from(value).unwrap_or(*allowed.end()))
}

fn lacks(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("it needs {what}, which this version does not have"))
}
