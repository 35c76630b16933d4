//! Platforms as a configuration has them, wherever they stand in it: `platforms: [{os, architecture}]`.

use super::wire::{At, wire};
use crate::image::Platform;

wire! {
    /// A platform that is wanted of an image.
    pub PlatformEntry {
        /// Operating system, such as linux.
        os: String = "os" (required),
        /// Processor architecture, such as arm64.
        architecture: String = "architecture" (required),
    }
}

/// The platforms of a list; none is all. Entries that lack something were reported when they were read.
pub(super) fn platforms(entries: Option<&At<Vec<At<PlatformEntry>>>>) -> Vec<Platform> {
    let of = |entry: &At<PlatformEntry>| {
        let text = |field: &Option<At<String>>| field.as_ref().map(|field| field.value.clone()).unwrap_or_default();
        Platform { os: text(&entry.value.os), architecture: text(&entry.value.architecture), variant: None }
    };
    entries.map(|entries| entries.value.iter().map(of).collect()).unwrap_or_default()
}
