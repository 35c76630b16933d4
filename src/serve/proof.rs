//! [`Proof`]: one check of a blob's digest, shared by all who read it from its start.
//!
//! **Invariants.** Every byte of the blob goes into the hash once, in order, whoever of the readers has it first, and beside the reading:
//! at most [`MAX_WAITING_BYTES`] wait for it. A reader that told of all it read knows the verdict when it is at the end. Nobody waits for a
//! reader that is slow or gone.
//!
//! *Not here:* what a reader does with the verdict (`source`), checks of parts (`Inside`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use super::pace::Pace;
use crate::error::{Error, Result};
use crate::image::{Digest, Hasher};

/// The most digests that are remembered as proven; a blob beyond them is hashed again.
const MAX_PROVEN: usize = 50_000;
/// Whoever told of more than this before it was hashed waits.
const MAX_WAITING_BYTES: u64 = 2 << 20;

/// A check of one blob.
pub(super) struct Proof {
    digest: Digest,
    size: u64,
    told: Mutex<Told>,
    known: watch::Sender<Known>,
    table: Weak<Table>,
}

/// What readers told of.
struct Told {
    /// So many bytes.
    bytes: u64,
    /// Those that are not in the hash.
    waiting: VecDeque<Bytes>,
    /// None while somebody hashes.
    hasher: Option<Hasher>,
}

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// So many bytes are in the hash.
    Hashed(u64),
    /// Whether the digest is right.
    Verdict(bool),
}

/// All checks of a snapshot.
#[derive(Default)]
pub(super) struct Proofs(Arc<Table>);

#[derive(Default)]
struct Table {
    proven: Mutex<HashSet<Digest>>,
    open: Mutex<HashMap<Digest, Weak<Proof>>>,
}

impl Proofs {
    /// The check of a blob that somebody is about to read whole; `None` if it was read whole before and was right.
    pub(super) fn begin(&self, digest: Digest, size: u64) -> Option<Arc<Proof>> {
        if locked(&self.0.proven).contains(&digest) {
            return None;
        }
        let mut open = locked(&self.0.open);
        if let Some(proof) = open.get(&digest).and_then(Weak::upgrade) {
            return Some(proof);
        }
        let told = Told { bytes: 0, waiting: VecDeque::new(), hasher: Some(digest.hasher()) };
        let (told, known) = (Mutex::new(told), watch::Sender::new(Known::Hashed(0)));
        let proof = Arc::new(Proof { digest, size, told, known, table: Arc::downgrade(&self.0) });
        open.retain(|_, proof| proof.strong_count() > 0);
        open.insert(digest, Arc::downgrade(&proof));
        Some(proof)
    }
}

impl Proof {
    /// Tells of bytes that were read at `offset`; all before them were told of. With the last of the blob, it must be right.
    pub(super) async fn tell(self: &Arc<Self>, offset: u64, pieces: &[Bytes], pace: &Arc<Pace>) -> Result<()> {
        let (end, hasher) = locked(&self.told).take(offset, pieces);
        if let Some(hasher) = hasher {
            let (proof, pace) = (self.clone(), pace.clone());
            tokio::spawn(async move {
                let hashing = proof.clone();
                let hash = move || {
                    hashing.hash(hasher);
                    Ok(())
                };
                if pace.run(hash).await.is_err() {
                    proof.known.send_replace(Known::Verdict(false));
                }
            });
        }
        let enough = |known: &Known| match known {
            Known::Hashed(bytes) => end < self.size && end <= bytes + MAX_WAITING_BYTES,
            Known::Verdict(_) => true,
        };
        let known = self.known.subscribe().wait_for(enough).await.map_or(Known::Verdict(false), |known| *known);
        match known {
            Known::Verdict(false) => Err(Error::damaged(format!("{}: the content does not match its digest", self.digest))),
            _ => Ok(()),
        }
    }

    /// Hashes what readers tell of until there is no more for now. Blocks.
    fn hash(&self, mut hasher: Hasher) {
        while let Some(bytes) = self.next(&mut hasher) {
            hasher.update(&bytes);
            let more = bytes.len() as u64;
            self.known.send_modify(|known| {
                if let Known::Hashed(hashed) = known {
                    *hashed += more;
                }
            });
        }
    }

    /// The next bytes for the hash. Where there are none, the hasher waits for some, or says what it found.
    fn next(&self, hasher: &mut Hasher) -> Option<Bytes> {
        let mut told = locked(&self.told);
        let next = told.waiting.pop_front();
        if next.is_none() && told.bytes < self.size {
            told.hasher = Some(hasher.clone());
        } else if next.is_none() {
            drop(told);
            self.settle(hasher.clone().finish() == self.digest);
        }
        next
    }

    /// Remembers what is right; what is wrong is checked anew by the next who asks.
    fn settle(&self, right: bool) {
        if let Some(table) = self.table.upgrade() {
            if right {
                let mut proven = locked(&table.proven);
                if proven.len() >= MAX_PROVEN {
                    proven.clear();
                }
                proven.insert(self.digest);
            }
            locked(&table.open).remove(&self.digest);
        }
        self.known.send_replace(Known::Verdict(right));
    }
}

impl Told {
    /// Takes in what is new of bytes at `offset`: where they end, and the hasher if somebody has to hash now.
    fn take(&mut self, offset: u64, pieces: &[Bytes]) -> (u64, Option<Hasher>) {
        let mut end = offset;
        for piece in pieces {
            let known = self.bytes.saturating_sub(end);
            end += piece.len() as u64;
            if end > self.bytes {
                self.waiting.push_back(piece.slice(known as usize..));
                self.bytes = end;
            }
        }
        (end, self.hasher.take())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    async fn tell(proof: &Arc<Proof>, offset: u64, bytes: &[u8]) -> Result<()> {
        proof.tell(offset, &[Bytes::copy_from_slice(bytes)], &Pace::new(1)).await
    }

    #[tokio::test]
    async fn readers_that_overtake_each_other_prove_a_blob_together() {
        let bytes: Vec<u8> = (0..=255).collect();
        let proofs = Proofs::default();
        let begin = || proofs.begin(Digest::of(&bytes), 256);
        let (one, other) = (begin().expect("new"), begin().expect("the same"));
        tell(&one, 0, &bytes[..100]).await.expect("so far");
        tell(&other, 0, &bytes[..50]).await.expect("so far");
        tell(&other, 50, &bytes[50..200]).await.expect("so far");
        drop(other);
        tell(&one, 100, &bytes[100..150]).await.expect("so far");
        assert!(begin().is_some(), "the end was not told of");
        tell(&one, 150, &bytes[150..]).await.expect("right");
        assert!(begin().is_none(), "it is proven");
    }

    #[tokio::test]
    async fn what_is_wrong_is_checked_again() {
        let proofs = Proofs::default();
        let digest = Digest::of(b"abc");
        let proof = proofs.begin(digest, 3).expect("new");
        let (one, other) = tokio::join!(tell(&proof, 0, b"abd"), tell(&proof, 0, b"abd"));
        assert_eq!([one, other].map(|told| told.expect_err("wrong").kind()), [Kind::Damaged, Kind::Damaged]);
        let again = proofs.begin(digest, 3).expect("anew");
        tell(&again, 0, b"abc").await.expect("right");
    }

    #[tokio::test]
    async fn a_large_blob_is_hashed_beside_its_readers() {
        let bytes = vec![7; 5 * MAX_WAITING_BYTES as usize / 2];
        let proofs = Proofs::default();
        let proof = proofs.begin(Digest::of(&bytes), bytes.len() as u64).expect("new");
        for (at, part) in (0..).step_by(100_000).zip(bytes.chunks(100_000)) {
            tell(&proof, at, part).await.expect("right");
        }
        assert!(proofs.begin(Digest::of(&bytes), bytes.len() as u64).is_none(), "it is proven");
    }
}
