//! [`Cursor`] and the functions beside it: the primitive encodings of SPEC section 2.
//!
//! **Invariants.** A cursor never reads past its end and never panics; numbers are taken in their shortest form only.
//!
//! *Not here:* any structure (`layout`, `recipe`, `index`).

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// Bytes being read from front to back.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`; `what` names them in errors.
    #[must_use]
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error about these bytes.
    #[must_use]
    pub fn wrong(&self, why: &str) -> Error {
        Error::damaged(format!("{}: {why}", self.what))
    }

    /// An error about a number in these bytes that stands for something this version does not have.
    #[must_use]
    pub fn unknown(&self, kind: &str, number: u64) -> Error {
        unknown(self.what, kind, number)
    }

    /// Fails unless all was read.
    pub fn end(&self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(self.wrong("bytes are left over")) }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.wrong("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.wrong("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Two bytes as a number.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes as a number.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes as a number.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// `count` bytes that must be zero.
    pub fn zeros(&mut self, count: usize) -> Result<()> {
        if self.take(count)?.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(self.wrong("a reserved byte is not zero")) }
    }

    /// A uvarint.
    pub fn uvarint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0u32..64).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            let shifted = group << shift;
            if shifted >> shift != group {
                return Err(self.wrong("a number is larger than 64 bits"));
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(self.wrong("a number is not in its shortest form")) } else { Ok(value) };
            }
        }
        Err(self.wrong("a number is longer than 10 bytes"))
    }

    /// A uvarint of at most `limit`, as a length or count.
    pub fn count(&mut self, limit: u64, what: &str) -> Result<usize> {
        let value = self.uvarint()?;
        crate::error::cap(value, limit, what)
    }

    /// A signed number in zigzag form.
    pub fn zigzag(&mut self) -> Result<i64> {
        let value = self.uvarint()?;
        let half = (value >> 1).cast_signed();
        Ok(if value & 1 == 0 { half } else { !half })
    }

    /// A digest.
    pub fn digest(&mut self) -> Result<Digest> {
        match self.u8()? {
            1 => self.array().map(Digest::Sha256),
            2 => self.array().map(Digest::Sha512),
            other => Err(self.unknown("digest algorithm", other.into())),
        }
    }

    /// A SHA-256 without its algorithm byte.
    pub fn sha256(&mut self) -> Result<Digest> {
        self.array().map(Digest::Sha256)
    }

    /// A text of at most `limit` bytes.
    pub fn text(&mut self, limit: u64, what: &str) -> Result<&'a str> {
        let length = self.count(limit, what)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.wrong(&format!("{what} is not UTF-8")))
    }
}

/// The error about a number in `what` that stands for something this version does not have.
pub(crate) fn unknown(what: &str, kind: &str, number: u64) -> Error {
    Error::new(Kind::Unsupported, format!("{what}: {kind} {number} is unknown, and this version cannot do without"))
}

/// Appends a uvarint.
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends a signed number in zigzag form.
pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Appends a digest.
pub fn put_digest(out: &mut Vec<u8>, digest: &Digest) {
    out.push(match digest {
        Digest::Sha256(_) => 1,
        Digest::Sha512(_) => 2,
    });
    out.extend_from_slice(digest.bytes());
}

/// Appends a text or bytes with their length before them.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, length(bytes));
    out.extend_from_slice(bytes);
}

/// The length of `bytes` as the format counts.
#[must_use]
pub fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// How many bytes `value` takes as a uvarint: 1 to 10.
#[must_use]
pub fn uvarint_len(value: u64) -> u64 {
    let bits = 64u32.saturating_sub((value | 1).leading_zeros());
    u64::from(bits.div_ceil(7))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, 1 << 32, u64::MAX] {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            assert_eq!(length(&out), uvarint_len(value));
            assert_eq!(Cursor::new(&out, "x").uvarint().expect("a number"), value);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            put_zigzag(&mut out, value);
            assert_eq!(Cursor::new(&out, "x").zigzag().expect("a number"), value);
        }
    }

    #[test]
    fn numbers_in_a_longer_form_or_too_large_are_refused() {
        for bytes in [&[0x80, 0x00][..], &[0xff; 9][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..], &[0x80; 12][..]]
        {
            assert!(Cursor::new(bytes, "x").uvarint().is_err(), "{bytes:?}");
        }
    }
}
