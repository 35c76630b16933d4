//! [`Line`]: what happens to a set in order: frames, blobs and documents go into volumes, and volumes end.
//!
//! **Invariants.** Events are handled in the order in which they were put, so that the bytes do not depend on which thread was
//! faster. A blob is recorded once all of its frames have a place.
//!
//! *Not here:* where frames come from (`builder`), room and bytes of a volume (`volume`).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::builder::{Builder, FrameJob};
use super::journal::{Done, Entry, Journal};
use super::own::Own;
use super::place::{Placed, Spot};
use super::volume::VolumeWriter;
use super::{
    Closing, Fate, Form, Head, NewBlob, OnVolume, Options, Seal, Volume, catalogue, header_of, stem, tail, texts, volume_name,
    write_durably,
};
use crate::codec::length;
use crate::delta::Earlier;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::idle::Idle;
use crate::layout::{MAX_VOLUMES, VolumeKind};
use crate::recipe::{Piece, Plain, Recipe, Record};
use crate::set::{IndexEntry, Needs, SetManifest, VolumeEntry};
use crate::tar;

/// What waits for its turn.
pub(super) enum Event {
    Frame(FrameJob),
    Verbatim(NewBlob, Vec<u8>),
    /// A blob, and more frames that it is not recorded before.
    End(NewBlob, Laid, BTreeSet<u32>),
}

/// Where the content of a blob was laid.
pub(super) enum Laid {
    /// All of its bytes.
    Whole(Vec<Spot>),
    /// Its plain form, from which an encoder makes it.
    Plain {
        /// How it is made.
        pieces: Vec<Piece>,
        /// What follows the last piece, as it came.
        rest: Vec<Spot>,
        /// The diff id.
        digest: Digest,
        /// The plain form.
        plain: Vec<Spot>,
    },
}

impl Laid {
    fn missing(&self, placed: &Placed) -> BTreeSet<u32> {
        match self {
            Self::Whole(spots) => placed.missing(spots),
            Self::Plain { rest, plain, .. } => &placed.missing(rest) | &placed.missing(plain),
        }
    }

    /// What the record of the blob says, once everything has its place.
    fn recipe(self, form: Form, placed: &Placed) -> Result<(Recipe, Plain)> {
        match self {
            Self::Whole(spots) => {
                let plain = if form == Form::Packed { Plain::Unknown } else { Plain::Own };
                Ok((Recipe::Raw(placed.parts(&spots)?), plain))
            }
            Self::Plain { mut pieces, rest, digest, plain } => {
                if !rest.is_empty() {
                    pieces.push(Piece::Raw(placed.parts(&rest)?));
                }
                let bytes = plain.iter().fold(0u64, |sum, spot| sum.saturating_add(spot.bytes.into()));
                Ok((Recipe::Pieces(pieces), Plain::Listed { digest, bytes, parts: placed.parts(&plain)? }))
            }
        }
    }
}

/// A blob that waits for its last frames.
struct Waiting {
    blob: NewBlob,
    laid: Laid,
    missing: BTreeSet<u32>,
}

/// The events of a set, and the volumes that they make.
pub(super) struct Line {
    pub(super) head: Head,
    pub(super) options: Options,
    pub(super) journal: Arc<Journal>,
    pub(super) volume: Option<VolumeWriter>,
    pub(super) done: Vec<Done>,
    /// Buffers of frames that are in the file.
    pub(super) idle: Arc<Idle>,
    handled: BTreeSet<u32>,
    events: VecDeque<Event>,
    frames_in_flight: usize,
    placed: Placed,
    waiting: Vec<Waiting>,
    /// The blobs of earlier sets that frames and records refer to.
    pub(super) needs: BTreeSet<Digest>,
    /// How deep prefixes of frames are.
    pub(super) depth: u8,
    own: Option<Arc<Own>>,
    on_volume: OnVolume,
    /// How the set gets its signature.
    pub(super) seal: Seal,
}

impl Line {
    /// A line of the volumes `done`, of which those `handled` were handed over.
    pub(super) fn new(
        head: Head,
        options: Options,
        journal: Journal,
        (done, handled): (Vec<Done>, BTreeSet<u32>),
        on_volume: OnVolume,
        own: Option<Arc<Own>>,
        earlier: Arc<Earlier>,
    ) -> Self {
        Self {
            head,
            options,
            journal: Arc::new(journal),
            volume: None,
            done,
            idle: Arc::default(),
            handled,
            events: VecDeque::new(),
            frames_in_flight: 0,
            placed: Placed::new(earlier),
            waiting: Vec::new(),
            needs: BTreeSet::new(),
            depth: 0,
            own,
            on_volume,
            seal: Seal::None,
        }
    }

    /// Puts an event at the end of the line.
    pub(super) fn put(&mut self, event: Event) -> Result<()> {
        self.events.push_back(event);
        self.settle(self.window())
    }

    /// Puts the frames that the builder has ready.
    pub(super) fn put_frames(&mut self, builder: &mut Builder) -> Result<()> {
        for frame in builder.take_ready() {
            self.frames_in_flight = self.frames_in_flight.saturating_add(1);
            self.events.push_back(Event::Frame(frame));
        }
        self.settle(self.window())
    }

    /// Frames that may be in flight: it bounds memory.
    fn window(&self) -> usize {
        self.options.threads.saturating_mul(2).saturating_add(2)
    }

    /// Handles events in order until at most `window` frames are in flight.
    pub(super) fn settle(&mut self, window: usize) -> Result<()> {
        while let Some(event) = self.events.pop_front() {
            match event {
                Event::Frame(frame) if self.frames_in_flight > window => self.place_frame(frame)?,
                Event::Frame(frame) => {
                    self.events.push_front(Event::Frame(frame));
                    return Ok(());
                }
                Event::Verbatim(blob, bytes) => self.place_verbatim(blob, bytes)?,
                Event::End(blob, laid, closed) => {
                    let closed = closed.into_iter().filter(|id| !self.placed.has(*id)).collect();
                    let missing = &laid.missing(&self.placed) | &closed;
                    self.waiting.push(Waiting { blob, laid, missing });
                    self.record_complete()?;
                }
            }
        }
        Ok(())
    }

    fn place_frame(&mut self, frame: FrameJob) -> Result<()> {
        self.frames_in_flight = self.frames_in_flight.saturating_sub(1);
        let packed = frame.promise.wait()?;
        let bytes = packed.bytes();
        let volume = self.volume_with(|volume| volume.has_room_for_frame(bytes), "a frame")?;
        let runs: Vec<Digest> = packed.codec.runs().iter().map(|run| run.digest).collect();
        let depth = packed.cost.depth;
        let offset = volume.push_frame(frame.id, packed, &frame.chunks);
        let number = volume.number();
        volume.settle()?;
        self.needs.extend(runs);
        self.depth = self.depth.max(depth);
        self.placed.put(frame.id, number, offset);
        self.waiting.iter_mut().for_each(|waiting| {
            waiting.missing.remove(&frame.id);
        });
        self.record_complete()
    }

    fn place_verbatim(&mut self, blob: NewBlob, bytes: Vec<u8>) -> Result<()> {
        let record = Record { digest: blob.digest, bytes: blob.bytes, note: blob.note, recipe: Recipe::Verbatim, plain: Plain::Own };
        let size = length(&bytes);
        let volume = self.volume_with(|volume| volume.has_room_for_verbatim(size, &record), "a manifest")?;
        volume.push_verbatim(bytes, record);
        volume.settle()
    }

    fn record_complete(&mut self) -> Result<()> {
        let (complete, waiting): (Vec<Waiting>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.missing.is_empty());
        self.waiting = waiting;
        for Waiting { blob, laid, .. } in complete {
            let (recipe, plain) = laid.recipe(blob.form, &self.placed)?;
            let record = Record { digest: blob.digest, bytes: blob.bytes, note: blob.note, recipe, plain };
            self.needs.extend(record.runs().map(|run| run.digest));
            let volume = self.volume_with(|volume| volume.has_room_for_record(&record), "the record of a blob")?;
            volume.push_record(record);
            volume.settle()?;
        }
        Ok(())
    }

    /// The volume in the making, or the next one if this one lacks the room.
    pub(super) fn volume_with(&mut self, has_room: impl Fn(&VolumeWriter) -> bool, what: &str) -> Result<&mut VolumeWriter> {
        if self.volume.as_ref().is_some_and(|volume| !has_room(volume) && !volume.is_empty()) {
            self.end_volume()?;
        }
        if self.volume.is_none() {
            self.volume = Some(self.begin_volume()?);
        }
        let cap = self.options.cap;
        let too_small = || Error::limit(format!("{what} does not fit a volume of {cap} bytes"));
        self.volume.as_mut().filter(|volume| has_room(volume)).ok_or_else(too_small)
    }

    fn begin_volume(&self) -> Result<VolumeWriter> {
        let number = u32::try_from(self.done.len()).unwrap_or(u32::MAX).saturating_add(1);
        if number > MAX_VOLUMES {
            return Err(Error::limit(format!("set: more than {MAX_VOLUMES} volumes of {} bytes", self.options.cap)));
        }
        let path = self.options.folder.join(volume_name(&self.head, 'v', number));
        let header = header_of(&self.head, VolumeKind::Data, number, self.options.cap);
        let volume = VolumeWriter::create(&path, header, &texts(self.options.cap), &self.journal, &self.idle)?;
        Ok(volume.read_by(self.own.clone()).leaving(self.options.reserve_bytes))
    }

    fn end_volume(&mut self) -> Result<()> {
        if let Some(volume) = self.volume.take() {
            let done = volume.close(None)?;
            self.take_done(done)?;
            self.hand_over()?;
        }
        Ok(())
    }

    /// Takes note of a finished volume.
    pub(super) fn take_done(&mut self, done: Done) -> Result<()> {
        let path = self.options.folder.join(volume_name(&self.head, 'v', done.number));
        catalogue::keep_parts(&self.options.scratch, &self.head, &path, done.number)?;
        self.journal.append(&Entry::Done(done.clone()))?;
        self.journal.sync()?;
        self.done.push(done);
        self.write_sums()
    }

    /// Hands finished volumes to whoever carries them away, each once.
    pub(super) fn hand_over(&mut self) -> Result<()> {
        let all: Vec<Done> = self.done.iter().filter(|done| !self.handled.contains(&done.number)).cloned().collect();
        all.iter().try_for_each(|done| self.hand_over_one(done))
    }

    fn hand_over_one(&mut self, done: &Done) -> Result<()> {
        let number = done.number;
        let path = self.options.folder.join(volume_name(&self.head, 'v', number));
        if !path.exists() {
            let why = "it was finished by an interrupted run, and its file is gone before it was handed over";
            return Err(Error::new(Kind::Missing, why).in_volume(number).in_file(&path));
        }
        let fate = (self.on_volume)(&Volume { path: &path, done })?;
        self.journal.append(&Entry::Handled { number, released: fate == Fate::Released })?;
        self.journal.sync()?;
        self.handled.insert(number);
        // Only now: a file that is gone before that is noted would be missed by the next run.
        if fate == Fate::Kept {
            return Ok(());
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&path, &error)),
            _ => Ok(()),
        }
    }

    pub(super) fn write_sums(&self) -> Result<()> {
        let line = |done: &Done| format!("{}  {}\n", done.sum.hex(), volume_name(&self.head, 'v', done.number));
        let text: String = self.done.iter().map(line).collect();
        write_durably(&self.options.folder.join(format!("{}.sha256", stem(&self.head))), text.as_bytes())
    }

    /// What the tail takes at the most, with the entry of one more volume.
    pub(super) fn tail_bytes(&self, closing: &Closing) -> Result<u64> {
        let manifest = self.manifest(closing, Some((self.options.cap.saturating_sub(1), Digest::of(&[]))));
        let tail = tail(closing, &self.seal, &manifest)?;
        Ok(tail.iter().fold(tar::BLOCK, |sum, (_, content)| sum.saturating_add(tar::member_bytes(length(content)))))
    }

    pub(super) fn manifest(&self, closing: &Closing, last: Option<(u64, Digest)>) -> SetManifest {
        let entry = |done: &Done| VolumeEntry { number: done.number, bytes: done.bytes, root: done.root };
        let mut volumes: Vec<_> = self.done.iter().map(entry).collect();
        if let Some((bytes, root)) = last {
            let number = u32::try_from(volumes.len()).unwrap_or(u32::MAX).saturating_add(1);
            volumes.push(VolumeEntry { number, bytes, root });
        }
        SetManifest {
            features: Vec::new(),
            set: self.head.set,
            time: self.head.time,
            cap: self.options.cap,
            generation: self.head.generation,
            lineage: self.head.lineage.clone(),
            parent: self.head.parent.clone(),
            ancestors: closing.ancestors.clone(),
            needs: Needs { depth: closing.needs.depth.max(self.depth), ..closing.needs },
            volumes,
            index: IndexEntry { digest: Digest::of(&closing.index_json), bytes: length(&closing.index_json) },
            items: closing.items.clone(),
            options: closing.options.clone(),
            writer: closing.writer.clone(),
            others: Default::default(),
        }
    }

    /// Writes the last volume; says what the set manifest is. It is handed over once the catalogue is there: until then it
    /// alone says that the set is finished.
    pub(super) fn end_set(&mut self, closing: &Closing) -> Result<SetManifest> {
        if let Some(volume) = &mut self.volume {
            volume.close_group()?;
        }
        let room = self.tail_bytes(closing)?;
        self.volume_with(|volume| volume.has_room_for_tail(room), "the set manifest")?;
        let volume = self.volume.take().ok_or_else(|| Error::limit("set: it has no volume"))?;
        let mut manifest = None;
        let done = volume.close(Some(&mut |bytes, root| {
            let made = self.manifest(closing, Some((bytes, root)));
            let tail = tail(closing, &self.seal, &made)?;
            manifest = Some(made);
            Ok(tail)
        }))?;
        self.take_done(done)?;
        manifest.ok_or_else(|| Error::limit("set: it has no manifest"))
    }
}
