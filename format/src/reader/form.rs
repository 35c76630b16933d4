//! [`Form`]: a run of bytes as it is stored, and how a stretch of it is found.
//!
//! **Invariants.** A step gives at least one byte or an error. Runs nest at most [`MAX_RUNS`] deep and prefixes at most as deep as the format
//! allows, and the steps of one call are counted, so that cycles and floods of references end in an error.
//!
//! *Not here:* bytes of frames (`frames`).

use std::ops;
use std::sync::Arc;

use super::frames::{Chunk, Content};
use super::line::is_made_whole;
use super::{Inner, Located};
use crate::codec::unknown;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::index::{BlobRow, FrameRow, PieceKind, PlainRow, Stored};
use crate::layout::{FrameHeader, MAX_DEPTH};
use crate::recipe::{Part, Range, Run};
use crate::tar;
use crate::volume::Volume;

/// How deep runs may refer to runs: through all ancestors, and some turns within a set.
pub(super) const MAX_RUNS: u32 = 128;
/// How many references one call may follow.
const MAX_STEPS: u32 = 1 << 16;
/// Whoever wants more than this at once wants all of a frame, should it have to be decompressed.
const SPARSE_BYTES: u64 = 64 << 10;
/// Up to so many bytes are read from where they stand.
const PART_BYTES: u64 = 1 << 20;
/// The longest header of a frame.
const MAX_FRAME_HEADER_BYTES: u64 = (1 << 20) + 8;

/// Bytes of a blob or of its plain form.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// The set whose volumes ranges mean, as its place among the open sets.
    pub(super) set: usize,
    /// The volume whose index has the record.
    pub(super) volume: Arc<Volume>,
    /// The blob, for messages.
    pub(super) blob: Digest,
    /// How many bytes.
    pub(super) bytes: u64,
    way: Way,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Verbatim {
        file_offset: u64,
    },
    Parts {
        position: u64,
    },
    /// With the size and the position of the plain form that encoders take in, where it is listed.
    Pieces {
        position: u64,
        plain: Option<(u64, u64)>,
    },
}

/// How far one call has gone.
pub(super) struct Steps {
    left: u32,
    runs: u32,
    prefixes: u8,
    /// Whether a frame is decompressed only as far as its bytes are wanted.
    sparse: bool,
    /// Whether bytes are read from where they stand, if they stand there as they are.
    in_place: bool,
}

impl Default for Steps {
    fn default() -> Self {
        Self { left: MAX_STEPS, runs: MAX_RUNS, prefixes: MAX_DEPTH, sparse: false, in_place: false }
    }
}

impl Steps {
    /// For a read of so many bytes, of which the next one may be anywhere.
    pub(super) fn anywhere(bytes: u64) -> Self {
        Self { sparse: bytes <= SPARSE_BYTES, in_place: bytes <= PART_BYTES, ..Self::default() }
    }

    /// Follows a run; gives what [`Steps::leave`] takes.
    pub(super) fn enter(&mut self, run: &Run) -> Result<u32> {
        let runs = self.runs;
        self.runs = runs.checked_sub(1).ok_or_else(|| Error::damaged(format!("runs of blob {} refer to each other", run.digest)))?;
        Ok(runs)
    }

    /// Comes back from a run.
    pub(super) fn leave(&mut self, runs: u32) {
        self.runs = runs;
    }

    /// Goes into the prefix of a frame; gives what [`Steps::leave_prefix`] takes. `None` where that is too deep.
    pub(super) fn enter_prefix(&mut self) -> Option<u8> {
        let prefixes = self.prefixes;
        self.prefixes = prefixes.checked_sub(1)?;
        Some(prefixes)
    }

    /// Comes back from a prefix.
    pub(super) fn leave_prefix(&mut self, prefixes: u8) {
        self.prefixes = prefixes;
    }

    pub(super) fn take(&mut self) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| Error::limit("it refers to more content than one read may follow"))?;
        Ok(())
    }
}

impl Form {
    /// The bytes of a blob.
    pub(super) fn stored(located: &Located) -> Self {
        Self { set: located.set, ..Self::of(&located.volume, &located.row) }
    }

    /// The bytes of the blob of `row`, in a set that is looked at alone.
    pub(crate) fn of(volume: &Arc<Volume>, row: &BlobRow) -> Self {
        let plain = match row.plain {
            PlainRow::Listed { bytes, position, .. } => Some((bytes, position)),
            PlainRow::Own | PlainRow::Unknown => None,
        };
        let way = match row.stored {
            Stored::Verbatim { file_offset } => Way::Verbatim { file_offset },
            Stored::Raw { position } => Way::Parts { position },
            Stored::Pieces { position } => Way::Pieces { position, plain },
        };
        Self { set: 0, volume: Arc::clone(volume), blob: row.digest, bytes: row.bytes, way }
    }

    /// The bytes of its plain form, where they are listed.
    pub(crate) fn listed_plain(volume: &Arc<Volume>, row: &BlobRow) -> Option<Self> {
        let PlainRow::Listed { bytes, position, .. } = row.plain else { return None };
        Some(Self { set: 0, volume: Arc::clone(volume), blob: row.digest, bytes, way: Way::Parts { position } })
    }

    /// What encoders make these bytes from.
    pub(super) fn input(&self) -> Option<Self> {
        let Way::Pieces { plain: Some((bytes, position)), .. } = self.way else { return None };
        Some(Self { bytes, way: Way::Parts { position }, ..self.clone() })
    }

    /// Of the piece row at `at`: whether an encoder begins anew there, and where the row ends. `None` where no encoder is at
    /// work, or where it cannot be read.
    pub(super) fn stretch_at(&self, at: u64) -> Option<(bool, u64)> {
        let Way::Pieces { position, .. } = self.way else { return None };
        let place = position.saturating_add(at);
        let row = (at < self.bytes).then(|| self.volume.piece_at(place).ok()).flatten()?;
        let end = row.position.saturating_add(row.bytes).saturating_sub(position);
        match row.kind {
            PieceKind::Raw { .. } => None,
            PieceKind::Replay { .. } => Some((false, end)),
            PieceKind::Restart { segment } => Some((row.position == place && is_made_whole(row.bytes, &segment), end)),
        }
    }

    /// The bytes of its plain form.
    pub(super) fn plain(located: &Located) -> Result<Self> {
        if located.row.plain == PlainRow::Own && !matches!(located.row.stored, Stored::Pieces { .. }) {
            return Ok(Self::stored(located));
        }
        let listed = Self::listed_plain(&located.volume, &located.row).map(|form| Self { set: located.set, ..form });
        let why = || format!("the plain form of blob {} is not listed: it is made by decompressing the blob", located.row.digest);
        listed.ok_or_else(|| Error::new(Kind::Unsupported, why()))
    }
}

impl Form {
    /// Whether it is a member of its own.
    pub(super) fn is_verbatim(&self) -> bool {
        matches!(self.way, Way::Verbatim { .. })
    }

    /// The part that byte `at` lies in, and where in that; `None` where bytes are not made of parts.
    pub(super) fn part_at(&self, at: u64) -> Result<Option<(Part, u64)>> {
        let Way::Parts { position } = self.way else { return Ok(None) };
        let position = position.saturating_add(at);
        let row = self.volume.part_at(position)?;
        Ok(Some((row.part, position.saturating_sub(row.position))))
    }

    /// Calls `visit` with each part that these bytes lie in, in order; says whether an encoder makes some of them
    /// from the plain form.
    pub(crate) fn each_part(&self, visit: &mut impl FnMut(Part) -> Result<()>) -> Result<bool> {
        self.each_part_in(0..self.bytes, visit)
    }

    /// The same for a stretch of them; the first and the last part are cut to it.
    pub(super) fn each_part_in(&self, within: ops::Range<u64>, visit: &mut impl FnMut(Part) -> Result<()>) -> Result<bool> {
        let (mut at, end) = (within.start, within.end.min(self.bytes));
        match self.way {
            Way::Verbatim { .. } => Ok(false),
            Way::Parts { position } => each_part(&self.volume, position.saturating_add(at), end.saturating_sub(at), visit).map(|()| false),
            Way::Pieces { position: first, .. } => {
                let mut replays = false;
                while at < end {
                    let row = self.volume.piece_at(first.saturating_add(at))?;
                    let into = first.saturating_add(at).saturating_sub(row.position);
                    let bytes = row.bytes.saturating_sub(into).min(end.saturating_sub(at));
                    match row.kind {
                        PieceKind::Raw { position } => each_part(&self.volume, position.saturating_add(into), bytes, visit)?,
                        PieceKind::Replay { .. } | PieceKind::Restart { .. } => replays = true,
                    }
                    at = at.saturating_add(bytes);
                }
                Ok(replays)
            }
        }
    }
}

/// Visits the parts between `position` and so many bytes behind it.
fn each_part(volume: &Volume, position: u64, bytes: u64, visit: &mut impl FnMut(Part) -> Result<()>) -> Result<()> {
    let end = position.saturating_add(bytes);
    let mut at = position;
    while at < end {
        let row = volume.part_at(at)?;
        let into = at.saturating_sub(row.position);
        let bytes = row.part.bytes().saturating_sub(into).min(end.saturating_sub(at));
        visit(row.part.cut(into, bytes))?;
        at = at.saturating_add(bytes);
    }
    Ok(())
}

impl Inner {
    /// Bytes of `form` from `at`, which is before its end: as many as lie together, at most `most`.
    pub(super) fn chunk(&self, form: &Form, at: u64, most: u64, steps: &mut Steps) -> Result<Chunk> {
        let left = form.bytes.checked_sub(at).filter(|left| *left > 0).ok_or_else(|| beyond(form, at))?;
        let most = most.min(left);
        match form.way {
            Way::Verbatim { file_offset } => {
                let content = self.frames.verbatim(&form.volume, &form.blob, form.bytes, file_offset)?;
                Ok(Chunk::of(content, at, most))
            }
            Way::Parts { position } => self.in_parts(form, position.saturating_add(at), most, steps),
            Way::Pieces { position, .. } => self.in_pieces(form, position, at, most, steps),
        }
    }

    /// Not inlined: encoders take much of the stack, and `chunk` calls itself through runs, up to [`MAX_RUNS`] times.
    #[inline(never)]
    fn in_pieces(&self, form: &Form, first: u64, at: u64, most: u64, steps: &mut Steps) -> Result<Chunk> {
        let row = form.volume.piece_at(first.saturating_add(at))?;
        let into = first.saturating_add(at).saturating_sub(row.position);
        match row.kind {
            PieceKind::Raw { position } => {
                let most = most.min(row.bytes.saturating_sub(into));
                self.in_parts(form, position.saturating_add(into), most, steps)
            }
            PieceKind::Replay { .. } | PieceKind::Restart { .. } => self.replayed(form, first, &row, into, most, steps),
        }
    }

    fn in_parts(&self, form: &Form, position: u64, most: u64, steps: &mut Steps) -> Result<Chunk> {
        steps.take()?;
        let row = form.volume.part_at(position)?;
        let into = position.saturating_sub(row.position);
        let most = most.min(row.part.bytes().saturating_sub(into));
        match row.part {
            Part::Range(range) => self.in_range(form.set, &range, into, most, steps),
            Part::Run(run) => self.in_run(form.set, &run, into, most, steps),
        }
    }

    fn in_range(&self, set: usize, range: &Range, into: u64, most: u64, steps: &mut Steps) -> Result<Chunk> {
        let volume = self.volume(set, range.volume)?;
        let at = range.offset.saturating_add(into);
        let row = volume.frame_at(at)?;
        let from = at.saturating_sub(row.stream_offset);
        if steps.in_place
            && let Some(chunk) = self.frames.as_it_is(volume, &row, from, most)?
        {
            return Ok(chunk);
        }
        // Who wants its first byte is likely to go on.
        if steps.sparse
            && row.codec == 1
            && from > 0
            && let Some(few) = self.frames.a_few(volume, &row, from..from.saturating_add(most))?
        {
            return Ok(few);
        }
        Ok(Chunk::of(self.frame(set, volume, &row, steps)?, from, most))
    }

    pub(super) fn in_run(&self, set: usize, run: &Run, into: u64, most: u64, steps: &mut Steps) -> Result<Chunk> {
        let prefixes = steps.prefixes;
        let runs = steps.enter(run)?;
        let found = match self.at_hand(set, run, into, most, steps) {
            Err(absent) if absent.kind() == Kind::Missing => self.in_base(run, into, most, absent),
            found => found,
        };
        steps.prefixes = prefixes;
        steps.leave(runs);
        found
    }

    /// Bytes of a run out of the sets at hand.
    fn at_hand(&self, set: usize, run: &Run, into: u64, most: u64, steps: &mut Steps) -> Result<Chunk> {
        let (form, within) = self.plain_of(set, run)?;
        self.chunk(&form, within.start.saturating_add(into), most, steps)
    }

    /// The plain form that a run means, and the stretch of it. Of a blob whose plain form no set at hand lists, it is
    /// missing: it can be had elsewhere.
    pub(super) fn plain_of(&self, set: usize, run: &Run) -> Result<(Form, ops::Range<u64>)> {
        let located = self.locate(set, &run.digest)?.ok_or_else(|| self.nowhere(set, &run.digest))?;
        if located.row.plain == PlainRow::Unknown {
            return Err(Error::new(Kind::Missing, format!("the plain form of blob {} is not listed here", run.digest)));
        }
        let form = Form::plain(&located)?;
        let end = run.offset.checked_add(run.bytes).filter(|end| *end <= form.bytes);
        let end = end.ok_or_else(|| Error::damaged(format!("a run of blob {} ends beyond it", run.digest)))?;
        Ok((form, run.offset..end))
    }

    pub(super) fn frame(&self, set: usize, volume: &Volume, row: &FrameRow, steps: &mut Steps) -> Result<Arc<Content>> {
        match row.codec {
            1 => self.frames.frame(volume, row, None),
            // The prefix comes first, outside of the cache's turn: two frames that need each other must not wait.
            2 => {
                let (codec, prefix) = self.prefix(set, volume, row, steps)?;
                self.frames.frame(volume, row, Some((&codec, &prefix)))
            }
            other => Err(volume.placed(unknown("frame", "codec", other.into()).at(row.file_offset))),
        }
    }
}

/// The header before the frame of `row`: it stands right after the frame before, or at the beginning of the pack.
pub(crate) fn frame_header(volume: &Volume, row: &FrameRow) -> Result<FrameHeader> {
    if volume.is_scanned() {
        return header_before(volume, row);
    }
    let mut begin = volume.member_at(row.file_offset)?.offset.saturating_add(tar::BLOCK);
    if let Some(before) = row.stream_offset.checked_sub(1) {
        let before = volume.frame_at(before)?;
        begin = begin.max(before.file_offset.saturating_add(before.stored_bytes.into()));
    }
    let placed = |error: Error| volume.placed(error.at(begin));
    let wrong = || placed(Error::damaged("frame header: it is not the one of the index"));
    let bytes = row.file_offset.checked_sub(begin).ok_or_else(wrong)?;
    let bytes = crate::error::cap(bytes, MAX_FRAME_HEADER_BYTES, "frame header").map_err(placed)?;
    let content = volume.read_vec(begin, bytes)?;
    let (header, used) = FrameHeader::decode(&content).map_err(placed)?;
    if row.is_of(&header) && used == bytes { Ok(header) } else { Err(wrong()) }
}

/// The same where nobody says what stands before the frame: it ends where the frame begins.
fn header_before(volume: &Volume, row: &FrameRow) -> Result<FrameHeader> {
    for reach in [4 << 10, 64 << 10, MAX_FRAME_HEADER_BYTES] {
        let begin = row.file_offset.saturating_sub(reach);
        let bytes = crate::error::cap(row.file_offset.saturating_sub(begin), MAX_FRAME_HEADER_BYTES, "frame header")?;
        let content = volume.read_vec(begin, bytes)?;
        let header = |at: usize| {
            let content = content.get(at..)?;
            let header = FrameHeader::decode(content).ok().filter(|(_, used)| *used == content.len());
            header.map(|(header, _)| header).filter(|header| row.is_of(header))
        };
        if let Some(header) = (0..content.len()).rev().find_map(header) {
            return Ok(header);
        }
    }
    Err(volume.placed(Error::damaged("frame header: it is lost").at(row.file_offset)))
}

fn beyond(form: &Form, at: u64) -> Error {
    Error::new(Kind::Usage, format!("blob {} has no byte {at}", form.blob))
}
