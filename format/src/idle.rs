//! [`Idle`]: buffers that wait to be used again.
//!
//! **Invariants.** What is kept is at most [`MAX_IDLE_BYTES`] and one buffer more.
//!
//! *Not here:* what the bytes were; whoever takes a buffer overwrites it.

use std::sync::Mutex;

use crate::cache::lock;

/// Allocating less than this costs next to nothing, and it would take the room of what does.
const MIN_KEPT_BYTES: usize = 64 << 10;
/// Bytes in buffers that nobody uses.
const MAX_IDLE_BYTES: usize = 8 << 20;

/// Buffers that wait to be used again: allocating a megabyte each time costs as much as filling it.
#[derive(Default)]
pub(crate) struct Idle(Mutex<Vec<Vec<u8>>>);

impl Idle {
    /// A buffer with room for `bytes`, and not much more.
    pub(crate) fn take(&self, bytes: usize) -> Vec<u8> {
        let mut buffers = lock(&self.0);
        let fits = |buffer: &Vec<u8>| buffer.capacity() >= bytes && buffer.capacity() / 2 <= bytes;
        match buffers.iter().position(fits) {
            Some(at) => buffers.swap_remove(at),
            None => Vec::new(),
        }
    }

    /// A buffer that nobody uses any more.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() < MIN_KEPT_BYTES {
            return;
        }
        let mut buffers = lock(&self.0);
        let idle = buffers.iter().fold(buffer.capacity(), |sum, buffer| sum.saturating_add(buffer.capacity()));
        if idle <= MAX_IDLE_BYTES {
            buffers.push(buffer);
        } else if let Some(first) = buffers.first_mut() {
            // The sizes of an archive differ from the last one's: let the old buffers make room.
            *first = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_few_are_kept() {
        let idle = Idle::default();
        idle.give(Vec::with_capacity(100));
        assert_eq!(idle.take(100).capacity(), 0, "it is too small to be kept");
        idle.give(Vec::with_capacity(100_000));
        assert!(idle.take(200_000).capacity() == 0 && idle.take(40_000).capacity() == 0);
        assert!(idle.take(90_000).capacity() >= 100_000);
        (0..100).for_each(|_| idle.give(Vec::with_capacity(1 << 20)));
        let kept: usize = lock(&idle.0).iter().map(Vec::capacity).sum();
        assert!(kept <= MAX_IDLE_BYTES, "{kept}");
    }
}
