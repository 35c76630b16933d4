//! Configurations that are named with `-c`.
//!
//! *Not here:* what they mean (`config`).

use std::path::PathBuf;

use crate::config::{ImageSet, load_image_set};
use crate::error::Result;

/// Loads them; all that they ask for can be had. Each warning, as one line, goes to `warn`.
pub(super) fn load(files: &[PathBuf], mut warn: impl FnMut(&str)) -> Result<Vec<ImageSet>> {
    let load = |file: &PathBuf| {
        let set = load_image_set(file, &mut warn)?;
        set.supported().map(|()| set)
    };
    files.iter().map(load).collect()
}

/// The least that one of them wants volumes to stay below, in bytes.
pub(super) fn archive_bytes(sets: &[ImageSet]) -> Option<u64> {
    sets.iter().filter_map(|set| set.archive_size_bytes).min()
}
