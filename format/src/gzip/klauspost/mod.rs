//! [`Encoder`] and [`Stream`]: level 5 of `klauspost/compress`, its default, as `pgzip` calls it and by itself.
//!
//! **Invariants.** A piece depends on its bytes and its history alone, so pieces can be made in any order, at once.
//!
//! *Not here:* the header and the trailer of gzip; other levels.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "lengths of bytes at hand")]

mod block;
mod estimate;
mod filled;
mod generation;
mod literal;
mod search;
mod window;

pub use generation::Generation;

use self::block::Blocks;
use self::generation::Rules;
use self::search::Search;
use super::chunks::{self, Chunk, Chunks, FEED_BYTES};
use super::token::Tokens;
use super::{Anew, Bits, Deflate};

/// How many bytes at the end of a piece the next one may copy from.
pub const HISTORY_BYTES: usize = 16384;

const SHORTEST_HISTORY_BYTES: usize = 13;
/// A last chunk of at most so many bytes is stored.
const STORED_BYTES: usize = 32;
const SHORT_FROM: usize = STORED_BYTES + 1;
/// A last chunk of at most so many bytes has no copies.
const LITERAL_BYTES: usize = 127;

/// Tables and buffers of an encoder, for as many pieces as wanted, one after the other.
///
/// What a piece is made from is at hand as a whole, so nothing of it is kept here.
#[derive(Debug, Clone)]
pub struct Encoder {
    generation: Generation,
    rules: Rules,
    search: Search,
    blocks: Blocks,
    tokens: Tokens,
}

impl Encoder {
    /// An encoder of this generation.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        let rules = generation.rules();
        Self { generation, rules, search: Search::new(rules), blocks: Blocks::new(rules), tokens: Tokens::default() }
    }

    /// Which generation this is.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Appends one piece of `pgzip`, up to and with the empty stored block after it: `bytes` without the first
    /// `history_bytes` of them, which are the end of the piece before: its last [`HISTORY_BYTES`], if that piece was longer
    /// than them; else there are none. Offsets of blocks count from the beginning of the piece.
    pub fn piece(&mut self, bytes: &[u8], history_bytes: usize, out: &mut Bits) {
        let (history, plain) = bytes.split_at(history_bytes.min(bytes.len()));
        let (history, bytes) = if self.rules.has_history { (history, bytes) } else { (&[][..], plain) };
        self.begin(history);
        for (chunk, is_last) in chunks::of_all(bytes, history.len()) {
            if is_last {
                self.last(chunk, out);
            } else {
                encode(&mut self.search, &mut self.blocks, &mut self.tokens, chunk, false, out);
            }
        }
        self.blocks.stored(&[], plain.len() as u64, out);
    }

    /// Appends the block of `pgzip` after the last piece, which is empty; its offset counts as 0.
    pub fn last_block(&mut self, out: &mut Bits) {
        self.begin(&[]);
        self.end(0, out);
    }

    fn begin(&mut self, history: &[u8]) {
        self.search.clear();
        self.blocks.clear();
        if history.len() >= SHORTEST_HISTORY_BYTES {
            self.search.run(Chunk { bytes: history, start: 0, plain_offset: 0 }, &mut self.tokens);
        }
    }

    /// The last chunk of a piece.
    fn last(&mut self, chunk: Chunk<'_>, out: &mut Bits) {
        match chunk.own().len() {
            ..=STORED_BYTES => self.blocks.stored(chunk.own(), chunk.plain_offset, out),
            SHORT_FROM..=LITERAL_BYTES => self.blocks.literals(chunk, true, out),
            _ => encode(&mut self.search, &mut self.blocks, &mut self.tokens, chunk, true, out),
        }
    }

    /// The end of a stream of so many bytes.
    fn end(&mut self, plain_bytes: u64, out: &mut Bits) {
        self.blocks.close(out);
        out.begin_block(plain_bytes);
        if self.rules.ends_stored {
            out.put(0b001, 3);
            out.append(&[0, 0, 0xff, 0xff]);
        } else {
            out.put(0b011, 3);
            out.put(0, 7);
            out.pad();
        }
    }
}

/// Finds the tokens of a chunk, and writes it.
fn encode(search: &mut Search, blocks: &mut Blocks, tokens: &mut Tokens, chunk: Chunk<'_>, is_last: bool, out: &mut Bits) {
    search.run(chunk, tokens);
    let bytes = chunk.own();
    if tokens.is_empty() {
        blocks.stored(bytes, chunk.plain_offset, out);
    } else if tokens.len() > bytes.len().saturating_sub(bytes.len() / 16) {
        blocks.literals(chunk, is_last, out);
    } else {
        blocks.tokens(tokens, chunk, is_last, out);
    }
}

/// A stream of its own, as `klauspost/compress/gzip` makes it.
#[derive(Debug, Clone)]
pub struct Stream {
    encoder: Encoder,
    chunks: Chunks,
    /// Chunks before this one only make up the state.
    silent_to: u64,
}

impl Stream {
    /// A stream of this generation.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self::anew(generation, Anew { from: 0, at: 0 })
    }

    /// The same as it goes on in the middle of its input: it is to be given what begins at `anew.from`.
    pub(super) fn anew(generation: Generation, anew: Anew) -> Self {
        let mut encoder = Encoder::new(generation);
        encoder.begin(&[]);
        Self { encoder, chunks: Chunks::from_offset(anew.from), silent_to: anew.at }
    }
}

impl Deflate for Stream {
    fn write(&mut self, plain: &[u8], out: &mut Bits) {
        let Encoder { search, blocks, tokens, .. } = &mut self.encoder;
        for part in plain.chunks(FEED_BYTES) {
            self.chunks.feed(part);
            while let Some(chunk) = self.chunks.next() {
                let bytes = chunk.own().len();
                if chunk.plain_offset < self.silent_to {
                    search.run(chunk, tokens);
                } else {
                    encode(search, blocks, tokens, chunk, false, out);
                }
                self.chunks.advance(bytes);
            }
            let gone = self.chunks.slide();
            if gone > 0 {
                search.rebase(gone);
            }
        }
    }

    fn finish(&mut self, out: &mut Bits) {
        let mut end = self.chunks.plain_offset();
        if let Some(chunk) = self.chunks.last() {
            end += chunk.own().len() as u64;
            self.encoder.last(chunk, out);
        }
        self.encoder.end(end, out);
    }
}
