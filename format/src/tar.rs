//! The tar container of a volume: headers that follow from name, size and time (SPEC section 3).
//!
//! **Invariants.** [`header`] is the only maker of headers; a reader compares instead of parsing. Only
//! [`scanned_size`] reads a number out of a header, as a hint.
//!
//! *Not here:* tar files inside of layers (`chunk`).

use crate::codec::length;
use crate::error::{Error, Result};

/// Everything in a tar file is a multiple of this.
pub const BLOCK: u64 = 512;
/// A header as an array.
pub type Header = [u8; 512];
/// The zero bytes at the end of a volume.
pub const END_BYTES: u64 = 1024;
/// The longest member name, in bytes.
pub const MAX_NAME_BYTES: usize = 100;
const MAX_OCTAL_11: u64 = 0o777_7777_7777;

/// The header of a member. `time` is in seconds since 1970.
pub fn header(name: &str, size: u64, time: u64) -> Result<Header> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::limit(format!("member name {name:?}: it has no place in a tar header")));
    }
    if size > MAX_OCTAL_11 || time > MAX_OCTAL_11 {
        return Err(Error::limit(format!("member {name}: size {size} or time {time} has no place in a tar header")));
    }
    let mut header = [0u8; 512];
    fill(&mut header, 0, name.as_bytes());
    fill(&mut header, 100, b"0000444\x000000000\x000000000\0");
    fill(&mut header, 124, format!("{size:011o}\0{time:011o}\0").as_bytes());
    fill(&mut header, 148, b"        0");
    fill(&mut header, 257, b"ustar\x0000");
    let sum = header.iter().fold(0u32, |sum, byte| sum.saturating_add(u32::from(*byte)));
    fill(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

fn fill(header: &mut Header, offset: usize, bytes: &[u8]) {
    header.iter_mut().skip(offset).zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// Name and size that a header of ours claims; `None` if no member of ours can have this header.
#[must_use]
pub fn scanned_size(bytes: &Header, time: u64) -> Option<(String, u64)> {
    let name: Vec<u8> = bytes.iter().copied().take(MAX_NAME_BYTES).take_while(|byte| *byte != 0).collect();
    let name = String::from_utf8(name).ok()?;
    let digits = std::str::from_utf8(bytes.get(124..135)?).ok()?;
    let size = u64::from_str_radix(digits, 8).ok()?;
    (header(&name, size, time).ok()? == *bytes).then_some((name, size))
}

/// `size` rounded up to whole blocks.
#[must_use]
pub fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// What a member of `size` bytes takes in the file: header, content, padding.
#[must_use]
pub fn member_bytes(size: u64) -> u64 {
    padded(size).saturating_add(BLOCK)
}

/// Appends a whole member.
pub fn put_member(out: &mut Vec<u8>, name: &str, content: &[u8], time: u64) -> Result<()> {
    out.extend_from_slice(&header(name, length(content), time)?);
    out.extend_from_slice(content);
    put_padding(out, length(content));
    Ok(())
}

/// Appends the zeros that follow a content of `size` bytes.
pub fn put_padding(out: &mut Vec<u8>, size: u64) {
    let zeros = padded(size).saturating_sub(size);
    out.extend(std::iter::repeat_n(0u8, usize::try_from(zeros).unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_name_and_size_to_a_scan() {
        let bytes = header("packs/000001.zst", 12345, 1_700_000_000).expect("a header");
        assert_eq!(scanned_size(&bytes, 1_700_000_000), Some(("packs/000001.zst".into(), 12345)));
        assert_eq!(scanned_size(&bytes, 1_700_000_001), None);
        for place in 0..512 {
            let mut flipped = bytes;
            flipped[place] ^= 0x10;
            assert_ne!(scanned_size(&flipped, 1_700_000_000), Some(("packs/000001.zst".into(), 12345)));
        }
    }

    #[test]
    fn names_and_sizes_without_a_place_are_refused() {
        assert!(header("", 0, 0).is_err());
        assert!(header(&"x".repeat(101), 0, 0).is_err());
        assert!(header("a\nb", 0, 0).is_err());
        assert!(header("a", 1 << 33, 0).is_err());
    }
}
