//! Blobs, whole and in ranges.
//!
//! **Invariants.** A blob that is sent whole was checked as a whole before its last byte left; a range is of parts that were checked each.
//! Several ranges are one `multipart/byteranges`, in the order asked for (RFC 9110, "Multipart byteranges").
//!
//! *Not here:* how bytes are had and sent (`source`, `body`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::{Body, Step};
use super::content;
use super::range::{Stretch, Wrong, stretches};
use super::refusal::Refusal;
use super::service::{Answer, Service};
use super::snapshot::Snapshot;
use super::source::{Origin, Source};
use crate::error::Error;
use crate::image::Digest;
use crate::image::inside::{Facts, Made};

const OCTETS: &str = "application/octet-stream";

/// The blob `digest` of the repository `name`, or what of it `headers` ask for; ranges are for `is_get` alone.
pub(super) async fn answer(
    service: &Service,
    snapshot: &Arc<Snapshot>,
    name: &str,
    digest: Digest,
    headers: &HeaderMap,
    is_get: bool,
) -> Answer {
    let repository = snapshot.names.find(name).ok_or_else(|| Refusal::name_unknown(name))?;
    let known = snapshot.clone();
    let look = move || if known.holdings(repository).has(&digest) { known.inside.blob(&digest) } else { Ok(None) };
    let facts = service.read(look).await?.ok_or_else(|| Refusal::blob_unknown(&digest.to_string()))?;
    if facts.bytes == 0 && !digest.matches(b"") {
        return Err(service.inside(&Error::damaged(format!("{digest}: it is empty and should not be"))));
    }
    if let Some(unmodified) = content::unmodified(headers, &digest, true) {
        return Ok(unmodified);
    }
    let mut response = match wanted(headers, &digest, facts.bytes, is_get) {
        Ok(parts) => sent(service, snapshot, digest, facts, parts, is_get),
        Err(Wrong::Refused(why)) => return Err(Refusal::range_refused(why)),
        Err(Wrong::Beyond) => beyond(facts.bytes),
    };
    content::name(response.headers_mut(), &digest, true);
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(response)
}

/// The ranges that are asked for; `None` is all of the blob.
fn wanted(headers: &HeaderMap, digest: &Digest, size: u64, is_get: bool) -> Result<Option<Vec<Stretch>>, Wrong> {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), true) = (ranges.next(), is_get && content::range_holds(headers, digest)) else { return Ok(None) };
    if ranges.next().is_some() {
        return Err(Wrong::Refused("there is more than one header of it"));
    }
    range.to_str().map_or(Err(Wrong::Refused("it is not well formed")), |range| stretches(range, size))
}

fn beyond(size: u64) -> Response<Body> {
    let refusal = Refusal::range_beyond();
    let mut response = super::service::document(refusal.status, "application/json", refusal.document());
    response.headers_mut().insert(header::CONTENT_RANGE, content::value(&format!("bytes */{size}")));
    response
}

/// The blob or its parts, with the headers that say which. Without `is_get`, nothing will be read.
fn sent(
    service: &Service,
    snapshot: &Arc<Snapshot>,
    digest: Digest,
    facts: Facts,
    parts: Option<Vec<Stretch>>,
    is_get: bool,
) -> Response<Body> {
    let size = facts.bytes;
    let all = Stretch { start: 0, end: size };
    let mut head = HeaderMap::new();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(OCTETS));
    let (status, steps) = match parts.as_deref() {
        None => (StatusCode::OK, if size > 0 { vec![Step::Stretch(all)] } else { Vec::new() }),
        Some([one]) => {
            head.insert(header::CONTENT_RANGE, content::value(&one.content_range(size)));
            (StatusCode::PARTIAL_CONTENT, vec![Step::Stretch(*one)])
        }
        Some(many) => {
            let boundary = digest.hex();
            head.insert(header::CONTENT_TYPE, content::value(&format!("multipart/byteranges; boundary={boundary}")));
            (StatusCode::PARTIAL_CONTENT, multipart(many, size, &boundary))
        }
    };
    head.insert(header::CONTENT_LENGTH, steps.iter().map(Step::len).sum::<u64>().into());
    let whole = parts.is_none_or(|parts| parts == [all]);
    let body = if is_get { Body::pieces(steps, source(service, snapshot, digest, facts, whole)) } else { Body::empty() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = head;
    response
}

/// Stretches with the lines before, between and after them.
fn multipart(stretches: &[Stretch], size: u64, boundary: &str) -> Vec<Step> {
    let mut steps = Vec::with_capacity(2 * stretches.len() + 1);
    for stretch in stretches {
        let range = stretch.content_range(size);
        let head = format!("\r\n--{boundary}\r\nContent-Type: {OCTETS}\r\nContent-Range: {range}\r\n\r\n");
        steps.extend([Step::Bytes(head.into()), Step::Stretch(*stretch)]);
    }
    steps.push(Step::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    steps
}

/// Where the bytes will come from; read `whole`, they are checked as a whole.
fn source(service: &Service, snapshot: &Snapshot, digest: Digest, facts: Facts, whole: bool) -> Source {
    let proof = if whole { snapshot.proofs.begin(digest, facts.bytes) } else { None };
    let origin = Origin { inside: snapshot.inside.clone(), digest, size: facts.bytes, proof, pace: service.pace.clone() };
    let spool = service.spool.as_ref().filter(|_| facts.made == Made::Replayed && facts.bytes > 0);
    let kept = spool.and_then(|spool| spool.whole(&digest));
    if kept.is_some() {
        service.metrics.spool_hits.fetch_add(1, Ordering::Relaxed);
    }
    let copy = kept.or_else(|| spool.filter(|_| whole)?.join(&origin, &service.metrics));
    if copy.is_none() && facts.made == Made::Replayed {
        service.metrics.replays.fetch_add(1, Ordering::Relaxed);
    }
    Source { origin, copy, share: service.pace.share() }
}
