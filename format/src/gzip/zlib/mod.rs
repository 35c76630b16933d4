//! The deflate of zlib, as it has been from 1.2.11 to 1.3.1 at least, and so of all that links it.
//!
//! **Invariants.** The output is that of one call with all of the input. (Given input in pieces, zlib itself differs from
//! that where a piece ends in the last 261 bytes of a window and a match at the greatest distance begins there, and at
//! level 0, where the sizes of its buffers show.)
//!
//! *Not here:* the zlib and gzip wrappers, other strategies than the default, smaller windows.

pub(crate) mod block;
mod header;
pub(crate) mod level;
pub(crate) mod parse;
mod ranked;
mod search;
pub(crate) mod stored;
pub(crate) mod symbols;
pub(crate) mod tally;
mod trees;
pub(crate) mod window;

use level::Level;
use parse::{Dialect, Start, Stream};
use stored::Stored;
use tally::Tally;

use super::{Anew, Bits, Deflate};

/// zlib's deflate with a window of 32 KiB.
pub struct Encoder {
    stream: Box<dyn Stream>,
}

impl Encoder {
    /// At a level from 0 to 9 (more counts as 9), with `memLevel` from 1 to 9 (else the nearest of these); programs use
    /// 8 unless they ask for something else.
    #[must_use]
    pub fn new(level: u8, mem_level: u8) -> Self {
        Self::primed(level, mem_level, &[])
    }

    /// The same, with matches into the last 32 KiB of `history`, as by `deflateSetDictionary`.
    #[must_use]
    pub fn primed(level: u8, mem_level: u8, history: &[u8]) -> Self {
        Self { stream: stream(level, mem_level, history, 0, 0) }
    }

    /// The same as it goes on in the middle of its input: it is to be given what begins at `anew.from`.
    pub(super) fn anew(level: u8, mem_level: u8, anew: Anew) -> Self {
        Self { stream: stream(level, mem_level, &[], anew.from, anew.at) }
    }
}

impl Deflate for Encoder {
    fn write(&mut self, plain: &[u8], out: &mut Bits) {
        self.stream.write(plain, out);
    }

    fn finish(&mut self, out: &mut Bits) {
        self.stream.finish(out);
    }
}

/// The encoder of input whose first byte is at `offset` of the whole; it writes no block that begins before `silent_to`.
pub(crate) fn stream(level: u8, mem_level: u8, history: &[u8], offset: u64, silent_to: u64) -> Box<dyn Stream> {
    if level == 0 {
        return Box::new(Stored::new(offset));
    }
    let memory = u32::from(mem_level.clamp(1, 9));
    let symbols = (1usize << (memory.saturating_add(6))).saturating_sub(1);
    let hash_bits = memory.saturating_add(7);
    Start { dialect: Zlib, level: Level::new(level), hash_bits, symbols, history, offset, silent_to }.parser()
}

/// Blocks end when their symbols fill the buffer; searches stop where the input does.
struct Zlib;

impl Dialect for Zlib {
    const LAST_SEARCHED: usize = usize::MAX;
    const STOPS_AT_END: bool = true;
    const SLIDES_LATE: bool = true;

    fn ends_block(&self, tally: &Tally, _spanned: i64) -> bool {
        tally.is_full()
    }
}
