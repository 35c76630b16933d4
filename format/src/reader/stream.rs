//! [`Stream`]: a blob, or its plain form, from front to back.
//!
//! **Invariants.** The last bytes of a checked stream come out only if the digest of the whole matches. Nothing is
//! copied but by [`Read`]; [`Stream::next_chunk`] hands out the memory of the frames themselves. What encoders make again is
//! made ahead where processors are idle (`ahead`).
//!
//! *Not here:* random reads (`Reader::read_at`).

use std::io::{self, Read};
use std::sync::Arc;

use super::Inner;
use super::ahead::Ahead;
use super::form::{Form, Steps};
use super::frames::Chunk;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};

/// A blob from front to back.
pub struct Stream {
    reader: Arc<Inner>,
    form: Form,
    at: u64,
    current: Option<Chunk>,
    ahead: Ahead,
    check: Option<(Digest, Hasher)>,
}

impl Stream {
    pub(super) fn new(reader: Arc<Inner>, form: Form, check: Option<Digest>) -> Self {
        let check = check.map(|digest| (digest, digest.hasher()));
        Self { reader, form, at: 0, current: None, ahead: Ahead::default(), check }
    }

    /// How many bytes the whole has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.form.bytes
    }

    /// The next bytes, as many as lie together; `None` at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        match self.current.take() {
            Some(rest) if !rest.is_empty() => Ok(Some(rest)),
            _ => self.fetch(),
        }
    }

    fn fetch(&mut self) -> Result<Option<Chunk>> {
        if self.at >= self.form.bytes {
            return self.check_end().map(|()| None);
        }
        let about = |error: Error| error.context(format!("blob {}", self.form.blob));
        self.ahead.look(&self.reader, &self.form, self.at);
        let chunk = self.reader.chunk(&self.form, self.at, u64::MAX, &mut Steps::default()).map_err(about)?;
        if let Some((_, hasher)) = &mut self.check {
            hasher.update(&chunk);
        }
        self.at = self.at.saturating_add(crate::codec::length(&chunk));
        if self.at >= self.form.bytes {
            self.check_end()?;
        }
        Ok(Some(chunk))
    }

    fn check_end(&mut self) -> Result<()> {
        let Some((digest, hasher)) = self.check.take() else { return Ok(()) };
        if hasher.finish() == digest {
            return Ok(());
        }
        // A stream that failed goes on failing: of the next bytes, which are none, the digest is another one too.
        (self.at, self.check) = (u64::MAX, Some((digest, digest.hasher())));
        Err(Error::damaged(format!("blob {}: its bytes do not match the digest {digest}", self.form.blob)))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(mut chunk) = self.next_chunk().map_err(to_io)? else { return Ok(0) };
        let count = chunk.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), chunk.get(..count)) {
            to.copy_from_slice(from);
        }
        chunk.skip(count);
        self.current = Some(chunk);
        Ok(count)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("form", &self.form).field("at", &self.at).finish_non_exhaustive()
    }
}

fn to_io(error: Error) -> io::Error {
    let kind = match error.kind() {
        Kind::Io(kind) => kind,
        Kind::Missing => io::ErrorKind::NotFound,
        Kind::Unsupported | Kind::Version => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}
