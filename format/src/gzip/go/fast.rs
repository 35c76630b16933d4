//! [`Fast`]: level 1: chunks of 65535 bytes, and one table by 4 bytes.
//!
//! **Invariants.** The table is kept from chunk to chunk; a copy ends with its chunk.
//!
//! *Not here:* how tokens are written.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "places in a chunk, and a table of its own"
)]

use super::block::Blocks;
use crate::gzip::chunks::{Chunk, Chunks, FEED_BYTES};
use crate::gzip::token::Token;
use crate::gzip::{Anew, Bits};

/// Copies come from at most so far back. Places in the table are more by one more, so that 0, for none, is too far.
const REACH: u32 = 32768;
const TABLE_BITS: u32 = 14;
/// No copy begins in so many bytes at the end of a chunk.
const MARGIN: usize = 15;
const LONGEST: usize = 258;
/// A last chunk of at most so many bytes is stored.
const STORED_BYTES: usize = 16;
const SHORT_FROM: usize = STORED_BYTES + 1;
/// A last chunk of at most so many bytes has no copies.
const SHORT_BYTES: usize = 127;

/// An encoder of level 1.
#[derive(Debug, Clone)]
pub(super) struct Fast {
    chunks: Chunks,
    blocks: Blocks,
    table: Table,
    tokens: Vec<Token>,
    /// Chunks before this one only make up the state.
    silent_to: u64,
}

impl Fast {
    pub(super) fn new(anew: Anew) -> Self {
        let table = Table(vec![Entry::default(); 1 << TABLE_BITS]);
        Self { chunks: Chunks::from_offset(anew.from), blocks: Blocks::new(), table, tokens: Vec::new(), silent_to: anew.at }
    }

    pub(super) fn write(&mut self, plain: &[u8], out: &mut Bits) {
        for part in plain.chunks(FEED_BYTES) {
            self.chunks.feed(part);
            while let Some(chunk) = self.chunks.next() {
                let bytes = chunk.own().len();
                if chunk.plain_offset < self.silent_to {
                    self.table.run(chunk, &mut self.tokens);
                    self.tokens.clear();
                } else {
                    encode(&mut self.table, &mut self.blocks, &mut self.tokens, chunk, out);
                }
                self.chunks.advance(bytes);
            }
            let gone = self.chunks.slide() as u32;
            if gone > 0 {
                self.table.0.iter_mut().for_each(|entry| entry.place = entry.place.saturating_sub(gone));
            }
        }
    }

    /// Writes the rest; answers how many bytes there were in all.
    pub(super) fn finish(&mut self, out: &mut Bits) -> u64 {
        if let Some(chunk) = self.chunks.last() {
            let (bytes, length) = (chunk.own(), chunk.own().len());
            match length {
                ..=STORED_BYTES => Blocks::stored(bytes, chunk.plain_offset, out),
                SHORT_FROM..=SHORT_BYTES => self.blocks.literals(bytes, chunk.plain_offset, out),
                _ => encode(&mut self.table, &mut self.blocks, &mut self.tokens, chunk, out),
            }
            self.chunks.advance(length);
        }
        self.chunks.plain_offset()
    }
}

fn encode(table: &mut Table, blocks: &mut Blocks, tokens: &mut Vec<Token>, chunk: Chunk<'_>, out: &mut Bits) {
    tokens.clear();
    table.run(chunk, tokens);
    let bytes = chunk.own();
    if tokens.len() > bytes.len() - bytes.len() / 16 {
        blocks.literals(bytes, chunk.plain_offset, out);
    } else {
        blocks.quick(tokens, bytes, chunk.plain_offset, out);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    word: u32,
    place: u32,
}

/// Where 4 bytes were seen last.
#[derive(Debug, Clone)]
struct Table(Vec<Entry>);

impl Table {
    /// Adds the tokens of a chunk of at least 128 bytes.
    fn run(&mut self, chunk: Chunk<'_>, tokens: &mut Vec<Token>) {
        let data = chunk.bytes;
        let limit = data.len() - MARGIN;
        let (mut next, mut emitted) = (chunk.start, chunk.start);
        while let Some((at, mut from)) = self.find(data, next, limit) {
            literals(tokens, &data[emitted..at]);
            emitted = at;
            loop {
                let length = 4 + common(data, from + 4, emitted + 4);
                tokens.push(Token::copy(length, emitted - from));
                emitted += length;
                if emitted >= limit {
                    return literals(tokens, &data[emitted..]);
                }
                self.swap(data, emitted - 1);
                match self.swap(data, emitted) {
                    Some(again) => from = again,
                    None => break,
                }
            }
            next = emitted + 1;
        }
        literals(tokens, &data[emitted..]);
    }

    /// The next place from `next` on whose 4 bytes are in the table, and where; the longer there is none, the more
    /// places are left out.
    fn find(&mut self, data: &[u8], next: usize, limit: usize) -> Option<(usize, usize)> {
        let (mut at, mut skip) = (next, 32);
        loop {
            let step = skip >> 5;
            skip += step;
            if at + step > limit {
                return None;
            }
            if let Some(from) = self.swap(data, at) {
                return Some((at, from));
            }
            at += step;
        }
    }

    /// Remembers a place; answers where its 4 bytes were before, if that is near.
    #[inline(always)]
    fn swap(&mut self, data: &[u8], at: usize) -> Option<usize> {
        let word = data[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
        let here = Entry { word, place: at as u32 + REACH + 1 };
        let slot = (word.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize;
        let before = std::mem::replace(&mut self.0[slot], here);
        (before.word == word && here.place - before.place <= REACH).then(|| (before.place - REACH - 1) as usize)
    }
}

fn literals(tokens: &mut Vec<Token>, bytes: &[u8]) {
    tokens.extend(bytes.iter().copied().map(Token::literal));
}

/// How many bytes at `from` and at `at` are equal, at most as many as a copy has after its first 4.
fn common(data: &[u8], from: usize, at: usize) -> usize {
    let right = &data[at..data.len().min(at + LONGEST - 4)];
    data[from..].iter().zip(right).take_while(|(left, right)| left == right).count()
}
