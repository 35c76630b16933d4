//! [`Source`]: where an answer has the bytes of a blob from: the archive, or a copy in the spool.
//!
//! **Invariants.** Reads run at the server's pace. The last byte of a blob that is read whole is good only after its digest matched. A copy
//! that cannot be made hurts nobody: who follows it goes on with the archive where it stood.
//!
//! *Not here:* the order of parts (`flow`) and how they are sent (`body`).

use std::sync::Arc;

use bytes::Bytes;

use super::pace::{Pace, Share};
use super::proof::Proof;
use super::range::Stretch;
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
    /// The bytes of `part`.
    pub(super) async fn part(&self, part: Stretch) -> Result<Vec<Bytes>> {
        let (mut pieces, mut copied) = (Vec::new(), part.start);
        while let Some(copy) = self.copy.as_ref().filter(|_| copied < part.end) {
            let Some(there) = copy.reaches(copied).await else { break };
            let (copy, end) = (copy.clone(), part.end.min(there));
            pieces.push(self.origin.pace.run(move || copy.read(copied, end - copied)).await?);
            copied = end;
        }
        if copied < part.end {
            let origin = self.origin.clone();
            pieces.extend(self.origin.pace.run(move || origin.gather(copied, part.end)).await?);
        }
        Ok(pieces)
    }
}

impl Origin {
    /// Tells the check of the blob, if there is one, of bytes that were read; all before them were told of.
    pub(super) async fn check(&self, at: u64, pieces: &[Bytes]) -> Result<()> {
        match &self.proof {
            Some(proof) => proof.tell(at, pieces, &self.pace).await,
            None => Ok(()),
        }
    }

    /// The bytes from `start` up to `end`, as they lie together. Blocks.
    pub(super) fn gather(&self, start: u64, end: u64) -> Result<Vec<Bytes>> {
        let (mut pieces, mut at) = (Vec::new(), start);
        while at < end {
            let bytes = self.inside.read(&self.digest, Form::Stored, at, end - at)?;
            if bytes.is_empty() || bytes.len() as u64 > end - at {
                return Err(Error::damaged(format!("{}: it has not the {} bytes that it should have", self.digest, self.size)));
            }
            at += bytes.len() as u64;
            pieces.push(bytes);
        }
        Ok(pieces)
    }
}
