//! [`list`]: what an archive holds: sets, volumes, images.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::image::{Digest, Platform, Reference};

/// What an archive holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The archive.
    pub path: PathBuf,
    /// Its sets, grouped by lineage, newest first.
    pub sets: Vec<SetLine>,
    /// The images of the newest usable set of each lineage.
    pub images: Vec<ImageLine>,
    /// Other files that look like archives, with what they are.
    pub strangers: Vec<(PathBuf, String)>,
}

/// One set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetLine {
    /// The name of its lineage; unknown without its last volume.
    pub lineage: String,
    /// Its set id.
    pub id: String,
    /// Its generation.
    pub generation: u32,
    /// When it was made, RFC 3339 in UTC.
    pub time: String,
    /// Its root, where its manifest is here.
    pub root: Option<Digest>,
    /// The generation of its parent; absent for a base.
    pub parent: Option<u32>,
    /// Numbers of the volumes that are here.
    pub here: Vec<u32>,
    /// Numbers of the volumes that are not.
    pub elsewhere: Vec<u32>,
    /// How many volumes it has, where that is known.
    pub volumes: Option<u32>,
    /// Whether all parents that it needs are here.
    pub parents_here: bool,
    /// The sum of the sizes of the volumes that are here, in bytes.
    pub stored_bytes: u64,
    /// How many items it lists, and how many of them are complete.
    pub items: usize,
    /// How many of them are complete.
    pub items_complete: usize,
    /// Files of it that cannot be used, with the reason.
    pub broken: Vec<(PathBuf, String)>,
}

/// One image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageLine {
    /// Its name.
    pub name: Reference,
    /// The digest of its root; absent where it is missing.
    pub digest: Option<Digest>,
    /// Its platforms, for an index; those of its configuration for a single image.
    pub platforms: Vec<Platform>,
    /// The sum of the sizes of all that it needs, in bytes.
    pub bytes: u64,
    /// What only it needs, of all images listed, in bytes.
    pub unique_bytes: u64,
    /// The generation of the set that lists it.
    pub set: u32,
    /// Why it is not complete.
    pub missing: Option<String>,
}

/// Looks into the archive at `path`.
pub fn list(path: &Path) -> crate::error::Result<Listing> {
    Err(crate::error::Error::failed(format!("{}: in the making", path.display())))
}
