//! [`Basis`]: what a new set can take from the ones before it, as deep as is allowed and as is at hand.
//!
//! **Invariants.** What is not at hand makes a set larger, never wrong.
//!
//! *Not here:* which set is the parent (`workflow`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocm_format::delta::{Blob, Chunks, Earlier, Older, Versions};
use ocm_format::index::{PlainRow, Stored};
use ocm_format::set::name;
use ocm_format::writer::chunks_path;
use serde::{Deserialize, Serialize};

use super::needs::Needs;
use super::source::{ArchiveSource, SetFacts};
use super::told;
use crate::error::Result;
use crate::monitor::{Event, Monitor};

/// How deep a delta goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Depth {
    /// Blobs that the parent has are not written again.
    Blob,
    /// Nor are chunks of their plain forms.
    Chunk,
    /// What is new is compressed after older versions of it.
    Patch,
}

impl Depth {
    /// What it goes by.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Blob => "blobs",
            Self::Chunk => "chunks",
            Self::Patch => "patches",
        }
    }
}

/// What a delta may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// How deep it may go.
    pub depth: Depth,
    /// Whether the data of earlier sets are read, where they are at hand.
    pub reads_data: bool,
    /// More archive directories that hold such data.
    pub data: Vec<PathBuf>,
    /// What tables of chunks and files may take in memory, in bytes.
    pub index_bytes: u64,
}

impl Default for Delta {
    fn default() -> Self {
        Self { depth: Depth::Patch, reads_data: true, data: Vec::new(), index_bytes: 256 << 20 }
    }
}

impl Delta {
    /// What a chunk index may take, in bytes: that of the parent, and that of the new set.
    pub(super) fn chunk_bytes(&self) -> u64 {
        self.index_bytes / 8 * 3
    }

    fn version_bytes(&self) -> u64 {
        self.index_bytes / 4
    }
}

/// What a new set can take from the ones before it.
#[derive(Debug, Clone)]
pub struct Basis {
    /// As the writer takes it.
    pub(super) earlier: Arc<Earlier>,
    /// How deep the delta goes.
    pub depth: Depth,
}

impl Default for Basis {
    fn default() -> Self {
        Self { earlier: Arc::default(), depth: Depth::Blob }
    }
}

impl Basis {
    /// What can be taken from `parent`, whose chunk index is in `catalogues`, or is made again from its data and kept there.
    pub fn open(parent: &ArchiveSource, delta: &Delta, catalogues: &Path, monitor: &dyn Monitor) -> Result<Self> {
        let facts = parent.sets().first().filter(|_| delta.depth > Depth::Blob);
        let Some(facts) = facts else { return Ok(Self::default()) };
        let older = parent.older();
        let Some(chunks) = chunks(facts, parent, &older, delta, catalogues, monitor)? else { return Ok(Self::default()) };
        let wanted = delta.depth == Depth::Patch && delta.reads_data;
        let versions = wanted.then(|| Versions::of(&chunks, older, delta.version_bytes())).filter(|versions| !versions.is_empty());
        let depth = if versions.is_some() { Depth::Patch } else { Depth::Chunk };
        Ok(Self { earlier: Arc::new(Earlier { chunks, versions }), depth })
    }

    /// How deep a delta on `parent` will go, as far as can be told without reading its data.
    pub fn outlook(parent: &ArchiveSource, delta: &Delta, catalogues: &Path) -> Result<Depth> {
        let Some(facts) = parent.sets().first().filter(|_| delta.depth > Depth::Blob) else { return Ok(Depth::Blob) };
        let data = delta.reads_data && parent.has_data();
        Ok(match (index_path(facts, catalogues).exists(), data) {
            (_, true) => delta.depth,
            (true, false) => Depth::Chunk,
            (false, false) => Depth::Blob,
        })
    }
}

fn index_path(facts: &SetFacts, catalogues: &Path) -> PathBuf {
    let manifest = &facts.manifest;
    chunks_path(catalogues, &name::stem(&manifest.lineage.name, manifest.generation, manifest.set))
}

/// The chunk index of the parent. `None` where there is neither one nor data to make it from.
fn chunks(
    facts: &SetFacts,
    parent: &ArchiveSource,
    older: &Arc<dyn Older>,
    delta: &Delta,
    catalogues: &Path,
    monitor: &dyn Monitor,
) -> Result<Option<Chunks>> {
    let path = index_path(facts, catalogues);
    match Chunks::read(&path, facts.manifest.set, delta.chunk_bytes()) {
        Ok(Some(chunks)) => return Ok(Some(chunks)),
        Ok(None) => {}
        Err(error) => monitor.event(Event::Warning(&format!("{error}; it is not used"))),
    }
    if !delta.reads_data || !parent.has_data() {
        return Ok(None);
    }
    monitor.event(Event::Note(&format!("set {}: its chunk index is made again from its data", facts.generation())));
    let made = Chunks::of(plain_blobs(facts, parent)?, older.as_ref(), delta.chunk_bytes());
    let chunks = match made {
        Ok(chunks) => chunks,
        Err(error) => {
            monitor.event(Event::Warning(&format!("set {}: {error}; the delta is of whole blobs", facts.generation())));
            return Ok(None);
        }
    };
    let kept = std::fs::create_dir_all(catalogues).map_err(|error| error.to_string());
    let kept = kept.and_then(|()| chunks.write(&path, facts.manifest.set).map_err(|error| error.to_string()));
    if let Err(error) = kept {
        monitor.event(Event::Warning(&format!("{}: {error}; the next delta takes as long", path.display())));
    }
    Ok(Some(chunks))
}

/// The blobs of a set whose plain forms runs can refer to.
fn plain_blobs(facts: &SetFacts, parent: &ArchiveSource) -> Result<Vec<Blob>> {
    let needs = Needs::of(&facts.contents, |manifest| parent.manifest_now(manifest))?;
    let mut blobs = Vec::new();
    for (digest, bytes) in needs.blobs {
        let Some(info) = parent.info(&digest).map_err(|error| told(&error))? else { continue };
        match info.plain {
            // Small documents: not cut when they were written either.
            _ if matches!(info.stored, Stored::Verbatim { .. }) => {}
            PlainRow::Listed { bytes: plain_bytes, .. } => blobs.push(Blob { digest, bytes, plain_bytes }),
            PlainRow::Own => blobs.push(Blob { digest, bytes, plain_bytes: bytes }),
            PlainRow::Unknown => {}
        }
    }
    Ok(blobs)
}
