//! [`Plains`]: the plain forms of layers, wherever they are had from; and bytes of blobs as runs of them.
//!
//! **Invariants.** A plain form comes from the archive where that has it; from the spool otherwise, and only then anything is
//! decompressed. Under [`Trust::Nothing`] no byte of a blob comes out before all of it matched its digest once.
//!
//! *Not here:* which layer has which file (`rootfs`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};

use super::cache::{Cache, held};
use super::spool::Spool;
use super::whole::Whole;
use crate::error::{Error, Result};
use crate::image::inside::{Facts, Form};
use crate::image::{Digest, Inside};

/// Memory for what is known of blobs, in bytes.
const FACTS_BYTES: usize = 1 << 20;

/// When the digest of a whole blob is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Where its parts were checked as parts, that is enough.
    Parts,
    /// Before anything of it is given out.
    Nothing,
}

/// A run of bytes that a file consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Extent {
    pub(super) blob: Digest,
    pub(super) kept: Kept,
    /// Where it begins in that form.
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// What bytes are kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kept {
    /// The blob itself.
    Stored,
    /// Its plain form, in the archive.
    Plain,
    /// Its plain form, in the spool.
    Spool,
}

/// Where blobs and plain forms are read.
pub(super) struct Plains {
    inside: Arc<dyn Inside>,
    spool: Spool,
    trust: Trust,
    facts: Cache<Digest, Facts>,
    proven: Mutex<HashSet<Digest>>,
    proving: Mutex<()>,
}

impl Plains {
    pub(super) fn new(inside: Arc<dyn Inside>, spool: Spool, trust: Trust) -> Self {
        Self { inside, spool, trust, facts: Cache::new(FACTS_BYTES), proven: Mutex::default(), proving: Mutex::default() }
    }

    /// What is known of a blob; an error where it is not at hand.
    pub(super) fn facts(&self, blob: &Digest) -> Result<Facts> {
        let ask = || {
            let facts = self.inside.blob(blob)?;
            let facts = facts.ok_or_else(|| Error::needed(format!("blob {blob}: it is not in {}", self.inside.place())))?;
            Ok((facts, size_of::<(Digest, Facts)>() + 64))
        };
        self.facts.get(*blob, ask).map(|facts| *facts)
    }

    /// A blob as it is.
    pub(super) fn stored(&self, blob: &Digest) -> Result<Extent> {
        Ok(Extent { blob: *blob, kept: Kept::Stored, start: 0, bytes: self.facts(blob)?.bytes })
    }

    /// The plain form of a layer, which is decompressed if it has to be.
    pub(super) fn plain(&self, blob: &Digest) -> Result<Extent> {
        let facts = self.facts(blob)?;
        let (kept, bytes) = match facts.plain_bytes {
            Some(bytes) => (Kept::Plain, bytes),
            None => (Kept::Spool, self.spool.get(&*self.inside, blob, facts.bytes)?.bytes()),
        };
        Ok(Extent { blob: *blob, kept, start: 0, bytes })
    }

    /// The size of the plain form of a layer in bytes, where it is known without any work.
    pub(super) fn plain_bytes(&self, blob: &Digest) -> Result<Option<u64>> {
        Ok(self.facts(blob)?.plain_bytes.or_else(|| self.spool.size(blob)))
    }

    /// Makes sure that a blob is what its digest says, where that was asked for.
    pub(super) fn prove(&self, blob: &Digest) -> Result<()> {
        let is_proven = || self.trust == Trust::Parts || held(&self.proven).contains(blob);
        if is_proven() {
            return Ok(());
        }
        let _one = held(&self.proving);
        if is_proven() {
            return Ok(());
        }
        Whole::of(&*self.inside, *blob, self.facts(blob)?.bytes).finish()?;
        held(&self.proven).insert(*blob);
        Ok(())
    }

    /// As many bytes of an extent from `offset` on as lie together: at least one and at most `most`; none behind its end.
    pub(super) fn some(&self, extent: &Extent, offset: u64, most: u64) -> Result<Bytes> {
        let most = extent.bytes.saturating_sub(offset).min(most);
        if most == 0 {
            return Ok(Bytes::new());
        }
        let (blob, at) = (&extent.blob, extent.start + offset);
        let bytes = match extent.kept {
            Kept::Stored => self.inside.read(blob, Form::Stored, at, most)?,
            Kept::Plain => self.inside.read(blob, Form::Plain, at, most)?,
            Kept::Spool => self.spool.get(&*self.inside, blob, self.facts(blob)?.bytes)?.read(at, most)?,
        };
        match bytes.is_empty() {
            true => Err(Error::damaged(format!("blob {blob}: it ends at {at:#x}, which is too early"))),
            false => Ok(bytes),
        }
    }

    /// The bytes of an extent from `offset` on: `most`, or as many as there are.
    pub(super) fn read(&self, extent: &Extent, offset: u64, most: u64) -> Result<Bytes> {
        let first = self.some(extent, offset, most)?;
        let wanted = extent.bytes.saturating_sub(offset).min(most) as usize;
        if first.len() >= wanted {
            return Ok(first);
        }
        let mut all = BytesMut::with_capacity(wanted);
        all.extend_from_slice(&first);
        while all.len() < wanted {
            all.extend_from_slice(&self.some(extent, offset + all.len() as u64, (wanted - all.len()) as u64)?);
        }
        Ok(all.freeze())
    }
}
