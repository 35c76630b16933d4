//! [`Proof`]: one check of a blob's digest, shared by all who read it from its start.
//!
//! **Invariants.** Every byte of the blob goes into the hash once, in order, whoever of the readers has it first; a reader that has told of
//! all it read knows the verdict when it is at the end. Nobody waits for a reader that is slow or gone.
//!
//! *Not here:* what a reader does with the verdict (`source`), checks of parts (`Inside`).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::{Error, Result};
use crate::image::{Digest, Hasher};

/// The most digests that are remembered as proven; a blob beyond them is hashed again.
const MAX_PROVEN: usize = 50_000;

/// A check of one blob.
pub(super) struct Proof {
    digest: Digest,
    size: u64,
    state: Mutex<State>,
    table: Weak<Table>,
}

enum State {
    /// So many bytes are in the hash.
    Hashing(Hasher, u64),
    /// It was checked: whether the digest is right.
    Done(bool),
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
        let state = Mutex::new(State::Hashing(digest.hasher(), 0));
        let proof = Arc::new(Proof { digest, size, state, table: Arc::downgrade(&self.0) });
        open.retain(|_, proof| proof.strong_count() > 0);
        open.insert(digest, Arc::downgrade(&proof));
        Some(proof)
    }
}

impl Proof {
    /// Tells of bytes that were read at `offset`; all before them were told of.
    pub(super) fn feed(&self, offset: u64, bytes: &[u8]) {
        let mut state = locked(&self.state);
        let State::Hashing(hasher, done) = &mut *state else { return };
        let new = usize::try_from(done.saturating_sub(offset)).ok().and_then(|known| bytes.get(known..));
        if offset <= *done
            && let Some(new) = new
        {
            hasher.update(new);
            *done += new.len() as u64;
        }
        if *done == self.size {
            let right = hasher.clone().finish() == self.digest;
            *state = State::Done(right);
            drop(state);
            self.settle(right);
        }
    }

    /// Whether the blob is right; known to all who told of its last byte.
    pub(super) fn verdict(&self) -> Result<()> {
        match &*locked(&self.state) {
            State::Done(true) => Ok(()),
            State::Done(false) => Err(Error::damaged(format!("{}: the content does not match its digest", self.digest))),
            State::Hashing(_, done) => Err(Error::failed(format!("{}: only {done} of {} bytes were checked", self.digest, self.size))),
        }
    }

    /// Remembers what is right; what is wrong is checked anew by the next who asks.
    fn settle(&self, right: bool) {
        let Some(table) = self.table.upgrade() else { return };
        if right {
            let mut proven = locked(&table.proven);
            if proven.len() >= MAX_PROVEN {
                proven.clear();
            }
            proven.insert(self.digest);
        }
        locked(&table.open).remove(&self.digest);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_that_overtake_each_other_prove_a_blob_together() {
        let bytes: Vec<u8> = (0..=255).collect();
        let proofs = Proofs::default();
        let begin = || proofs.begin(Digest::of(&bytes), 256);
        let (one, other) = (begin().expect("new"), begin().expect("the same"));
        one.feed(0, &bytes[..100]);
        other.feed(0, &bytes[..50]);
        other.feed(50, &bytes[50..200]);
        drop(other);
        one.feed(100, &bytes[100..150]);
        assert!(one.verdict().is_err(), "the end was not told of");
        one.feed(150, &bytes[150..]);
        one.verdict().expect("right");
        assert!(begin().is_none(), "it is proven");
    }

    #[test]
    fn what_is_wrong_is_checked_again() {
        let proofs = Proofs::default();
        let digest = Digest::of(b"abc");
        let proof = proofs.begin(digest, 3).expect("new");
        proof.feed(0, b"abd");
        assert_eq!(proof.verdict().expect_err("wrong").kind(), crate::error::Kind::Damaged);
        let again = proofs.begin(digest, 3).expect("anew");
        again.feed(0, b"abc");
        again.verdict().expect("right");
    }

    #[test]
    fn an_empty_blob_is_proven_by_telling_of_nothing() {
        let proof = Proofs::default().begin(Digest::of(b""), 0).expect("new");
        proof.feed(0, b"");
        proof.verdict().expect("right");
    }
}
