//! [`plain`]: the plain form of a blob that streams by, where no record lists it (SPEC section 6): all members of a gzip
//! file, all frames of a zstd file, or the blob itself.
//!
//! **Invariants.** What it is, its first bytes say. Memory is that of one window, whatever comes out.
//!
//! *Not here:* digests; whoever reads compares that of the blob.

use std::io::{self, BufRead, Read};

use crate::gzip::header::{self, Begin};
use crate::gzip::{Inflate, TRAILER_BYTES};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window that a zstd blob may ask for: 128 MiB, as the zstd program has it.
const WINDOW_LOG: u32 = 27;

/// The plain form of what `from` gives.
pub fn plain<'a>(mut from: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::with_capacity(ZSTD.len());
    (&mut from).take(4).read_to_end(&mut start)?;
    let is = |magic: &[u8]| start.starts_with(magic);
    let (gzip, zstd) = (is(&GZIP), is(&ZSTD));
    let from = io::Cursor::new(start).chain(from);
    if gzip {
        return Ok(Box::new(Members { from, current: None, plain: Vec::new(), at: 0, any: false }));
    }
    if zstd {
        let mut frames = zstd::stream::read::Decoder::with_buffer(from)?;
        frames.window_log_max(WINDOW_LOG)?;
        return Ok(Box::new(frames));
    }
    Ok(Box::new(from))
}

/// The members of a gzip file, inflated. What follows the last one is no part of it.
struct Members<R> {
    from: R,
    current: Option<Inflate>,
    plain: Vec<u8>,
    at: usize,
    any: bool,
}

impl<R: BufRead> Members<R> {
    /// Fetches the next plain bytes; whether there are any.
    fn fetch(&mut self) -> io::Result<bool> {
        loop {
            if let Some(inflate) = &mut self.current {
                let plain = inflate.next(&mut self.from)?;
                if !plain.is_empty() {
                    self.plain.clear();
                    self.plain.extend_from_slice(plain);
                    self.at = 0;
                    return Ok(true);
                }
                self.current = None;
                self.from.read_exact(&mut [0; TRAILER_BYTES])?;
            }
            match header::read(&mut self.from)? {
                Begin::Member(_) => (self.current, self.any) = (Some(Inflate::default()), true),
                Begin::Other if !self.any => return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not gzip, though it begins so")),
                Begin::Other | Begin::End => return Ok(false),
            }
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || (self.at >= self.plain.len() && !self.fetch()?) {
            return Ok(0);
        }
        let mut rest = self.plain.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(plain).expect("memory");
        encoder.finish().expect("memory")
    }

    fn of(blob: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        plain(io::BufReader::with_capacity(7, blob))?.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn every_kind_of_blob_gives_its_plain_form() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let zstd = |plain: &[u8]| zstd::encode_all(plain, 3).expect("memory");
        for (blob, expected) in [
            (text.clone(), text.clone()),
            (gzip(&text), text.clone()),
            ([gzip(&text[..1000]), gzip(b""), gzip(&text[1000..])].concat(), text.clone()),
            ([gzip(&text), b"what follows".to_vec()].concat(), text.clone()),
            ([zstd(&text[..1000]), zstd(&text[1000..])].concat(), text.clone()),
            (Vec::new(), Vec::new()),
            (b"\x1f".to_vec(), b"\x1f".to_vec()),
        ] {
            assert!(of(&blob).expect("plain") == expected);
        }
    }

    #[test]
    fn what_cannot_be_decompressed_is_an_error() {
        let whole = gzip(&[7; 100_000]);
        for broken in [&b"\x1f\x8bno gzip"[..], &whole[..whole.len() / 2], &whole[..whole.len() - 3], b"\x28\xb5\x2f\xfd\xff\xff\xff"] {
            assert!(of(broken).is_err());
        }
    }
}
