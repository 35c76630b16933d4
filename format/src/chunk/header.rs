//! Reads the header of a tar entry: what decides where the next one is, its kind and size; its name; and what else it says.
//!
//! **Invariants.** A header counts only when its checksum matches and its size is a number from 0 to `i64::MAX`, so no
//! sum of sizes and padding overflows. Of the size and checksum fields: leading spaces and NULs, digits, then nothing,
//! or a space or NUL.
//!
//! *Not here:* pax records (`pax`), and what an entry means in an image.

pub(crate) const BLOCK_BYTES: usize = 512;

/// The unit of a tar.
pub(crate) type Block = [u8; BLOCK_BYTES];

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes of a file: regular files, and all types that are not known here.
    Data,
    /// Nothing, whatever the size says: links, devices, directories, fifos.
    Bare,
    /// Pax records, for the next entry or for all that follow.
    Pax {
        /// Whether they are for all that follow.
        global: bool,
    },
    /// A GNU long name or link target.
    LongName,
}

/// The kind of an entry and the size of what follows its header; none, where the block is no header to rely on.
pub(crate) fn read(block: &Block) -> Option<(Kind, u64)> {
    let sum = octal(block.get(148..156)?)?;
    if !checksum_matches(block, sum) {
        return None;
    }
    let size = number(block.get(124..136)?)?;
    Some((kind(block)?, size))
}

/// The name of the entry as the header has it: two fields where it is of POSIX.
pub(crate) fn name(block: &Block) -> Vec<u8> {
    let prefix = if block.get(257..263) == Some(b"ustar\0") { text(block, 345, 500) } else { &[] };
    if prefix.is_empty() { text(block, 0, 100).to_vec() } else { [prefix, b"/", text(block, 0, 100)].concat() }
}

/// The target of a link as the header has it.
pub(crate) fn link(block: &Block) -> &[u8] {
    text(block, 157, 257)
}

/// The type flag.
pub(crate) fn flag(block: &Block) -> u8 {
    block.get(156).copied().unwrap_or_default()
}

/// What a header says besides kind, size and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields {
    /// The permissions, and perhaps a type.
    pub(crate) mode: u64,
    /// The owner.
    pub(crate) uid: u64,
    /// The group.
    pub(crate) gid: u64,
    /// When it was modified, in seconds since 1970.
    pub(crate) seconds: i64,
    /// Major and minor number of a device; 0 in a header that has no room for them.
    pub(crate) device: (u64, u64),
}

/// What a header says besides kind, size and names; none where a field is no number.
pub(crate) fn fields(block: &Block) -> Option<Fields> {
    let field = |from: usize, to: usize| number(block.get(from..to)?);
    let has_device = block.get(257..262) == Some(b"ustar");
    let device = if has_device { (field(329, 337)?, field(337, 345)?) } else { (0, 0) };
    Some(Fields { mode: field(100, 108)?, uid: field(108, 116)?, gid: field(116, 124)?, seconds: seconds(block.get(136..148)?)?, device })
}

/// A time, which may be before 1970 in base 256.
fn seconds(field: &[u8]) -> Option<i64> {
    match field.split_first() {
        Some((0xff, rest)) => {
            let low: [u8; 8] = rest.last_chunk().copied()?;
            let value = i64::from_be_bytes(low);
            (value < 0 && rest.iter().take(3).all(|&byte| byte == 0xff)).then_some(value)
        }
        _ => i64::try_from(number(field)?).ok(),
    }
}

/// The text of a field: what stands before the first NUL.
fn text(block: &Block, from: usize, to: usize) -> &[u8] {
    block.get(from..to).unwrap_or_default().split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Whether all of `bytes` are zero, as at the end of a tar.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// How many bytes fill the last block of `size` bytes.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % 512
}

/// The kind that the type flag says; none for an old GNU sparse file whose map goes on in blocks after the header.
fn kind(block: &Block) -> Option<Kind> {
    let continues = *block.get(482)? != 0;
    match block.get(156)? {
        b'1'..=b'6' => Some(Kind::Bare),
        b'x' => Some(Kind::Pax { global: false }),
        b'g' => Some(Kind::Pax { global: true }),
        b'K' | b'L' => Some(Kind::LongName),
        b'S' if continues => None,
        _ => Some(Kind::Data),
    }
}

/// Old tars summed up signed bytes; both sums are in use.
fn checksum_matches(block: &Block, sum: u64) -> bool {
    let byte = |(at, &byte): (usize, &u8)| if (148..156).contains(&at) { b' ' } else { byte };
    let unsigned: i64 = block.iter().enumerate().map(byte).map(i64::from).sum();
    let signed: i64 = block.iter().enumerate().map(byte).map(|byte| i64::from(byte.cast_signed())).sum();
    i64::try_from(sum).is_ok_and(|sum| sum == unsigned || sum == signed)
}

/// A number as tar has them: octal digits, or base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    let value = match field.split_first() {
        Some((first, rest)) if first & 0x80 != 0 => base_256(first & 0x7f, rest)?,
        _ => octal(field)?,
    };
    i64::try_from(value).is_ok().then_some(value)
}

/// Big-endian. The second bit is the sign; a negative number is too large like any other that sets it.
fn base_256(first: u8, rest: &[u8]) -> Option<u64> {
    rest.iter().try_fold(u64::from(first), |value, &byte| value.checked_mul(256)?.checked_add(u64::from(byte)))
}

fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let mut value: u64 = 0;
    for byte in field.iter().skip_while(|&byte| blank(byte)).take_while(|&byte| !blank(byte)) {
        let digit = matches!(byte, b'0'..=b'7').then(|| u64::from(byte & 7))?;
        value = value.checked_mul(8)?.checked_add(digit)?;
    }
    Some(value)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    fn block(flag: u8, size: &[u8]) -> Block {
        let mut bytes = [0; BLOCK_BYTES];
        bytes[124..136][..size.len()].copy_from_slice(size);
        bytes[156] = flag;
        signed(bytes)
    }

    fn signed(mut bytes: Block) -> Block {
        bytes[148..156].fill(b' ');
        let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    }

    #[test]
    fn sizes_are_read_in_every_notation() {
        for (field, size) in [
            (b"00000001750\0".as_slice(), Some(1000)),
            (b"00000001750 ", Some(1000)),
            (b"000000001750", Some(1000)),
            (b"       1750 ", Some(1000)),
            (b"1750\0junk", Some(1000)),
            (b"", Some(0)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x03\xe8", Some(1000)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\x01", Some((8 << 30) + 1)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(u64::MAX >> 1)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\xc0\0\0\0\0\0\0\0\0\0\0\x01", None),
            (b"00000001759\0", None),
            (b"-0000000001\0", None),
            (b"0x10", None),
        ] {
            assert_eq!(read(&block(b'0', field)), size.map(|size| (Kind::Data, size)), "{field:?}");
        }
    }

    #[test]
    fn the_type_flag_says_what_follows() {
        for (flags, kind) in [
            (b"0\x007MVNDASXzA".as_slice(), Kind::Data),
            (b"123456", Kind::Bare),
            (b"x", Kind::Pax { global: false }),
            (b"g", Kind::Pax { global: true }),
            (b"KL", Kind::LongName),
        ] {
            for &flag in flags {
                assert_eq!(read(&block(flag, b"10")), Some((kind, 8)), "{}", flag.escape_ascii());
            }
        }
    }

    #[test]
    fn a_sparse_map_that_goes_on_after_the_header_is_not_followed() {
        let mut header = block(b'S', b"10");
        header[482] = 1;
        assert_eq!(read(&signed(header)), None);
        header[156] = b'0';
        assert_eq!(read(&signed(header)), Some((Kind::Data, 8)));
    }

    #[test]
    fn any_changed_byte_breaks_the_checksum() {
        let good = block(b'0', b"00000001750\0");
        for at in (0..BLOCK_BYTES).filter(|at| !(154..156).contains(at)) {
            let mut bad = good;
            bad[at] ^= 0x01;
            assert_eq!(read(&bad), None, "byte {at}");
        }
    }

    #[test]
    fn a_checksum_of_signed_bytes_counts_too() {
        let mut header = block(b'0', b"10");
        header[..4].copy_from_slice(b"\xc3\xa9\xc3\xa9");
        header[148..156].fill(b' ');
        let sum: i64 = header.iter().map(|&byte| i64::from(byte.cast_signed())).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(read(&header), Some((Kind::Data, 8)));
    }

    #[test]
    fn every_field_is_read_and_times_may_be_before_1970() {
        let mut bytes = [0; BLOCK_BYTES];
        for (at, text) in [
            (100, &b"0100644\0"[..]),
            (108, b"0001750\0"),
            (116, b"0000012\0"),
            (136, b"14524770000\0"),
            (157, b"a/b"),
            (257, b"ustar\0"),
            (329, b"0000010\0"),
            (337, b"0000003\0"),
        ] {
            bytes[at..at + text.len()].copy_from_slice(text);
        }
        let expected = Fields { mode: 0o100_644, uid: 1000, gid: 10, seconds: 0o14_524_770_000, device: (8, 3) };
        assert_eq!((fields(&bytes), link(&bytes)), (Some(expected), &b"a/b"[..]));
        bytes[136..148].copy_from_slice(&[[0xff; 11].as_slice(), &[0xfe]].concat());
        assert_eq!(fields(&bytes), Some(Fields { seconds: -2, ..expected }));
        bytes[257..263].copy_from_slice(b"\0\0\0\0\0\0");
        assert_eq!(fields(&bytes).map(|fields| fields.device), Some((0, 0)), "the oldest headers have something else there");
        for (at, bad) in [(100, b'x'), (108, b'x'), (136, b'9')] {
            let mut broken = bytes;
            broken[at] = bad;
            assert_eq!(fields(&broken), None, "byte {at}");
        }
    }

    #[test]
    fn padding_fills_the_last_block() {
        for (size, bytes) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511), (u64::MAX >> 1, 1)] {
            assert_eq!(padding(size), bytes, "{size}");
        }
    }
}
