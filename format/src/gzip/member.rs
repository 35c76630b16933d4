//! [`Member`]: how one gzip member is made again: header, encoder, trailer.
//!
//! **Invariants.** The output is a function of the member and its plain bytes. Where it has pieces, each of them is made
//! from its own plain bytes and the [`Member::history_bytes`] before them.
//!
//! *Not here:* finding the encoder (`find`); members that are one stream (`maker`).

use super::Bits;
use super::encoder::Encoder;
use super::header::Header;
use super::klauspost::{self, Generation, HISTORY_BYTES};
use crate::codec::{Cursor, length, put_bytes};
use crate::error::Result;
use crate::recipe::MAX_PARAMETER_BYTES;

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

    /// Its pieces have so many plain bytes and are made one by one; `None` where it is one stream.
    #[must_use]
    pub fn piece_bytes(&self) -> Option<u64> {
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

fn last_of(plain: &[u8]) -> &[u8] {
    plain.get(plain.len().saturating_sub(HISTORY_BYTES)..).unwrap_or_default()
}

fn length_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
