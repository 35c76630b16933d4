//! Manifests by tag and by digest.
//!
//! **Invariants.** What is sent is what is stored, byte for byte and by its own media type, whatever `Accept` says: nothing is converted.
//!
//! *Not here:* blobs (`blobs`), who refers to a manifest (`referrers`).

use std::sync::Arc;

use hyper::Response;
use hyper::header::{self, HeaderMap};

use super::body::Body;
use super::content;
use super::refusal::Refusal;
use super::route::Wanted;
use super::service::{Answer, Service};
use super::snapshot::Snapshot;
use crate::image::{Descriptor, Manifest};

/// The manifest that is `wanted` of the repository `name`.
pub(super) async fn answer(service: &Service, snapshot: &Arc<Snapshot>, name: &str, wanted: Wanted, headers: &HeaderMap) -> Answer {
    let immutable = matches!(wanted, Wanted::Digest(_));
    let unknown = match &wanted {
        Wanted::Tag(tag) => Refusal::manifest_unknown(tag),
        Wanted::Digest(digest) => Refusal::manifest_unknown(&digest.to_string()),
    };
    let repository = snapshot.names.find(name).ok_or_else(|| Refusal::name_unknown(name))?;
    let known = snapshot.clone();
    let load = move || {
        let asked: Option<Descriptor> = match wanted {
            Wanted::Tag(tag) => known.names.tagged(repository, &tag, known.inside.contents()).cloned(),
            Wanted::Digest(digest) => known.holdings(repository).manifest(&digest),
        };
        asked.map_or(Ok(None), |asked| known.inside.manifest(&asked))
    };
    let manifest = service.read(load).await?.ok_or(unknown)?;
    Ok(content::unmodified(headers, &manifest.digest(), immutable).unwrap_or_else(|| whole(&manifest, immutable)))
}

fn whole(manifest: &Manifest, immutable: bool) -> Response<Body> {
    let mut response = Response::new(Body::bytes((**manifest.bytes()).clone()));
    content::name(response.headers_mut(), &manifest.digest(), immutable);
    response.headers_mut().insert(header::CONTENT_TYPE, content::value(&manifest.descriptor().media_type));
    response
}
