//! [`feed`]: the plain form of a blob, had from any place.
//!
//! **Invariants.** Nothing counts as read before all of the blob matched its digest, or the place vouched for its plain form. Memory is
//! that of some parts and one window of decompression, whatever the blob says.
//!
//! *Not here:* what plain forms are (`ocm_format::plain`), and what is done with one.

use std::io::{self, BufReader, Read};

use bytes::{Buf as _, Bytes};
use ocm_format::plain::plain;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::image::{Blob, Body};

/// Bytes that are moved at once.
const PART_BYTES: usize = 256 << 10;
/// Parts of a blob that wait for the thread that reads them.
const PARTS_AHEAD: usize = 4;

/// Feeds the plain form of a blob to `take`, on a thread of its own; gives back the state that it changed.
pub async fn feed<T: Send + 'static>(blob: &Blob, state: T, take: impl FnMut(&mut T, &[u8]) -> Result<()> + Send + 'static) -> Result<T> {
    let what = format!("blob {} from {}", blob.descriptor().digest, blob.place());
    match blob.plain().await? {
        Some(body) => read(body, what, move |parts| each(parts, state, take)).await,
        None => read(blob.whole().await?, what, move |parts| each(decompressed(parts)?, state, take)).await,
    }
}

/// Runs `work` over the bytes of `body` on a thread of its own. All of the body is read, however much of it `work` wants, and what is
/// wrong with the body is told before what is wrong with the work, which is told of `what`.
pub(in crate::store) async fn read<T: Send + 'static>(
    mut body: Body,
    what: String,
    work: impl FnOnce(Parts) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel(PARTS_AHEAD);
    let working = tokio::task::spawn_blocking(move || work(Parts { receiver, part: Bytes::new() }));
    // Where nobody listens any more, the rest is read for its digest.
    let mut listens = true;
    while let Some(part) = body.next().await? {
        listens = listens && sender.send(part).await.is_ok();
    }
    drop(sender);
    let worked = working.await.map_err(|error| Error::failed(format!("reading it ended badly: {error}"))).flatten();
    worked.map_err(|error| error.context(what))
}

/// The plain form of what these parts make.
pub(in crate::store) fn decompressed(parts: Parts) -> Result<Box<dyn Read>> {
    plain(BufReader::with_capacity(PART_BYTES, parts)).map_err(|error| broken(&error))
}

/// The error that a failure to decompress means.
pub(in crate::store) fn broken(error: &io::Error) -> Error {
    Error::damaged(format!("its plain form cannot be had: {error}"))
}

fn each<T>(mut from: impl Read, mut state: T, mut take: impl FnMut(&mut T, &[u8]) -> Result<()>) -> Result<T> {
    let mut buffer = vec![0; PART_BYTES];
    loop {
        let count = from.read(&mut buffer).map_err(|error| broken(&error))?;
        if count == 0 {
            return Ok(state);
        }
        take(&mut state, &buffer[..count])?;
    }
}

/// The parts of a blob as they come, for a thread that reads them.
pub(in crate::store) struct Parts {
    receiver: mpsc::Receiver<Bytes>,
    part: Bytes,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            let Some(part) = self.receiver.blocking_recv() else { return Ok(0) };
            self.part = part;
        }
        let count = self.part.len().min(buffer.len());
        self.part.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;
    use crate::error::Kind;
    use crate::image::{Descriptor, Reference, Source};
    use crate::store::memory::Memory;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(plain).expect("memory");
        encoder.finish().expect("memory")
    }

    fn blob(memory: &Memory, descriptor: Descriptor) -> Blob {
        let source: Arc<dyn Source> = Arc::new(memory.clone());
        Blob::new(source, "a.io/b".parse::<Reference>().expect("a name").repository().clone(), descriptor)
    }

    async fn fed(blob: &Blob) -> Result<Vec<u8>> {
        let take = |all: &mut Vec<u8>, bytes: &[u8]| {
            all.extend_from_slice(bytes);
            Ok(())
        };
        feed(blob, Vec::new(), take).await
    }

    #[tokio::test]
    async fn a_blob_is_decompressed_however_it_is_stored() {
        let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let memory = Memory::default();
        for stored in
            [text.clone(), gzip(&text), zstd::encode_all(text.as_slice(), 3).expect("memory"), [gzip(&text), vec![7; 900_000]].concat()]
        {
            let descriptor = memory.insert_blob("layer", stored);
            assert!(fed(&blob(&memory, descriptor)).await.expect("fed") == text);
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_blob_is_told_before_what_came_of_it() {
        let memory = Memory::default();
        let cut = gzip(&[7; 1000]);
        let cut = memory.insert_blob("layer", cut[..cut.len() - 9].to_vec());
        let error = fed(&blob(&memory, cut)).await.expect_err("cut");
        assert!(error.to_string().contains("its plain form cannot be had") && error.kind() == Kind::Damaged, "{error}");
        let lies = Descriptor { size: 9, ..memory.insert_blob("layer", "no tar, and longer") };
        assert!(fed(&blob(&memory, lies)).await.is_err());
        let whole = memory.insert_blob("layer", vec![7; 3 << 20]);
        let refused = feed(&blob(&memory, whole), (), |(), _| Err(Error::failed("enough"))).await.expect_err("refused");
        assert!(refused.to_string().starts_with("blob sha256:") && refused.to_string().ends_with("enough"), "{refused}");
    }
}
