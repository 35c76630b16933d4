//! What the tests of the chunker share: bytes that look random, tars made by hand, and chunks in a list.

use std::convert::Infallible;

use ocm_format::chunk::{Chunker, Class, Shape};

/// A chunk as it was emitted.
pub(crate) type Chunk = (Class, Vec<u8>);

/// The chunks of `blob`, pushed in one piece.
pub(crate) fn chunks(shape: Shape, blob: &[u8]) -> Vec<Chunk> {
    chunks_of_pushes(shape, blob, &[usize::MAX])
}

/// The chunks of `blob`, pushed in pieces of these lengths, over and over.
pub(crate) fn chunks_of_pushes(shape: Shape, blob: &[u8], lengths: &[usize]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut keep = |class: Class, bytes: &[u8]| -> Result<(), Infallible> {
        chunks.push((class, bytes.to_vec()));
        Ok(())
    };
    let mut chunker = Chunker::new(shape);
    let mut rest = blob;
    for length in lengths.iter().cycle() {
        let (now, after) = rest.split_at((*length).min(rest.len()));
        let Ok(()) = chunker.push(now, &mut keep);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let Ok(()) = chunker.finish(&mut keep);
    chunks
}

/// The bytes of all chunks in order.
pub(crate) fn joined(chunks: &[Chunk]) -> Vec<u8> {
    chunks.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
}

/// The content chunks alone.
pub(crate) fn content(chunks: &[Chunk]) -> Vec<&[u8]> {
    chunks.iter().filter(|(class, _)| *class == Class::Content).map(|(_, bytes)| bytes.as_slice()).collect()
}

/// The contents between skeleton, each in one piece: in a tar, the files that are not empty.
pub(crate) fn files(chunks: &[Chunk]) -> Vec<Vec<u8>> {
    chunks
        .chunk_by(|(a, _), (b, _)| a == b)
        .filter(|run| run.first().is_some_and(|(class, _)| *class == Class::Content))
        .map(joined)
        .collect()
}

/// Bytes that look random and are the same every time (splitmix64).
pub(crate) fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A tar in the making.
#[derive(Clone, Default)]
pub(crate) struct Tar {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mtime: u64,
}

impl Tar {
    /// Adds a header whose fields are all as they should be.
    pub(crate) fn header(self, flag: u8, name: &str, size: usize) -> Self {
        self.header_with_size(flag, name, format!("{size:011o}\0").as_bytes())
    }

    /// Adds a header whose size field holds these bytes.
    pub(crate) fn header_with_size(mut self, flag: u8, name: &str, size: &[u8]) -> Self {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &name.as_bytes()[..name.len().min(100)]);
        put(100, b"0000644\x000000000\x000000000\0");
        put(124, size);
        put(136, format!("{:011o}\0", self.mtime).as_bytes());
        put(156, &[flag]);
        put(257, b"ustar\x0000");
        self.bytes.extend_from_slice(&signed(block));
        self
    }

    /// Adds what stands after a header, with its padding.
    pub(crate) fn body(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// Adds a regular file.
    pub(crate) fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.header(b'0', name, bytes.len()).body(bytes)
    }

    /// Adds a directory.
    pub(crate) fn directory(self, name: &str) -> Self {
        self.header(b'5', name, 0)
    }

    /// Adds pax records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let body: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.header(b'x', "PaxHeaders/x", body.len()).body(body.as_bytes())
    }

    /// Adds the two zero blocks of the end.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }
}

/// The block with its checksum as it should be.
pub(crate) fn signed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A pax record, whose length counts its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}
