//! [`Inflated`]: the plain form of a blob that a [`Plan`] is for, from front to back, and its diff id.

use std::io::{self, BufReader, Read};

use super::content::{At, Content};
use super::find::{Made, Plan};
use super::inflate::Inflate;
use crate::codec::length;
use crate::digest::{Digest, Hasher};

const READ_BYTES: usize = 256 << 10;

/// The plain bytes of all members, one after the other.
pub struct Inflated<'a> {
    content: &'a dyn Content,
    members: std::slice::Iter<'a, Made>,
    /// Where the next member begins.
    offset: u64,
    current: Option<(BufReader<At<'a>>, Inflate)>,
    /// How much of its plain bytes was read.
    at: usize,
    hasher: Hasher,
}

impl<'a> Inflated<'a> {
    /// The plain form of `content`.
    #[must_use]
    pub fn new(content: &'a dyn Content, plan: &'a Plan) -> Self {
        let hasher = Hasher::sha256();
        Self { content, members: plan.members.iter(), offset: 0, current: None, at: 0, hasher }
    }

    /// The digest of all that was read.
    #[must_use]
    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }

    /// What was fetched and not read.
    fn rest(&self) -> &[u8] {
        self.current.as_ref().and_then(|(_, inflate)| inflate.plain().get(self.at..)).unwrap_or_default()
    }

    /// Fetches the next plain bytes; whether there are any.
    fn fetch(&mut self) -> io::Result<bool> {
        loop {
            if let Some((from, inflate)) = &mut self.current {
                let plain = inflate.next(from)?;
                if !plain.is_empty() {
                    self.hasher.update(plain);
                    self.at = 0;
                    return Ok(true);
                }
            }
            let Some(next) = self.members.next() else { return Ok(false) };
            let stream = self.offset.saturating_add(length(next.member.header.bytes()));
            self.offset = self.offset.saturating_add(next.bytes);
            self.current = Some((BufReader::with_capacity(READ_BYTES, At::new(self.content, stream)), Inflate::default()));
        }
    }
}

impl Read for Inflated<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest().is_empty() && !self.fetch()? {
            return Ok(0);
        }
        let mut rest = self.rest();
        let count = rest.read(buffer)?;
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}
