//! [`whole`]: a blob from front to back, made while its reader takes what is made already.
//!
//! **Invariants.** At most two parts wait. An error is the last part.
//!
//! *Not here:* parts of blobs (`source`).

use bytes::Bytes;
use futures_util::stream;
use ocm_format::reader::Stream;

use super::told;
use crate::error::Result;

/// All of a blob or its plain form, read ahead by a thread of its own.
pub(super) fn whole(
    open: impl FnOnce() -> ocm_format::error::Result<Stream> + Send + 'static,
) -> impl stream::Stream<Item = Result<Bytes>> + Send + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut parts = match open() {
            Ok(parts) => parts,
            Err(error) => return drop(sender.blocking_send(Err(told(&error)))),
        };
        loop {
            let part = match parts.next_chunk() {
                Ok(Some(chunk)) => Ok(Bytes::from_owner(chunk)),
                Ok(None) => return,
                Err(error) => Err(told(&error)),
            };
            // Whoever reads may have gone; then nobody needs the rest.
            let failed = part.is_err();
            if sender.blocking_send(part).is_err() || failed {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|part| (part, receiver)) })
}
