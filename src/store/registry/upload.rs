//! [`Upload`]: one blob on its way into a registry (OCI distribution-spec, "Pushing blobs").
//!
//! **Invariants.** The registry never gets all bytes of a blob whose digest does not match. After a cut the upload
//! goes on where the registry says that it stands, or begins anew where the registry cannot say; tries are counted
//! anew after every one that the registry acknowledged bytes of, and one that only let others go first counts as little as it
//! does for other requests.
//!
//! *Not here:* whether the blob must be pushed at all, and mounting it (`push`).

use std::sync::Arc;

use url::Url;

use super::connection::header::{CONTENT_RANGE, CONTENT_TYPE};
use super::connection::{Access, HeaderValue, MAX_LATE, Request, RequestBody, Response};
use super::feed::Feed;
use super::host::{Host, answered_digest, is_success, value};
use super::manifests::same;
use super::refusal::Refusal;
use crate::error::{Error, Result};
use crate::image::ends::Moved;
use crate::image::{Blob, Repository};

/// Blobs up to this size go in one request, which saves a round trip for each of the many small ones. Larger ones go
/// by `PATCH`, as docker pushes: registries acknowledge what they have of it, so that a cut costs less than all of it.
const MAX_SINGLE_BYTES: u64 = 64 << 20;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// One blob on its way into one repository.
pub(super) struct Upload<'a> {
    host: &'a Host,
    repository: &'a Repository,
    blob: &'a Blob,
    feed: Arc<Feed>,
    what: String,
}

/// An upload that the registry has opened: where its bytes go.
pub(super) struct Session {
    location: String,
}

/// Why an attempt did not bring the blob there.
enum Cut {
    /// Another attempt makes no sense.
    Final(Error),
    /// Go on from where the registry stands.
    Resume(Error),
    /// The same, when the registry has served others.
    Late(Error),
    /// Begin anew.
    Restart(Error),
}

impl<'a> Upload<'a> {
    /// An upload of `blob` to `repository` that tells `moved` of the bytes it reads.
    pub(super) fn new(host: &'a Host, repository: &'a Repository, blob: &'a Blob, moved: &Moved) -> Self {
        let what = format!("push blob {} to {repository}", blob.descriptor().digest);
        Self { host, repository, blob, feed: Feed::new(blob, moved), what }
    }

    /// Brings the blob there, by the session that a refused mount has left where there is one.
    pub(super) async fn run(&self, left: Option<Session>) -> Result<()> {
        let mut session = match left {
            Some(session) => session,
            None => self.begin().await?,
        };
        let (mut at, mut furthest, mut tries, mut late) = (0, 0, 0u32, 0);
        loop {
            let served = self.host.connection.served();
            let (error, resume, busy) = match self.send(&mut session, at).await {
                Ok(()) => return Ok(()),
                Err(Cut::Final(error)) => return Err(error),
                Err(Cut::Resume(error)) => (error, true, false),
                Err(Cut::Late(error)) => {
                    if self.host.connection.served() > served && late < MAX_LATE {
                        (late, tries) = (late + 1, tries.saturating_sub(1));
                    }
                    (error, true, true)
                }
                Err(Cut::Restart(error)) => (error, false, false),
            };
            if let Some(failure) = self.feed.failure() {
                return Err(failure.context(&self.what));
            }
            self.host.again(&self.what, error, &mut tries).await?;
            if busy {
                self.host.connection.turn().await;
            }
            at = if resume { self.acknowledged(&mut session).await } else { 0 };
            if at == 0 {
                session = self.begin().await?;
            }
            if at > furthest {
                (furthest, tries) = (at, 0);
            }
        }
    }

    /// Opens an upload.
    async fn begin(&self) -> Result<Session> {
        let url = format!("/v2/{}/blobs/uploads/", self.repository.path());
        let response = self.host.connection.send(Request::post(url, self.access())).await?;
        match response.status().as_u16() {
            202 => Session::of(&response, &self.what),
            _ => Err(Refusal::read(response, &self.what).await.into_error()),
        }
    }

    /// Sends everything from byte `at` on, and closes the upload.
    async fn send(&self, session: &mut Session, at: u64) -> Result<(), Cut> {
        let size = self.blob.descriptor().size;
        if at == 0 && size <= MAX_SINGLE_BYTES {
            let body = self.rest(0).await?;
            return self.close(session, body).await;
        }
        if at < size {
            self.append(session, at).await?;
        }
        self.close(session, RequestBody::Empty).await
    }

    async fn rest(&self, at: u64) -> Result<RequestBody, Cut> {
        let body = self.feed.from(at).await.map_err(|error| Cut::Final(error.context(&self.what)))?;
        Ok(RequestBody::Once { length: body.len(), body })
    }

    /// Appends everything from byte `at` on. All of it in one piece: that is never below `OCI-Chunk-Min-Length`.
    async fn append(&self, session: &mut Session, at: u64) -> Result<(), Cut> {
        let size = self.blob.descriptor().size;
        let request = Request::patch(session.location.clone(), self.access()).header(CONTENT_TYPE, OCTETS);
        let request = match at {
            0 => request,
            _ => request.header(CONTENT_RANGE, value(&format!("{at}-{}", size - 1)).map_err(Cut::Final)?),
        };
        let response = self.host.connection.send(request.body(self.rest(at).await?)).await.map_err(Cut::Resume)?;
        if !is_success(&response) {
            return Err(self.refused(response).await);
        }
        let end = response.header("range").map(end_of);
        session.moved_to(&response).map_err(Cut::Final)?;
        match end {
            Some(end) if end < size => Err(Cut::Resume(Error::failed(format!("{}: the registry took {end} of {size} bytes", self.what)))),
            _ => Ok(()),
        }
    }

    /// Closes the upload by its digest, with the bytes that are left.
    async fn close(&self, session: &Session, body: RequestBody) -> Result<(), Cut> {
        let content = self.blob.descriptor().digest;
        let request = Request::put(session.closing(&content.to_string()), self.access());
        let request = request.header(CONTENT_TYPE, OCTETS).body(body);
        let response = self.host.connection.send(request).await.map_err(Cut::Resume)?;
        if !is_success(&response) {
            return Err(self.refused(response).await);
        }
        same(&content, answered_digest(&response), &self.what).map_err(Cut::Final)
    }

    /// What a refusal of bytes means for the next attempt.
    async fn refused(&self, response: Response) -> Cut {
        let refusal = Refusal::read(response, &self.what).await;
        let status = refusal.status();
        let about_name = refusal.has("NAME_INVALID") || refusal.has("NAME_UNKNOWN") || refusal.has("DENIED");
        let error = refusal.into_error();
        match status {
            429 | 503 => Cut::Late(error),
            401 | 408 | 416 | 500.. => Cut::Resume(error),
            400 | 404 if !about_name => Cut::Restart(error),
            _ => Cut::Final(error),
        }
    }

    /// How many bytes the registry has of the upload; 0 where it cannot go on.
    async fn acknowledged(&self, session: &mut Session) -> u64 {
        let request = Request::get(session.location.clone(), self.access());
        let Ok(response) = self.host.connection.send(request).await else { return 0 };
        let end = response.header("range").map_or(0, end_of);
        let goes_on = is_success(&response) && end > 1 && end <= self.feed.furthest();
        if goes_on && session.moved_to(&response).is_ok() { end } else { 0 }
    }

    fn access(&self) -> Access {
        Access::push(self.repository)
    }
}

impl Session {
    /// The session that an answer opened.
    pub(super) fn of(response: &Response, what: &str) -> Result<Self> {
        let location = response.header("location").ok_or_else(|| Error::failed(format!("{what}: the registry does not say where to")))?;
        Ok(Self { location: located(response.url().as_str(), location)? })
    }

    /// Takes over the place that an answer names, where it names one: it may carry state.
    fn moved_to(&mut self, response: &Response) -> Result<()> {
        if let Some(location) = response.header("location") {
            self.location = located(response.url().as_str(), location)?;
        }
        Ok(())
    }

    /// The place to close the upload at; its query stays as it is.
    fn closing(&self, digest: &str) -> String {
        let joint = if self.location.contains('?') { '&' } else { '?' };
        format!("{}{joint}digest={digest}", self.location)
    }
}

/// `location`, which may be relative, as an address. One on the host that told it keeps that host's scheme: behind a
/// proxy, registries name the inner one.
fn located(url: &str, location: &str) -> Result<String> {
    let refused = || Error::failed(format!("upload location {location:?} is no address"));
    let here = Url::parse(url).map_err(|_| refused())?;
    let mut there = here.join(location).map_err(|_| refused())?;
    if there.host_str() == here.host_str() && there.port() == here.port() {
        there.set_scheme(here.scheme()).map_err(|()| refused())?;
    }
    Ok(there.into())
}

/// How many bytes a `Range: 0-N` header acknowledges. `0-0` is how registries write "none" (one byte is as good).
fn end_of(range: &str) -> u64 {
    let last = range.trim().trim_start_matches("bytes=").strip_prefix("0-").and_then(|last| last.parse::<u64>().ok());
    last.filter(|last| *last > 0).map_or(0, |last| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_relative_to_where_they_were_told() {
        for (location, place) in [
            ("/v2/a/blobs/uploads/1?_state=x%3D", "https://reg.lab/v2/a/blobs/uploads/1?_state=x%3D"),
            ("https://reg.lab/v2/a/blobs/uploads/1", "https://reg.lab/v2/a/blobs/uploads/1"),
            ("http://reg.lab/v2/a/blobs/uploads/1", "https://reg.lab/v2/a/blobs/uploads/1"),
            ("https://store.lab/x", "https://store.lab/x"),
            ("http://store.lab/x", "http://store.lab/x"),
        ] {
            assert_eq!(located("https://reg.lab/v2/a/blobs/uploads/", location).expect(location), place);
        }
        assert!(located("https://reg.lab/", "https://[").is_err());
    }

    #[test]
    fn the_digest_joins_the_query_that_is_there() {
        let closing = |location: &str| Session { location: location.into() }.closing("sha256:ab");
        assert_eq!(closing("https://r/1"), "https://r/1?digest=sha256:ab");
        assert_eq!(closing("https://r/1?s=t%3D"), "https://r/1?s=t%3D&digest=sha256:ab");
    }

    #[test]
    fn acknowledged_bytes_are_read_from_the_range() {
        for (range, end) in [("0-9", 10), ("bytes=0-9", 10), ("0-0", 0), ("5-9", 0), ("x", 0), ("0-18446744073709551615", u64::MAX)] {
            assert_eq!(end_of(range), end, "{range}");
        }
    }
}
