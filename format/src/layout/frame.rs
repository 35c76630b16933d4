//! [`FrameHeader`]: what stands before each frame, and what covers it (SPEC section 6).

use super::{FRAME_MAGIC, MAX_DEPTH, MAX_FRAME_BYTES, MAX_PREFIX_BYTES};
use crate::codec::{Cursor, length, put_digest, put_uvarint};
use crate::digest::{Digest, Hasher};
use crate::error::Result;
use crate::recipe::Run;

/// How a frame is compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codec {
    /// zstd alone.
    Zstd,
    /// zstd with a prefix of earlier content.
    Prefix {
        /// How many prefixes deep.
        depth: u8,
        /// The prefix.
        runs: Vec<Run>,
    },
}

impl Codec {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> u8 {
        match self {
            Self::Zstd => 1,
            Self::Prefix { .. } => 2,
        }
    }

    /// The runs of its prefix; none without one.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        if let Self::Prefix { runs, .. } = self { runs } else { &[] }
    }

    /// The SHA-256 that covers a frame: of what its prefix is, as the frame header has it, and of the zstd frame.
    #[must_use]
    pub fn digest(&self, stored: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(stored);
        hasher.finish()
    }

    /// What makes that digest, when it is given the zstd frame.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        let mut hasher = Hasher::sha256();
        if let Self::Prefix { runs, .. } = self {
            let mut bytes = Vec::new();
            put_runs(&mut bytes, runs);
            hasher.update(&bytes);
        }
        hasher
    }
}

fn put_runs(out: &mut Vec<u8>, runs: &[Run]) {
    put_uvarint(out, u64::try_from(runs.len()).unwrap_or(u64::MAX));
    for run in runs {
        put_digest(out, &run.digest);
        put_uvarint(out, run.offset);
        put_uvarint(out, run.bytes);
    }
}

/// What stands before each frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHeader {
    /// How it is compressed.
    pub codec: Codec,
    /// The length of the zstd frame.
    pub stored_bytes: u32,
    /// Its plain length.
    pub plain_bytes: u32,
    /// The SHA-256 that covers it: [`Codec::digest`].
    pub digest: Digest,
}

impl FrameHeader {
    /// The skippable frame, with its zstd framing.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (depth, runs) = match &self.codec {
            Codec::Zstd => (0, None),
            Codec::Prefix { depth, runs } => (*depth, Some(runs)),
        };
        let mut body = b"OCMF".to_vec();
        body.extend([self.codec.number(), depth, 0, 0]);
        body.extend(self.stored_bytes.to_le_bytes());
        body.extend(self.plain_bytes.to_le_bytes());
        body.extend(self.digest.bytes());
        if let Some(runs) = runs {
            put_runs(&mut body, runs);
        }
        body.extend(crc32c::crc32c(&body).to_le_bytes());
        let mut out = FRAME_MAGIC.to_le_bytes().to_vec();
        out.extend(u32::try_from(length(&body)).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(body);
        out
    }

    /// Reads a frame header from the front of `bytes`; says how many bytes it took.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut outer = Cursor::new(bytes, "frame header");
        if outer.u32()? != FRAME_MAGIC {
            return Err(outer.wrong("its magic is wrong"));
        }
        let body_bytes = crate::error::cap(u64::from(outer.u32()?), 1 << 20, "frame header")?;
        let body = outer.take(body_bytes)?;
        let (content, sum) = body.split_last_chunk::<4>().ok_or_else(|| outer.wrong("it is too short"))?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*sum) {
            return Err(outer.wrong("its checksum does not hold"));
        }
        let header = Self::decode_content(Cursor::new(content, "frame header"))?;
        Ok((header, body_bytes.saturating_add(8)))
    }

    fn decode_content(mut cursor: Cursor<'_>) -> Result<Self> {
        if cursor.array()? != *b"OCMF" {
            return Err(cursor.wrong("its tag is wrong"));
        }
        let (codec, depth) = (cursor.u8()?, cursor.u8()?);
        cursor.zeros(2)?;
        let (stored_bytes, plain_bytes, digest) = (cursor.u32()?, cursor.u32()?, cursor.sha256()?);
        if plain_bytes == 0 || u64::from(plain_bytes) > MAX_FRAME_BYTES {
            return Err(cursor.wrong("its plain length is out of bounds"));
        }
        if stored_bytes == 0 || u64::from(stored_bytes) > MAX_FRAME_BYTES.saturating_mul(2) {
            return Err(cursor.wrong("its stored length is out of bounds"));
        }
        let codec = match (codec, depth) {
            (1, 0) => Codec::Zstd,
            (2, 1..=MAX_DEPTH) => Codec::Prefix { depth, runs: prefix_runs(&mut cursor)? },
            (1 | 2, _) => return Err(cursor.wrong(&format!("codec {codec} has no prefix of depth {depth}"))),
            _ => return Err(cursor.unknown("codec", codec.into())),
        };
        cursor.end()?;
        Ok(Self { codec, stored_bytes, plain_bytes, digest })
    }
}

fn prefix_runs(cursor: &mut Cursor<'_>) -> Result<Vec<Run>> {
    let count = cursor.count(MAX_PREFIX_BYTES, "runs of a prefix")?;
    let mut left = MAX_PREFIX_BYTES;
    let mut runs = Vec::new();
    for _ in 0..count {
        let run = Run { digest: cursor.digest()?, offset: cursor.uvarint()?, bytes: cursor.uvarint()? };
        left = left.checked_sub(run.bytes).ok_or_else(|| cursor.wrong("the prefix is too long"))?;
        runs.push(run);
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::super::FRAME_HEADER_BYTES;
    use super::*;

    #[test]
    fn frame_headers_come_back() {
        let plain = FrameHeader { codec: Codec::Zstd, stored_bytes: 9, plain_bytes: 10, digest: Digest::of(b"x") };
        let bytes = plain.encode();
        assert_eq!(length(&bytes), FRAME_HEADER_BYTES);
        assert_eq!(FrameHeader::decode(&bytes).expect("a header"), (plain.clone(), bytes.len()));
        let runs = vec![Run { digest: Digest::of(b"old"), offset: 3, bytes: 4 }];
        let patch = FrameHeader { codec: Codec::Prefix { depth: 2, runs }, ..plain };
        let bytes = patch.encode();
        assert_eq!(FrameHeader::decode(&bytes).expect("a header"), (patch, bytes.len()));
    }
}
