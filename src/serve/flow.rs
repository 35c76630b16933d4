//! [`flow`]: a stretch of a blob in parts, read ahead of the client.
//!
//! **Invariants.** Parts come in order, [`READS_AHEAD`] of them are read at once, and only as fast as the client takes them. A read waits for
//! its turn in a task of its own: a client that takes nothing keeps no turn from others. A read that nobody waits for any more is given up.
//!
//! *Not here:* where bytes come from (`source`), how they are sent (`body`).

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::pace::READS_AHEAD;
use super::range::Stretch;
use super::source::Source;
use crate::error::{Error, Result};

/// Parts of a stretch.
pub(super) type Flow = Pin<Box<dyn Stream<Item = Result<Vec<Bytes>>> + Send>>;

/// The bytes of `stretch`. A part leaves when the check of its blob knows of it.
pub(super) fn flow(source: Arc<Source>, stretch: Stretch) -> Flow {
    let checker = source.clone();
    let reads = stream::iter(cuts(source.clone(), stretch)).map(move |part| read(source.clone(), part));
    let checked = reads.buffered(READS_AHEAD).and_then(move |(at, part)| {
        let checker = checker.clone();
        async move { checker.origin.check(at, &part).await.map(|()| part) }
    });
    Box::pin(checked)
}

/// `stretch` cut into parts, each as large as its time allows.
fn cuts(source: Arc<Source>, stretch: Stretch) -> impl Iterator<Item = Stretch> {
    let mut start = stretch.start;
    std::iter::from_fn(move || {
        let end = stretch.end.min(start.saturating_add(source.share.part_bytes()));
        let part = Stretch { start: std::mem::replace(&mut start, end), end };
        (part.start < part.end).then_some(part)
    })
}

/// Reads a part; says where it begins.
async fn read(source: Arc<Source>, part: Stretch) -> Result<(u64, Vec<Bytes>)> {
    let reading = AbortOnDropHandle::new(tokio::spawn(async move { source.part(part).await }));
    let read = reading.await.unwrap_or_else(|_| Err(Error::failed("a read of this server ended badly")));
    read.map(|bytes| (part.start, bytes))
}
