//! Frames: the unit of compression and of random access, each one zstd frame.
//!
//! **Invariants.** A frame states its content size and holds exactly that. Content that is compressed already becomes
//! raw blocks, without an attempt. What comes out of [`decompress`] has the length that was asked for.
//!
//! *Not here:* the header before each frame (`layout`), and whose bytes a frame holds (`recipe`).

use std::cell::RefCell;
use std::io::{self, Read};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CParameter, DParameter, ResetDirective};

use crate::error::{Error, Kind, Result};

/// The highest zstd level that is taken.
pub const MAX_LEVEL: i32 = 19;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const MAX_BLOCK: usize = 128 << 10;
/// The largest window of a frame, as a power of two of bytes.
pub(crate) const WINDOW_LOG: u32 = 23;
/// The largest frame of a single segment, which is its own window.
const SEGMENT_LOG: u32 = 24;
/// The size of the tables of frames with a prefix.
const PREFIX_TABLE_LOG: u32 = 22;
/// What stands before each raw block.
const BLOCK_HEADER: usize = 3;
/// What stands before the blocks of a frame that wraps.
const WRAP_HEADER: usize = 9;

/// The most bytes that a frame of `plain` bytes can take.
#[must_use]
pub fn bound(plain: u64) -> u64 {
    let block = u64::try_from(MAX_BLOCK).unwrap_or(u64::MAX);
    plain
        .saturating_add(plain.div_ceil(block).saturating_mul(3))
        .saturating_add(32)
        .max(u64::try_from(zstd_safe::compress_bound(usize::try_from(plain).unwrap_or(usize::MAX))).unwrap_or(u64::MAX))
}

/// Compresses `plain` into one frame.
pub fn compress(plain: &[u8], level: i32) -> Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    }
    let failed = |error: std::io::Error| Error::new(Kind::Limit, format!("zstd at level {level}: {error}"));
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(at, ..)| *at != level) {
            *kept = Some((level, compressor(level).map_err(failed)?, Vec::new()));
        }
        let (_, compressor, room) = kept.as_mut().ok_or_else(|| Error::limit("zstd: no compressor"))?;
        room.clear();
        room.reserve(zstd_safe::compress_bound(plain.len()));
        compressor.compress_to_buffer(plain, room).map_err(failed)?;
        // A frame waits to be written: it takes no more memory than it has bytes.
        Ok(room.as_slice().to_vec())
    })
}

/// Compresses `plain` into one frame that needs `prefix` to be decompressed. The tables are larger than those of the level: they must
/// find what is anywhere in the prefix.
pub fn compress_after(plain: &[u8], level: i32, prefix: &[u8]) -> Result<Vec<u8>> {
    let failed = |code: usize| Error::new(Kind::Limit, format!("zstd after a prefix: {}", zstd_safe::get_error_name(code)));
    // One for each frame: a context lives no longer than what it refers to.
    let mut context = zstd_safe::CCtx::try_create().ok_or_else(|| Error::limit("zstd: no compressor"))?;
    for parameter in [
        CParameter::CompressionLevel(level),
        CParameter::ContentSizeFlag(true),
        CParameter::ChecksumFlag(false),
        CParameter::WindowLog(WINDOW_LOG),
        CParameter::HashLog(PREFIX_TABLE_LOG),
        CParameter::ChainLog(PREFIX_TABLE_LOG),
    ] {
        context.set_parameter(parameter).map_err(failed)?;
    }
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
    context.ref_prefix(prefix).map_err(failed)?;
    context.compress2(&mut out, plain).map_err(failed)?;
    Ok(out)
}

fn compressor(level: i32) -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    compressor.set_parameter(CParameter::ChecksumFlag(false))?;
    Ok(compressor)
}

/// The bytes of a frame that wraps `plain` bytes.
#[must_use]
pub fn wrapped_bytes(plain: usize) -> usize {
    plain.saturating_add(plain.div_ceil(MAX_BLOCK).max(1).saturating_mul(BLOCK_HEADER)).saturating_add(WRAP_HEADER)
}

/// Reads up to `limit` bytes and wraps them into one frame as they come: a run of raw blocks, read to where they stand. The
/// frame takes the place of what `out` holds. Says how many bytes there were.
pub fn wrap(content: &mut dyn Read, limit: u32, out: &mut Vec<u8>) -> io::Result<u32> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    out.resize(wrapped_bytes(most), 0);
    let (header, mut room) = out.split_at_mut_checked(WRAP_HEADER).unwrap_or_default();
    let (mut plain, mut blocks) = (0usize, Vec::new());
    while let Some((head, rest)) = room.split_at_mut_checked(BLOCK_HEADER) {
        let block = MAX_BLOCK.min(most.saturating_sub(plain)).min(rest.len());
        let (block, rest) = rest.split_at_mut_checked(block).unwrap_or_default();
        let count = read_full(content, block)?;
        if count == 0 && plain > 0 {
            break;
        }
        blocks.push((head, count));
        plain = plain.saturating_add(count);
        room = rest;
        if count < MAX_BLOCK {
            break;
        }
    }
    if let Some((last, blocks)) = blocks.split_last_mut() {
        blocks.iter_mut().for_each(|(head, count)| head.copy_from_slice(&block_header(*count, false)));
        last.0.copy_from_slice(&block_header(last.1, true));
    }
    let size = u32::try_from(plain).map_err(io::Error::other)?;
    let [a, b, c, d] = size.to_le_bytes();
    let [m, n, o, p] = MAGIC;
    // Single segment, content size in four bytes, no checksum, no dictionary.
    header.copy_from_slice(&[m, n, o, p, 0xA0, a, b, c, d]);
    out.truncate(wrapped_bytes(plain));
    Ok(size)
}

/// Whether `stored` is what [`wrap`] makes of so many bytes, so that they stand in it as they are.
pub(crate) fn is_wrapped(stored: &[u8], plain_bytes: usize) -> bool {
    let Some((header, mut blocks)) = stored.split_at_checked(WRAP_HEADER).filter(|_| stored.len() == wrapped_bytes(plain_bytes)) else {
        return false;
    };
    if !matches!(header, [m, n, o, p, 0xA0, ..] if [*m, *n, *o, *p] == MAGIC) {
        return false;
    }
    let mut left = plain_bytes;
    while let Some((head, rest)) = blocks.split_first_chunk::<BLOCK_HEADER>() {
        let bytes = left.min(MAX_BLOCK);
        left = left.saturating_sub(bytes);
        if *head != block_header(bytes, left == 0) {
            return false;
        }
        blocks = rest.get(bytes..).unwrap_or_default();
    }
    left == 0
}

/// Where in a frame that [`wrap`] made byte `at` of its content stands, and how many stand together from there.
pub(crate) fn in_wrapped(at: u64, plain_bytes: u64) -> (u64, u64) {
    let [block, block_header, header] = [MAX_BLOCK, BLOCK_HEADER, WRAP_HEADER].map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
    let number = at.checked_div(block).unwrap_or_default();
    let end = number.saturating_add(1).saturating_mul(block).min(plain_bytes);
    let headers = number.saturating_add(1).saturating_mul(block_header).saturating_add(header);
    (headers.saturating_add(at), end.saturating_sub(at))
}

/// The header of a raw block.
fn block_header(bytes: usize, last: bool) -> [u8; BLOCK_HEADER] {
    let [a, b, c, _] = ((u32::try_from(bytes).unwrap_or_default() << 3) | u32::from(last)).to_le_bytes();
    [a, b, c]
}

/// Fills `buffer` as far as there is content.
fn read_full(content: &mut dyn Read, mut buffer: &mut [u8]) -> io::Result<usize> {
    let mut full = 0usize;
    while !buffer.is_empty() {
        match content.read(buffer) {
            Ok(0) => break,
            Ok(count) => {
                full = full.saturating_add(count);
                buffer = buffer.get_mut(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(full)
}

/// The content of `stored`, which must be one whole frame of exactly `plain_bytes`; `prefix` is what it was
/// compressed with, if it was. `plain_bytes` has passed its limit already.
pub fn decompress(stored: &[u8], plain_bytes: usize, prefix: Option<&[u8]>) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    decompress_into(&mut plain, stored, plain_bytes, prefix)?;
    Ok(plain)
}

/// The same, in place of what `plain` holds; its memory is used again.
pub fn decompress_into(plain: &mut Vec<u8>, stored: &[u8], plain_bytes: usize, prefix: Option<&[u8]>) -> Result<()> {
    let wrong = |why: &str| Error::damaged(format!("frame: {why}"));
    let says = zstd_safe::get_frame_content_size(stored).ok().flatten();
    if says.and_then(|size| usize::try_from(size).ok()) != Some(plain_bytes) {
        return Err(wrong("its content size is not the one announced"));
    }
    if zstd_safe::find_frame_compressed_size(stored).ok() != Some(stored.len()) {
        return Err(wrong("it does not end where it must"));
    }
    plain.clear();
    plain.reserve_exact(plain_bytes);
    let made = match prefix {
        None => decompress_alone(plain, stored),
        Some(prefix) => decompress_after(plain, stored, prefix),
    };
    if made == Some(plain_bytes) { Ok(()) } else { Err(wrong("it does not decompress")) }
}

/// The beginning of what `stored` holds, as much as `plain` has room for; less than all of it. The caller has verified `stored`.
pub fn decompress_beginning(plain: &mut [u8], stored: &[u8]) -> Result<()> {
    thread_local! {
        static CONTEXT: RefCell<Option<zstd_safe::DCtx<'static>>> = const { RefCell::new(None) };
    }
    let bytes = plain.len();
    let made = CONTEXT.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = zstd_safe::DCtx::try_create();
        }
        let context = kept.as_mut()?;
        context.reset(ResetDirective::SessionOnly).ok()?;
        context.set_parameter(DParameter::WindowLogMax(SEGMENT_LOG)).ok()?;
        let mut out = zstd_safe::OutBuffer::around(plain);
        let mut from = zstd_safe::InBuffer::around(stored);
        while out.pos() < bytes {
            let before = (out.pos(), from.pos());
            context.decompress_stream(&mut out, &mut from).ok()?;
            if (out.pos(), from.pos()) == before {
                return None;
            }
        }
        Some(())
    });
    made.ok_or_else(|| Error::damaged("frame: it does not decompress"))
}

fn decompress_alone(plain: &mut Vec<u8>, stored: &[u8]) -> Option<usize> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Decompressor::new().ok();
        }
        let decompressor = kept.as_mut()?;
        decompressor.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).ok()?;
        decompressor.decompress_to_buffer(stored, plain).ok()
    })
}

fn decompress_after(plain: &mut Vec<u8>, stored: &[u8], prefix: &[u8]) -> Option<usize> {
    let mut context = zstd_safe::DCtx::try_create()?;
    context.reset(ResetDirective::SessionAndParameters).ok()?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).ok()?;
    context.ref_prefix(prefix).ok()?;
    context.decompress(plain, stored).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::length;

    #[test]
    fn compressed_and_wrapped_content_comes_back() {
        for size in [1usize, 100, MAX_BLOCK, MAX_BLOCK + 1, 3 * MAX_BLOCK, 1 << 20] {
            let plain: Vec<u8> = (0..size).map(|n| (n * n / 7) as u8).collect();
            let mut wrapped = vec![9; 7];
            let count = wrap(&mut &plain[..], u32::MAX >> 8, &mut wrapped).expect("wrapped");
            assert_eq!((count as usize, wrapped.len()), (size, wrapped_bytes(size)));
            assert!(is_wrapped(&wrapped, size) && !is_wrapped(&wrapped, size + 1) && !is_wrapped(&wrapped[..wrapped.len() - 1], size));
            for at in [0, size / 2, size - 1] {
                let (from, bytes) = in_wrapped(at as u64, size as u64);
                let (from, bytes) = (from as usize, bytes as usize);
                assert!(bytes > 0 && wrapped[from..from + bytes] == plain[at..at + bytes]);
            }
            for stored in [compress(&plain, 3).expect("compressed"), wrapped] {
                assert!(length(&stored) <= bound(size as u64));
                assert_eq!(decompress(&stored, size, None).expect("plain"), plain);
                assert!(decompress(&stored, size + 1, None).is_err());
                assert!(decompress(&stored[..stored.len() - 1], size, None).is_err());
            }
        }
    }

    #[test]
    fn the_beginning_of_the_largest_frame_of_a_single_segment_is_read() {
        let (plain, mut stored, mut begun) = (vec![7u8; 16 << 20], Vec::new(), [0; 100]);
        wrap(&mut &plain[..], u32::MAX >> 8, &mut stored).expect("wrapped");
        decompress_beginning(&mut begun, &stored).expect("decompressed");
        assert_eq!(begun, [7; 100]);
    }

    #[test]
    fn the_beginning_of_a_frame_is_that_of_its_content() {
        let plain: Vec<u8> = (0..1u32 << 18).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let mut wrapped = Vec::new();
        wrap(&mut &plain[..], u32::MAX >> 8, &mut wrapped).expect("wrapped");
        for stored in [compress(&plain, 3).expect("compressed"), wrapped] {
            for bytes in [1, 4096, MAX_BLOCK, MAX_BLOCK + 1, plain.len() - 1] {
                let mut begun = vec![7; bytes];
                decompress_beginning(&mut begun, &stored).expect("decompressed");
                assert!(begun == plain[..bytes], "{bytes}");
            }
            assert!(decompress_beginning(&mut vec![0; plain.len() - 1], &stored[..stored.len() / 2]).is_err());
        }
        assert!(decompress_beginning(&mut [0; 10], b"no frame at all").is_err());
    }

    #[test]
    fn bytes_that_are_no_frame_are_damage() {
        assert!(decompress(b"", 1, None).is_err());
        assert!(decompress(&[0x28, 0xb5, 0x2f, 0xfd, 0xA0, 1, 0, 0, 0, 7, 7, 7], 1, None).is_err());
        assert!(decompress(&[0xff; 100], 1, None).is_err());
    }
}
