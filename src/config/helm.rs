//! `helm`: charts, and the images that they name.
//!
//! *Not here:* that a chart has what it needs; that is seen when it is fetched, as in oc-mirror.

use serde_json::Value as Json;

use super::platforms::PlatformEntry;
use super::rules::entries;
use super::wire::{At, wire};

wire! {
    /// Charts that are wanted, with the images that they name.
    pub Helm {
        /// Repositories of charts.
        repositories: Vec<At<ChartRepository>> = "repositories",
        /// Charts on this machine.
        local: Vec<At<Chart>> = "local",
    }
}

wire! {
    /// A repository of charts.
    pub ChartRepository {
        /// Name of the repository.
        name: String = "name",
        /// Its URL.
        url: String = "url",
        /// Charts of it; all where there is no list.
        charts: Vec<At<Chart>> = "charts",
    }
}

wire! {
    /// A chart.
    pub Chart {
        /// Name of the chart.
        name: String = "name",
        /// Version of the chart.
        version: String = "version",
        /// Path of the chart on this machine.
        path: String = "path",
        /// Values that the chart is rendered with, to find its images.
        values: Json = "values",
        /// Files of such values.
        values_files: Vec<At<String>> = "valuesFiles",
        /// JSON paths of images in what the chart makes, besides the usual ones.
        image_paths: Vec<At<String>> = "imagePaths",
        /// Platforms that are wanted of its images; all where there is no list.
        platforms: Vec<At<PlatformEntry>> = "platforms",
    }
}

impl Helm {
    /// Whether anything is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        !entries(self.repositories.as_ref()).is_empty() || !entries(self.local.as_ref()).is_empty()
    }
}
