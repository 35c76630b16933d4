//! [`Request`]: one thing asked of a registry, and the bytes that go with it.
//!
//! **Invariants.** A body says its length before its first byte. A [`RequestBody::Once`] is sent at most once.
//!
//! *Not here:* sending (`transport`), when it is sent again (`retry`).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::access::Access;
use super::failure::Failure;
use crate::error::{Error, Result};
use crate::image::Body;

/// One thing asked of a registry.
pub struct Request {
    pub(super) line: Line,
    pub(super) supply: Supply,
}

/// What is asked, without the bytes.
pub(super) struct Line {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) access: Access,
    pub(super) headers: HeaderMap,
}

/// The bytes that go with a request.
pub enum RequestBody {
    /// None.
    Empty,
    /// Bytes in memory; they can be sent again.
    Bytes(Bytes),
    /// Made anew for each attempt.
    Stream {
        /// Sent as `Content-Length`.
        length: u64,
        /// Makes the body from its first byte on.
        make: Arc<dyn Fn() -> BoxFuture<'static, Result<Body>> + Send + Sync>,
    },
    /// Sent once and never again here: the caller goes on from what the registry acknowledges.
    Once {
        /// Sent as `Content-Length`.
        length: u64,
        /// The bytes.
        body: Body,
    },
}

impl Request {
    /// A request; `path` is `/v2/…` or an absolute URL, such as the `Location` of an upload.
    pub fn new(method: Method, path: impl Into<String>, access: Access) -> Self {
        let line = Line { method, path: path.into(), access, headers: HeaderMap::new() };
        Self { line, supply: Supply::new(RequestBody::Empty) }
    }

    /// `GET`
    pub fn get(path: impl Into<String>, access: Access) -> Self {
        Self::new(Method::GET, path, access)
    }

    /// `HEAD`
    pub fn head(path: impl Into<String>, access: Access) -> Self {
        Self::new(Method::HEAD, path, access)
    }

    /// `POST`
    pub fn post(path: impl Into<String>, access: Access) -> Self {
        Self::new(Method::POST, path, access)
    }

    /// `PUT`
    pub fn put(path: impl Into<String>, access: Access) -> Self {
        Self::new(Method::PUT, path, access)
    }

    /// `PATCH`
    pub fn patch(path: impl Into<String>, access: Access) -> Self {
        Self::new(Method::PATCH, path, access)
    }

    /// `DELETE`
    pub fn delete(path: impl Into<String>, access: Access) -> Self {
        Self::new(Method::DELETE, path, access)
    }

    /// Adds a header; one name may come several times, as `Accept` does.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.line.headers.append(name, value);
        self
    }

    /// Sets the bytes that go with it.
    #[must_use]
    pub fn body(mut self, body: RequestBody) -> Self {
        self.supply.body = body;
        self
    }
}

/// A body that knows whether it can be sent once more.
pub(super) struct Supply {
    body: RequestBody,
    spent: bool,
}

impl Supply {
    pub(super) fn new(body: RequestBody) -> Self {
        Self { body, spent: false }
    }

    /// Whether its bytes come from elsewhere while they are sent.
    pub(super) fn streams(&self) -> bool {
        matches!(self.body, RequestBody::Stream { .. } | RequestBody::Once { .. })
    }

    /// Whether the only body there was has been sent.
    pub(super) fn spent(&self) -> bool {
        self.spent
    }

    /// The body for one attempt; `None` where there are no bytes to send.
    pub(super) async fn make(&mut self) -> Result<Option<Body>, Failure> {
        let (length, body) = match &mut self.body {
            RequestBody::Empty => return Ok(None),
            RequestBody::Bytes(bytes) => return Ok(Some(Body::from_bytes(bytes.clone()))),
            RequestBody::Stream { length, make } => (*length, make().await.map_err(Failure::Final)?),
            RequestBody::Once { length, body } => {
                let taken = std::mem::replace(body, Body::from_bytes(Bytes::new()));
                self.spent = true;
                (*length, taken)
            }
        };
        if body.len() != length {
            let why = format!("the body has {} bytes, but {length} were announced", body.len());
            return Err(Failure::Final(Error::failed(why)));
        }
        Ok(Some(body))
    }
}
