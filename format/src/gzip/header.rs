//! The header of a gzip member (RFC 1952 section 2.3), kept as it came.

use std::io::{self, Read};

/// Headers longer than this are not replayed, in bytes.
const MAX_HEADER_BYTES: usize = 2048;
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const FIXED_BYTES: usize = 10;
const HAS_CHECK: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;

/// A header, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header(Vec<u8>);

/// What stands where a member may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// A member.
    Member(Header),
    /// Something else, or a header that is not replayed.
    Other,
    /// The end.
    End,
}

impl Header {
    /// Takes these bytes for a header.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The four bytes of the time of modification.
    #[must_use]
    pub fn time(&self) -> [u8; 4] {
        self.0.get(4..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
    }

    /// XFL: 2 for the slowest level, 4 for the fastest; not every encoder sets it.
    #[must_use]
    pub fn extra_flags(&self) -> u8 {
        self.0.get(8).copied().unwrap_or_default()
    }

    /// The number of the operating system; 255 if unknown.
    #[must_use]
    pub fn system(&self) -> u8 {
        self.0.get(9).copied().unwrap_or_default()
    }
}

/// Reads what stands here. Bytes that turn out not to be a header are gone.
pub fn read(from: &mut dyn Read) -> io::Result<Begin> {
    let mut bytes = Vec::with_capacity(FIXED_BYTES);
    from.take(u64::try_from(FIXED_BYTES).unwrap_or_default()).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(Begin::End);
    }
    let flags = match (bytes.starts_with(&MAGIC), bytes.get(3)) {
        (true, Some(flags)) if bytes.len() == FIXED_BYTES && flags & 0xe0 == 0 => *flags,
        _ => return Ok(Begin::Other),
    };
    let mut is_whole = true;
    if flags & HAS_EXTRA != 0 {
        is_whole &= take(from, 2, &mut bytes)?;
        let length = bytes.last_chunk().map_or(0, |length| usize::from(u16::from_le_bytes(*length)));
        is_whole = is_whole && take(from, length, &mut bytes)?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        is_whole = is_whole && (flags & flag == 0 || take_text(from, &mut bytes)?);
    }
    is_whole = is_whole && (flags & HAS_CHECK == 0 || take(from, 2, &mut bytes)?);
    Ok(if is_whole && bytes.len() <= MAX_HEADER_BYTES { Begin::Member(Header(bytes)) } else { Begin::Other })
}

/// Takes `count` bytes; whether they were all there and are not too many.
fn take(from: &mut dyn Read, count: usize, bytes: &mut Vec<u8>) -> io::Result<bool> {
    if count > MAX_HEADER_BYTES {
        return Ok(false);
    }
    let taken = from.take(u64::try_from(count).unwrap_or(u64::MAX)).read_to_end(bytes)?;
    Ok(taken == count)
}

/// Takes bytes up to a zero; whether one came in time.
fn take_text(from: &mut dyn Read, bytes: &mut Vec<u8>) -> io::Result<bool> {
    while bytes.len() <= MAX_HEADER_BYTES {
        if !take(from, 1, bytes)? {
            return Ok(false);
        }
        if bytes.last() == Some(&0) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Begin {
        read(&mut &bytes[..]).expect("memory can be read")
    }

    #[test]
    fn a_header_is_taken_whole_with_all_its_fields() {
        let plain = [0x1f, 0x8b, 8, 0, 0, 9, 0x6e, 0x88, 0, 255];
        let Begin::Member(header) = read_all(&[&plain[..], b"rest"].concat()) else { panic!("a member") };
        assert_eq!((header.bytes(), header.time(), header.extra_flags(), header.system()), (&plain[..], [0, 9, 0x6e, 0x88], 0, 255));
        let full = [&[0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 1, 2, 3, 4, 2, 3, 3, 0][..], b"abc", b"name\0", b"comment\0", &[7, 8]].concat();
        assert_eq!(read_all(&[&full[..], b"rest"].concat()), Begin::Member(Header(full)));
    }

    #[test]
    fn what_is_no_header_or_not_whole_is_something_else() {
        assert_eq!(read_all(b""), Begin::End);
        let long = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &[b'a'; 5000]].concat();
        for other in [&b"\0\0\0"[..], b"\x1f\x8b\x08", &[0x1f, 0x8b, 8, 0x20, 0, 0, 0, 0, 0, 3], &[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3, 255, 255, 1], &long] {
            assert_eq!(read_all(other), Begin::Other, "{other:?}");
        }
    }
}
