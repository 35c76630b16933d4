//! Look-ups in the index of an open volume: one block is read for each, or none if it is at hand.
//!
//! **Invariants.** A block is decompressed only after its SHA-256 matched the directory. Decoded blocks are kept in an
//! [`IndexCache`] with a budget in bytes; iterating over a whole table keeps one block at a time and leaves the cache alone.
//!
//! *Not here:* the layout of directory and columns (`directory`, `decode`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::decode::{self, Row};
use super::{BlobRow, FrameRow, MemberRow, PartRow, PieceRow};
use crate::cache::{Cache, Weight};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::frame;
use crate::volume::Volume;

/// What a cache keeps of index blocks when nothing else is said.
pub const DEFAULT_CACHE_BYTES: u64 = 16 << 20;
/// What keeping a block costs beside its rows.
const BLOCK_OVERHEAD_BYTES: usize = 256;

/// Decoded index blocks of any number of volumes, with one budget.
pub struct IndexCache {
    frames: BlockCache<FrameRow>,
    parts: BlockCache<PartRow>,
    pieces: BlockCache<PieceRow>,
    blobs: BlockCache<BlobRow>,
    members: BlockCache<MemberRow>,
    serials: AtomicU64,
}

type BlockCache<R> = Cache<(u64, usize), Rows<R>>;

/// The decoded rows of a block.
pub(crate) struct Rows<R>(Vec<R>);

impl<R: Row> Weight for Rows<R> {
    fn weight(&self) -> u64 {
        let heap = self.0.iter().fold(0usize, |sum, row| sum.saturating_add(row.heap_bytes()));
        let rows = self.0.capacity().saturating_mul(size_of::<R>());
        let bytes = rows.saturating_add(heap).saturating_add(BLOCK_OVERHEAD_BYTES);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Default for IndexCache {
    fn default() -> Self {
        Self::new(DEFAULT_CACHE_BYTES)
    }
}

impl std::fmt::Debug for IndexCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexCache").finish_non_exhaustive()
    }
}

impl IndexCache {
    /// A cache that keeps at most `budget_bytes`.
    #[must_use]
    pub fn new(budget_bytes: u64) -> Self {
        let eighth = budget_bytes / 8;
        Self {
            frames: Cache::new(eighth.saturating_mul(2)),
            parts: Cache::new(eighth.saturating_mul(2)),
            pieces: Cache::new(eighth),
            blobs: Cache::new(eighth.saturating_mul(2)),
            members: Cache::new(eighth),
            serials: AtomicU64::new(0),
        }
    }

    /// A number that no other volume of this cache has.
    pub(crate) fn next_serial(&self) -> u64 {
        self.serials.fetch_add(1, Ordering::Relaxed)
    }
}

/// A row whose blocks are kept in an [`IndexCache`].
pub(crate) trait Cached: Row {
    /// Where its blocks are kept.
    fn kept(cache: &IndexCache) -> &BlockCache<Self>;
}

impl Cached for FrameRow {
    fn kept(cache: &IndexCache) -> &BlockCache<Self> {
        &cache.frames
    }
}

impl Cached for PartRow {
    fn kept(cache: &IndexCache) -> &BlockCache<Self> {
        &cache.parts
    }
}

impl Cached for PieceRow {
    fn kept(cache: &IndexCache) -> &BlockCache<Self> {
        &cache.pieces
    }
}

impl Cached for BlobRow {
    fn kept(cache: &IndexCache) -> &BlockCache<Self> {
        &cache.blobs
    }
}

impl Cached for MemberRow {
    fn kept(cache: &IndexCache) -> &BlockCache<Self> {
        &cache.members
    }
}

impl Volume {
    /// The record of blob `digest`, if this volume has one.
    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobRow>> {
        Ok(self.row_at::<BlobRow>(digest)?.filter(|row| row.digest == *digest))
    }

    /// The frame that holds byte `offset` of the stream.
    pub fn frame_at(&self, offset: u64) -> Result<FrameRow> {
        let row = self.row_at::<FrameRow>(&offset)?;
        self.holds(row, FrameRow::NAME, offset)
    }

    /// The frames that hold bytes `offset..offset + bytes` of the stream, in order.
    pub fn frames_of(&self, offset: u64, bytes: u64) -> Result<Vec<FrameRow>> {
        let end = offset.saturating_add(bytes);
        let (mut at, mut frames) = (offset, Vec::new());
        while at < end {
            let frame = self.frame_at(at)?;
            at = frame.stream_offset.saturating_add(frame.plain_bytes.into());
            frames.push(frame);
        }
        Ok(frames)
    }

    /// The part that holds position `position`.
    pub fn part_at(&self, position: u64) -> Result<PartRow> {
        let row = self.row_at::<PartRow>(&position)?;
        self.holds(row, PartRow::NAME, position)
    }

    /// The piece that holds position `position`.
    pub fn piece_at(&self, position: u64) -> Result<PieceRow> {
        let row = self.row_at::<PieceRow>(&position)?;
        self.holds(row, PieceRow::NAME, position)
    }

    /// The member that holds byte `offset` of the file.
    pub fn member_at(&self, offset: u64) -> Result<MemberRow> {
        let row = self.row_at::<MemberRow>(&offset)?;
        self.holds(row, MemberRow::NAME, offset)
    }

    /// All records, by digest.
    pub fn blobs(&self) -> impl Iterator<Item = Result<BlobRow>> + use<'_> {
        self.rows(0)
    }

    /// All frames, in stream order.
    pub fn frames(&self) -> impl Iterator<Item = Result<FrameRow>> + use<'_> {
        self.rows(0)
    }

    /// All members before `OCM.INDEX`, in file order.
    pub fn members(&self) -> impl Iterator<Item = Result<MemberRow>> + use<'_> {
        self.rows(0)
    }

    /// All rows of a table from block `first` on; after a block that cannot be read, those of the next one.
    pub(crate) fn rows<R: Row>(&self, first: usize) -> impl Iterator<Item = Result<R>> + use<'_, R> {
        let blocks = first..R::table(self.directory()).blocks.len();
        blocks.flat_map(move |number| match self.block::<R>(number) {
            Ok(rows) => rows.0.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// The last row of a table.
    pub(crate) fn last_row<R: Row>(&self) -> Result<Option<R>> {
        match R::table(self.directory()).blocks.len().checked_sub(1) {
            Some(number) => Ok(self.block::<R>(number)?.0.pop()),
            None => Ok(None),
        }
    }

    /// The last row whose key is at most `key`.
    fn row_at<R: Cached>(&self, key: &R::Key) -> Result<Option<R>> {
        let Some(number) = R::table(self.directory()).find(key) else { return Ok(None) };
        let (cache, serial) = self.cache();
        let rows: Arc<Rows<R>> = R::kept(cache).get_or_load((serial, number), || self.block(number))?;
        let at = rows.0.partition_point(|row| row.key() <= *key).checked_sub(1);
        Ok(at.and_then(|at| rows.0.get(at)).cloned())
    }

    /// `row`, if `at` lies before its end.
    fn holds<R: Row<Key = u64>>(&self, row: Option<R>, name: &str, at: u64) -> Result<R> {
        let why = || if self.is_scanned() { "it is lost" } else { "nothing is there" };
        let beyond = || self.placed(Error::damaged(format!("{name} at {at}: {}", why())));
        let row = row.ok_or_else(beyond)?;
        match row.end()? {
            Some(end) if at < end => Ok(row),
            _ => Err(beyond()),
        }
    }

    /// Reads, verifies and decodes block `number` of a table.
    pub(crate) fn block<R: Row>(&self, number: usize) -> Result<Rows<R>> {
        let blocks = &R::table(self.directory()).blocks;
        let block = blocks.get(number).ok_or_else(|| Error::damaged(format!("{}: there is no block {number}", R::NAME)))?;
        // What a scan has found may have gaps.
        let next = blocks.get(number.saturating_add(1)).map(|next| next.key).filter(|_| !self.is_scanned());
        let offset = self.footer().index_offset.saturating_add(block.span.offset);
        let placed = |error: Error| self.placed(error.at(offset));
        let stored_bytes = crate::error::cap(block.span.stored_bytes.into(), super::MAX_BLOCK_BYTES.saturating_mul(2), "index block")?;
        let stored = self.read_index(offset, stored_bytes)?;
        if !Digest::Sha256(block.span.sha256).matches(&stored) {
            return Err(placed(Error::damaged(format!("{}: the SHA-256 of a block is not that of the directory", R::NAME))));
        }
        let plain_bytes = crate::error::cap(block.plain_bytes.into(), super::MAX_BLOCK_BYTES, "index block")?;
        let plain = frame::decompress(&stored, plain_bytes, None).map_err(|error| placed(error.context(R::NAME)))?;
        decode::rows(&plain, block.key, next, block.rows).map(Rows).map_err(placed)
    }
}
