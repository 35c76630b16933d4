//! [`Feed`]: the records of a `.rec` as they come out of it, some bytes at a time.
//!
//! **Invariants.** Nothing is decompressed before the hash of all matched. Memory is that of the window of a frame and of one item,
//! whatever the file says and however far it shrank. A record that is not read to its end is passed over.
//!
//! *Not here:* what a record says (`recipe`).

use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

use super::{HASH_BYTES, MOST_SHRUNK};
use crate::codec::{Cursor, length};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result, cap};
use crate::frame::WINDOW_LOG;
use crate::layout::MAX_DOCUMENT_BYTES;
use crate::recipe::MAX_NOTE_BYTES;

/// How much is read, and how much is decompressed, at once.
const PIECE_BYTES: u64 = 64 << 10;
/// What an item of a record takes at the most: a note with its length, and the digest and the numbers that other items are.
const MOST_ITEM_BYTES: u64 = MAX_NOTE_BYTES + 256;
/// The longest beginning of a zstd frame that says how long its content is.
const FRAME_HEAD_BYTES: u64 = 18;

/// Fills a buffer from an offset, or fails.
pub(crate) type ReadAt<'f> = dyn Fn(u64, &mut [u8]) -> Result<()> + 'f;

/// Records as they come.
pub(crate) struct Feed<'f> {
    read: &'f ReadAt<'f>,
    /// What was not read yet: from here to there.
    at: u64,
    end: u64,
    context: DCtx<'static>,
    /// What was read, and how much of it was decompressed.
    stored: Vec<u8>,
    used: usize,
    /// What was decompressed, and how much of it was taken.
    plain: Vec<u8>,
    taken: usize,
    /// How much the frame has still to give, and whether its end was met.
    to_come: u64,
    ended: bool,
    /// What was not taken yet of the record that is being read.
    body: u64,
}

impl<'f> Feed<'f> {
    /// The records that lie in the `bytes` bytes from `begin` on of what `read` reads.
    pub(crate) fn open(read: &'f ReadAt<'f>, begin: u64, bytes: u64) -> Result<Self> {
        cap(bytes, MAX_DOCUMENT_BYTES, "records")?;
        let end = begin.checked_add(bytes).ok_or_else(|| Error::damaged("records: they end beyond the file"))?;
        let at = begin.saturating_add(HASH_BYTES).min(end);
        let mut hash = vec![0; piece(HASH_BYTES, at.saturating_sub(begin))];
        read(begin, &mut hash)?;
        if Cursor::new(&hash, "records").sha256()? != hash_of(read, at, end)? {
            return Err(Error::damaged("records: the SHA-256 before them is not theirs"));
        }
        let mut head = vec![0; piece(FRAME_HEAD_BYTES, end.saturating_sub(at))];
        read(at, &mut head)?;
        let to_come = if head.is_empty() { 0 } else { says(&head, end.saturating_sub(at))? };
        let failed = || Error::limit("records: no decompressor");
        let mut context = DCtx::try_create().ok_or_else(failed)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(|_| failed())?;
        Ok(Self {
            read,
            at,
            end,
            context,
            stored: Vec::new(),
            used: 0,
            plain: Vec::new(),
            taken: 0,
            to_come,
            ended: head.is_empty(),
            body: 0,
        })
    }

    /// Goes to the next record, if there is one; what is left of the one before is passed over.
    pub(crate) fn next(&mut self) -> Result<bool> {
        while self.body > 0 {
            self.fill()?;
            let passed = piece(self.body, length(self.ready()));
            self.advance(passed);
            self.body = self.body.saturating_sub(u64::try_from(passed).unwrap_or(u64::MAX));
        }
        self.fill()?;
        if self.ready().is_empty() {
            return Ok(false);
        }
        let mut cursor = Cursor::new(self.ready(), "record");
        let (before, body) = (cursor.rest().len(), cursor.count(MAX_DOCUMENT_BYTES, "record")?);
        let (prefix, body) = (before.saturating_sub(cursor.rest().len()), u64::try_from(body).unwrap_or(u64::MAX));
        self.advance(prefix);
        if body > self.to_come.saturating_add(length(self.ready())) {
            return Err(Error::damaged("records: it ends too early"));
        }
        self.body = body;
        Ok(true)
    }

    /// Takes the next item of the record.
    pub(crate) fn take<T>(&mut self, take: impl FnOnce(&mut Cursor<'_>) -> Result<T>) -> Result<T> {
        self.fill()?;
        let ready = self.ready();
        let ready = ready.get(..piece(self.body, length(ready))).unwrap_or_default();
        let mut cursor = Cursor::new(ready, "record");
        let item = take(&mut cursor)?;
        let bytes = ready.len().saturating_sub(cursor.rest().len());
        self.advance(bytes);
        self.body = self.body.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(item)
    }

    /// Fails unless all of the record was taken.
    pub(crate) fn end(&self) -> Result<()> {
        if self.body == 0 { Ok(()) } else { Err(Error::damaged("record: bytes are left over")) }
    }

    /// All that was not taken yet.
    pub(super) fn rest(mut self) -> Result<Vec<u8>> {
        while self.to_come > 0 {
            self.decompress()?;
        }
        self.finished()?;
        Ok(self.plain.split_off(self.taken))
    }

    fn ready(&self) -> &[u8] {
        self.plain.get(self.taken..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes).min(self.plain.len());
    }

    /// Has an item ready, or all that is left.
    fn fill(&mut self) -> Result<()> {
        if self.to_come == 0 || length(self.ready()) >= MOST_ITEM_BYTES {
            return Ok(());
        }
        self.plain.drain(..self.taken);
        self.taken = 0;
        while self.to_come > 0 && length(&self.plain) < MOST_ITEM_BYTES.saturating_add(PIECE_BYTES) {
            self.decompress()?;
        }
        self.finished()
    }

    /// Decompresses a piece more.
    fn decompress(&mut self) -> Result<()> {
        let mut plain = std::mem::take(&mut self.plain);
        let before = plain.len();
        plain.resize(before.saturating_add(piece(PIECE_BYTES, self.to_come)), 0);
        let made = self.step(plain.get_mut(before..).unwrap_or_default())?;
        plain.truncate(before.saturating_add(made));
        self.plain = plain;
        self.to_come = self.to_come.saturating_sub(u64::try_from(made).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Whether the frame ends with its content, and the member with the frame.
    fn finished(&mut self) -> Result<()> {
        while self.to_come == 0 && !self.ended {
            self.step(&mut [])?;
        }
        match self.to_come > 0 || (self.at == self.end && self.used == self.stored.len()) {
            true => Ok(()),
            false => Err(Error::damaged("records: they do not end where they must")),
        }
    }

    /// Has the decompressor go on, with room for so much; says how much it made.
    fn step(&mut self, room: &mut [u8]) -> Result<usize> {
        let failed = || Error::damaged("records: they do not decompress");
        if self.used == self.stored.len() {
            self.stored.resize(piece(PIECE_BYTES, self.end.saturating_sub(self.at)), 0);
            (self.read)(self.at, &mut self.stored)?;
            (self.at, self.used) = (self.at.saturating_add(length(&self.stored)), 0);
        }
        let mut out = OutBuffer::around(room);
        let mut from = InBuffer::around(self.stored.get(self.used..).unwrap_or_default());
        let hint = self.context.decompress_stream(&mut out, &mut from).map_err(|_| failed())?;
        let (made, used) = (out.pos(), from.pos());
        self.used = self.used.saturating_add(used);
        self.ended = hint == 0;
        if made == 0 && used == 0 && !self.ended { Err(failed()) } else { Ok(made) }
    }
}

/// What the frame that begins so, and takes `packed` bytes, says of the length of its content.
fn says(head: &[u8], packed: u64) -> Result<u64> {
    let says = zstd_safe::get_frame_content_size(head).ok().flatten();
    let bytes = says.filter(|bytes| *bytes > 0).ok_or_else(|| Error::damaged("records: they do not say how long they are"))?;
    cap(bytes, MAX_DOCUMENT_BYTES, "records")?;
    // No frame shrinks further than this.
    if bytes > packed.saturating_mul(MOST_SHRUNK) {
        return Err(Error::damaged("records: they are shorter than they say"));
    }
    Ok(bytes)
}

/// The SHA-256 of what lies from `at` to `end`.
fn hash_of(read: &ReadAt<'_>, mut at: u64, end: u64) -> Result<Digest> {
    let mut hasher = Hasher::sha256();
    let mut buffer = vec![0; piece(PIECE_BYTES, end.saturating_sub(at))];
    while at < end {
        let part = buffer.get_mut(..piece(PIECE_BYTES, end.saturating_sub(at))).unwrap_or_default();
        read(at, part)?;
        hasher.update(part);
        at = at.saturating_add(length(part));
    }
    Ok(hasher.finish())
}

/// The smaller one, as a length in memory.
fn piece(a: u64, b: u64) -> usize {
    usize::try_from(a.min(b)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Plain, Recipe, Record};

    fn record(n: u32, note: usize) -> Record {
        let digest = Digest::of(&n.to_le_bytes());
        Record { digest, bytes: 7, note: "x".repeat(note), recipe: Recipe::Verbatim, plain: Plain::Own }
    }

    fn feed<T>(content: &[u8], look: impl FnOnce(Result<Feed<'_>>) -> T) -> T {
        let read = |at: u64, buffer: &mut [u8]| {
            let from = content.get(usize::try_from(at).expect("small")..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(from.ok_or_else(|| Error::damaged("beyond"))?);
            Ok(())
        };
        look(Feed::open(&read, 0, length(content)))
    }

    #[test]
    fn records_come_one_after_the_other_however_long_their_notes_are() {
        let records: Vec<Record> = (0..300).map(|n| record(n, [0, 17, 5_000, 65_536][n as usize % 4])).collect();
        let content = super::super::close(&records).expect("closed");
        feed(&content, |feed| {
            let mut feed = feed.expect("opened");
            for (number, wanted) in records.iter().enumerate() {
                assert!(feed.next().expect("a record"));
                assert_eq!(feed.take(|cursor| cursor.digest()).expect("a digest"), wanted.digest);
                if number % 3 > 0 {
                    assert_eq!(feed.take(|cursor| cursor.uvarint()).expect("a size"), 7);
                    assert_eq!(feed.take(|cursor| cursor.text(MAX_NOTE_BYTES, "note").map(str::len)).expect("a note"), wanted.note.len());
                    assert!(feed.end().is_err() && feed.take(|cursor| cursor.u8()).is_ok() && feed.take(|cursor| cursor.u8()).is_ok());
                    assert!(feed.end().is_ok() && feed.take(|cursor| cursor.u8()).is_err(), "nothing of the next one is taken");
                }
            }
            assert!(!feed.next().expect("the end"));
        });
    }

    #[test]
    fn a_second_frame_or_bytes_behind_the_frame_are_refused() {
        let content = super::super::close(&[record(1, 9)]).expect("closed");
        for more in [&content[32..], &[0][..]] {
            let packed = [&content[32..], more].concat();
            let content = [Digest::of(&packed).bytes(), &packed].concat();
            let error = feed(&content, |feed| feed.and_then(Feed::rest).expect_err("too long"));
            assert!(error.to_string().contains("do not end where they must"), "{error}");
        }
    }
}
