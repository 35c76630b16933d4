//! [`Segments`]: a replay as rows of PIECES, one for each stretch between restarts.
//!
//! **Invariants.** Restarts ascend, from the beginning of input and output; each row makes bytes. Memory is that of one restart,
//! however many there are.
//!
//! *Not here:* running the encoder (`reader`).

use super::{PieceKind, Segment};
use crate::error::{Error, Result};
use crate::recipe::{Replay, Restart};

/// The rows of a replay in the making.
pub(crate) struct Segments<'r> {
    replay: &'r Replay,
    open: Option<Restart>,
    first: bool,
}

impl<'r> Segments<'r> {
    /// The rows of `replay`, whose restarts come one by one.
    pub(crate) fn new(replay: &'r Replay) -> Self {
        Self { replay, open: None, first: true }
    }

    /// Takes the next restart; gives the row that ends with it: how many bytes it makes, and how.
    pub(crate) fn push(&mut self, restart: Restart) -> Result<Option<(u64, PieceKind)>> {
        let follows = match &self.open {
            None => self.first && (restart.plain_offset, restart.output_bit) == (0, 0),
            Some(before) => restart.plain_offset > before.plain_offset && restart.output_bit > before.output_bit,
        };
        if !follows {
            return Err(Error::damaged("record: the restarts of a replay are not in order"));
        }
        let ended = self.open.replace(restart);
        Ok(ended.map(|ended| self.row(ended, restart.plain_offset, restart.output_bit)))
    }

    /// The last row.
    pub(crate) fn finish(mut self) -> Result<(u64, PieceKind)> {
        let last = self.open.take().ok_or_else(|| Error::damaged("record: the restarts of a replay are not in order"))?;
        Ok(self.row(last, self.replay.plain_bytes, self.replay.bytes.saturating_mul(8)))
    }

    fn row(&mut self, restart: Restart, plain_end: u64, bit_end: u64) -> (u64, PieceKind) {
        let replay = self.replay;
        let [bits, ..] = (restart.output_bit & 7).to_le_bytes();
        let segment = Segment {
            plain_offset: replay.plain_offset.saturating_add(restart.plain_offset),
            plain_bytes: plain_end.saturating_sub(restart.plain_offset),
            bits,
            check: restart.check,
        };
        let bytes = (bit_end >> 3).saturating_sub(restart.output_bit >> 3);
        let kind = match std::mem::replace(&mut self.first, false) {
            true => PieceKind::Replay { encoder: replay.encoder, parameters: replay.parameters.clone(), segment },
            false => PieceKind::Restart { segment },
        };
        (bytes, kind)
    }
}
