//! Configurations that are named with `-c`.
//!
//! *Not here:* what they mean (`config`).

use std::path::PathBuf;

use super::console::Console;
use crate::config::{ImageSet, load_image_set};
use crate::error::Result;

/// Loads them; all that they ask for can be had. Warnings are said.
pub(super) fn load(files: &[PathBuf], console: &Console) -> Result<Vec<ImageSet>> {
    let load = |file: &PathBuf| {
        let set = load_image_set(file, |warning| console.say(&format!("warning: {warning}\n")))?;
        set.supported().map(|()| set)
    };
    files.iter().map(load).collect()
}

/// The least that one of them wants volumes to stay below, in bytes.
pub(super) fn archive_bytes(sets: &[ImageSet]) -> Option<u64> {
    sets.iter().filter_map(|set| set.archive_size_bytes).min()
}
