//! [`Encoder`]: which encoder wrote a gzip member, with what settings, as archives name it.
//!
//! **Invariants.** Numbers and parameters never change their meaning: an archive of today names them for ever (SPEC
//! section 6). A number that is not known is refused by name.
//!
//! *Not here:* how encoders work (`klauspost`, `go`, `zlib`, `gnu`).

use super::klauspost::{self, Generation};
use super::{BlockStart, Deflate, gnu, go, pigz, zlib};
use crate::codec::{Cursor, put_uvarint};
use crate::error::{Error, Kind, Result};

/// The largest piece of pgzip, in bytes: it is held in memory.
const MAX_BLOCK_BYTES: u64 = 16 << 20;
/// pgzip takes no smaller ones.
const MIN_BLOCK_BYTES: u64 = 16_385;

/// By how much windows of zlib and its like move on.
const WINDOW_STEP_BYTES: u64 = 32 << 10;
/// The chunks that klauspost/compress and level 1 of Go work in.
const CHUNK_BYTES: u64 = 65_535;
const PIGZ_PIECE_BYTES: u64 = 128 << 10;

/// How an encoder begins in the middle of its input: it is given what begins at `from`, as if nothing were before, and
/// what it makes of it is dropped up to the block that begins at `at`, which it begins without any symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anew {
    /// Where the plain bytes begin that it is given.
    pub from: u64,
    /// Where the block begins that is the first to be written.
    pub at: u64,
}

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
        self.stream_anew(Anew { from: 0, at: 0 })
    }

    /// The encoder as it goes on in the middle of its input.
    pub(super) fn stream_anew(self, anew: Anew) -> Box<dyn Deflate> {
        match self {
            Self::Pgzip { generation, .. } | Self::Klauspost { generation } => Box::new(klauspost::Stream::anew(generation, anew)),
            Self::Go { level } => Box::new(go::Encoder::anew(level, anew)),
            Self::Zlib { level, memory_level } => Box::new(zlib::Encoder::anew(level, memory_level, anew)),
            Self::Gnu { level } => Box::new(gnu::Encoder::anew(level, anew)),
            Self::Pigz { level } => Box::new(pigz::Encoder::anew(level, anew)),
        }
    }

    /// Whether it may begin anew with this block: at a whole byte, and of pigz with a piece.
    pub(super) fn can_begin(self, block: BlockStart) -> bool {
        let is_inside = matches!(self, Self::Pigz { .. }) && !block.plain_offset.is_multiple_of(PIGZ_PIECE_BYTES);
        !is_inside && block.output_bit.is_multiple_of(8)
    }

    /// How it begins anew with the block that begins at this place of the plain bytes.
    #[must_use]
    pub fn anew(self, at: u64) -> Anew {
        let (step, before) = self.steps();
        let whole = at.checked_rem(step).map_or(at, |over| at.saturating_sub(over));
        Anew { from: whole.saturating_sub(before), at }
    }

    /// In what steps its window moves on, and how much before the last one it needs to come to the same state.
    fn steps(self) -> (u64, u64) {
        match self {
            Self::Pgzip { .. } | Self::Klauspost { .. } | Self::Go { level: 1 } => (CHUNK_BYTES, CHUNK_BYTES.saturating_mul(2)),
            // They leave out places inside of long matches, so it takes longer until all that they know is the same.
            Self::Zlib { level: 1..=3, .. } | Self::Gnu { level: 1..=3 } => (WINDOW_STEP_BYTES, WINDOW_STEP_BYTES.saturating_mul(8)),
            Self::Go { .. } | Self::Zlib { .. } | Self::Gnu { .. } => (WINDOW_STEP_BYTES, WINDOW_STEP_BYTES),
            Self::Pigz { .. } => (PIGZ_PIECE_BYTES, WINDOW_STEP_BYTES),
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
