//! [`Table`]: the blobs of a set in the making, in the order of adding: which of them can be built on, and which files they hold.
//!
//! **Invariants.** Everything in here follows from the order of the blobs, their sizes, and the counts of their chunks and files. A blob counts for those
//! after it once frames were closed at or after its end; until then it may lie in frames that are open.
//!
//! *Not here:* the content (`shelf`), what a run that goes on knows (`resume`).

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::place::{Place, Spot};
use crate::chunk::File;
use crate::delta::Version;
use crate::digest::Digest;

/// What a file takes in memory, in bytes.
const FILE_BYTES: u64 = 48;
/// What a stretch of a blob takes in memory, in bytes.
const SPOT_BYTES: u64 = 32;
/// How many older versions of a file are told: the newest.
const MAX_FOUND: usize = 32;
/// A shorter file is not compressed after an older version: naming that costs as much.
const MIN_FILE_BYTES: u64 = 4096;
/// A version that is so many times longer or shorter is another file.
const MAX_FACTOR: u64 = 4;

/// Where the plain form of a blob lies.
#[derive(Debug)]
pub(super) struct Laid {
    /// Where in the plain form each spot begins.
    begins: Vec<u64>,
    spots: Vec<Spot>,
}

impl Laid {
    fn of(spots: Vec<Spot>) -> Self {
        let mut at = 0u64;
        let next = |spot: &Spot| {
            let begin = at;
            at = at.saturating_add(spot.bytes.into());
            begin
        };
        let begins = spots.iter().map(next).collect();
        Self { begins, spots }
    }

    /// The spots of these bytes: where each begins in the plain form, and the spot.
    pub(super) fn within(&self, begin: u64, end: u64) -> impl Iterator<Item = (u64, &Spot)> {
        let first = self.begins.partition_point(|at| *at <= begin).saturating_sub(1);
        let all = self.begins.iter().copied().zip(&self.spots).skip(first);
        all.take_while(move |(at, _)| *at < end)
    }

    /// Where between these two the bytes at `place` stand.
    pub(super) fn find(&self, place: Place, begin: u64, end: u64) -> Option<u64> {
        let inside = |at: &u64| (begin..end).contains(at);
        self.within(begin, end).find_map(|(at, spot)| spot.holds(place).map(|into| at.saturating_add(into)).filter(inside))
    }
}

struct Row {
    digest: Digest,
    plain_bytes: u64,
    /// How many blobs count for this one.
    before: u32,
    /// Whether all frames are closed at its end.
    closes: bool,
    /// Whether there was room for what it holds.
    kept: bool,
    laid: Option<Arc<Laid>>,
}

/// The blobs of a set.
pub(super) struct Table {
    rows: Vec<Row>,
    numbers: HashMap<Digest, u32>,
    files: BTreeSet<(u64, Version)>,
    left_bytes: u64,
    /// Frames are closed once so many bytes came after the last time.
    close_bytes: u64,
    since_bytes: u64,
    /// How many blobs count for the next one.
    before: u32,
}

impl Table {
    /// An empty one that takes about `memory_bytes`; frames are closed after each `close_bytes` of plain forms.
    pub(super) fn new(memory_bytes: u64, close_bytes: u64) -> Self {
        let (rows, numbers, files) = (Vec::new(), HashMap::new(), BTreeSet::new());
        Self { rows, numbers, files, left_bytes: memory_bytes, close_bytes, since_bytes: 0, before: 0 }
    }

    /// The number of a blob.
    pub(super) fn number(&self, digest: &Digest) -> Option<u32> {
        self.numbers.get(digest).copied()
    }

    fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(usize::try_from(number).ok()?)
    }

    fn row_of(&self, digest: &Digest) -> Option<&Row> {
        self.row(self.number(digest)?)
    }

    /// How many blobs count for this one, which comes now or came at its place.
    pub(super) fn before(&self, digest: &Digest) -> u32 {
        self.row_of(digest).map_or(self.before, |row| row.before)
    }

    /// Whether all frames are to be closed at the end of a blob.
    pub(super) fn closes(&self, digest: &Digest, plain_bytes: u64) -> bool {
        self.row_of(digest).map_or(self.since_bytes.saturating_add(plain_bytes) >= self.close_bytes, |row| row.closes)
    }

    /// The files of a blob that can be of use, where there is room for them; none where it was added already.
    pub(super) fn wanted(&self, digest: &Digest, files: &[File]) -> Option<Vec<File>> {
        let is_new = !self.numbers.contains_key(digest);
        is_new.then(|| files.iter().filter(|file| file.bytes >= MIN_FILE_BYTES).copied().collect())
    }

    /// Adds a blob with its files. One that was added already stays as it is.
    pub(super) fn add(&mut self, digest: Digest, plain_bytes: u64, chunks: usize, files: &[File]) {
        let Ok(number) = u32::try_from(self.rows.len()) else { return };
        if self.numbers.contains_key(&digest) {
            return;
        }
        let closes = self.closes(&digest, plain_bytes);
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let wanted = count(files.len()).saturating_mul(FILE_BYTES).saturating_add(count(chunks).saturating_mul(SPOT_BYTES));
        let kept = wanted <= self.left_bytes && !files.is_empty();
        if kept {
            self.left_bytes = self.left_bytes.saturating_sub(wanted);
            let version = |file: &File| (file.name, Version { blob: number, offset: file.offset, bytes: file.bytes });
            self.files.extend(files.iter().map(version));
        }
        self.numbers.insert(digest, number);
        self.rows.push(Row { digest, plain_bytes, before: self.before, closes, kept, laid: None });
        self.since_bytes = self.since_bytes.saturating_add(plain_bytes);
        if closes {
            (self.since_bytes, self.before) = (0, number.saturating_add(1));
        }
    }

    /// Says where the plain form of a blob lies.
    pub(super) fn lay(&mut self, digest: &Digest, spots: Vec<Spot>) {
        let row = self.number(digest).and_then(|number| self.rows.get_mut(usize::try_from(number).ok()?));
        if let Some(row) = row.filter(|row| row.kept) {
            row.laid = Some(Arc::new(Laid::of(spots)));
        }
    }

    /// Where the plain form of a blob lies.
    pub(super) fn laid(&self, number: u32) -> Option<Arc<Laid>> {
        self.row(number)?.laid.clone()
    }

    /// Digest and plain size of a blob.
    pub(super) fn blob(&self, number: u32) -> Option<(Digest, u64)> {
        self.row(number).map(|row| (row.digest, row.plain_bytes))
    }

    /// Older versions of a file of `bytes`, in the first `blobs` blobs; newest first.
    pub(super) fn find(&self, name: u64, bytes: u64, blobs: u32) -> Vec<Version> {
        let at = |blob: u32| (name, Version { blob, offset: 0, bytes: 0 });
        if bytes < MIN_FILE_BYTES {
            return Vec::new();
        }
        let range = self.files.range((Bound::Included(at(0)), Bound::Excluded(at(blobs))));
        let is_like = |version: &Version| version.bytes / MAX_FACTOR <= bytes && bytes / MAX_FACTOR <= version.bytes;
        range.rev().map(|(_, version)| *version).filter(is_like).take(MAX_FOUND).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(memory_bytes: u64) -> Table {
        Table::new(memory_bytes, 1000)
    }

    fn digest(n: u8) -> Digest {
        Digest::of(&[n])
    }

    fn file(name: u64, bytes: u64) -> File {
        File { name, offset: 512, bytes }
    }

    #[test]
    fn a_blob_counts_once_frames_were_closed_at_its_end_or_later() {
        let mut table = table(u64::MAX);
        for (n, bytes) in [(0, 400), (1, 700), (2, 10), (3, 2000)] {
            table.add(digest(n), bytes, 1, &[file(7, 5000)]);
        }
        let before: Vec<u32> = (0..5).map(|n| table.before(&digest(n))).collect();
        assert_eq!(before, [0, 0, 2, 2, 4]);
        let found = |blobs| table.find(7, 5000, blobs).iter().map(|version| version.blob).collect::<Vec<_>>();
        assert_eq!((found(0), found(2), found(4)), (vec![], vec![1, 0], vec![3, 2, 1, 0]));
    }

    #[test]
    fn what_has_no_room_is_not_remembered_and_the_next_that_has_is() {
        let mut table = table(FILE_BYTES * 2 + SPOT_BYTES * 2);
        table.add(digest(0), 2000, 1, &[file(1, 5000)]);
        table.add(digest(1), 2000, 9, &[file(1, 5000)]);
        table.add(digest(2), 2000, 1, &[file(1, 5000)]);
        assert_eq!(table.find(1, 5000, 3).iter().map(|version| version.blob).collect::<Vec<_>>(), [2, 0]);
    }

    #[test]
    fn a_file_of_quite_another_size_is_no_version_and_a_short_one_needs_none() {
        let mut table = table(u64::MAX);
        table.add(digest(0), 2000, 1, &[file(1, 100_000)]);
        assert!(table.find(1, 20_000, 1).is_empty() && table.find(1, 4000, 1).is_empty());
        assert_eq!(table.find(1, 50_000, 1).len(), 1);
    }

    #[test]
    fn bytes_are_found_by_their_place() {
        let frame = |id, offset| Place::Frame { id, offset };
        let laid = Laid::of(vec![
            Spot { place: frame(0, 100), bytes: 50 },
            Spot { place: Place::Stream { volume: 1, offset: 7 }, bytes: 10 },
            Spot { place: frame(2, 0), bytes: 100 },
        ]);
        assert_eq!(laid.find(frame(0, 120), 0, 160), Some(20));
        assert_eq!(laid.find(frame(2, 60), 50, 160), Some(120));
        assert_eq!(laid.find(Place::Stream { volume: 1, offset: 9 }, 0, 160), Some(52));
        assert_eq!(laid.find(frame(2, 60), 0, 100), None);
        assert_eq!(laid.within(55, 61).map(|(at, _)| at).collect::<Vec<_>>(), [50, 60]);
    }
}
