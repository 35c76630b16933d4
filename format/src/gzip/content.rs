//! [`Content`]: a blob that can be read at any place, as often as wanted.

use std::io::{self, Read};

/// Bytes that are all there.
pub trait Content: Sync {
    /// How many.
    fn bytes(&self) -> u64;

    /// Fills the beginning of `buffer` with bytes from `offset`; says how many there were, none only at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Content for &[u8] {
    fn bytes(&self) -> u64 {
        crate::codec::length(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        rest.read(buffer)
    }
}

/// Content from a place on.
pub struct At<'a> {
    content: &'a dyn Content,
    offset: u64,
}

impl<'a> At<'a> {
    /// From `offset` on.
    pub fn new(content: &'a dyn Content, offset: u64) -> Self {
        Self { content, offset }
    }
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read_at(self.offset, buffer)?;
        self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }
}
