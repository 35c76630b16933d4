//! Whole gzip files by the encoders of the crate.

use flate2::Crc;
use ocm_format::gzip::klauspost::{Encoder, Generation, HISTORY_BYTES, Stream};
use ocm_format::gzip::{Bits, Deflate, go};

/// A file that `pgzip` makes with blocks of so many bytes.
pub(crate) fn pgzip(generation: Generation, block_bytes: usize, plain: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(generation);
    let mut bits = Bits::default();
    let mut start = 0;
    loop {
        let end = plain.len().min(start + block_bytes);
        let history_bytes = if block_bytes > HISTORY_BYTES { start.min(HISTORY_BYTES) } else { 0 };
        encoder.piece(&plain[start - history_bytes..end], history_bytes, &mut bits);
        // A piece that is not full is the last, even if nothing is in it.
        if end - start < block_bytes {
            break;
        }
        start = end;
    }
    encoder.last_block(&mut bits);
    // No time is written as the seconds from 1970 back to the year 1, cut to 32 bits.
    file([0x00, 0x09, 0x6e, 0x88], 0, &bits.take(), plain)
}

/// The stream that `klauspost/compress/flate` makes.
pub(crate) fn stream(generation: Generation, plain: &[u8]) -> Vec<u8> {
    deflate(&mut Stream::new(generation), &[plain])
}

/// A file that `compress/gzip` of Go makes.
pub(crate) fn go_file(level: u8, plain: &[u8]) -> Vec<u8> {
    let extra_flags = match level {
        1 => 4,
        9 => 2,
        _ => 0,
    };
    file([0; 4], extra_flags, &go_stream(level, &[plain]), plain)
}

/// The stream that `compress/flate` of Go makes.
pub(crate) fn go_stream(level: u8, parts: &[&[u8]]) -> Vec<u8> {
    deflate(&mut go::Encoder::new(level), parts)
}

/// What an encoder makes of these parts.
pub(crate) fn deflate(encoder: &mut dyn Deflate, parts: &[&[u8]]) -> Vec<u8> {
    let mut bits = Bits::default();
    let mut out = Vec::new();
    for part in parts {
        encoder.write(part, &mut bits);
        out.extend(bits.take());
    }
    encoder.finish(&mut bits);
    out.extend(bits.take());
    out
}

fn file(time: [u8; 4], extra_flags: u8, body: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(plain);
    let length = plain.len() as u32;
    let mut file = [&[0x1f, 0x8b, 8, 0][..], &time, &[extra_flags, 0xff], body].concat();
    file.extend([crc.sum().to_le_bytes(), length.to_le_bytes()].concat());
    file
}
