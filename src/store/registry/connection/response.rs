//! [`Response`]: what a registry answered, whatever the status.
//!
//! **Invariants.** No answer is read further than its reader allows. Standing still for the idle time-out is an error;
//! being slow is not.
//!
//! *Not here:* what a status means for the one who asked (the callers).

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt as _};
use reqwest::{StatusCode, Url};

use super::failure;
use super::refusal;
use super::retry::{is_transient, retry_after};
use super::transport::{describe, let_go};
use crate::error::{Error, Result};

/// What a registry answered.
pub struct Response {
    inner: reqwest::Response,
    context: Context,
}

/// What is known of the request that was answered.
pub(super) struct Context {
    pub(super) host: String,
    pub(super) method: reqwest::Method,
    pub(super) idle_timeout: Duration,
    pub(super) tries: u32,
    /// Where the credentials came from, if there were any.
    pub(super) credentials: Option<String>,
}

impl Response {
    pub(super) fn new(inner: reqwest::Response, context: Context) -> Self {
        Self { inner, context }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// A header, if it is there once at least and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// Where the answer came from, after all redirects.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.inner.url()
    }

    /// The whole content, if it is at most `limit_bytes`; `what` names it in errors.
    pub async fn bytes(self, limit_bytes: u64, what: &str) -> Result<Bytes> {
        let place = self.context.host.clone();
        let too_long = || Error::failed(format!("{what} from {place}: it is longer than the {limit_bytes} bytes that are taken"));
        if self.inner.content_length().is_some_and(|length| length > limit_bytes) {
            return Err(too_long());
        }
        let mut all = BytesMut::new();
        let mut parts = Box::pin(self.stream());
        while let Some(part) = parts.next().await.transpose().map_err(|error| error.context(what))? {
            if (all.len() + part.len()) as u64 > limit_bytes {
                return Err(too_long());
            }
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    }

    /// The content as it comes in.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let what = describe(&self.context.method, self.inner.url());
        let begun = (self.inner, self.context.idle_timeout, what);
        stream::try_unfold(begun, |(mut inner, idle_timeout, what)| async move {
            match tokio::time::timeout(idle_timeout, inner.chunk()).await {
                Ok(Ok(part)) => Ok(part.map(|part| (part, (inner, idle_timeout, what)))),
                Ok(Err(error)) => Err(Error::failed(format!("{what}: {}", failure::explain(&error)))),
                Err(_) => Err(Error::failed(format!("{what}: nothing came for {} s", idle_timeout.as_secs_f32()))),
            }
        })
    }

    /// The error that an unwanted answer means; `what` is the object that was asked for.
    pub async fn refusal(self, what: &str) -> Error {
        self.refused(what).await.0
    }

    /// The error that an unwanted answer means, and the registry's codes in it (OCI distribution-spec, "Error Codes").
    pub async fn refused(self, what: &str) -> (Error, Vec<String>) {
        let (status, url) = (self.status(), self.url().clone());
        let Context { host, tries, credentials, .. } = &self.context;
        let asked = refusal::Asked { host: host.clone(), url, status, tries: *tries, credentials: credentials.clone() };
        let limit = self.context.idle_timeout;
        let mut start = BytesMut::new();
        // What came in time is quoted; an error without its text is still an error.
        let _ = tokio::time::timeout(limit, self.read_start(&mut start)).await;
        (asked.explain(what, &start), refusal::codes(&start))
    }

    /// Whether the same request may get another answer later.
    pub(super) fn is_transient(&self) -> bool {
        is_transient(self.status())
    }

    /// The wait that the registry asks for before the next attempt.
    pub(super) fn wait_asked(&self) -> Option<Duration> {
        retry_after(self.header("retry-after")?, SystemTime::now())
    }

    /// Reads it to its end where that is near, so that its connection can be used again.
    pub(super) async fn let_go(self) {
        let_go(self.inner).await;
    }

    async fn read_start(self, start: &mut BytesMut) {
        let mut parts = Box::pin(self.stream());
        while let Some(Ok(part)) = parts.next().await {
            start.extend_from_slice(&part[..part.len().min(refusal::MAX_BYTES - start.len())]);
            if start.len() == refusal::MAX_BYTES {
                return;
            }
        }
    }
}
