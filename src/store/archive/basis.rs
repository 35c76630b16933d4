//! [`Basis`]: what a new set takes from the ones before it, as deep as is allowed and as is at hand.
//!
//! **Invariants.** What is not at hand makes a set larger, never wrong.
//!
//! *Not here:* how it is found out (`ground`), which set is the parent (`workflow`).

use std::path::PathBuf;
use std::sync::Arc;

use ocm_format::delta::{Earlier, Versions};
use serde::{Deserialize, Serialize};

use super::ground::layers;
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

/// Where the data of earlier sets are, for those who want to read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentData {
    /// Beside the new set, where they are there.
    Beside,
    /// Beside it, and in this archive directory.
    In(PathBuf),
    /// Beside it, and what is not there is read from the registries that the parent's images came from.
    Registry,
    /// They are not read.
    Nowhere,
}

impl ParentData {
    /// What the options of a set call it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Beside | Self::In(_) => "volumes",
            Self::Registry => "registry",
            Self::Nowhere => "none",
        }
    }
}

/// What a delta may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// How deep it may go.
    pub depth: Depth,
    /// Where the data of earlier sets are.
    pub data: ParentData,
    /// Whether what a set gets later is compressed after what it got before, where the depth allows patches at all. Its volumes must stay at
    /// hand until it is finished.
    pub own: bool,
    /// What tables of chunks and files may take in memory, in bytes.
    pub index_bytes: u64,
}

impl Default for Delta {
    fn default() -> Self {
        Self { depth: Depth::Patch, data: ParentData::Beside, own: true, index_bytes: 256 << 20 }
    }
}

impl Delta {
    /// More archive directories that hold data of earlier sets.
    pub fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let folder = match &self.data {
            ParentData::In(folder) => Some(folder),
            ParentData::Beside | ParentData::Registry | ParentData::Nowhere => None,
        };
        folder.into_iter()
    }

    /// Whether data of earlier sets are read at all.
    pub(super) fn reads_data(&self) -> bool {
        self.data != ParentData::Nowhere
    }

    /// What a chunk index may take, in bytes: that of the parent, and that of the new set.
    pub(super) fn chunk_bytes(&self) -> u64 {
        self.index_bytes / 4
    }

    /// What the table of older versions in earlier sets may take, in bytes.
    pub(super) fn version_bytes(&self) -> u64 {
        self.index_bytes / 4
    }

    /// What the table of older versions in the new set itself may take, in bytes; `None` where there is to be none.
    pub(super) fn own_version_bytes(&self) -> Option<u64> {
        (self.own && self.depth == Depth::Patch).then_some(self.index_bytes / 4)
    }
}

/// What a new set takes from the ones before it.
#[derive(Debug, Clone)]
pub struct Basis {
    /// As the writer takes it.
    pub(super) earlier: Arc<Earlier>,
    /// How deep the delta goes.
    pub depth: Depth,
    /// The generation of the parent.
    pub(super) generation: u32,
    /// How many of its blobs were told to be unreadable.
    pub(super) told: u64,
}

impl Default for Basis {
    fn default() -> Self {
        Self { earlier: Arc::default(), depth: Depth::Blob, generation: 0, told: 0 }
    }
}

impl Basis {
    /// Tells, once the set is written, of blobs that were found then to be unreadable.
    pub fn tell_unread(&self, monitor: &dyn Monitor) {
        let unread = self.earlier.versions.as_ref().map(Versions::unread).unwrap_or_default();
        if let (1.., Some(why)) = (unread.broken.saturating_sub(self.told), &unread.why) {
            let (layers, set) = (layers(unread.broken), self.generation);
            let text = format!("{layers} of set {set} cannot be read, or not all: what is damaged was not used for patches ({why})");
            monitor.event(Event::Warning(&text));
        }
    }
}
