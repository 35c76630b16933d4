//! [`Shelf`]: the frames of a set in the making, to be read again: from memory until they are in a file, then from there.
//!
//! **Invariants.** A frame that was announced comes, or fails for those who wait for it. Whoever makes a frame waits at most for frames
//! that were announced before it, so that nobody waits for himself. Memory: the cache, and frames on their way to the file.
//!
//! *Not here:* which frames a blob lies in (`table`), and what prefixes are made of (`own`).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::journal::{Costs, Mark};
use super::pool::Packed;
use super::volume::partial_of;
use crate::cache::{Cache, Weight, lock};
use crate::codec::length;
use crate::delta::Cost;
use crate::error::{Error, Kind, Result};
use crate::frame;
use crate::index::{FrameRow, MemberKind};
use crate::layout::{Codec, FrameHeader, MAX_FRAME_BYTES};
use crate::recipe::Run;
use crate::tar;
use crate::volume::read_exact;

/// Plain frames that are kept at hand, in bytes.
const CACHE_BYTES: u64 = 32 << 20;
/// Volumes that are kept open.
const MAX_OPEN: usize = 16;
/// The longest frame with its header that is read: that of the format, and a header.
const MAX_READ_BYTES: u64 = MAX_FRAME_BYTES * 2 + (1 << 20);

/// Which frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum At {
    /// One that this run makes.
    Made(u32),
    /// One of an earlier run, by its volume and where it begins in the stream.
    Stored(u32, u64),
}

/// Where a frame is in a file, with its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filed {
    pub(super) volume: u32,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

#[derive(Clone)]
enum Where {
    Memory(Arc<Codec>, Arc<Vec<u8>>),
    File(Filed),
}

#[derive(Clone)]
struct Row {
    plain_bytes: u32,
    cost: Cost,
    place: Where,
}

#[derive(Default)]
struct State {
    /// `None` of those that are not made yet.
    made: HashMap<u32, Option<Result<Row>>>,
    stored: BTreeMap<(u32, u64), Row>,
}

/// The plain bytes of a frame.
pub(super) struct Plain(pub(super) Vec<u8>);

impl Weight for Plain {
    fn weight(&self) -> u64 {
        length(&self.0)
    }
}

/// The frames of a set in the making.
pub(super) struct Shelf {
    /// What the paths of its volumes begin with.
    stem: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
    cache: Cache<At, Plain>,
    open: Mutex<HashMap<u32, Arc<File>>>,
}

impl Shelf {
    /// An empty one; `stem` is what the paths of the volumes begin with.
    pub(super) fn new(stem: PathBuf) -> Self {
        let cache = Cache::new(CACHE_BYTES);
        Self { stem, state: Mutex::default(), changed: Condvar::new(), cache, open: Mutex::default() }
    }

    /// A frame will come.
    pub(super) fn announce(&self, id: u32) {
        lock(&self.state).made.insert(id, None);
    }

    /// A frame that was announced is made, or is not to be had. Any other is none of ours.
    pub(super) fn put(&self, id: u32, packed: &Result<Packed>) {
        let row = packed.as_ref().map(Row::of).map_err(Clone::clone);
        if let Some(slot) = lock(&self.state).made.get_mut(&id) {
            *slot = Some(row);
        }
        self.changed.notify_all();
    }

    /// Frames are in a file now.
    pub(super) fn file(&self, frames: impl IntoIterator<Item = (u32, Filed)>) {
        let mut state = lock(&self.state);
        for (id, filed) in frames {
            if let Some(Some(Ok(row))) = state.made.get_mut(&id) {
                row.place = Where::File(filed);
            }
        }
    }

    /// Takes over the frames that an earlier run has put into a volume.
    pub(super) fn remember(&self, volume: u32, mark: &Mark, costs: &Costs) {
        let pack = mark.members.iter().find(|member| member.kind == MemberKind::Pack);
        let mut offset = pack.map_or(0, |pack| pack.offset.saturating_add(tar::BLOCK));
        let mut state = lock(&self.state);
        for FrameRow { stream_offset, plain_bytes, file_offset, stored_bytes, .. } in &mark.frames {
            let end = file_offset.saturating_add((*stored_bytes).into());
            let filed = Filed { volume, offset, bytes: end.saturating_sub(offset) };
            let cost = costs.get(&(volume, *stream_offset)).copied().unwrap_or(Cost::FRAME);
            state.stored.insert((volume, *stream_offset), Row { plain_bytes: *plain_bytes, cost, place: Where::File(filed) });
            offset = end;
        }
    }

    /// The frame of an earlier run that this byte of a stream lies in: which, and where it begins.
    pub(super) fn at(&self, volume: u32, offset: u64) -> Option<(At, u64)> {
        let state = lock(&self.state);
        let ((there, begin), row) = state.stored.range(..=(volume, offset)).next_back()?;
        let holds = *there == volume && offset < begin.saturating_add(row.plain_bytes.into());
        holds.then_some((At::Stored(volume, *begin), *begin))
    }

    /// The plain bytes of a frame, and what it takes a reader to have them. `prefix` gives those of runs.
    pub(super) fn plain(&self, at: At, prefix: impl FnOnce(&[Run]) -> Result<Vec<u8>>) -> Result<(Arc<Plain>, Cost)> {
        let row = self.row(at)?;
        if let Some(plain) = self.cache.get(at) {
            return Ok((plain, row.cost));
        }
        let (codec, stored) = self.stored(&row)?;
        // The prefix comes first, outside of the cache's turn.
        let prefix = if codec.runs().is_empty() { None } else { Some(prefix(codec.runs())?) };
        let plain_bytes = crate::error::cap(row.plain_bytes.into(), MAX_FRAME_BYTES, "frame")?;
        let plain = self.cache.get_or_load(at, || frame::decompress(&stored, plain_bytes, prefix.as_deref()).map(Plain))?;
        Ok((plain, row.cost))
    }

    /// Waits until a frame is made.
    fn row(&self, at: At) -> Result<Row> {
        let unknown = || Error::new(Kind::Usage, "a frame that an older version lies in is not known");
        let mut state = lock(&self.state);
        loop {
            match at {
                At::Stored(volume, offset) => return state.stored.get(&(volume, offset)).cloned().ok_or_else(unknown),
                At::Made(id) => match state.made.get(&id) {
                    None => return Err(unknown()),
                    Some(Some(row)) => return row.clone(),
                    Some(None) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                },
            }
        }
    }

    fn stored(&self, row: &Row) -> Result<(Arc<Codec>, Arc<Vec<u8>>)> {
        match &row.place {
            Where::Memory(codec, stored) => Ok((Arc::clone(codec), Arc::clone(stored))),
            Where::File(filed) => {
                let read = self.read(filed);
                read.map_err(|error| error.context("older content").in_volume(filed.volume).in_file(&self.path(filed.volume)))
            }
        }
    }

    fn read(&self, filed: &Filed) -> Result<(Arc<Codec>, Arc<Vec<u8>>)> {
        let mut bytes = vec![0; crate::error::cap(filed.bytes, MAX_READ_BYTES, "frame")?];
        read_exact(self.opened(filed.volume)?.as_ref(), filed.offset, &mut bytes)?;
        let (header, header_bytes) = FrameHeader::decode(&bytes)?;
        bytes.drain(..header_bytes);
        if header.codec.digest(&bytes) != header.digest {
            return Err(Error::damaged("frame: its SHA-256 does not hold").at(filed.offset));
        }
        Ok((Arc::new(header.codec), Arc::new(bytes)))
    }

    /// Under its name, or while it has none yet; it may get it in between.
    fn opened(&self, volume: u32) -> Result<Arc<File>> {
        let mut open = lock(&self.open);
        if let Some(file) = open.get(&volume) {
            return Ok(Arc::clone(file));
        }
        let path = self.path(volume);
        let is_absent = |error: &std::io::Error| error.kind() == ErrorKind::NotFound;
        let mut found = File::open(&path);
        for path in [partial_of(&path), path.clone()] {
            if found.as_ref().is_err_and(is_absent) {
                found = File::open(path);
            }
        }
        let gone = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Error::new(Kind::Missing, "the set is compressed after content of this volume, which is gone"),
            _ => Error::io(&path, &error),
        };
        let file = Arc::new(found.map_err(gone)?);
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(volume, Arc::clone(&file));
        Ok(file)
    }

    fn path(&self, volume: u32) -> PathBuf {
        let mut path = self.stem.as_os_str().to_owned();
        path.push(super::numbered('v', volume));
        path.into()
    }
}

impl Row {
    fn of(packed: &Packed) -> Self {
        let place = Where::Memory(Arc::clone(&packed.codec), Arc::clone(&packed.stored));
        Self { plain_bytes: packed.plain_bytes, cost: packed.cost, place }
    }
}
