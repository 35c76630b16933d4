//! [`Scan`]: one file, walked member by member without its index.
//!
//! **Invariants.** A member counts if its tar header regenerates. A frame says itself where it is in the stream: where a header cannot be
//! read, the next one is looked for, and all frames but that one count. Memory is that of the index, and of notes up to a limit.
//!
//! *Not here:* whether frames are sound: who reads one verifies it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record;
use crate::codec::{Cursor, length};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result, cap};
use crate::index::FrameRow;
use crate::index::write::{Index, IndexWriter};
use crate::layout::{FRAME_MAGIC, FrameHeader, HEADER_OFFSET, Header, MAX_PACK_BYTES, MAX_VERBATIM_BYTES};
use crate::recipe::{Plain, Recipe, Record};
use crate::records::Feed;
use crate::tar;
use crate::volume::{Ends, read_exact};

/// The longest header of a frame.
const MAX_FRAME_HEADER_BYTES: u64 = 1 << 20;
/// How much is read at once while something is looked for, in bytes: first, and at the most. Members that are hurt may be many.
const SEARCH_BYTES: [u64; 2] = [4 << 10, 1 << 20];
/// The least that a medium fails to read, in bytes.
const SECTOR: u64 = 512;
/// So many bytes of notes are kept of one file.
const MOST_NOTE_BYTES: usize = 16 << 20;
/// So many places are told of one file.
const MOST_TOLD: usize = 20;
/// So many places that look like a frame header are tried in one stretch.
const MOST_TRIES: usize = 1000;

/// One file under the walk.
pub(super) struct Scan {
    pub(super) header: Header,
    path: PathBuf,
    file: Arc<File>,
    bytes: u64,
    index: IndexWriter,
    /// Where blobs that stand by themselves lie, with their sizes.
    verbatim: BTreeMap<Digest, (u64, u64)>,
    notes: Vec<(Digest, String)>,
    note_bytes: usize,
    notes_lost: bool,
    lost: Vec<Error>,
    /// Where the last frame ends in the stream.
    stream_end: u64,
}

/// What a walk has found.
pub(super) struct Found {
    pub(super) header: Header,
    pub(super) index: Index,
    pub(super) stream_bytes: u64,
    pub(super) notes: Vec<(Digest, String)>,
    pub(super) lost: Vec<Error>,
}

impl Scan {
    /// A walk of the file at `path`, whose header must be sound.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let Ends { file, header, file_bytes, .. } = Ends::open(path)?;
        Ok(Self {
            header,
            path: path.to_owned(),
            file: Arc::new(file),
            bytes: file_bytes,
            index: IndexWriter::default(),
            verbatim: BTreeMap::new(),
            notes: Vec::new(),
            note_bytes: 0,
            notes_lost: false,
            lost: Vec::new(),
            stream_end: 0,
        })
    }

    /// Walks the file.
    pub(super) fn run(mut self) -> Result<Found> {
        let mut at = HEADER_OFFSET.saturating_mul(2);
        while at.saturating_add(tar::BLOCK) <= self.bytes {
            at = match self.member(at)? {
                Some(next) => next,
                None => self.beyond(at)?,
            };
        }
        let unrecorded: Vec<_> =
            self.verbatim.iter().filter(|(digest, _)| !self.index.has(digest)).map(|(digest, at)| (*digest, *at)).collect();
        for (digest, (offset, bytes)) in unrecorded {
            let record = Record { digest, bytes, note: String::new(), recipe: Recipe::Verbatim, plain: Plain::Own };
            self.index.record(&record, offset)?;
        }
        let Self { header, index, notes, lost, stream_end, .. } = self;
        let stream_bytes = if lost.is_empty() { stream_end } else { u64::MAX };
        Ok(Found { header, index: index.finish()?, stream_bytes, notes, lost })
    }

    /// The member at `at`; where the next one begins, or `None` where this is no member.
    fn member(&mut self, at: u64) -> Result<Option<u64>> {
        let mut block = [0u8; 512];
        if read_exact(&self.file, at, &mut block).is_err() {
            return Ok(None);
        }
        let Some((name, bytes)) = tar::scanned_size(&block, self.header.time) else { return Ok(None) };
        let begin = at.saturating_add(tar::BLOCK);
        let next = begin.saturating_add(tar::padded(bytes));
        match name.strip_prefix("packs/").and_then(|name| name.split_once('.')) {
            Some((_, "rec")) => self.records(begin, bytes),
            Some((_, "zst" | "pzst")) if bytes <= MAX_PACK_BYTES => self.frames(begin, begin.saturating_add(bytes))?,
            _ => {}
        }
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            self.blob(hex, begin, bytes)?;
        }
        if next > self.bytes {
            self.lose(at, &format!("the file ends within {name}"));
        }
        Ok(Some(next))
    }

    /// Something else is at `at`: where the next member begins. Where only the tar header of a pack is hurt, its frames count.
    fn beyond(&mut self, at: u64) -> Result<u64> {
        let begin = at.saturating_add(tar::BLOCK);
        if let Some(end) = self.hidden_pack(begin)? {
            self.lose(at, "the tar header of a pack cannot be read");
            return Ok(tar::padded(end));
        }
        if !self.is_end(at) {
            self.lose(at, "no member begins here");
        }
        let next = self.next_member(begin);
        let mut from = begin;
        while from < next {
            from = match self.hidden_pack(from)? {
                Some(end) => end,
                None => self.next_frame(from.saturating_add(1), next),
            };
        }
        Ok(next)
    }

    /// Where the next member begins; the end of the file without one. `begin` is a multiple of a block.
    fn next_member(&self, begin: u64) -> u64 {
        self.search(begin, self.bytes, |at, bytes| {
            let (blocks, _) = bytes.as_chunks::<512>();
            let mut places = (at..).step_by(512).zip(blocks);
            places.find(|(_, block)| tar::scanned_size(block, self.header.time).is_some()).map(|(place, _)| place)
        })
    }

    /// Whether all that is left of the file are the zeros that end it.
    fn is_end(&self, at: u64) -> bool {
        let left = self.bytes.saturating_sub(at);
        let mut zeros = vec![1u8; usize::try_from(left.min(tar::END_BYTES)).unwrap_or_default()];
        left <= tar::END_BYTES && read_exact(&self.file, at, &mut zeros).is_ok() && zeros.iter().all(|byte| *byte == 0)
    }

    /// The end of the frames at `begin`, if there are any.
    fn hidden_pack(&mut self, begin: u64) -> Result<Option<u64>> {
        let mut end = begin;
        while let Ok((header, taken)) = self.frame_header(end) {
            end = self.frame(&header, end.saturating_add(taken))?;
        }
        Ok((end > begin).then_some(end))
    }

    /// Takes the frames from `at` to `end`; where the header of one is hurt, what comes after it counts.
    fn frames(&mut self, mut at: u64, end: u64) -> Result<()> {
        while at < end {
            match self.frame_header(at) {
                Ok((header, taken)) => at = self.frame(&header, at.saturating_add(taken))?,
                // Where the file ends is told once, of the member.
                Err(error) if error.kind() == Kind::Incomplete => return Ok(()),
                Err(error) => {
                    self.lose(at, error.message());
                    at = self.next_frame(at.saturating_add(1), end);
                }
            }
        }
        Ok(())
    }

    /// Where a frame header stands between `from` and `end`; `end` without one.
    fn next_frame(&self, from: u64, end: u64) -> u64 {
        let magic = FRAME_MAGIC.to_le_bytes();
        let mut tries = 0;
        self.search(from, end, |at, bytes| {
            for (place, rest) in (at..).zip((0..bytes.len()).filter_map(|place| bytes.get(place..))) {
                // A magic may lie across the edge: then its beginning is enough to look there.
                if !magic.starts_with(rest.get(..magic.len()).unwrap_or(rest)) {
                    continue;
                }
                match self.frame_header(place) {
                    Ok(_) => return Some(place),
                    Err(_) if tries == MOST_TRIES => return Some(end),
                    Err(_) => tries = tries.saturating_add(1),
                }
            }
            None
        })
    }

    /// What `find` finds first in the bytes from `from` to `end`, which it gets piece by piece with their places; `end` without anything.
    /// A sector that cannot be read hides nothing that is beside it.
    fn search(&self, from: u64, end: u64, mut find: impl FnMut(u64, &[u8]) -> Option<u64>) -> u64 {
        let (mut at, [mut most, limit]) = (from, SEARCH_BYTES);
        while at < end {
            let mut bytes = vec![0u8; usize::try_from(most.saturating_sub(at % SECTOR).min(end.saturating_sub(at))).unwrap_or_default()];
            match read_exact(&self.file, at, &mut bytes) {
                Err(_) if most > SECTOR => most = SECTOR,
                Err(_) => at = at.saturating_add(length(&bytes)),
                Ok(()) => {
                    if let Some(place) = find(at, &bytes) {
                        return place;
                    }
                    at = at.saturating_add(length(&bytes));
                    most = most.saturating_mul(2).min(limit);
                }
            }
        }
        end
    }

    /// The frame header at `at`, and how many bytes it takes.
    fn frame_header(&self, at: u64) -> Result<(FrameHeader, u64)> {
        let mut outer = [0u8; 8];
        read_exact(&self.file, at, &mut outer)?;
        let mut cursor = Cursor::new(&outer, "frame header");
        if cursor.u32()? != FRAME_MAGIC {
            return Err(Error::damaged("no frame begins here"));
        }
        let mut bytes = vec![0u8; cap(u64::from(cursor.u32()?), MAX_FRAME_HEADER_BYTES, "frame header")?.saturating_add(8)];
        read_exact(&self.file, at, &mut bytes)?;
        let (header, _) = FrameHeader::decode(&bytes)?;
        Ok((header, length(&bytes)))
    }

    /// Takes the frame whose content begins at `offset`; where it ends.
    fn frame(&mut self, header: &FrameHeader, file_offset: u64) -> Result<u64> {
        let end = file_offset.saturating_add(header.stored_bytes.into());
        if end > self.bytes {
            return Ok(end);
        }
        let FrameHeader { stored_bytes, plain_bytes, stream_offset, digest, ref codec } = *header;
        if stream_offset < self.stream_end {
            self.lose(file_offset, "a frame has a place in the stream that another one has");
            return Ok(end);
        }
        self.index.frame(&FrameRow { stream_offset, plain_bytes, file_offset, stored_bytes, codec: codec.number(), digest })?;
        self.stream_end = stream_offset.saturating_add(plain_bytes.into());
        Ok(end)
    }

    fn blob(&mut self, hex: &str, begin: u64, bytes: u64) -> Result<()> {
        let content = match self.content(begin, bytes, MAX_VERBATIM_BYTES) {
            Ok(content) => content,
            Err(error) => {
                if error.kind() != Kind::Incomplete {
                    self.lose(begin, &format!("blob sha256:{hex}: {}", error.message()));
                }
                return Ok(());
            }
        };
        let digest = Digest::of(&content);
        match digest.hex() == hex {
            true => drop(self.verbatim.insert(digest, (begin, bytes))),
            false => self.lose(begin, &format!("blob sha256:{hex}: its content is not what it must be")),
        }
        Ok(())
    }

    fn records(&mut self, begin: u64, bytes: u64) {
        let file = Arc::clone(&self.file);
        let read = |at: u64, buffer: &mut [u8]| read_exact(&file, at, buffer);
        if let Err(error) = self.each_record(|| Feed::open(&read, begin, bytes)) {
            self.lose(begin, error.message());
        }
    }

    fn each_record<'f>(&mut self, open: impl FnOnce() -> Result<Feed<'f>>) -> Result<()> {
        let mut feed = open()?;
        while feed.next()? {
            let stands = |digest: &Digest, size: u64| self.verbatim.get(digest).filter(|(_, bytes)| *bytes == size).map(|(at, _)| *at);
            if let Some((digest, note)) = record::take(&mut feed, &mut self.index, stands)?
                && !note.is_empty()
            {
                self.note(digest, note);
            }
        }
        Ok(())
    }

    /// Keeps a note, unless there are too many bytes of them.
    fn note(&mut self, digest: Digest, note: String) {
        let bytes = self.note_bytes.saturating_add(note.len());
        if bytes <= MOST_NOTE_BYTES {
            self.note_bytes = bytes;
            self.notes.push((digest, note));
        } else if !std::mem::replace(&mut self.notes_lost, true) {
            self.lose(0, "the notes of its blobs are longer than 16 MiB: not all of them are told");
        }
    }

    fn content(&self, begin: u64, bytes: u64, limit: u64) -> Result<Vec<u8>> {
        let mut content = vec![0u8; cap(bytes, limit.min(self.bytes), "member")?];
        read_exact(&self.file, begin, &mut content)?;
        Ok(content)
    }

    fn lose(&mut self, at: u64, why: &str) {
        if self.lost.len() < MOST_TOLD {
            self.lost.push(Error::damaged(why).at(at).in_volume(self.header.number).in_file(&self.path));
        }
    }
}
