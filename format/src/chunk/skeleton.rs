//! [`Skeleton`]: gathers what stands between two file contents into one run, cut only where it grows too long.
//!
//! **Invariants.** A run up to [`MAX_SKELETON`] is one chunk. A longer one is cut after the last whole entry that fits,
//! and within an entry only where that alone is longer.
//!
//! *Not here:* what an entry is (`chunker`).

use super::{Class, Emit, MAX_SKELETON};

#[derive(Default)]
pub(super) struct Skeleton {
    run: Vec<u8>,
    /// Where in the run its last whole entry ends.
    mark: usize,
}

impl Skeleton {
    /// Takes the next bytes of the run.
    pub(super) fn push<E>(&mut self, bytes: &[u8], emit: &mut impl Emit<E>) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.run.len() >= MAX_SKELETON {
                self.cut(emit)?;
            }
            let room = MAX_SKELETON.saturating_sub(self.run.len());
            let (now, after) = rest.split_at(room.min(rest.len()));
            self.run.extend_from_slice(now);
            rest = after;
        }
        Ok(())
    }

    /// An entry ends here.
    pub(super) fn mark(&mut self) {
        self.mark = self.run.len();
    }

    /// Ends the run.
    pub(super) fn flush<E>(&mut self, emit: &mut impl Emit<E>) -> Result<(), E> {
        if !self.run.is_empty() {
            emit(Class::Skeleton, &self.run)?;
        }
        self.run.clear();
        self.mark = 0;
        Ok(())
    }

    fn cut<E>(&mut self, emit: &mut impl Emit<E>) -> Result<(), E> {
        if self.mark == 0 {
            return self.flush(emit);
        }
        let (whole, _) = self.run.split_at(self.mark);
        emit(Class::Skeleton, whole)?;
        self.run.drain(..self.mark);
        self.mark = 0;
        Ok(())
    }
}
