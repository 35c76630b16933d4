//! Encoders, run to their end.

use std::io::Read as _;

use ocm_format::gzip::{Bits, BlockStart, Deflate, gnu, pigz, zlib};

/// Makes an encoder.
pub(crate) type New = Box<dyn Fn() -> Box<dyn Deflate>>;

/// Runs an encoder over pieces of the sizes given, over and over.
pub(crate) fn encode(encoder: &mut dyn Deflate, plain: &[u8], pieces: &[usize]) -> (Vec<u8>, Vec<BlockStart>) {
    let (mut bits, mut out, mut starts, mut rest) = (Bits::default(), Vec::new(), Vec::new(), plain);
    for size in pieces.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*size));
        encoder.write(piece, &mut bits);
        out.extend(bits.take());
        starts.extend(bits.take_starts());
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    encoder.finish(&mut bits);
    out.extend(bits.take());
    starts.extend(bits.take_starts());
    (out, starts)
}

pub(crate) fn whole(encoder: &mut dyn Deflate, plain: &[u8]) -> Vec<u8> {
    encode(encoder, plain, &[1 << 20]).0
}

pub(crate) fn inflate(deflate: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(deflate).read_to_end(&mut plain).expect("it is a deflate stream");
    plain
}

/// Every encoder at every level, with the name of it.
pub(crate) fn encoders() -> Vec<(String, New)> {
    let mut all: Vec<(String, New)> = Vec::new();
    for level in 0..=9u8 {
        for memory in [8, 9] {
            all.push((format!("zlib {level}:{memory}"), Box::new(move || Box::new(zlib::Encoder::new(level, memory)))));
        }
        all.push((format!("pigz {level}"), Box::new(move || Box::new(pigz::Encoder::new(level)))));
        if level > 0 {
            all.push((format!("gnu {level}"), Box::new(move || Box::new(gnu::Encoder::new(level)))));
        }
    }
    all
}
