//! Frames: the unit of compression and of random access, each one zstd frame.
//!
//! **Invariants.** A frame states its content size and holds exactly that. Content that is compressed already becomes
//! raw blocks, without an attempt. What comes out of [`decompress`] has the length that was asked for.
//!
//! *Not here:* the header before each frame (`layout`), and whose bytes a frame holds (`recipe`).

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CParameter, DParameter, ResetDirective};

use crate::codec::length;
use crate::error::{Error, Kind, Result};

/// The highest zstd level that is taken.
pub const MAX_LEVEL: i32 = 19;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const MAX_BLOCK: usize = 128 << 10;
const WINDOW_LOG: u32 = 23;

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
        static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    }
    let failed = |error: std::io::Error| Error::new(Kind::Limit, format!("zstd at level {level}: {error}"));
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(at, _)| *at != level) {
            *kept = Some((level, compressor(level).map_err(failed)?));
        }
        let (_, compressor) = kept.as_mut().ok_or_else(|| Error::limit("zstd: no compressor"))?;
        compressor.compress(plain).map_err(failed)
    })
}

fn compressor(level: i32) -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    compressor.set_parameter(CParameter::ChecksumFlag(false))?;
    Ok(compressor)
}

/// Wraps `plain` into one frame as it is: a run of raw blocks.
pub fn wrap(plain: &[u8]) -> Result<Vec<u8>> {
    let size = u32::try_from(length(plain)).map_err(|_| Error::limit("frame: more than 4 GiB"))?;
    let blocks = plain.len().div_ceil(MAX_BLOCK).max(1);
    let mut out = Vec::with_capacity(plain.len().saturating_add(blocks.saturating_mul(3)).saturating_add(9));
    out.extend(MAGIC);
    out.push(0xA0); // single segment, content size in four bytes, no checksum, no dictionary
    out.extend(size.to_le_bytes());
    let mut chunks = plain.chunks(MAX_BLOCK).peekable();
    if plain.is_empty() {
        out.extend([1, 0, 0]);
    }
    while let Some(chunk) = chunks.next() {
        let last = u32::from(chunks.peek().is_none());
        let header = (u32::try_from(chunk.len()).unwrap_or_default() << 3) | last;
        let [a, b, c, _] = header.to_le_bytes();
        out.extend([a, b, c]);
        out.extend_from_slice(chunk);
    }
    Ok(out)
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

    #[test]
    fn compressed_and_wrapped_content_comes_back() {
        for size in [1usize, 100, MAX_BLOCK, MAX_BLOCK + 1, 3 * MAX_BLOCK, 1 << 20] {
            let plain: Vec<u8> = (0..size).map(|n| (n * n / 7) as u8).collect();
            for stored in [compress(&plain, 3).expect("compressed"), wrap(&plain).expect("wrapped")] {
                assert!(length(&stored) <= bound(size as u64));
                assert_eq!(decompress(&stored, size, None).expect("plain"), plain);
                assert!(decompress(&stored, size + 1, None).is_err());
                assert!(decompress(&stored[..stored.len() - 1], size, None).is_err());
            }
        }
    }

    #[test]
    fn bytes_that_are_no_frame_are_damage() {
        assert!(decompress(b"", 1, None).is_err());
        assert!(decompress(&[0x28, 0xb5, 0x2f, 0xfd, 0xA0, 1, 0, 0, 0, 7, 7, 7], 1, None).is_err());
        assert!(decompress(&[0xff; 100], 1, None).is_err());
    }
}
