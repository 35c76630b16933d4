//! [`Proof`]: makes a member again and compares every byte, and finds out where its encoder can begin anew.
//!
//! Restarts are tried while the member is made. At a block that begins at a whole byte, an encoder begins anew, and the one
//! before waits. If all up to the next such place, [`SPACING_BYTES`] further, is equal, it was a restart, and the new one
//! stays; if not, the one before goes on. So the member is proved by what readers will do, and costs little more than once.
//!
//! **Invariants.** A restart is given out only if what is made from it, up to the next one, is equal. Plain bytes are
//! kept for at most [`KEPT_BYTES`], and some. Trials that fail cost at most half of what the member costs, and
//! [`SPARE_BYTES`].
//!
//! *Not here:* which encoder it may be (`find`).

use std::collections::VecDeque;
use std::io;

use super::content::Content;
use super::encoder::Encoder;
use super::header::Header;
use super::maker::Maker;
use super::member::TRAILER_BYTES;
use crate::codec::length;
use crate::recipe::Restart;

/// Restarts are at least so many plain bytes apart.
const SPACING_BYTES: u64 = 1 << 20;
/// Plain bytes that are kept to go back to.
const KEPT_BYTES: u64 = 7 << 20;
/// So many more are there before some are forgotten: it costs a copy of those that are not.
const FORGET_BYTES: u64 = 1 << 20;
/// Above this, memory for them grows by this much and not to twice of what it was.
const MOST_DOUBLED_BYTES: usize = 2 << 20;
/// Of those that are kept, how many a trial may take before it counts as failed.
const TRIAL_BYTES: u64 = 6 << 20;
/// Plain bytes for trials that fail, whatever the member has.
const SPARE_BYTES: u64 = 16 << 20;
/// Plain bytes that an encoder takes at a time.
const STEP_BYTES: usize = 32 << 10;
const READ_BYTES: usize = 256 << 10;

/// A member that is made again.
pub(super) struct Proof<'a> {
    encoder: Encoder,
    content: Compare<'a>,
    /// It waits while there is a trial.
    proved: Run,
    trial: Option<Run>,
    kept: Kept,
    restarts: Vec<Restart>,
    max_restarts: usize,
    /// Plain bytes of trials that failed.
    wasted_bytes: u64,
}

impl<'a> Proof<'a> {
    /// Of the member at `offset`. Only so many restarts are wanted.
    pub(super) fn new(content: &'a dyn Content, offset: u64, encoder: Encoder, header: &Header, max_restarts: usize) -> Self {
        Self {
            encoder,
            content: Compare { content, offset, buffer: Vec::new() },
            proved: Run::new(Maker::new(encoder, header), Place::default()),
            trial: None,
            kept: Kept::default(),
            restarts: Vec::new(),
            max_restarts,
            wasted_bytes: 0,
        }
    }

    /// Takes the next plain bytes; whether all is equal.
    pub(super) fn write(&mut self, plain: &[u8]) -> io::Result<bool> {
        self.kept.push(plain);
        let is_same = self.go_on()?;
        let is_piecewise = matches!(self.encoder, Encoder::Pgzip { .. });
        self.kept.forget(if is_piecewise { 0 } else { KEPT_BYTES });
        Ok(is_same)
    }

    /// There is no more input, and the member has so many bytes; whether all is equal.
    pub(super) fn finish(&mut self, trailer: [u8; TRAILER_BYTES], bytes: u64) -> io::Result<bool> {
        if let Some(mut trial) = self.trial.take() {
            if trial.finish(trailer, &mut self.content)? && trial.compared == bytes {
                self.accept(trial);
                return Ok(true);
            }
            while self.proved.feed(self.encoder, &self.kept, &mut self.content)? == Step::Found {
                self.proved.found.clear();
            }
        }
        Ok(self.proved.finish(trailer, &mut self.content)? && self.proved.compared == bytes)
    }

    /// How many plain bytes there were.
    pub(super) fn plain_bytes(&self) -> u64 {
        self.kept.end()
    }

    /// Where the encoder can begin anew; known once it has finished.
    pub(super) fn restarts(mut self) -> Vec<Restart> {
        if matches!(self.encoder, Encoder::Pgzip { .. }) {
            return self.proved.maker.restarts().to_vec();
        }
        self.restarts.push(self.proved.begin.restart(self.proved.check));
        self.restarts
    }

    /// Takes what is kept, as far as nobody did.
    fn go_on(&mut self) -> io::Result<bool> {
        loop {
            let run = self.trial.as_mut().unwrap_or(&mut self.proved);
            let step = run.feed(self.encoder, &self.kept, &mut self.content)?;
            match (step, self.trial.take()) {
                (Step::AllTaken, None) => return Ok(true),
                (Step::Differs, None) => return Ok(false),
                (Step::Found, None) => self.begin_trial(),
                (Step::Found, Some(trial)) => {
                    self.accept(trial);
                    self.begin_trial();
                }
                (Step::AllTaken, Some(trial)) if trial.taken_bytes() <= TRIAL_BYTES => {
                    self.trial = Some(trial);
                    return Ok(true);
                }
                (Step::AllTaken | Step::Differs, Some(trial)) => {
                    self.wasted_bytes = self.wasted_bytes.saturating_add(trial.taken_bytes());
                }
            }
        }
    }

    /// Begins anew at the next place that was found, if that is possible.
    fn begin_trial(&mut self) {
        let Some(begin) = self.proved.found.pop_front() else { return };
        let is_cheap = self.wasted_bytes <= SPARE_BYTES.saturating_add(self.kept.end() / 2);
        let anew = self.encoder.anew(begin.plain_offset);
        // One more comes at the end.
        if is_cheap && self.restarts.len().saturating_add(2) <= self.max_restarts && self.kept.has(anew.from) {
            self.trial = Some(Run::new(Maker::anew(self.encoder, anew), begin));
        }
    }

    fn accept(&mut self, trial: Run) {
        let before = std::mem::replace(&mut self.proved, trial);
        self.restarts.push(before.begin.restart(self.proved.begin.check));
    }
}

/// Where a block begins at a whole byte.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    plain_offset: u64,
    /// In the member.
    byte: u64,
    /// CRC-32C of what the encoder made up to here that came here.
    check: u32,
}

impl Place {
    fn restart(self, check: u32) -> Restart {
        Restart { plain_offset: self.plain_offset, output_bit: self.byte.saturating_mul(8), check }
    }
}

/// An encoder at work.
struct Run {
    maker: Maker,
    begin: Place,
    /// Up to where in the member its output was compared, and the CRC-32C of that.
    compared: u64,
    check: u32,
    /// Where the next encoder may begin.
    found: VecDeque<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There are places where the next encoder may begin.
    Found,
    AllTaken,
    Differs,
}

impl Run {
    fn new(maker: Maker, begin: Place) -> Self {
        Self { maker, begin, compared: begin.byte, check: 0, found: VecDeque::new() }
    }

    /// Takes what is kept, up to where something is found.
    fn feed(&mut self, encoder: Encoder, kept: &Kept, content: &mut Compare<'_>) -> io::Result<Step> {
        while self.found.is_empty() {
            let plain = kept.from(self.maker.plain_offset());
            if plain.is_empty() {
                return Ok(Step::AllTaken);
            }
            self.maker.write(plain.get(..STEP_BYTES).unwrap_or(plain));
            if !self.compare(Some(encoder), content)? {
                return Ok(Step::Differs);
            }
        }
        Ok(Step::Found)
    }

    fn finish(&mut self, trailer: [u8; TRAILER_BYTES], content: &mut Compare<'_>) -> io::Result<bool> {
        self.maker.finish(trailer);
        self.compare(None, content)
    }

    /// Compares what was made; finds places in it for `encoder`.
    fn compare(&mut self, encoder: Option<Encoder>, content: &mut Compare<'_>) -> io::Result<bool> {
        let enough = self.begin.plain_offset.saturating_add(SPACING_BYTES);
        let blocks = self.maker.starts().iter().filter(|block| block.plain_offset >= enough);
        let blocks: Vec<_> = blocks.filter(|block| encoder.is_some_and(|encoder| encoder.can_begin(**block))).copied().collect();
        let made = self.maker.take();
        if !content.is_there(self.compared, &made)? {
            return Ok(false);
        }
        let mut rest = made.as_slice();
        for block in blocks {
            let byte = self.begin.byte.saturating_add(block.output_bit / 8);
            let before = usize::try_from(byte.saturating_sub(self.compared)).unwrap_or(usize::MAX);
            let Some((now, later)) = rest.split_at_checked(before) else { continue };
            self.advance(now);
            self.found.push_back(Place { plain_offset: block.plain_offset, byte, check: self.check });
            rest = later;
        }
        self.advance(rest);
        Ok(true)
    }

    fn advance(&mut self, made: &[u8]) {
        self.check = crc32c::crc32c_append(self.check, made);
        self.compared = self.compared.saturating_add(length(made));
    }

    /// How many plain bytes it took since it began.
    fn taken_bytes(&self) -> u64 {
        self.maker.plain_offset().saturating_sub(self.begin.plain_offset)
    }
}

/// Plain bytes of the member that were not forgotten.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Where they begin.
    offset: u64,
}

impl Kept {
    fn push(&mut self, plain: &[u8]) {
        let bytes = self.bytes.len().saturating_add(plain.len());
        if bytes > self.bytes.capacity() && bytes > MOST_DOUBLED_BYTES {
            self.bytes.reserve_exact(plain.len().max(MOST_DOUBLED_BYTES));
        }
        self.bytes.extend_from_slice(plain);
    }

    /// Where they end.
    fn end(&self) -> u64 {
        self.offset.saturating_add(length(&self.bytes))
    }

    fn has(&self, offset: u64) -> bool {
        offset >= self.offset
    }

    /// All from `offset` on, which is kept.
    fn from(&self, offset: u64) -> &[u8] {
        let skip = usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.bytes.get(skip..).unwrap_or_default()
    }

    /// Forgets what is before the last `bytes`, once that is much.
    fn forget(&mut self, bytes: u64) {
        let gone = length(&self.bytes).saturating_sub(bytes);
        if gone >= FORGET_BYTES.min(bytes) {
            self.bytes.drain(..usize::try_from(gone).unwrap_or(usize::MAX).min(self.bytes.len()));
            self.offset = self.offset.saturating_add(gone);
        }
    }
}

/// Compares what is made with what is there.
struct Compare<'a> {
    content: &'a dyn Content,
    /// Where the member begins.
    offset: u64,
    buffer: Vec<u8>,
}

impl Compare<'_> {
    /// Whether the member has these bytes at `at`.
    fn is_there(&mut self, at: u64, mut made: &[u8]) -> io::Result<bool> {
        let mut offset = self.offset.saturating_add(at);
        self.buffer.resize(READ_BYTES.min(made.len()).max(self.buffer.len()), 0);
        while !made.is_empty() {
            let most = made.len().min(self.buffer.len());
            let count = self.content.read_at(offset, self.buffer.get_mut(..most).unwrap_or_default())?;
            let Some((now, later)) = made.split_at_checked(count).filter(|_| count > 0) else { return Ok(false) };
            if self.buffer.get(..count) != Some(now) {
                return Ok(false);
            }
            offset = offset.saturating_add(length(now));
            made = later;
        }
        Ok(true)
    }
}
