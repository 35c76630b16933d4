//! [`Host`]: one registry: its connection, and what a run has learned of it.
//!
//! **Invariants.** A document is read whole or not at all, and never beyond its limit; a document that was cut is
//! asked for again, as often as the options say.
//!
//! *Not here:* what is asked for: `manifests`, `download`, `tags`, `referrers`, `upload`.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;

use super::connection::{Connection, HeaderValue, Options, Request, Response};
use super::manifests::Kept;
use super::refusal::Refusal;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::monitor::Event;

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// One registry.
pub(super) struct Host {
    pub(super) connection: Connection,
    pub(super) options: Options,
    /// Whether it has the referrers API, once that is known.
    pub(super) lists_referrers: OnceLock<bool>,
    /// Manifests fetched lately.
    pub(super) kept: Kept,
}

/// A document that was asked for.
pub(super) enum Answer {
    /// It is here.
    Whole(Document),
    /// The registry answered something else.
    Refused(Refusal),
}

/// A document as a registry sent it.
pub(super) struct Document {
    /// The content.
    pub(super) bytes: Bytes,
    /// The media type that it was sent with, without parameters; empty where none was.
    pub(super) media_type: String,
    /// What the registry says that its digest is.
    pub(super) digest: Option<Digest>,
    /// The `Link` header.
    pub(super) link: Option<String>,
    /// The address that it came from.
    pub(super) url: String,
}

impl Host {
    /// The registry at `name`, not yet asked anything.
    pub(super) fn new(name: &str, options: &Options) -> Result<Self> {
        let connection = Connection::new(name, options)?;
        Ok(Self { connection, options: options.clone(), lists_referrers: OnceLock::new(), kept: Kept::default() })
    }

    /// A document of at most `limit` bytes.
    pub(super) async fn document(&self, request: impl Fn() -> Request + Send, limit: u64, what: &str) -> Result<Answer> {
        let mut tries = 0;
        loop {
            let response = self.connection.send(request()).await?;
            if response.status() != 200 {
                return Ok(Answer::Refused(Refusal::read(response, what).await));
            }
            if let Some(length) = answered_length(&response).filter(|length| *length > limit) {
                return Err(Error::failed(format!("{what}: {length} bytes are more than the {limit} that are taken")));
            }
            let document = Document {
                bytes: Bytes::new(),
                media_type: media_type(response.header("content-type")),
                digest: answered_digest(&response),
                link: response.header("link").map(str::to_owned),
                url: response.url().to_string(),
            };
            match response.bytes(limit, what).await {
                Ok(bytes) => return Ok(Answer::Whole(Document { bytes, ..document })),
                Err(error) => self.again(what, error, &mut tries).await?,
            }
        }
    }

    /// Waits before the next try of `what` and counts it in `tries`; `error` comes back where no try is left.
    pub(super) async fn again(&self, what: &str, error: Error, tries: &mut u32) -> Result<()> {
        if *tries >= self.options.retry_times {
            return Err(error);
        }
        *tries += 1;
        self.options.monitor.event(Event::Retry { what, why: &error.to_string(), attempt: *tries + 1 });
        tokio::time::sleep(self.pause(*tries)).await;
        Ok(())
    }

    fn pause(&self, tries: u32) -> Duration {
        let doubled = Duration::from_millis(500).saturating_mul(1 << tries.min(6));
        self.options.retry_delay.unwrap_or(doubled).min(MAX_PAUSE)
    }
}

/// A media type without its parameters.
pub(super) fn media_type(header: Option<&str>) -> String {
    let kind = header.and_then(|value| value.split(';').next()).unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// The digest that an answer tells; `None` also where its algorithm is not one of ours, so that nothing can be compared.
pub(super) fn answered_digest(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.trim().parse().ok()
}

/// The length that an answer tells.
pub(super) fn answered_length(response: &Response) -> Option<u64> {
    response.header("content-length")?.parse().ok()
}

/// Whether an answer means that what was asked is done.
pub(super) fn is_success(response: &Response) -> bool {
    response.status().is_success()
}

/// `text` as the value of a header.
pub(super) fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::failed(format!("{text:?} cannot stand in a header")))
}
