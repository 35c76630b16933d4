//! Gzip, bit for bit: the encoders that write layers, run again over the plain bytes to give the same gzip bytes.
//!
//! **Invariants.** An encoder is a function of the plain bytes and its parameters alone: how its input is cut into calls,
//! the clock and the number of threads never change a bit of its output. Encoders take any bytes and never panic.
//!
//! *Not here:* which blobs are gzip, and where their plain form is kept.

mod bits;
mod chunks;
mod content;
mod encoder;
mod find;
pub mod gnu;
pub mod go;
pub mod header;
mod huffman;
mod inflate;
pub mod klauspost;
mod maker;
mod member;
pub mod pigz;
mod plain;
mod prove;
mod token;
pub mod zlib;

pub use bits::{Bits, BlockStart};
pub use content::{At, Content};
pub use encoder::{Anew, Encoder};
pub use find::{Made, Plan, Reason, Verdict, find};
pub use inflate::Inflate;
pub use maker::Maker;
pub use member::{Member, Scratch, Stretch, TRAILER_BYTES};
pub use plain::Inflated;

/// An encoder that runs over one deflate stream from its beginning to its end, in bounded memory.
pub trait Deflate: Send {
    /// Takes the next plain bytes, and appends what is decided by now.
    fn write(&mut self, plain: &[u8], out: &mut Bits);

    /// There is no more input: appends the rest, up to the last bit of the stream, padded to a byte.
    fn finish(&mut self, out: &mut Bits);
}
