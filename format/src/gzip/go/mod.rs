//! [`Encoder`]: `compress/flate` of Go up to 1.26, as `compress/gzip` calls it: level 1, and levels 4 to 9.
//!
//! **Invariants.** Every block ends with its own end; the last one is empty and stored.
//!
//! *Not here:* the header and the trailer of gzip; levels 2 and 3.

mod block;
mod fast;
mod lazy;

use self::fast::Fast;
use self::lazy::Lazy;
use super::{Anew, Bits, Deflate};

/// An encoder of one stream.
#[derive(Debug, Clone)]
pub struct Encoder(Level);

#[derive(Debug, Clone)]
enum Level {
    Fast(Box<Fast>),
    Lazy(Box<Lazy>),
}

impl Encoder {
    /// An encoder of level 1, or of one from 4 to 9; other numbers count as the next one of these.
    #[must_use]
    pub fn new(level: u8) -> Self {
        Self::anew(level, Anew { from: 0, at: 0 })
    }

    /// The same as it goes on in the middle of its input: it is to be given what begins at `anew.from`.
    pub(super) fn anew(level: u8, anew: Anew) -> Self {
        match level {
            0 | 1 => Self(Level::Fast(Box::new(Fast::new(anew)))),
            _ => Self(Level::Lazy(Box::new(Lazy::new(lazy::Effort::of(level), anew)))),
        }
    }
}

impl Deflate for Encoder {
    fn write(&mut self, plain: &[u8], out: &mut Bits) {
        match &mut self.0 {
            Level::Fast(fast) => fast.write(plain, out),
            Level::Lazy(lazy) => lazy.write(plain, out),
        }
    }

    fn finish(&mut self, out: &mut Bits) {
        let plain_bytes = match &mut self.0 {
            Level::Fast(fast) => fast.finish(out),
            Level::Lazy(lazy) => lazy.finish(out),
        };
        out.begin_block(plain_bytes);
        out.put(0b001, 3);
        out.append(&[0, 0, 0xff, 0xff]);
    }
}
