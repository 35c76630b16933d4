//! [`Maker`]: makes a gzip member from front to back, or from a restart on.
//!
//! **Invariants.** Memory is that of the encoder and what was not taken yet.
//!
//! *Not here:* pieces that are made one by one (`member`); whether what is made is right (`prove`).

use super::encoder::{Anew, Encoder};
use super::header::Header;
use super::klauspost::{self, HISTORY_BYTES};
use super::member::TRAILER_BYTES;
use super::{Bits, BlockStart, Deflate};
use crate::codec::length;
use crate::recipe::Restart;

/// Makes the bytes of a member.
pub struct Maker {
    work: Work,
    bits: Bits,
    made: Vec<u8>,
    made_bytes: u64,
    header_bits: u64,
    plain_offset: u64,
    starts: Vec<BlockStart>,
    check: u32,
    restarts: Vec<Restart>,
}

enum Work {
    Stream(Box<dyn Deflate>),
    Pieces(Pieces),
}

/// pgzip: pieces of equal size; the last one is shorter, and may be empty.
struct Pieces {
    encoder: klauspost::Encoder,
    block_bytes: usize,
    /// The end of the piece before, then what is known of this one.
    bytes: Vec<u8>,
    history_bytes: usize,
}

impl Maker {
    /// Begins with the header.
    #[must_use]
    pub fn new(encoder: Encoder, header: &Header) -> Self {
        let mut maker = Self::of(Work::of(encoder), 0);
        maker.emit(header.bytes());
        maker.header_bits = maker.made_bytes.saturating_mul(8);
        maker
    }

    /// Begins in the middle of a member that is one stream: with what it makes from `anew.at` on.
    #[must_use]
    pub fn anew(encoder: Encoder, anew: Anew) -> Self {
        Self::of(Work::Stream(encoder.stream_anew(anew)), anew.from)
    }

    fn of(work: Work, plain_offset: u64) -> Self {
        let restarts = vec![Restart { plain_offset: 0, output_bit: 0, check: 0 }];
        let (bits, made, starts) = (Bits::default(), Vec::new(), Vec::new());
        Self { work, bits, made, made_bytes: 0, header_bits: 0, plain_offset, starts, check: 0, restarts }
    }

    /// Takes the next plain bytes.
    pub fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            if self.work.room() == 0 {
                self.end_piece();
                self.restart();
            }
            let (now, later) = plain.split_at_checked(self.work.room()).unwrap_or((plain, &[]));
            self.work.take(now, &mut self.bits);
            self.plain_offset = self.plain_offset.saturating_add(length(now));
            plain = later;
        }
        self.collect();
    }

    /// There is no more input: makes the rest, with the trailer.
    pub fn finish(&mut self, trailer: [u8; TRAILER_BYTES]) {
        self.end();
        self.emit(&trailer);
        self.end_stretch();
    }

    /// There is no more input: makes the rest, without the trailer.
    pub fn end(&mut self) {
        if self.work.room() == 0 {
            self.end_piece();
        }
        self.work.finish(&mut self.bits);
        self.collect();
    }

    /// What was made since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.starts.clear();
        std::mem::take(&mut self.made)
    }

    /// Where blocks begin, of a stream, in what [`Self::take`] gives next: bits of all that is made.
    #[must_use]
    pub fn starts(&self) -> &[BlockStart] {
        &self.starts
    }

    /// How many bytes were made.
    #[must_use]
    pub fn made_bytes(&self) -> u64 {
        self.made_bytes
    }

    /// Where in the plain bytes of the member the next ones are to be taken.
    #[must_use]
    pub fn plain_offset(&self) -> u64 {
        self.plain_offset
    }

    /// Where pieces begin, each with a check of what it became; known once all is made. Of a stream, its beginning.
    #[must_use]
    pub fn restarts(&self) -> &[Restart] {
        &self.restarts
    }

    fn end_piece(&mut self) {
        self.work.end_piece(&mut self.bits);
        self.collect();
    }

    fn restart(&mut self) {
        self.end_stretch();
        self.restarts.push(Restart { plain_offset: self.plain_offset, output_bit: self.made_bytes.saturating_mul(8), check: 0 });
    }

    fn end_stretch(&mut self) {
        let check = std::mem::take(&mut self.check);
        if let Some(last) = self.restarts.last_mut() {
            last.check = check;
        }
    }

    fn collect(&mut self) {
        let bytes = self.bits.take();
        let starts = self.bits.take_starts();
        if matches!(self.work, Work::Stream(_)) {
            let before = self.header_bits;
            let moved = |start: BlockStart| BlockStart { output_bit: start.output_bit.saturating_add(before), ..start };
            self.starts.extend(starts.into_iter().map(moved));
        }
        self.emit(&bytes);
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.check = crc32c::crc32c_append(self.check, bytes);
        self.made_bytes = self.made_bytes.saturating_add(length(bytes));
        self.made.extend_from_slice(bytes);
    }
}

impl Work {
    fn of(encoder: Encoder) -> Self {
        match encoder {
            Encoder::Pgzip { generation, block_bytes } => Self::Pieces(Pieces {
                encoder: klauspost::Encoder::new(generation),
                block_bytes: usize::try_from(block_bytes).unwrap_or(usize::MAX),
                bytes: Vec::new(),
                history_bytes: 0,
            }),
            other => Self::Stream(other.stream()),
        }
    }

    /// How many bytes can be taken before a piece ends.
    fn room(&self) -> usize {
        match self {
            Self::Stream(_) => usize::MAX,
            Self::Pieces(pieces) => pieces.block_bytes.saturating_sub(pieces.bytes.len().saturating_sub(pieces.history_bytes)),
        }
    }

    fn take(&mut self, plain: &[u8], out: &mut Bits) {
        match self {
            Self::Stream(deflate) => deflate.write(plain, out),
            Self::Pieces(pieces) => {
                let whole = pieces.block_bytes.saturating_add(pieces.history_bytes);
                pieces.bytes.reserve_exact(whole.saturating_sub(pieces.bytes.len()));
                pieces.bytes.extend_from_slice(plain);
            }
        }
    }

    fn end_piece(&mut self, out: &mut Bits) {
        if let Self::Pieces(pieces) = self {
            pieces.encoder.piece(&pieces.bytes, pieces.history_bytes, out);
            pieces.bytes.drain(..pieces.bytes.len().saturating_sub(HISTORY_BYTES));
            pieces.history_bytes = pieces.bytes.len();
        }
    }

    fn finish(&mut self, out: &mut Bits) {
        self.end_piece(out);
        match self {
            Self::Stream(deflate) => deflate.finish(out),
            Self::Pieces(pieces) => pieces.encoder.last_block(out),
        }
    }
}
