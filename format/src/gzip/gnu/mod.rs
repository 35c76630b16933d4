//! The deflate of GNU gzip, the ancestor of zlib's (1.3 to 1.13, on machines without their own instructions for it).
//!
//! **Invariants.** The output is that of one file, read into the window as far as it has room. (Fed by a pipe, gzip
//! differs from that only where a read ends in the last 261 bytes of a window and a match at the greatest distance
//! begins there.)
//!
//! *Not here:* the gzip wrapper, and `--rsyncable`.

use super::zlib::level::Level;
use super::zlib::parse::{Dialect, Start, Stream};
use super::zlib::symbols::DISTANCE_EXTRA;
use super::zlib::tally::Tally;
use super::zlib::window::{MIN_AHEAD, SIZE};
use super::{Anew, Bits, Deflate};

/// One less than the buffer has room for.
const SYMBOLS: usize = 0x7fff;
const HASH_BITS: u32 = 15;

/// GNU gzip's deflate.
pub struct Encoder {
    stream: Box<dyn Stream>,
}

impl Encoder {
    /// At a level from 1 to 9; any other counts as the nearest of these.
    #[must_use]
    pub fn new(level: u8) -> Self {
        Self::anew(level, Anew { from: 0, at: 0 })
    }

    /// The same as it goes on in the middle of its input: it is to be given what begins at `anew.from`.
    pub(super) fn anew(level: u8, anew: Anew) -> Self {
        let (dialect, level) = (Gnu { guesses: level > 2 }, Level::new(level));
        let (offset, silent_to) = (anew.from, anew.at);
        Self { stream: Start { dialect, level, hash_bits: HASH_BITS, symbols: SYMBOLS, history: &[], offset, silent_to }.parser() }
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

/// A block may end early, and searches may run past the end of the input.
struct Gnu {
    guesses: bool,
}

impl Dialect for Gnu {
    const LAST_SEARCHED: usize = SIZE - MIN_AHEAD;
    const STOPS_AT_END: bool = false;
    const SLIDES_LATE: bool = false;

    fn ends_block(&self, tally: &Tally, spanned: i64) -> bool {
        tally.is_full() || (self.guesses && tally.symbols().len().is_multiple_of(4096) && is_worth_ending(tally, spanned))
    }
}

/// Whether there are few matches, and the block so far shrinks to less than half if literals take 8 bits.
fn is_worth_ending(tally: &Tally, spanned: i64) -> bool {
    let symbols = tally.symbols().len();
    let distances: u64 = tally
        .distances
        .iter()
        .zip(DISTANCE_EXTRA)
        .map(|(times, extra)| u64::from(*times).saturating_mul(u64::from(extra).saturating_add(5)))
        .sum();
    let bits = u64::try_from(symbols).unwrap_or(u64::MAX).saturating_mul(8).saturating_add(distances);
    tally.pairs() < symbols / 2 && bits / 8 < u64::try_from(spanned / 2).unwrap_or(0)
}
