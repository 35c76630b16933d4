//! [`FrameHeader`]: what stands before each frame, and what covers it (SPEC section 6).

use super::{FRAME_HEADER_BYTES, FRAME_MAGIC, MAX_DEPTH, MAX_FRAME_BYTES, MAX_PREFIX_BYTES};
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
        hasher.update(&self.prefix_bytes());
        hasher
    }

    /// The length of the frame header, with its zstd framing.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES.saturating_add(length(&self.prefix_bytes()))
    }

    /// What the frame header says of the prefix.
    fn prefix_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Self::Prefix { depth, runs } = self {
            out.push(*depth);
            put_uvarint(&mut out, u64::try_from(runs.len()).unwrap_or(u64::MAX));
            for run in runs {
                put_digest(&mut out, &run.digest);
                put_uvarint(&mut out, run.offset);
                put_uvarint(&mut out, run.bytes);
            }
        }
        out
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
    /// Where its plain bytes begin in the stream: so each frame has its place, whatever is left of those before it.
    pub stream_offset: u64,
    /// The SHA-256 that covers it: [`Codec::digest`].
    pub digest: Digest,
}

impl FrameHeader {
    /// The skippable frame, with its zstd framing.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = b"OCMF".to_vec();
        body.extend([self.codec.number(), 0, 0, 0]);
        body.extend(self.stored_bytes.to_le_bytes());
        body.extend(self.plain_bytes.to_le_bytes());
        body.extend(self.stream_offset.to_le_bytes());
        body.extend(self.digest.bytes());
        body.extend(self.codec.prefix_bytes());
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
        let codec = cursor.u8()?;
        cursor.zeros(3)?;
        let (stored_bytes, plain_bytes) = (cursor.u32()?, cursor.u32()?);
        let (stream_offset, digest) = (cursor.u64()?, cursor.sha256()?);
        if plain_bytes == 0 || u64::from(plain_bytes) > MAX_FRAME_BYTES {
            return Err(cursor.wrong("its plain length is out of bounds"));
        }
        if stored_bytes == 0 || u64::from(stored_bytes) > MAX_FRAME_BYTES.saturating_mul(2) {
            return Err(cursor.wrong("its stored length is out of bounds"));
        }
        if stream_offset > u64::MAX >> 1 {
            return Err(cursor.wrong("its place in the stream is out of bounds"));
        }
        let codec = match codec {
            1 => Codec::Zstd,
            2 => prefix(&mut cursor)?,
            _ => return Err(cursor.unknown("codec", codec.into())),
        };
        cursor.end()?;
        Ok(Self { codec, stored_bytes, plain_bytes, stream_offset, digest })
    }
}

fn prefix(cursor: &mut Cursor<'_>) -> Result<Codec> {
    let depth = cursor.u8()?;
    if !(1..=MAX_DEPTH).contains(&depth) {
        return Err(cursor.wrong(&format!("a prefix of depth {depth} is out of bounds")));
    }
    let count = cursor.count(MAX_PREFIX_BYTES, "runs of a prefix")?;
    let mut left = MAX_PREFIX_BYTES;
    let mut runs = Vec::new();
    for _ in 0..count {
        let run = Run { digest: cursor.digest()?, offset: cursor.uvarint()?, bytes: cursor.uvarint()? };
        left = left.checked_sub(run.bytes).ok_or_else(|| cursor.wrong("the prefix is too long"))?;
        runs.push(run);
    }
    Ok(Codec::Prefix { depth, runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_headers_come_back() {
        let plain = FrameHeader { codec: Codec::Zstd, stored_bytes: 9, plain_bytes: 10, stream_offset: 77, digest: Digest::of(b"x") };
        let bytes = plain.encode();
        assert_eq!(length(&bytes), FRAME_HEADER_BYTES);
        assert_eq!(FrameHeader::decode(&bytes).expect("a header"), (plain.clone(), bytes.len()));
        let runs = vec![Run { digest: Digest::of(b"old"), offset: 3, bytes: 4 }];
        let patch = FrameHeader { codec: Codec::Prefix { depth: 2, runs }, ..plain };
        let bytes = patch.encode();
        assert_eq!(length(&bytes), patch.codec.header_bytes());
        assert_eq!(FrameHeader::decode(&bytes).expect("a header"), (patch, bytes.len()));
    }

    #[test]
    fn frame_headers_at_the_limits_come_back_and_beyond_them_are_refused() {
        let most = u32::try_from(MAX_FRAME_BYTES).expect("16 MiB");
        let header = |stored_bytes, plain_bytes, stream_offset| FrameHeader {
            codec: Codec::Zstd,
            stored_bytes,
            plain_bytes,
            stream_offset,
            digest: Digest::of(b"x"),
        };
        for sound in [header(1, 1, 0), header(2 * most, most, u64::MAX >> 1)] {
            assert_eq!(FrameHeader::decode(&sound.encode()).expect("a header").0, sound);
        }
        for (wrong, why) in [
            (header(1, 0, 0), "plain length"),
            (header(1, most + 1, 0), "plain length"),
            (header(0, 1, 0), "stored length"),
            (header(2 * most + 1, 1, 0), "stored length"),
            (header(1, 1, (u64::MAX >> 1) + 1), "place in the stream"),
        ] {
            let error = FrameHeader::decode(&wrong.encode()).expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_prefix_has_its_runs_and_a_depth_within_bounds() {
        let run = |bytes| Run { digest: Digest::of(b"old"), offset: 3, bytes };
        let header = |depth, runs| {
            let codec = Codec::Prefix { depth, runs };
            FrameHeader { codec, stored_bytes: 9, plain_bytes: 10, stream_offset: 0, digest: Digest::of(b"x") }
        };
        let sound = header(MAX_DEPTH, vec![run(MAX_PREFIX_BYTES - 1), run(1)]);
        assert_eq!(FrameHeader::decode(&sound.encode()).expect("a header").0.codec.runs().len(), 2);
        for wrong in [header(0, vec![run(1)]), header(MAX_DEPTH + 1, vec![run(1)]), header(1, vec![run(MAX_PREFIX_BYTES), run(1)])] {
            assert!(FrameHeader::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_digest_of_a_frame_covers_all_that_is_said_of_its_prefix() {
        let of = |depth, offset, bytes| {
            let runs = vec![Run { digest: Digest::of(b"old"), offset, bytes }];
            Codec::Prefix { depth, runs }.digest(b"stored")
        };
        assert!([of(2, 3, 4), of(1, 4, 4), of(1, 3, 5), Codec::Zstd.digest(b"stored")].iter().all(|other| *other != of(1, 3, 4)));
    }
}
