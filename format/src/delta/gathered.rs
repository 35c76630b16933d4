//! [`Gathered`]: the chunk index of a set in the making.
//!
//! **Invariants.** What it ends as depends on what was added and in which order, not on how often; of two places of a chunk the
//! first one added counts. Memory stays within its budget, and twice that for a moment.

use std::collections::HashMap;

use super::chunks::{Blob, Chunks, Entry};
use super::{ENTRY_BYTES, Key, Sieve};
use crate::digest::Digest;

/// A chunk index in the making.
#[derive(Debug)]
pub struct Gathered {
    blobs: Vec<Blob>,
    numbers: HashMap<Digest, u32>,
    entries: Vec<Entry>,
    sieve: Sieve,
    /// How many entries there may be.
    most: usize,
}

impl Gathered {
    /// An empty one that takes about `memory_bytes`.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        let most = usize::try_from(memory_bytes / ENTRY_BYTES).unwrap_or(usize::MAX).max(1);
        Self { blobs: Vec::new(), numbers: HashMap::new(), entries: Vec::new(), sieve: Sieve::default(), most }
    }

    /// Whether the chunks of a blob were added.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.numbers.contains_key(digest)
    }

    /// Adds the chunks of the plain form of a blob, with their offsets there. A blob that was added already adds nothing.
    pub fn add(&mut self, blob: Blob, chunks: impl IntoIterator<Item = (Key, u64)>) {
        let Ok(number) = u32::try_from(self.blobs.len()) else { return };
        if self.numbers.contains_key(&blob.digest) {
            return;
        }
        self.numbers.insert(blob.digest, number);
        self.blobs.push(blob);
        for (key, offset) in chunks {
            self.put(Entry { key, blob: number, offset });
        }
    }

    /// Adds what `chunks` knows of the blobs that are to be kept and were not added already.
    pub fn inherit(&mut self, chunks: &Chunks, keep: impl Fn(&Digest) -> bool) {
        let mut numbers = vec![None; chunks.blobs.len()];
        for (blob, number) in chunks.blobs.iter().zip(&mut numbers) {
            if keep(&blob.digest) && !self.has(&blob.digest) {
                *number = u32::try_from(self.blobs.len()).ok();
                self.numbers.extend(number.map(|number| (blob.digest, number)));
                self.blobs.push(*blob);
            }
        }
        for entry in &chunks.entries {
            let number = usize::try_from(entry.blob).ok().and_then(|blob| numbers.get(blob).copied().flatten());
            if let Some(blob) = number {
                self.put(Entry { blob, ..*entry });
            }
        }
    }

    /// The index.
    #[must_use]
    pub fn finish(mut self) -> Chunks {
        self.tidy();
        self.entries.shrink_to_fit();
        Chunks { blobs: self.blobs, entries: self.entries }
    }

    fn put(&mut self, entry: Entry) {
        if !self.sieve.takes(&entry.key) {
            return;
        }
        if self.entries.len() >= self.most {
            self.tidy();
            // Some room, so that this does not come again at once.
            while self.entries.len() > self.most.saturating_sub(self.most / 4) {
                self.sieve.halve();
                let sieve = self.sieve;
                self.entries.retain(|entry| sieve.takes(&entry.key));
            }
        }
        self.entries.push(entry);
    }

    /// Leaves of each chunk the place that was added first: blobs are numbered, and offsets ascend.
    fn tidy(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup_by_key(|entry| entry.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::key;

    fn blob(number: u8) -> Blob {
        Blob { digest: Digest::of(&[number]), bytes: 1, plain_bytes: 1 << 20 }
    }

    #[test]
    fn of_two_places_of_a_chunk_the_first_one_counts() {
        let mut gathered = Gathered::new(u64::MAX);
        gathered.add(blob(1), [(key(b"a"), 5), (key(b"a"), 9)]);
        gathered.add(blob(2), [(key(b"a"), 0), (key(b"b"), 1)]);
        gathered.add(blob(1), [(key(b"c"), 0)]);
        let index = gathered.finish();
        assert_eq!(index.find(&key(b"a")), Some((0, 5)));
        assert_eq!(index.find(&key(b"b")), Some((1, 1)));
        assert_eq!(index.find(&key(b"c")), None);
    }

    #[test]
    fn what_is_kept_of_an_earlier_index_counts_after_what_is_new() {
        let mut earlier = Gathered::new(u64::MAX);
        earlier.add(blob(1), [(key(b"a"), 1), (key(b"b"), 2)]);
        earlier.add(blob(2), [(key(b"c"), 3)]);
        let earlier = earlier.finish();
        let mut gathered = Gathered::new(u64::MAX);
        gathered.add(blob(3), [(key(b"a"), 7)]);
        gathered.inherit(&earlier, |digest| *digest == Digest::of(&[1]));
        let index = gathered.finish();
        let found = |name: &[u8]| index.find(&key(name)).map(|(blob, offset)| (index.blobs()[blob as usize].digest, offset));
        assert_eq!(found(b"a"), Some((Digest::of(&[3]), 7)));
        assert_eq!(found(b"b"), Some((Digest::of(&[1]), 2)));
        assert_eq!(found(b"c"), None);
    }

    #[test]
    fn memory_is_bounded_and_what_stays_is_the_same_in_pieces() {
        let all: Vec<(Key, u64)> = (0..10_000u64).map(|n| (key(&n.to_le_bytes()), n)).collect();
        let gather = |step: usize| {
            let mut gathered = Gathered::new(1000 * ENTRY_BYTES);
            for (number, chunks) in all.chunks(step).enumerate() {
                let digest = Digest::of(&number.to_le_bytes());
                gathered.add(Blob { digest, bytes: 1, plain_bytes: 1 << 20 }, chunks.iter().copied());
                assert!(gathered.entries.len() <= 1000);
            }
            gathered.finish().entries.into_iter().map(|entry| (entry.key, entry.offset)).collect::<Vec<_>>()
        };
        let kept = gather(10);
        assert!(kept.len() > 100, "{}", kept.len());
        assert_eq!(kept, gather(1000));
    }
}
