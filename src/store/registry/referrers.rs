//! Referrers: which manifests refer to one (OCI distribution-spec, "Listing Referrers", "Referrers Tag Schema").
//!
//! **Invariants.** "No referrers" is said only where the registry said so: by an empty list, or by having neither the
//! API nor the fallback tag. A refusal is an error. The index under a fallback tag keeps every entry that it had.
//!
//! *Not here:* pushing the referrers themselves (`push`).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::connection::header::ACCEPT;
use super::connection::{Access, HeaderValue, Request};
use super::host::{Answer, Document, Host};
use super::paging::Pages;
use crate::error::{Error, Result};
use crate::image::manifest::{MAX_MANIFEST_BYTES, OCI_INDEX};
use crate::image::place::digest_tag;
use crate::image::{Descriptor, Digest, Manifest, Repository, Verified};

/// The most referrers of one manifest.
const MAX_REFERRERS: usize = 10_000;

/// One page of the API.
#[derive(Deserialize)]
struct Wire {
    manifests: Option<Vec<Descriptor>>,
}

/// What lies under a fallback tag.
pub(super) enum Fallback {
    /// Nothing.
    Absent,
    /// An index of referrers.
    Index(Manifest),
    /// Something else: an image that was named by its digest.
    Taken,
}

impl Host {
    /// The manifests that refer to `subject`, sorted by digest.
    pub(super) async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>> {
        if let Some(listed) = self.listed_referrers(repository, subject).await? {
            return Ok(listed);
        }
        match self.fallback(repository, subject).await? {
            Fallback::Index(index) => sorted(index.children().to_vec(), &what(repository, subject)),
            Fallback::Absent | Fallback::Taken => Ok(Vec::new()),
        }
    }

    /// What the referrers API lists; `None` where the registry has no such API.
    pub(super) async fn listed_referrers(&self, repository: &Repository, subject: &Digest) -> Result<Option<Vec<Descriptor>>> {
        if self.lists_referrers.get() == Some(&false) {
            return Ok(None);
        }
        let what = what(repository, subject);
        let mut page = format!("/v2/{}/referrers/{subject}", repository.path());
        let mut pages = Pages::new(&what, &page);
        let mut listed = Vec::new();
        loop {
            let Some(document) = self.referrers_page(repository, &page, &what).await? else { return Ok(None) };
            let wire: Wire = serde_json::from_slice(&document.bytes).map_err(|error| Error::failed(format!("{what}: {error}")))?;
            listed.extend(wire.manifests.unwrap_or_default());
            if listed.len() > MAX_REFERRERS {
                return Err(too_many(&what));
            }
            match pages.after(&document.url, document.link.as_deref(), document.bytes.len())? {
                Some(next) => page = next,
                None => return sorted(listed, &what).map(Some),
            }
        }
    }

    /// One page of the API; `None` where there is no API. What it shows of the API is remembered.
    async fn referrers_page(&self, repository: &Repository, page: &str, what: &str) -> Result<Option<Document>> {
        let request = || Request::get(page, Access::pull(repository)).header(ACCEPT, HeaderValue::from_static(OCI_INDEX));
        match self.document(request, MAX_MANIFEST_BYTES, what).await? {
            Answer::Whole(document) => {
                // Some servers answer every unknown path with a page for people.
                let is_list = matches!(document.media_type.as_str(), OCI_INDEX | "application/json");
                let _ = self.lists_referrers.set(is_list);
                Ok(is_list.then_some(document))
            }
            Answer::Refused(refusal) if matches!(refusal.status(), 404 | 405) => {
                if !refusal.has("NAME_UNKNOWN") {
                    let _ = self.lists_referrers.set(false);
                }
                Ok(None)
            }
            Answer::Refused(refusal) => Err(refusal.into_error()),
        }
    }

    /// What lies under the fallback tag of `subject`.
    pub(super) async fn fallback(&self, repository: &Repository, subject: &Digest) -> Result<Fallback> {
        let there = self.fetch(repository, &digest_tag(subject), None).await?;
        Ok(match there {
            None => Fallback::Absent,
            Some(there) if there.descriptor().media_type == OCI_INDEX && there.digest() != *subject => Fallback::Index(there),
            Some(_) => Fallback::Taken,
        })
    }
}

/// The index that the fallback tag must have so that it lists `entry` too; `None` where it does already. Entries are
/// sorted by digest and otherwise as they were.
pub(super) fn with_entry(there: Option<&Manifest>, entry: &Descriptor) -> Result<Option<Manifest>> {
    let mut index: Map<String, Value> = match there {
        Some(index) if index.children().iter().any(|child| child.digest == entry.digest) => return Ok(None),
        Some(index) => parsed(index.bytes())?,
        None => Map::new(),
    };
    index.insert("schemaVersion".into(), json!(2));
    index.insert("mediaType".into(), json!(OCI_INDEX));
    let mut entries = match index.remove("manifests") {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    entries.push(written(entry)?);
    entries.sort_by_cached_key(|entry| entry.get("digest").map(Value::to_string));
    index.insert("manifests".into(), Value::Array(entries));
    let bytes = serde_json::to_vec(&index).map_err(|error| Error::failed(format!("index of referrers: {error}")))?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(Error::failed(format!("index of referrers: it would be larger than {MAX_MANIFEST_BYTES} bytes")));
    }
    Manifest::parse(Verified::own(Bytes::from(bytes)), OCI_INDEX).map(Some)
}

fn parsed(bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|error| Error::damaged(format!("index of referrers: {error}")))
}

fn written(entry: &Descriptor) -> Result<Value> {
    serde_json::to_value(entry).map_err(|error| Error::failed(format!("referrer {}: {error}", entry.digest)))
}

fn sorted(listed: Vec<Descriptor>, what: &str) -> Result<Vec<Descriptor>> {
    if listed.len() > MAX_REFERRERS {
        return Err(too_many(what));
    }
    let by_digest: BTreeMap<Digest, Descriptor> = listed.into_iter().map(|entry| (entry.digest, entry)).collect();
    Ok(by_digest.into_values().collect())
}

fn what(repository: &Repository, subject: &Digest) -> String {
    format!("referrers of {}", repository.at(*subject))
}

fn too_many(what: &str) -> Error {
    Error::failed(format!("{what}: there are more than {MAX_REFERRERS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(content: &[u8]) -> Descriptor {
        Descriptor { artifact_type: Some("application/x.sbom".into()), ..Descriptor::new("application/x", Digest::of(content), 3) }
    }

    #[test]
    fn the_index_of_referrers_is_the_same_in_any_order_and_keeps_what_is_foreign() {
        let foreign = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"m","digest":"{}","size":1,"odd":[1]}}],"odd":true}}"#,
            Digest::of(b"foreign")
        );
        let foreign = Manifest::parse(Verified::own(Bytes::from(foreign)), OCI_INDEX).expect("an index");
        let add = |there: &Manifest, new: &[u8]| with_entry(Some(there), &entry(new)).expect("an index").expect("a change");
        let (one, other) = (add(&add(&foreign, b"a"), b"b"), add(&add(&foreign, b"b"), b"a"));
        assert_eq!(one.bytes(), other.bytes());
        assert_eq!(one.children().len(), 3);
        let text = String::from_utf8_lossy(one.bytes()).into_owned();
        assert!(text.contains(r#""odd":[1]"#) && text.contains(r#""odd":true"#), "{text}");
        assert!(text.contains("application/x.sbom"), "{text}");
        assert!(with_entry(Some(&one), &entry(b"a")).expect("no error").is_none());
        assert_eq!(with_entry(None, &entry(b"a")).expect("an index").expect("a change").children().len(), 1);
    }
}
