//! [`Walk`]: one volume from its first byte to its last, in the order of the medium.
//!
//! **Invariants.** Members touch, so each byte belongs to a tar header, a content or a padding that is checked, or to the
//! index, the tail or the footer. Where rows of the index cannot be read, the walk goes on at the next that can.
//!
//! *Not here:* packs (`packs`) and records (`records`).

use std::ops::ControlFlow;
use std::sync::Arc;

use super::packs::{Batch, Hashers};
use super::records::Records;
use super::{Check, Damage, Place, Reach};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::index::decode::Row;
use crate::index::{BlobRow, FrameRow, MemberKind, MemberRow, PartRow, PieceRow};
use crate::layout::{FIXED_BYTES, HEADER_OFFSET, MAX_DOCUMENT_BYTES, MAX_PACK_BYTES, MAX_VERBATIM_BYTES, VolumeKind};
use crate::tar;
use crate::volume::Volume;

/// How much is read at once of what is not a pack.
const PIECE_BYTES: u64 = 1 << 20;

/// One volume under check.
pub(super) struct Walk<'c, 'a, 'v> {
    check: &'c mut Check<'a>,
    volume: &'v Volume,
    /// Whether blobs are read from this file.
    used: bool,
    /// Up to where the file is accounted for.
    at: u64,
    /// Up to where progress was told.
    told: u64,
    groups: u32,
    members: u64,
}

/// What is left of the stream of frames.
pub(super) struct FramesLeft<'v> {
    rows: std::iter::Peekable<Box<dyn Iterator<Item = Result<FrameRow>> + 'v>>,
    /// The end of the last frame taken, in the stream.
    pub(super) stream_end: u64,
}

impl<'v> FramesLeft<'v> {
    fn new(volume: &'v Volume) -> Self {
        let rows: Box<dyn Iterator<Item = Result<FrameRow>> + 'v> = Box::new(volume.rows::<FrameRow>(0));
        Self { rows: rows.peekable(), stream_end: 0 }
    }

    /// The next frame that begins before `end` in the file. Rows that cannot be read are passed over: they were
    /// reported when the index was read.
    pub(super) fn next_before(&mut self, end: u64) -> Option<FrameRow> {
        while self.rows.next_if(Result::is_err).is_some() {}
        let row = self.rows.next_if(|row| row.as_ref().is_ok_and(|row| row.file_offset < end))?.ok()?;
        self.stream_end = row.stream_offset.saturating_add(row.plain_bytes.into());
        Some(row)
    }
}

impl<'c, 'a, 'v> Walk<'c, 'a, 'v> {
    pub(super) fn new(check: &'c mut Check<'a>, volume: &'v Volume, used: bool) -> Self {
        Self { check, volume, used, at: 0, told: 0, groups: 0, members: 0 }
    }

    /// Checks everything.
    pub(super) fn run(mut self) -> ControlFlow<()> {
        let threads = self.check.options.threads.max(1);
        let volume = self.volume;
        let (flow, found) = std::thread::scope(|scope| {
            let hashers = Hashers::start(scope, volume, threads);
            let flow = self.walk(&hashers);
            (flow, hashers.finish())
        });
        found.into_iter().for_each(|damage| self.place().add(damage));
        flow?;
        self.tell(volume.bytes())
    }

    fn place(&self) -> Place<'_> {
        Place { findings: &self.check.findings, volume: self.volume, used: self.used }
    }

    fn walk(&mut self, hashers: &Hashers) -> ControlFlow<()> {
        let index_is_sound = self.index_blocks();
        let mut frames = FramesLeft::new(self.volume);
        let mut records = Records::new(self.volume, Arc::clone(&self.check.streams), self.check.set.volume_count(), index_is_sound);
        for row in self.volume.rows::<MemberRow>(0) {
            let Ok(row) = row else { continue };
            // After rows that could not be read there is a gap, which was reported with them.
            self.at = row.offset;
            self.member(&row, &mut frames, &mut records, hashers);
            self.at = row.offset.saturating_add(tar::member_bytes(row.bytes));
            self.members = self.members.saturating_add(1);
            self.tell(self.at)?;
        }
        if self.used {
            self.check.report.blobs = self.check.report.blobs.saturating_add(self.volume.directory().blobs());
        }
        self.ends_meet(&mut frames, index_is_sound);
        if index_is_sound {
            records.ends_meet(&self.place());
        }
        self.index_member();
        ControlFlow::Continue(())
    }

    fn tell(&mut self, at: u64) -> ControlFlow<()> {
        let bytes = at.saturating_sub(self.told);
        self.told = at.max(self.told);
        self.check.advance(self.volume.number(), bytes)
    }

    /// Reads every block of the index; says whether all are sound.
    fn index_blocks(&self) -> bool {
        let mut sound = true;
        sound &= self.blocks::<FrameRow>(|begin, end| Reach::Stream {
            volume: self.volume.number(),
            begin,
            end: end.unwrap_or(self.volume.footer().stream_bytes),
        });
        sound &= self.blocks::<PartRow>(|_, _| Reach::Nothing);
        sound &= self.blocks::<PieceRow>(|_, _| Reach::Nothing);
        sound &= self.blocks::<BlobRow>(|_, _| Reach::Nothing);
        sound &= self.blocks::<MemberRow>(|_, _| Reach::Nothing);
        for span in &self.volume.directory().others {
            let offset = self.volume.footer().index_offset.saturating_add(span.offset);
            let digest = Digest::Sha256(span.sha256);
            sound &= self.content(offset, span.stored_bytes.into(), &digest, "a block of an unknown table", Reach::Nothing);
        }
        sound
    }

    fn blocks<R: Row>(&self, reach: impl Fn(R::Key, Option<R::Key>) -> Reach) -> bool {
        let blocks = &R::table(self.volume.directory()).blocks;
        let mut sound = true;
        for (number, block) in blocks.iter().enumerate() {
            if let Err(error) = self.volume.block::<R>(number) {
                let next = blocks.get(number.saturating_add(1)).map(|next| next.key);
                let damage = Damage::of(&error, reach(block.key, next)).long(block.span.stored_bytes.into());
                self.place().add(damage);
                sound = false;
            }
        }
        sound
    }

    fn member(&mut self, row: &MemberRow, frames: &mut FramesLeft<'_>, records: &mut Records<'_>, hashers: &Hashers) {
        self.name(row);
        self.tar_header(&row.name, row.offset, row.bytes);
        let begin = row.offset.saturating_add(tar::BLOCK);
        let end = begin.saturating_add(row.bytes);
        match row.kind {
            MemberKind::Header => {
                self.content(begin, row.bytes, &row.digest, "the header", Reach::Nothing);
            }
            MemberKind::Text | MemberKind::Other | MemberKind::Parity => {
                self.content(begin, row.bytes, &row.digest, &row.name, Reach::Nothing);
            }
            MemberKind::Blob => {
                self.content(begin, row.bytes, &row.digest, &row.name, Reach::Blob(row.digest));
                records.verbatim = records.verbatim.saturating_add(1);
            }
            MemberKind::Pack => self.pack(row, begin, end, frames, hashers),
            MemberKind::Records => self.records(row, begin, records),
        }
        self.padding(end, row.offset.saturating_add(tar::member_bytes(row.bytes)));
    }

    /// Whether a name is of the grammar, and of its place.
    fn name(&mut self, row: &MemberRow) {
        let number = self.groups.saturating_add(1);
        let catalogue = self.volume.header().kind == VolumeKind::Catalogue;
        let fits = match row.kind {
            MemberKind::Header => row.name == "OCM.VOLUME" && (row.offset, row.bytes) == (0, HEADER_OFFSET),
            MemberKind::Text => matches!(row.name.as_str(), "RESTORE.txt" | "restore.py" | "restore-gzip.py"),
            MemberKind::Blob => row.name == format!("blobs/sha256/{}", row.digest.hex()) && row.bytes <= MAX_VERBATIM_BYTES,
            MemberKind::Pack => {
                let names = [format!("packs/{number:06}.zst"), format!("packs/{number:06}.pzst")];
                names.contains(&row.name) && row.bytes <= MAX_PACK_BYTES && !catalogue
            }
            MemberKind::Records => row.name == format!("packs/{number:06}.rec") && !catalogue,
            MemberKind::Other => catalogue && is_of_another_volume(&row.name),
            MemberKind::Parity => self.volume.header().kind == VolumeKind::Parity && super::parity::is_name(&row.name),
        };
        let first = self.members == 0 && row.kind != MemberKind::Header && row.offset == 0;
        if !fits || first {
            self.place().damage(row.offset, tar::BLOCK, &format!("member {:?} has no place here", row.name));
        }
        if row.kind == MemberKind::Records {
            self.groups = number;
        }
    }

    fn tar_header(&self, name: &str, offset: u64, bytes: u64) {
        let mut found = [0u8; FIXED_BYTES];
        let same = self.volume.read_at(offset, &mut found).and_then(|()| Ok(found == tar::header(name, bytes, self.volume.header().time)?));
        match same {
            Ok(true) => {}
            Ok(false) => self.place().damage(offset, tar::BLOCK, &format!("the tar header of {name} is not what it must be")),
            Err(error) => self.place().add(Damage::of(&error.at(offset), Reach::Nothing).long(tar::BLOCK)),
        }
    }

    fn padding(&self, begin: u64, end: u64) {
        let mut zeros = [0u8; FIXED_BYTES];
        let length = usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX);
        let Some(found) = zeros.get_mut(..length) else { return };
        match self.volume.read_at(begin, found) {
            Ok(()) if found.iter().all(|byte| *byte == 0) => {}
            Ok(()) => self.place().damage(begin, end.saturating_sub(begin), "the padding after a member is not zero"),
            Err(error) => self.place().error(&error, Reach::Nothing),
        }
    }

    /// Compares the hash of a stretch of the file.
    fn content(&self, begin: u64, bytes: u64, digest: &Digest, what: &str, reach: Reach) -> bool {
        match hash(self.volume, begin, bytes) {
            Ok(found) if found == *digest => return true,
            Ok(_) => self.place().lost(begin, bytes, &format!("{what}: its SHA-256 is not that of the index"), reach),
            Err(error) => self.place().add(Damage::of(&error.context(what), reach).long(bytes)),
        }
        false
    }

    fn pack(&self, row: &MemberRow, begin: u64, end: u64, frames: &mut FramesLeft<'_>, hashers: &Hashers) {
        let mut digests = Hasher::sha256();
        let mut batch = Batch::new(row.name.ends_with(".pzst"));
        let mut at = begin;
        while let Some(frame) = frames.next_before(end) {
            digests.update(frame.digest.bytes());
            let frame_end = frame.file_offset.saturating_add(frame.stored_bytes.into());
            if frame.file_offset <= at || frame_end > end {
                self.place().damage(frame.file_offset, frame.stored_bytes.into(), "FRAMES: a frame lies outside of its pack");
                continue;
            }
            if let Some(full) = batch.push(at, &frame) {
                hashers.hash(full);
            }
            at = frame_end;
        }
        hashers.hash(batch);
        if at != end || digests.finish() != row.digest {
            self.place().damage(row.offset, tar::member_bytes(row.bytes), &format!("{}: its frames are not those of FRAMES", row.name));
        }
    }

    fn records(&self, row: &MemberRow, begin: u64, records: &mut Records<'_>) {
        if let Err(error) = crate::error::cap(row.bytes, MAX_DOCUMENT_BYTES, &row.name) {
            records.skip();
            return self.place().error(&error.at(begin), Reach::Nothing);
        }
        match self.content(begin, row.bytes, &row.digest, &row.name, Reach::Nothing) {
            true => records.compare(&self.place(), begin, row.bytes, self.check.reader.as_ref()),
            false => records.skip(),
        }
    }

    /// Whether members and frames account for everything up to the index.
    fn ends_meet(&self, frames: &mut FramesLeft<'_>, index_is_sound: bool) {
        let (footer, place) = (self.volume.footer(), self.place());
        let left = frames.next_before(u64::MAX).is_some();
        if !index_is_sound {
            return;
        }
        if self.members == 0 || self.at.saturating_add(tar::BLOCK) != footer.index_offset {
            place.damage(self.at, 0, "MEMBERS: it does not account for what is before the index");
        }
        if left || frames.stream_end != footer.stream_bytes {
            place.damage(footer.index_offset, 0, "FRAMES: the length of the stream is not that of the footer");
        }
    }

    fn index_member(&self) {
        let footer = self.volume.footer();
        self.tar_header("OCM.INDEX", footer.index_offset.saturating_sub(tar::BLOCK), footer.index_bytes);
    }
}

fn is_of_another_volume(name: &str) -> bool {
    let Some((volume, member)) = name.strip_prefix('v').and_then(|rest| rest.split_once('/')) else { return false };
    let number = volume.parse::<u32>().unwrap_or(0);
    number > 0 && format!("{number:03}") == volume && matches!(member, "OCM.VOLUME" | "OCM.INDEX" | "OCM.FOOTER")
}

/// The SHA-256 of a stretch of the file, read in pieces.
fn hash(volume: &Volume, begin: u64, bytes: u64) -> Result<Digest> {
    let end = begin.checked_add(bytes).filter(|end| *end <= volume.bytes());
    let end = end.ok_or_else(|| Error::new(Kind::Damaged, "it ends beyond the file").at(begin))?;
    let mut buffer = vec![0u8; usize::try_from(bytes.min(PIECE_BYTES)).unwrap_or(0)];
    let (mut hasher, mut at) = (Hasher::sha256(), begin);
    while at < end {
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..most).unwrap_or_default();
        volume.read_at(at, piece)?;
        hasher.update(piece);
        at = at.saturating_add(crate::codec::length(piece));
    }
    Ok(hasher.finish())
}
