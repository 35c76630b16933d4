//! [`Source`]: where an answer has the bytes of a blob from: the archive, or a copy in the spool.
//!
//! **Invariants.** Reads run at the server's pace. The last byte of a blob that is read whole comes only after its digest matched. A copy
//! that cannot be made hurts nobody: who follows it goes on with the archive where it stood.
//!
//! *Not here:* the order of parts and how they are sent (`body`).

use std::sync::Arc;

use bytes::Bytes;

use super::pace::{Pace, Share};
use super::proof::Proof;
use super::spool::Copy;
use crate::error::{Error, Result};
use crate::image::inside::Form;
use crate::image::{Digest, Inside};

/// A blob at hand.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) inside: Arc<dyn Inside>,
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// The check of its digest, where it is read whole and not proven yet.
    pub(super) proof: Option<Arc<Proof>>,
    pub(super) pace: Arc<Pace>,
}

/// What one answer reads.
pub(super) struct Source {
    pub(super) origin: Origin,
    pub(super) copy: Option<Arc<Copy>>,
    pub(super) share: Share,
}

impl Source {
    /// Bytes from `at` on, at least one and none from `end` on.
    pub(super) async fn part(&self, at: u64, end: u64) -> Result<Vec<Bytes>> {
        let until = end.min(at.saturating_add(self.share.part_bytes()));
        let origin = self.origin.clone();
        if let Some(copy) = &self.copy
            && let Some(there) = copy.reaches(at).await
        {
            let copy = copy.clone();
            let read = move || {
                let bytes = copy.read(at, until.min(there) - at)?;
                origin.took(at, &bytes)?;
                Ok(vec![bytes])
            };
            return self.origin.pace.run(read).await;
        }
        self.origin.pace.run(move || gather(&origin, at, until)).await
    }
}

impl Origin {
    /// Tells the check of bytes that were read; with the last of them, the verdict must be good.
    fn took(&self, at: u64, bytes: &Bytes) -> Result<()> {
        let Some(proof) = &self.proof else { return Ok(()) };
        proof.feed(at, bytes);
        if at + bytes.len() as u64 == self.size { proof.verdict() } else { Ok(()) }
    }
}

/// The bytes of a blob from `start` up to `end`, as they lie together. Blocks.
pub(super) fn gather(origin: &Origin, start: u64, end: u64) -> Result<Vec<Bytes>> {
    let (mut pieces, mut at) = (Vec::new(), start);
    while at < end {
        let bytes = origin.inside.read(&origin.digest, Form::Stored, at, end - at)?;
        if bytes.is_empty() || bytes.len() as u64 > end - at {
            return Err(Error::damaged(format!("{}: it has not the {} bytes that it should have", origin.digest, origin.size)));
        }
        origin.took(at, &bytes)?;
        at += bytes.len() as u64;
        pieces.push(bytes);
    }
    Ok(pieces)
}
