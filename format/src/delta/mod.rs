//! What a new set can take from earlier ones: chunks that they hold already, and older versions of what changed.
//!
//! **Invariants.** Everything in here is of the side that writes; a set says only which runs it uses. Memory is bounded: above
//! their budget, tables remember a part that is the same every time.
//!
//! *Not here:* how runs are written (`writer`) and followed (`reader`).

mod chunks;
mod cost;
mod gathered;
mod made_again;
mod versions;

pub use chunks::{Blob, Chunks};
pub use cost::Cost;
pub use gathered::Gathered;
pub use versions::{Older, Slice, Unread, Version, Versions};

use crate::digest::Hasher;

/// What a new set can take from earlier ones.
#[derive(Debug, Default)]
pub struct Earlier {
    /// The chunks that they hold.
    pub chunks: Chunks,
    /// Older versions of files, where the data of these sets are at hand.
    pub versions: Option<Versions>,
}

/// How a chunk is known again: the first bytes of its SHA-256.
pub type Key = [u8; 20];

/// What an entry of a table takes in memory, in bytes.
const ENTRY_BYTES: u64 = 32;

/// The key of a chunk.
#[must_use]
pub fn key(chunk: &[u8]) -> Key {
    let mut hasher = Hasher::sha256();
    hasher.update(chunk);
    key_of(hasher)
}

/// The key that a SHA-256 makes.
pub(crate) fn key_of(hasher: Hasher) -> Key {
    hasher.finish().bytes().first_chunk().copied().unwrap_or_default()
}

/// Which keys are remembered where there is no room for all: those that begin with `bits` zero bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sieve {
    bits: u32,
}

impl Sieve {
    /// Whether a key is remembered.
    pub(crate) fn takes(self, key: &Key) -> bool {
        let first = key.first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default();
        first.leading_zeros() >= self.bits
    }

    /// Remembers half as many from now on.
    pub(crate) fn halve(&mut self) {
        self.bits = self.bits.saturating_add(1).min(64);
    }
}
