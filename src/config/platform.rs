//! `platform`: OpenShift and OKD releases.
//!
//! *Not here:* which versions a channel has, and whether those asked for are among them (`openshift`).

use super::finding::{Findings, quoted};
use super::path::Path;
use super::platforms::PlatformEntry;
use super::rules::{entries, text, unique};
use super::wire::{At, wire};

wire! {
    /// Releases of the platform.
    pub Release {
        /// Mirror the update graph too, for an update service on the far side.
        graph: bool = "graph",
        /// Channels that releases are taken from.
        channels: Vec<At<Channel>> = "channels",
        /// Architectures of the releases; multi for releases of several. Deprecated: write platforms.
        architectures: Vec<At<String>> = "architectures",
        /// Platforms that are wanted of releases for several architectures.
        platforms: Vec<At<PlatformEntry>> = "platforms",
        /// One release by the name of its image, instead of channels.
        release: String = "release",
        /// Mirror the disk image for KubeVirt too.
        kube_virt_container: bool = "kubeVirtContainer",
    }
}

wire! {
    /// A channel of releases.
    pub Channel {
        /// Name of the channel, such as stable-4.16.
        name: String = "name",
        /// Kind of release: ocp or okd.
        kind: String = "type",
        /// Oldest version; without one, the newest of the channel.
        min_version: String = "minVersion",
        /// Newest version; without one, the newest of the channel.
        max_version: String = "maxVersion",
        /// Only the versions on the shortest way from oldest to newest.
        shortest_path: bool = "shortestPath",
        /// All versions of the channel, where oldest or newest are not said.
        full: bool = "full",
    }
}

impl Release {
    /// Whether anything is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        let graph = self.graph.as_ref().is_some_and(|graph| graph.value);
        graph || !entries(self.channels.as_ref()).is_empty() || !text(self.release.as_ref()).is_empty()
    }

    /// Reports what oc-mirror refuses.
    pub(super) fn check(&self, path: &Path<'_>, findings: &mut Findings) {
        let channels = entries(self.channels.as_ref());
        let duplicate = |name: &str| format!("release channel {}: duplicate found in configuration", quoted(name));
        unique(channels, |channel| text(channel.name.as_ref()).to_owned(), duplicate, findings);
        for kind in channels.iter().filter_map(|channel| channel.value.kind.as_ref()) {
            if !["ocp", "okd", ""].contains(&kind.value.as_str()) {
                findings.warning(kind.place, format!("type {} means ocp", quoted(&kind.value))).help("write ocp or okd");
            }
        }
        let Some(architectures) = self.architectures.as_ref().filter(|list| !list.value.is_empty()) else { return };
        if entries(self.platforms.as_ref()).is_empty() {
            findings
                .warning(architectures.key, format!("{path}.architectures is deprecated"))
                .help("write platforms, with os and architecture");
        } else {
            let what = "platform.platforms and platform.architectures cannot be used together";
            findings.error(architectures.key, what).help("leave it out: platforms says it");
        }
    }
}
