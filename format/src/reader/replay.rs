//! [`Replays`]: the bytes of blobs that encoders make again from the plain form.
//!
//! **Invariants.** What an encoder made is given out only if its CRC is that of the index. Of a stretch too long to be made
//! as a whole the CRC is compared at its end, and whoever reads a whole blob compares its digest. Memory: the budget of
//! stretches, and as many encoders at work as `line` keeps.
//!
//! *Not here:* the encoders (`gzip`); encoders that are one stream (`line`); where plain bytes lie (`form`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::Inner;
use super::ahead::Makers;
use super::form::{Form, Steps};
use super::frames::{Chunk, Content};
use super::line::{Open, is_made_whole};
use crate::cache::{Cache, lock};
use crate::codec::length;
use crate::error::{Error, Kind, Result};
use crate::gzip::{Member, Scratch, Stretch};
use crate::index::{PieceKind, PieceRow, Segment};

/// Members whose parameters are kept.
const MAX_MEMBERS: usize = 64;

/// What was made again, and who is at it.
pub(super) struct Replays {
    made: Cache<(u64, u64), Content>,
    pub(super) open: Mutex<VecDeque<Open>>,
    /// As many as there were threads at it at once.
    at_work: Mutex<Vec<AtWork>>,
    members: Mutex<VecDeque<Known>>,
    /// Who makes stretches now.
    pub(super) makers: Makers,
    /// Plain bytes that encoders took.
    pub(super) taken_bytes: AtomicU64,
}

/// What a thread makes stretches with, to be used again.
#[derive(Default)]
struct AtWork {
    plain: Vec<u8>,
    scratch: Scratch,
}

/// The parameters of a replay.
struct Known {
    volume: u64,
    /// The positions of its rows: from the first one up to the last one that was looked at.
    rows: std::ops::RangeInclusive<u64>,
    begun: Begun,
}

/// The member that a row belongs to.
#[derive(Clone)]
pub(super) struct Begun {
    pub(super) member: Arc<Member>,
    /// Where in the plain form it begins.
    pub(super) plain_offset: u64,
}

impl Replays {
    pub(super) fn new(budget_bytes: u64) -> Self {
        let makers = Makers::new(std::thread::available_parallelism().map_or(1, usize::from));
        let (made, taken_bytes) = (Cache::new(budget_bytes), AtomicU64::new(0));
        Self { made, open: Mutex::default(), members: Mutex::default(), at_work: Mutex::default(), makers, taken_bytes }
    }

    /// An encoder took these.
    pub(super) fn count(&self, plain: &[u8]) {
        self.taken_bytes.fetch_add(length(plain), Ordering::Relaxed);
    }
}

impl Inner {
    /// Bytes that an encoder makes: those of the piece row `row`, from `into`, at most `most`. The pieces of the blob
    /// begin at `first`.
    pub(super) fn replayed(&self, form: &Form, first: u64, row: &PieceRow, into: u64, most: u64, steps: &mut Steps) -> Result<Chunk> {
        let (PieceKind::Replay { segment, .. } | PieceKind::Restart { segment }) = row.kind else {
            return Err(Error::new(Kind::Usage, "a raw piece is not replayed"));
        };
        let begun = self.begun(form, first, row)?;
        let plain = form.input().ok_or_else(|| damaged(form, "it is made from a plain form that is not listed"))?;
        if segment.plain_offset.checked_add(segment.plain_bytes).is_none_or(|end| end > plain.bytes) {
            return Err(damaged(form, "a replay needs more than its plain form has"));
        }
        let most = most.min(row.bytes.saturating_sub(into));
        if begun.member.piece_bytes().is_none() && !is_made_whole(row.bytes, &segment) {
            return self.in_turn(&self.line(form, &plain, first, row, &segment, &begun, steps)?, (into, most), steps);
        }
        let make = || match begun.member.piece_bytes() {
            None => self.whole(&self.line(form, &plain, first, row, &segment, &begun, steps)?, steps),
            Some(step) => self.stretch(form, &plain, first, row, &segment, &begun.member, step, steps),
        };
        let made = self.replays.made.get_or_load((form.volume.cache().1, row.position), make)?;
        Ok(Chunk::of(made, into, most))
    }

    /// The member that a row belongs to: of a restart, the one of the rows before.
    fn begun(&self, form: &Form, first: u64, row: &PieceRow) -> Result<Begun> {
        let volume = form.volume.cache().1;
        let mut at = row.clone();
        loop {
            if let Some(begun) = self.replays.known(volume, at.position, row.position) {
                return Ok(begun);
            }
            match &at.kind {
                PieceKind::Replay { encoder, parameters, segment } => {
                    let member = Member::decode(*encoder, parameters);
                    let member = Arc::new(member.map_err(|error| form.volume.placed(error.context(format!("blob {}", form.blob))))?);
                    let begun = Begun { member, plain_offset: segment.plain_offset };
                    self.replays.learn(Known { volume, rows: at.position..=row.position, begun: begun.clone() });
                    return Ok(begun);
                }
                PieceKind::Restart { .. } if at.position > first => at = form.volume.piece_at(at.position.saturating_sub(1))?,
                _ => return Err(damaged(form, "a restart follows no replay")),
            }
        }
    }

    /// Makes one piece.
    #[expect(clippy::too_many_arguments, reason = "one row, and everything that it is looked at with")]
    fn stretch(
        &self,
        form: &Form,
        plain: &Form,
        first: u64,
        row: &PieceRow,
        segment: &Segment,
        member: &Member,
        step: u64,
        steps: &mut Steps,
    ) -> Result<Content> {
        let _turn = self.replays.makers.begin();
        let is_first = matches!(row.kind, PieceKind::Replay { .. });
        let end = row.position.saturating_add(row.bytes);
        let goes_on = end < first.saturating_add(form.bytes) && matches!(form.volume.piece_at(end)?.kind, PieceKind::Restart { .. });
        if segment.plain_bytes > step || (goes_on && segment.plain_bytes < step) {
            return Err(damaged(form, "a restart is not where its encoder has one"));
        }
        let before = if is_first { 0 } else { length_of(member.history_bytes()).min(segment.plain_offset) };
        let mut at_work = lock(&self.replays.at_work).pop().unwrap_or_default();
        let from = segment.plain_offset.saturating_sub(before);
        self.gather(&mut at_work.plain, plain, from, before.saturating_add(segment.plain_bytes), steps)?;
        self.replays.count(&at_work.plain);
        let history_bytes = usize::try_from(before).unwrap_or(usize::MAX);
        let stretch = Stretch { bytes: &at_work.plain, history_bytes, is_first, is_last: !goes_on };
        // What it makes is about as long as the row says, or it is damaged.
        let room = self.frames.room(usize::try_from(row.bytes).unwrap_or(usize::MAX).min(at_work.plain.len()));
        let made = member.stretch(&stretch, room, &mut at_work.scratch);
        lock(&self.replays.at_work).push(at_work);
        if length(&made) != row.bytes || crc32c::crc32c(&made) != segment.check {
            return Err(damaged(form, "what its encoder made is not what the index says"));
        }
        Ok(self.frames.own(made))
    }

    /// Bytes of a form, together, in place of what `content` holds.
    fn gather(&self, content: &mut Vec<u8>, form: &Form, from: u64, count: u64, steps: &mut Steps) -> Result<()> {
        content.clear();
        // At most a stretch and its history: what a hostile index says of them was refused before.
        content.reserve_exact(usize::try_from(count).unwrap_or_default());
        while length(content) < count {
            let at = from.saturating_add(length(content));
            content.extend_from_slice(&self.chunk(form, at, count.saturating_sub(length(content)), steps)?);
        }
        Ok(())
    }
}

impl Replays {
    /// The member whose rows reach to `from`; they then reach to `to` as well.
    fn known(&self, volume: u64, from: u64, to: u64) -> Option<Begun> {
        let mut members = lock(&self.members);
        let known = members.iter_mut().find(|known| known.volume == volume && known.rows.contains(&from))?;
        if to > *known.rows.end() {
            known.rows = *known.rows.start()..=to;
        }
        Some(known.begun.clone())
    }

    fn learn(&self, known: Known) {
        let mut members = lock(&self.members);
        if members.len() >= MAX_MEMBERS {
            members.pop_front();
        }
        members.push_back(known);
    }
}

pub(super) fn damaged(form: &Form, why: &str) -> Error {
    form.volume.placed(Error::damaged(format!("blob {}: {why}", form.blob)))
}

fn length_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
