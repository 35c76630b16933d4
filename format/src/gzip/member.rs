//! [`Member`]: how one gzip member is made again: header, encoder, trailer.
//!
//! **Invariants.** The output is a function of the member and its plain bytes. Where a member has restarts, each
//! stretch between two of them is made from its own plain bytes and the [`Member::history_bytes`] before them.
//!
//! *Not here:* finding the encoder (`find`).

use super::encoder::Encoder;
use super::header::Header;
use super::klauspost::{self, Generation, HISTORY_BYTES};
use super::{Bits, Deflate};
use crate::codec::{Cursor, length, put_bytes};
use crate::error::Result;
use crate::recipe::{MAX_PARAMETER_BYTES, Restart};

/// CRC-32 and length: they are kept, since they can only be made from all of the plain bytes.
pub const TRAILER_BYTES: usize = 8;

/// How one gzip member is made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The encoder.
    pub encoder: Encoder,
    /// The header, as it came.
    pub header: Header,
    /// The trailer, as it came.
    pub trailer: [u8; TRAILER_BYTES],
}

/// A stretch of the plain bytes of a member.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// Its bytes, and what is before them.
    pub bytes: &'a [u8],
    /// How many bytes are before it: the [`Member::history_bytes`], or all there are.
    pub history_bytes: usize,
    /// Whether the member begins with it.
    pub is_first: bool,
    /// Whether the member ends with it.
    pub is_last: bool,
}

impl Member {
    /// As it stands among the parameters of a replay.
    #[must_use]
    pub fn parameters(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.header.bytes());
        out.extend(self.trailer);
        self.encoder.put(&mut out);
        out
    }

    /// Reads the parameters of a replay by encoder `id`.
    pub fn decode(id: u64, parameters: &[u8]) -> Result<Self> {
        // First: what an encoder that is not known has for parameters may look like anything.
        Encoder::check_id(id)?;
        let mut cursor = Cursor::new(parameters, "parameters of an encoder");
        let header_bytes = cursor.count(MAX_PARAMETER_BYTES, "gzip header")?;
        let header = Header::of(cursor.take(header_bytes)?.to_vec());
        let trailer = cursor.array()?;
        Ok(Self { encoder: Encoder::take(id, &mut cursor)?, header, trailer })
    }

    /// Restarts are so many plain bytes apart; `None` where there are none.
    #[must_use]
    pub fn restart_bytes(&self) -> Option<u64> {
        match self.encoder {
            Encoder::Pgzip { block_bytes, .. } => Some(block_bytes),
            _ => None,
        }
    }

    /// How many plain bytes before a restart the encoder must know.
    #[must_use]
    pub fn history_bytes(&self) -> usize {
        HISTORY_BYTES
    }

    /// The output of one stretch between restarts, in place of what `room` holds; nothing for an encoder that has none.
    #[must_use]
    pub fn stretch(&self, stretch: &Stretch<'_>, room: Vec<u8>, scratch: &mut Scratch) -> Vec<u8> {
        let Encoder::Pgzip { generation, block_bytes } = self.encoder else { return Vec::new() };
        let encoder = scratch.encoder(generation);
        let mut bits = Bits::into_room(room);
        if stretch.is_first {
            bits.append(self.header.bytes());
        }
        encoder.piece(stretch.bytes, stretch.history_bytes, &mut bits);
        if stretch.is_last {
            // A piece that is full is not the last one: after it comes one without bytes.
            if length(stretch.bytes).saturating_sub(length_of(stretch.history_bytes)) == block_bytes {
                let history = last_of(stretch.bytes);
                encoder.piece(history, history.len(), &mut bits);
            }
            encoder.last_block(&mut bits);
            bits.append(&self.trailer);
        }
        bits.take()
    }
}

/// Tables of an encoder, to be used again: making them anew costs more than a stretch is worth.
#[derive(Default)]
pub struct Scratch(Option<klauspost::Encoder>);

impl Scratch {
    fn encoder(&mut self, generation: Generation) -> &mut klauspost::Encoder {
        if self.0.as_ref().is_some_and(|encoder| encoder.generation() != generation) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| klauspost::Encoder::new(generation))
    }
}

/// Makes a member from front to back, in bounded memory.
pub struct Maker {
    work: Work,
    bits: Bits,
    made: Vec<u8>,
    made_bytes: u64,
    plain_bytes: u64,
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
        let mut maker = Self {
            work: Work::of(encoder),
            bits: Bits::default(),
            made: Vec::new(),
            made_bytes: 0,
            plain_bytes: 0,
            check: 0,
            restarts: vec![Restart { plain_offset: 0, output_bit: 0, check: 0 }],
        };
        maker.emit(header.bytes());
        maker
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
            self.plain_bytes = self.plain_bytes.saturating_add(length(now));
            plain = later;
        }
        self.collect();
    }

    /// There is no more input: makes the rest, with the trailer.
    pub fn finish(&mut self, trailer: [u8; TRAILER_BYTES]) {
        if self.work.room() == 0 {
            self.end_piece();
        }
        self.work.finish(&mut self.bits);
        self.collect();
        self.emit(&trailer);
        self.end_stretch();
    }

    /// What was made since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.made)
    }

    /// How many bytes were made.
    #[must_use]
    pub fn made_bytes(&self) -> u64 {
        self.made_bytes
    }

    /// How many plain bytes were taken.
    #[must_use]
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Where the encoder can begin anew; known once it has finished.
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
        self.restarts.push(Restart { plain_offset: self.plain_bytes, output_bit: self.made_bytes.saturating_mul(8), check: 0 });
    }

    fn end_stretch(&mut self) {
        let check = std::mem::take(&mut self.check);
        if let Some(last) = self.restarts.last_mut() {
            last.check = check;
        }
    }

    fn collect(&mut self) {
        let bytes = self.bits.take();
        // Nobody asks where blocks begin: restarts of pieces are known without them.
        self.bits.take_starts();
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

fn last_of(plain: &[u8]) -> &[u8] {
    plain.get(plain.len().saturating_sub(HISTORY_BYTES)..).unwrap_or_default()
}

fn length_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
