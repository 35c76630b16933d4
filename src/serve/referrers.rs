//! The manifests that refer to one (OCI distribution-spec, "Listing Referrers").
//!
//! **Invariants.** The answer is an index, an empty one where nobody refers: clients take a 404 for a registry that does not know of
//! referrers. A referrer that cannot be read is left out; its neighbours are not. The work of one request is bounded.
//!
//! *Not here:* who refers to whom (`holdings`).

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{self, HeaderName, HeaderValue};
use serde_json::json;

use super::content;
use super::names::Number;
use super::paging::{link, parameter, query as query_of};
use super::service::{Answer, Service, document};
use super::snapshot::Snapshot;
use crate::image::manifest::{MAX_MANIFEST_BYTES, OCI_INDEX};
use crate::image::{Descriptor, Digest};

/// The most referrers that are looked at for one answer; what follows has a link.
const MAX_LOOKED_AT: usize = 1000;

/// The referrers of `subject`, those of the artifact type that `query` asks for.
pub(super) async fn answer(
    service: &Service,
    snapshot: &Arc<Snapshot>,
    name: &str,
    subject: Digest,
    path: &str,
    query: Option<&str>,
) -> Answer {
    let kind = parameter(query, "artifactType").filter(|kind| !kind.is_empty());
    let last = parameter(query, "last").and_then(|last| last.parse::<Digest>().ok());
    let (manifests, next) = match snapshot.names.find(name) {
        None => (Vec::new(), None),
        Some(repository) => {
            let (known, kind) = (snapshot.clone(), kind.clone());
            service.read(move || Ok(page(&known, repository, &subject, last, kind.as_deref()))).await?
        }
    };
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    let mut response = document(StatusCode::OK, OCI_INDEX, index.to_string());
    if kind.is_some() {
        response.headers_mut().insert(HeaderName::from_static("oci-filters-applied"), HeaderValue::from_static("artifactType"));
    }
    if let Some(next) = next {
        let next = query_of(&[("artifactType", kind.as_deref().unwrap_or_default()), ("last", &next.to_string())]);
        response.headers_mut().insert(header::LINK, content::value(&link(path, &next)));
    }
    Ok(response)
}

/// The descriptors of those after `last` that have the artifact type, and the last that was looked at if more follow. Blocks.
fn page(
    snapshot: &Snapshot,
    repository: Number,
    subject: &Digest,
    last: Option<Digest>,
    kind: Option<&str>,
) -> (Vec<Descriptor>, Option<Digest>) {
    let holdings = snapshot.holdings(repository);
    let all = holdings.referrers(subject, last);
    let (mut found, mut bytes) = (Vec::new(), 0);
    for (looked_at, digest) in all.iter().enumerate() {
        let asked = holdings.manifest(digest);
        if let Some(manifest) = asked.and_then(|asked| snapshot.inside.manifest(&asked).ok().flatten()) {
            let descriptor = manifest.descriptor();
            if kind.is_none_or(|kind| descriptor.artifact_type.as_deref() == Some(kind)) {
                // Annotations stand in the manifest, so that a descriptor takes hardly more than it.
                bytes += descriptor.size;
                found.push(descriptor.clone());
            }
        }
        let is_full = looked_at + 1 >= MAX_LOOKED_AT || bytes >= MAX_MANIFEST_BYTES;
        if is_full && looked_at + 1 < all.len() {
            return (found, Some(*digest));
        }
    }
    (found, None)
}
