//! [`Inflate`]: one deflate stream, decompressed, and where it ends.
//!
//! **Invariants.** Memory is the two buffers and the window. Not one byte behind the end of the stream is taken for its own.

use std::io::{self, BufRead};

use flate2::{Decompress, FlushDecompress, Status};

/// Plain bytes that are made at a time.
const PLAIN_BYTES: usize = 64 << 10;

/// Decompresses one deflate stream.
pub struct Inflate {
    stream: Decompress,
    plain: Vec<u8>,
    ended: bool,
}

impl Default for Inflate {
    fn default() -> Self {
        Self { stream: Decompress::new(false), plain: Vec::with_capacity(PLAIN_BYTES), ended: false }
    }
}

impl Inflate {
    /// The next plain bytes; none at the end of the stream. `from` then stands right behind it.
    pub fn next(&mut self, from: &mut dyn BufRead) -> io::Result<&[u8]> {
        self.plain.clear();
        while self.plain.is_empty() && !self.ended {
            let input = from.fill_buf()?;
            let is_last = input.is_empty();
            let before = self.stream.total_in();
            let status = self.stream.decompress_vec(input, &mut self.plain, FlushDecompress::None)?;
            let used = self.stream.total_in().saturating_sub(before);
            from.consume(usize::try_from(used).unwrap_or(usize::MAX));
            self.ended = status == Status::StreamEnd;
            if is_last && !self.ended && self.plain.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.plain)
    }

    /// What the last call of [`Self::next`] answered.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// How many bytes of the stream were taken.
    #[must_use]
    pub fn taken_bytes(&self) -> u64 {
        self.stream.total_in()
    }
}
