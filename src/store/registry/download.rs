//! [`read`]: blobs as they stream out of a registry (OCI distribution-spec, "Pulling blobs"; RFC 9110 ranges).
//!
//! **Invariants.** The reader gets exactly the bytes asked for, in order, or an error. A cut download goes on by
//! `Range` where it stopped; tries are counted anew after every try that brought bytes. Lengths and ranges that the
//! registry tells must be those of the descriptor. Nothing is held in memory but the part at hand.
//!
//! *Not here:* the check of the content against its digest (`image::Blob::whole`).

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};

use super::connection::header::{ACCEPT, RANGE};
use super::connection::{Access, HeaderValue, Request, Response};
use super::host::{Host, answered_length, value};
use super::refusal::Refusal;
use crate::error::{Error, Result};
use crate::image::{Body, Descriptor, Digest, Repository};

/// The most that is fetched in vain to reach the beginning of a range, where a registry does not serve ranges.
const MAX_SKIP_BYTES: u64 = 64 << 20;

/// Bytes `range` of a blob; `None` where the registry has no such blob.
pub(super) async fn read(host: Arc<Host>, repository: &Repository, blob: &Descriptor, range: Range<u64>) -> Result<Option<Body>> {
    if range.start > range.end || range.end > blob.size {
        let what = format!("blob {} of {repository}", blob.digest);
        return Err(Error::failed(format!("{what}: bytes {range:?} are asked for and it has {}", blob.size)));
    }
    let len = range.end - range.start;
    let mut download = Download::new(host, repository.clone(), blob, range);
    if !download.open().await? {
        return Ok(None);
    }
    let what = download.what.clone();
    let parts = stream::try_unfold(download, |mut download| async move { Ok(download.next().await?.map(|part| (part, download))) });
    Ok(Some(Body::new(len, what, parts)))
}

/// The size of a blob, as the registry tells it; `None` where it has no such blob.
pub(super) async fn size(host: &Host, repository: &Repository, blob: &Digest) -> Result<Option<u64>> {
    let what = format!("look for blob {blob} of {repository}");
    let request = Request::head(format!("/v2/{}/blobs/{blob}", repository.path()), Access::pull(repository));
    let response = host.connection.send(request).await?;
    if response.status() == 200 {
        let untold = || Error::failed(format!("{what}: the registry does not say how large it is"));
        return answered_length(&response).map(Some).ok_or_else(untold);
    }
    let refusal = Refusal::read(response, &what).await;
    if refusal.is_absence() { Ok(None) } else { Err(refusal.into_error()) }
}

type Parts = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// One blob, or a part of it, on its way.
struct Download {
    host: Arc<Host>,
    repository: Repository,
    digest: Digest,
    size: u64,
    /// The first byte that the reader asked for.
    first: u64,
    /// The next byte that the reader gets, and the one after its last.
    wanted: Range<u64>,
    current: Option<Current>,
    tries: u32,
    what: String,
}

/// The answer that bytes come from now.
struct Current {
    parts: Parts,
    /// How many of its bytes lie before those wanted.
    skip: u64,
    /// Whether it must end where `wanted` does.
    exact: bool,
    /// Whether it is a range; a registry that sends everything again makes no progress by it.
    ranged: bool,
}

impl Download {
    fn new(host: Arc<Host>, repository: Repository, blob: &Descriptor, wanted: Range<u64>) -> Self {
        let what = format!("blob {} of {repository}", blob.digest);
        Self { host, repository, digest: blob.digest, size: blob.size, first: wanted.start, wanted, current: None, tries: 0, what }
    }

    /// The next part for the reader.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(current) = &mut self.current else {
                if !self.open().await? {
                    return Err(Error::failed(format!("{}: it went away while it was read", self.what)));
                }
                continue;
            };
            if self.wanted.is_empty() && !current.exact {
                return Ok(None);
            }
            let why = match current.parts.next().await {
                Some(Ok(part)) => match self.take(part)? {
                    Some(part) => return Ok(Some(part)),
                    None => continue,
                },
                _ if self.wanted.is_empty() => return Ok(None),
                Some(Err(error)) => error,
                None => Error::failed(format!("{}: the registry closed it {} bytes early", self.what, self.wanted.end - self.wanted.start)),
            };
            self.current = None;
            let host = self.host.clone();
            host.again(&self.what, why, &mut self.tries).await?;
        }
    }

    /// What of `part` is for the reader.
    fn take(&mut self, mut part: Bytes) -> Result<Option<Bytes>> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let skipped = current.skip.min(part.len() as u64);
        current.skip -= skipped;
        drop(part.split_to(usize::try_from(skipped).unwrap_or(part.len())));
        let left = self.wanted.end - self.wanted.start;
        if part.len() as u64 > left {
            if current.exact {
                let end = self.wanted.end;
                return Err(Error::damaged(format!("{}: the registry sends more than the {end} bytes that it has", self.what)));
            }
            part.truncate(usize::try_from(left).unwrap_or(part.len()));
        }
        if part.is_empty() {
            return Ok(None);
        }
        if current.ranged {
            self.tries = 0;
        }
        self.wanted.start += part.len() as u64;
        Ok(Some(part))
    }

    /// Asks for what is still wanted; `false` where there is no such blob.
    async fn open(&mut self) -> Result<bool> {
        let whole = self.wanted == (0..self.size);
        if self.wanted.is_empty() && !whole {
            return self.find().await;
        }
        let request = Request::get(self.url(), Access::pull(&self.repository)).header(ACCEPT, HeaderValue::from_static("*/*"));
        let request = match whole {
            true => request,
            false => request.header(RANGE, value(&format!("bytes={}-{}", self.wanted.start, self.wanted.end - 1))?),
        };
        let response = self.host.connection.send(request).await?;
        self.current = Some(match response.status().as_u16() {
            200 => self.everything(response)?,
            206 if !whole => self.range(response)?,
            _ => return self.refused(response).await,
        });
        Ok(true)
    }

    /// Whether the blob is there, where no byte of it is wanted.
    async fn find(&mut self) -> Result<bool> {
        let response = self.host.connection.send(Request::head(self.url(), Access::pull(&self.repository))).await?;
        if response.status() != 200 {
            return self.refused(response).await;
        }
        self.current = Some(Current { parts: Box::pin(stream::empty()), skip: 0, exact: false, ranged: true });
        Ok(true)
    }

    fn url(&self) -> String {
        format!("/v2/{}/blobs/{}", self.repository.path(), self.digest)
    }

    /// The answer with all of the blob, from its first byte on.
    fn everything(&self, response: Response) -> Result<Current> {
        let length = answered_length(&response);
        if let Some(length) = length.filter(|length| *length != self.size) {
            let size = self.size;
            return Err(Error::damaged(format!("{}: the registry sends {length} bytes and its descriptor says {size}", self.what)));
        }
        let skip = self.wanted.start;
        if skip == self.first && skip > MAX_SKIP_BYTES {
            return Err(Error::failed(format!("{}: byte {skip} is asked for and the registry serves no ranges", self.what))
                .hint("read it from the beginning, or mirror it from a registry that serves ranges"));
        }
        Ok(Current { parts: Box::pin(response.stream()), skip, exact: self.wanted.end == self.size, ranged: skip == 0 })
    }

    /// The answer with exactly the range asked for.
    fn range(&self, response: Response) -> Result<Current> {
        let said = response.header("content-range").unwrap_or_default().to_owned();
        let asked = format!("bytes {}-{}/", self.wanted.start, self.wanted.end - 1);
        let total = said.strip_prefix(&asked).unwrap_or_default();
        if total != "*" && total.parse() != Ok(self.size) {
            let size = self.size;
            return Err(Error::damaged(format!("{}: {asked}{size} was asked for and the registry sends {said:?}", self.what)));
        }
        Ok(Current { parts: Box::pin(response.stream()), skip: 0, exact: true, ranged: true })
    }

    async fn refused(&mut self, response: Response) -> Result<bool> {
        let refusal = Refusal::read(response, &self.what).await;
        if refusal.is_absence() { Ok(false) } else { Err(refusal.into_error()) }
    }
}
