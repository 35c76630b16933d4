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
use super::{Bits, Deflate};

/// An encoder of one stream.
#[derive(Debug, Clone)]
pub struct Encoder(Level);

#[derive(Debug, Clone)]
enum Level {
    Fast(Box<Fast>),
    Lazy(Box<Lazy>),
}

impl Encoder {
    /// An encoder of level 1, of one from 4 to 9, or of -1, which is 6; of other levels there is none.
    #[must_use]
    pub fn new(level: i32) -> Option<Self> {
        let level = if level == -1 { 6 } else { level };
        match level {
            1 => Some(Self(Level::Fast(Box::new(Fast::new())))),
            _ => lazy::Effort::of(level).map(|effort| Self(Level::Lazy(Box::new(Lazy::new(effort))))),
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
