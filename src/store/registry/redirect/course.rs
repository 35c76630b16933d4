//! [`Course`]: the bytes of one blob, from one place after another.
//!
//! **Invariants.** The reader gets exactly the bytes asked for, in order, or an error. Where a place gives out in the middle, the next
//! one goes on there; nothing is fetched twice. A place that gave out is not asked again for this blob.
//!
//! *Not here:* trying again at one place (`download`), the check of the content (`image::Blob::whole`).

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream;

use super::standing::Standing;
use super::tried::Tried;
use super::{Place, Redirected};
use crate::error::Result;
use crate::image::{Body, Descriptor, Repository, Source as _};

/// A blob on its way.
pub(super) struct Course {
    registries: Redirected,
    places: VecDeque<Place>,
    blob: Descriptor,
    /// What the reader has not yet.
    wanted: Range<u64>,
    tried: Tried,
    /// Where bytes come from now.
    current: Option<(Repository, Body)>,
    what: String,
}

impl Course {
    /// Bytes `wanted` of a blob that may be in these places.
    pub(super) fn new(registries: Redirected, places: Vec<Place>, blob: Descriptor, wanted: Range<u64>, what: String) -> Self {
        Self { registries, places: places.into(), blob, wanted, tried: Tried::new(), current: None, what }
    }

    /// The bytes; `None` where no place has the blob.
    pub(super) async fn begin(mut self) -> Result<Option<Body>> {
        if self.open().await?.is_none() {
            return Ok(None);
        }
        let (len, what) = (self.wanted.end - self.wanted.start, self.what.clone());
        let parts = stream::try_unfold(self, |mut course| async move { Ok(course.next().await?.map(|part| (part, course))) });
        Ok(Some(Body::new(len, what, parts)))
    }

    /// Asks the next place for what is still wanted, and those after it where that gives nothing.
    async fn open(&mut self) -> Result<Option<()>> {
        while let Some(Place { at, insecure, .. }) = self.places.pop_front() {
            let registry = self.registries.of(insecure);
            match registry.read(&at, &self.blob, self.wanted.clone()).await {
                Ok(Some(body)) => {
                    self.registries.standings.note(&at, Standing::Serves);
                    self.current = Some((at, body));
                    return Ok(Some(()));
                }
                Ok(None) => self.tried.absent(at),
                Err(error) => {
                    self.registries.passed_over(&at, &error, !self.places.is_empty());
                    self.tried.failed(error);
                }
            }
        }
        std::mem::replace(&mut self.tried, Tried::new()).end(&self.what)
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some((at, body)) = &mut self.current {
            let error = match body.next().await {
                Ok(part) => {
                    self.wanted.start += part.as_ref().map_or(0, |part| part.len() as u64);
                    return Ok(part);
                }
                Err(error) => error,
            };
            self.registries.passed_over(at, &error, !self.places.is_empty());
            self.tried.failed(error);
            self.current = None;
            self.open().await?;
        }
        Ok(None)
    }
}
