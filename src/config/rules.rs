//! Rules that several kinds of content share.
//!
//! *Not here:* rules of one kind, which stand beside it.

use std::collections::HashSet;

use super::finding::{Findings, quoted};
use super::path::Path;
use super::wire::At;
use crate::image::Repository;

/// The text of a field; empty where it is not there.
pub(super) fn text(field: Option<&At<String>>) -> &str {
    field.map(|field| field.value.as_str()).unwrap_or_default()
}

/// The entries of a list that may not be there.
pub(super) fn entries<T>(list: Option<&At<Vec<At<T>>>>) -> &[At<T>] {
    list.map(|list| list.value.as_slice()).unwrap_or_default()
}

/// Reports each entry whose name an earlier one has, in the words of `what`.
pub(super) fn unique<T>(list: &[At<T>], name: impl Fn(&T) -> String, what: impl Fn(&str) -> String, findings: &mut Findings) {
    let mut known = HashSet::new();
    for entry in list {
        let name = name(&entry.value);
        if known.contains(&name) {
            findings.error(entry.place, what(&name)).help("leave one of them");
        }
        known.insert(name);
    }
}

/// Reports a repository path that no registry takes: what images or catalogs are renamed to.
pub(super) fn repository(field: Option<&At<String>>, path: &Path<'_>, findings: &mut Findings) {
    let Some(At { value, place, .. }) = field else { return };
    if Repository::new("localhost", value).is_err() {
        let what = format!("{path}: {} is no repository path", quoted(value));
        findings.error(*place, what).help("write lower-case names joined by /, without host, tag and digest");
    }
}

/// Reports a tag that no registry takes.
pub(super) fn tag(field: Option<&At<String>>, path: &Path<'_>, findings: &mut Findings) {
    let Some(At { value, place, .. }) = field else { return };
    if Repository::new("localhost", "x").and_then(|repository| repository.tagged(value)).is_err() {
        findings.error(*place, format!("{path}: {} is no tag", quoted(value)));
    }
}
