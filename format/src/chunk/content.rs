//! [`Content`]: cuts the bytes of one file after another with FastCDC, as they stream by.
//!
//! **Invariants.** A cut is looked for only in a whole window: [`MAX`] bytes, or all that is left of the file. So each
//! byte is looked at once, and the cuts are those of FastCDC over the file in one piece. Bytes are copied only where a
//! window lies across two pushes; at most 2 × [`MAX`] bytes are held.
//!
//! *Not here:* where files begin and end (`chunker`).

use fastcdc::v2020::FastCDC;

use super::{AVG, Class, Emit, MAX, MIN};

const HELD_MAX: usize = 2 * MAX;

pub(super) struct Content {
    /// Bytes of earlier pushes; those before `start` are out already.
    held: Vec<u8>,
    start: usize,
    /// Bytes of this file that are not out yet, held or still to come. No more than `u64::MAX` of a plain blob.
    left: u64,
    /// Whether this file is one chunk.
    small: bool,
}

impl Default for Content {
    fn default() -> Self {
        Self { held: Vec::new(), start: 0, left: u64::MAX, small: false }
    }
}

impl Content {
    /// The next byte is the first of a file of `size_bytes`. The one before is complete, and so are its chunks.
    pub(super) fn begin_file(&mut self, size_bytes: u64) {
        self.left = size_bytes;
        self.small = usize::try_from(size_bytes).is_ok_and(|size| size <= AVG);
    }

    /// The next byte is the first of a file that lasts until [`Content::finish`].
    pub(super) fn begin_plain(&mut self) {
        self.left = u64::MAX;
        self.small = false;
    }

    /// Takes the next bytes, which all belong to this file.
    pub(super) fn push<E>(&mut self, bytes: &[u8], emit: &mut impl Emit<E>) -> Result<(), E> {
        let mut rest = self.push_held(bytes, emit)?;
        while let Some(window) = rest.get(..self.window()).filter(|window| !window.is_empty()) {
            let (chunk, after) = rest.split_at(cut(window, self.small));
            emit(Class::Content, chunk)?;
            self.count(chunk.len());
            rest = after;
        }
        self.hold(rest);
        Ok(())
    }

    /// Ends the file, here even if more was announced.
    pub(super) fn finish<E>(mut self, emit: &mut impl Emit<E>) -> Result<(), E> {
        while self.waiting() > 0 {
            self.cut_held(self.waiting(), emit)?;
        }
        Ok(())
    }

    /// Completes the windows that began in earlier pushes. Returns the bytes from which on none does: once all that is
    /// held came with `bytes`, it is let go, and looked at where it lies.
    fn push_held<'a, E>(&mut self, bytes: &'a [u8], emit: &mut impl Emit<E>) -> Result<&'a [u8], E> {
        let mut taken: usize = 0;
        while self.waiting() > taken {
            let rest = bytes.get(taken..).unwrap_or_default();
            let missing = self.window().saturating_sub(self.waiting());
            let Some(more) = rest.get(..missing) else {
                self.hold(rest);
                return Ok(&[]);
            };
            self.hold(more);
            taken = taken.saturating_add(missing);
            self.cut_held(self.window(), emit)?;
        }
        let rest = bytes.get(taken.saturating_sub(self.waiting())..).unwrap_or_default();
        self.held.clear();
        self.start = 0;
        Ok(rest)
    }

    fn cut_held<E>(&mut self, window: usize, emit: &mut impl Emit<E>) -> Result<(), E> {
        let held = self.held.get(self.start..).unwrap_or_default();
        let window = held.get(..window).unwrap_or(held);
        let (chunk, _) = window.split_at(cut(window, self.small));
        emit(Class::Content, chunk)?;
        let length = chunk.len();
        self.start = self.start.saturating_add(length);
        self.count(length);
        Ok(())
    }

    fn hold(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.held.reserve_exact(HELD_MAX.saturating_sub(self.held.len()));
        if self.held.len().saturating_add(bytes.len()) > HELD_MAX {
            self.held.drain(..self.start);
            self.start = 0;
        }
        self.held.extend_from_slice(bytes);
    }

    fn count(&mut self, length: usize) {
        self.left = self.left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
    }

    /// How many bytes are held and not out.
    fn waiting(&self) -> usize {
        self.held.len().saturating_sub(self.start)
    }

    /// How many bytes must be at hand before the next cut is certain.
    fn window(&self) -> usize {
        usize::try_from(self.left).unwrap_or(MAX).min(MAX)
    }
}

/// The length of the first chunk of a window that is not empty. Level and seed are the defaults of the crate.
fn cut(window: &[u8], small: bool) -> usize {
    if small { window.len() } else { FastCDC::new(window, MIN, AVG, MAX).cut(0, window.len()).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that FastCDC cuts here and there (xorshift).
    fn bytes(length: usize) -> Vec<u8> {
        let mut state: u32 = 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()
        };
        (0..length.div_ceil(4)).flat_map(next).take(length).collect()
    }

    #[test]
    fn no_more_than_two_windows_are_held() {
        let blob = bytes(8_000_000);
        for length in [1_000, 65_536, MAX - 1, MAX, MAX + 1, 3 * MAX] {
            let mut content = Content::default();
            let mut total = 0;
            let mut emit = |_, bytes: &[u8]| -> Result<(), std::convert::Infallible> {
                total += bytes.len();
                Ok(())
            };
            for push in blob.chunks(length) {
                let Ok(()) = content.push(push, &mut emit);
                assert!(content.held.capacity() <= HELD_MAX, "{} with pushes of {length}", content.held.capacity());
            }
            let Ok(()) = content.finish(&mut emit);
            assert_eq!(total, blob.len());
        }
    }

    #[test]
    fn chunks_of_a_large_push_are_not_copied_but_at_its_ends() {
        let blob = bytes(8 * MAX);
        let mut copied = 0;
        let mut emit = |_, chunk: &[u8]| -> Result<(), std::convert::Infallible> {
            copied += if blob.as_ptr_range().contains(&chunk.as_ptr()) { 0 } else { chunk.len() };
            Ok(())
        };
        let mut content = Content::default();
        for push in blob.chunks(4 * MAX) {
            let Ok(()) = content.push(push, &mut emit);
        }
        let Ok(()) = content.finish(&mut emit);
        assert!((1..=3 * MAX).contains(&copied), "{copied} of {} bytes were copied", blob.len());
    }
}
