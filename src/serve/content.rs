//! What the answers for manifests and blobs have in common: content that its digest names.
//!
//! **Invariants.** What is asked for by digest never changes, and says so; what a tag stands for may be another thing tomorrow.
//!
//! *Not here:* ranges (`blobs`).

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use crate::image::Digest;

/// The header in which registries say what they send.
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How a digest is written as an entity tag.
fn entity_tag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Adds what names the content; `immutable` where it was asked for by its digest.
pub(super) fn name(headers: &mut HeaderMap, digest: &Digest, immutable: bool) {
    headers.insert(DIGEST, value(&digest.to_string()));
    headers.insert(header::ETAG, value(&entity_tag(digest)));
    if immutable {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=31536000, immutable"));
    }
}

/// The answer to one who has the content already, if `headers` say so.
pub(super) fn unmodified(headers: &HeaderMap, digest: &Digest, immutable: bool) -> Option<Response<Body>> {
    let own = entity_tag(digest);
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|list| list.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == "*" || tag == own).then(|| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        name(response.headers_mut(), digest, immutable);
        response
    })
}

/// Whether a range is still wanted, should `If-Range` be said.
pub(super) fn range_holds(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|tag| tag == entity_tag(digest).as_str())
}

/// Text of ours as the value of a header; nothing, should it have what no header can.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
