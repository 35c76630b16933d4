//! The lists of tags and of repositories (OCI distribution-spec, "Listing Tags"; the catalog is docker's).
//!
//! **Invariants.** Lists are in the order of their bytes. A repository stands in the catalog once, by its full name.
//!
//! *Not here:* which part of a list is asked for (`paging`).

use hyper::header;
use serde_json::json;

use super::content;
use super::paging::{Page, link};
use super::refusal::Refusal;
use super::service::{self, Answer};
use super::snapshot::Snapshot;

/// The tags of the repository `name`.
pub(super) fn tags(snapshot: &Snapshot, name: &str, path: &str, query: Option<&str>) -> Answer {
    let page = Page::of(query)?;
    let repository = snapshot.names.find(name).ok_or_else(|| Refusal::name_unknown(name))?;
    let (tags, next) = page.cut(snapshot.names.tags(repository, page.last.as_deref()));
    Ok(linked(&json!({ "name": name, "tags": tags }), path, next))
}

/// The repositories.
pub(super) fn catalog(snapshot: &Snapshot, path: &str, query: Option<&str>) -> Answer {
    let page = Page::of(query)?;
    let (repositories, next) = page.cut(snapshot.names.full(page.last.as_deref()));
    Ok(linked(&json!({ "repositories": repositories }), path, next))
}

fn linked(document: &serde_json::Value, path: &str, next: Option<String>) -> hyper::Response<super::body::Body> {
    let mut response = service::json(document.to_string());
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, content::value(&link(path, &next)));
    }
    response
}
