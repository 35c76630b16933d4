//! Gzip files by the encoders of the crate, and bytes that are worth compressing.

use flate2::Crc;
use ocm_format::gzip::header::Header;
use ocm_format::gzip::{Encoder, Maker};

/// A gzip file of one member.
pub(crate) fn gzip(encoder: Encoder, plain: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(plain);
    let mut trailer = [0; 8];
    trailer[..4].copy_from_slice(&crc.sum().to_le_bytes());
    trailer[4..].copy_from_slice(&(plain.len() as u32).to_le_bytes());
    let mut maker = Maker::new(encoder, &Header::of(header(encoder).to_vec()));
    maker.write(plain);
    maker.finish(trailer);
    maker.take()
}

/// What the programs write that have these encoders.
fn header(encoder: Encoder) -> [u8; 10] {
    let (time, system) = match encoder {
        Encoder::Pgzip { .. } => ([0, 9, 0x6e, 0x88], 255),
        Encoder::Klauspost { .. } | Encoder::Go { .. } => ([0; 4], 255),
        Encoder::Zlib { .. } | Encoder::Gnu { .. } | Encoder::Pigz { .. } => ([1, 2, 3, 4], 3),
    };
    [0x1f, 0x8b, 8, 0, time[0], time[1], time[2], time[3], 0, system]
}

/// Words and numbers, some noise, some of what was before.
pub(crate) fn layer(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::with_capacity(bytes + 4096);
    while out.len() < bytes {
        let number = next();
        match number & 63 {
            0 => (0..number >> 56).for_each(|_| out.extend(next().to_le_bytes())),
            1 => out.extend_from_within(out.len().saturating_sub(50_000)..out.len().saturating_sub(46_000)),
            2 => out.resize(out.len() + (number >> 54) as usize, 0),
            kind => out.extend(format!("{}-{kind} /usr/share/{}\n", number >> 50, number >> 58).bytes()),
        }
    }
    out.truncate(bytes);
    out
}
