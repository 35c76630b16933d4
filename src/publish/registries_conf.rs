//! [`text`]: mirrors as podman, buildah, skopeo and CRI-O read them, and as ocm does on the next hop.
//!
//! **Invariants.** The text is a whole file of version 2, or one for `registries.conf.d` (containers-registries.conf(5)). Names
//! of repositories need no escapes in TOML.
//!
//! *Not here:* the same for what `ocm serve` serves (`serve::mirror_config`): that speaks of hosts, and names no receipt.

use std::collections::BTreeSet;

use super::rules::Rules;
use crate::openshift::resources::By;

/// The rules as TOML; empty where there is none.
pub(super) fn text(rules: &Rules, insecure: bool) -> String {
    let registries = rules.merged().map(|(source, mirrors)| {
        let mirrors = mirrors.iter().map(|(mirror, by)| entry(mirror, by, insecure)).collect::<String>();
        format!("[[registry]]\nprefix = \"{source}\"\nlocation = \"{source}\"\n{mirrors}")
    });
    registries.collect::<Vec<_>>().join("\n")
}

fn entry(mirror: &str, by: &BTreeSet<By>, insecure: bool) -> String {
    let only = match (by.contains(&By::Digest), by.contains(&By::Tag)) {
        (true, false) => "pull-from-mirror = \"digest-only\"\n",
        (false, true) => "pull-from-mirror = \"tag-only\"\n",
        _ => "",
    };
    let insecure = if insecure { "insecure = true\n" } else { "" };
    format!("\n[[registry.mirror]]\nlocation = \"{mirror}\"\n{only}{insecure}")
}
