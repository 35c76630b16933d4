//! [`Line`]: a row of an encoder that is one stream: from where it begins, or begins anew, up to the next restart.
//!
//! **Invariants.** A row is made alone: by an encoder that begins anew before it, and looks at most [`AHEAD_BYTES`] beyond
//! it. Its last bytes are given out only if its CRC is that of the index; of a short one, none before. At most
//! [`MAX_OPEN`] encoders wait.
//!
//! *Not here:* pieces that are made one by one (`replay`).

use std::sync::Arc;

use super::Inner;
use super::form::{Form, Steps};
use super::frames::{Chunk, Content};
use super::replay::{Begun, Replays, damaged};
use crate::cache::lock;
use crate::error::Result;
use crate::gzip::Maker;
use crate::index::{PieceKind, PieceRow, Segment};

/// Encoders in the middle of a row that wait to be asked for more.
const MAX_OPEN: usize = 8;
/// Plain bytes that an encoder takes at a time.
const FEED_BYTES: u64 = 128 << 10;
/// The same beyond its row, where less is enough.
const FEED_BEYOND_BYTES: u64 = 16 << 10;
/// What encoders must see beyond a block to end it: two chunks of klauspost/compress, or a window of zlib.
const AHEAD_BYTES: u64 = 160 << 10;
/// Rows are made as a whole up to so many bytes, plain and made.
const WHOLE_BYTES: u64 = 4 << 20;

/// Whether such a row is short enough to be made as a whole.
pub(super) fn is_made_whole(made_bytes: u64, segment: &Segment) -> bool {
    segment.plain_bytes.max(made_bytes) <= WHOLE_BYTES
}

/// A row, and what it is made from.
pub(super) struct Line<'a> {
    form: &'a Form,
    plain: &'a Form,
    row: &'a PieceRow,
    segment: &'a Segment,
    begun: &'a Begun,
    /// Where the plain bytes end that the encoder may look at.
    reach: u64,
    /// Whether the member ends there.
    reaches_end: bool,
    /// Whether the member ends with the row.
    is_last: bool,
}

/// An encoder at work.
pub(super) struct Open {
    /// The volume, and the position of its row.
    key: (u64, u64),
    maker: Maker,
    has_ended: bool,
    /// The last bytes made, and where they begin in the row.
    made: Arc<Content>,
    made_at: u64,
    /// CRC-32C of all that was made.
    check: u32,
}

impl Inner {
    /// What the row at `row` is made from. The pieces of the blob begin at `first`.
    #[expect(clippy::too_many_arguments, reason = "one row, and everything that it is looked at with")]
    pub(super) fn line<'a>(
        &self,
        form: &'a Form,
        plain: &'a Form,
        first: u64,
        row: &'a PieceRow,
        segment: &'a Segment,
        begun: &'a Begun,
        steps: &mut Steps,
    ) -> Result<Line<'a>> {
        let end = segment.plain_offset.saturating_add(segment.plain_bytes);
        let mut line = Line { form, plain, row, segment, begun, reach: end, reaches_end: true, is_last: true };
        let (mut at, end_of_blob) = (row.position.saturating_add(row.bytes), first.saturating_add(form.bytes));
        while at < end_of_blob {
            steps.take()?;
            let next = form.volume.piece_at(at)?;
            let PieceKind::Restart { segment: more } = next.kind else { break };
            if more.plain_offset != line.reach {
                return Err(damaged(form, "a restart does not go on where the one before ends"));
            }
            line.is_last = false;
            line.reach = line.reach.saturating_add(more.plain_bytes);
            if line.reach >= end.saturating_add(AHEAD_BYTES) {
                (line.reach, line.reaches_end) = (end.saturating_add(AHEAD_BYTES), false);
                break;
            }
            at = at.saturating_add(next.bytes);
        }
        Ok(line)
    }

    /// Makes all of a row.
    pub(super) fn whole(&self, line: &Line<'_>, steps: &mut Steps) -> Result<Content> {
        let _turn = self.replays.makers.begin();
        let mut made = self.frames.room(usize::try_from(line.row.bytes).unwrap_or(usize::MAX));
        let mut open = self.begin(line)?;
        while open.made_end() < line.row.bytes {
            self.go_on(line, &mut open, steps)?;
            made.extend_from_slice(&Chunk::of(Arc::clone(&open.made), 0, line.row.bytes));
        }
        Ok(self.frames.own(made))
    }

    /// Goes on with an encoder that waits in the middle of a row, or begins with it: at most `most` bytes from `into`.
    pub(super) fn in_turn(&self, line: &Line<'_>, (into, most): (u64, u64), steps: &mut Steps) -> Result<Chunk> {
        let waiting = self.replays.take(line.key(), into);
        let mut open = waiting.map_or_else(|| self.begin(line), Ok)?;
        while open.made_end() <= into {
            self.go_on(line, &mut open, steps)?;
        }
        let chunk = Chunk::of(Arc::clone(&open.made), into.saturating_sub(open.made_at), most);
        self.replays.put(open);
        Ok(chunk)
    }

    fn begin(&self, line: &Line<'_>) -> Result<Open> {
        let member = &line.begun.member;
        let maker = match line.row.kind {
            PieceKind::Replay { .. } => Maker::new(member.encoder, &member.header),
            _ => {
                let at = line.segment.plain_offset.checked_sub(line.begun.plain_offset).filter(|_| line.segment.bits == 0);
                let at = at.ok_or_else(|| damaged(line.form, "a restart is not where its encoder has one"))?;
                Maker::anew(member.encoder, member.encoder.anew(at))
            }
        };
        Ok(Open { key: line.key(), maker, has_ended: false, made: self.frames.own(Vec::new()).into(), made_at: 0, check: 0 })
    }

    /// Makes the next bytes of a row that has more: at least one.
    fn go_on(&self, line: &Line<'_>, open: &mut Open, steps: &mut Steps) -> Result<()> {
        open.made_at = open.made_end();
        let left = line.row.bytes.saturating_sub(open.made_at);
        let mut made = Vec::new();
        while made.is_empty() {
            self.feed(line, open, steps)?;
            made = open.maker.take();
        }
        made.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        open.check = crc32c::crc32c_append(open.check, &made);
        open.made = Arc::new(self.frames.own(made));
        let is_right = open.made.len() < left || (open.check == line.segment.check && (open.has_ended || !line.is_last));
        if is_right { Ok(()) } else { Err(line.differs()) }
    }

    /// Gives the encoder more, or tells it that there is none.
    fn feed(&self, line: &Line<'_>, open: &mut Open, steps: &mut Steps) -> Result<()> {
        let at = line.begun.plain_offset.saturating_add(open.maker.plain_offset());
        let own = line.segment.plain_offset.saturating_add(line.segment.plain_bytes).saturating_sub(at);
        let most = if own > 0 { own.min(FEED_BYTES) } else { line.reach.saturating_sub(at).min(FEED_BEYOND_BYTES) };
        if most > 0 {
            let chunk = self.chunk(line.plain, at, most, steps)?;
            self.replays.count(&chunk);
            open.maker.write(&chunk);
        } else if open.has_ended || !line.reaches_end {
            return Err(line.differs());
        } else if line.is_last {
            open.maker.finish(line.begun.member.trailer);
        } else {
            open.maker.end();
        }
        open.has_ended = most == 0;
        Ok(())
    }
}

impl Line<'_> {
    fn key(&self) -> (u64, u64) {
        (self.form.volume.cache().1, self.row.position)
    }

    fn differs(&self) -> crate::error::Error {
        damaged(self.form, "what its encoder made is not what the index says")
    }
}

impl Open {
    /// Where in the row that ends which was made.
    fn made_end(&self) -> u64 {
        self.made_at.saturating_add(self.made.len())
    }
}

impl Replays {
    /// The encoder at work on `key` that has come closest to `at` and not beyond.
    fn take(&self, key: (u64, u64), at: u64) -> Option<Open> {
        let mut open = lock(&self.open);
        let fits = |one: &(usize, &Open)| one.1.key == key && one.1.made_at <= at;
        let (best, _) = open.iter().enumerate().filter(fits).max_by_key(|(_, one)| one.made_at)?;
        open.remove(best)
    }

    fn put(&self, one: Open) {
        let mut open = lock(&self.open);
        if open.len() >= MAX_OPEN {
            open.pop_front();
        }
        open.push_back(one);
    }
}
