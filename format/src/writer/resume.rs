//! Going on with a set that an earlier run did not finish.
//!
//! **Invariants.** Only whole groups are kept, and of those that may not have been durable only the ones whose every byte is
//! what the journal says. What cannot be kept is written again, to the same bytes.
//!
//! *Not here:* what the notes look like (`journal`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::Builder;
use super::history::History;
use super::journal::{Costs, Done, Entry, Journal, Mark};
use super::line::Line;
use super::own::Own;
use super::place::Place;
use super::prefix::most_frames;
use super::volume::{VolumeWriter, partial_of};
use super::{Head, OnVolume, Options, SetWriter, header_of, stem, volume_name};
use crate::chunk::File as FileInTar;
use crate::codec::length;
use crate::delta::{Blob, Earlier, Gathered, Key};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::index::MemberKind;
use crate::layout::{FIXED_BYTES, FOOTER_FROM_END, Footer, FrameHeader, VolumeKind};
use crate::tar;

/// Where blobs of a set can be built on, frames are closed after so many bytes of plain forms, full or not: what waits longer is of no use
/// to the next image, and each time costs up to three frames that are not full.
const CLOSE_BYTES: u64 = 8 << 20;
/// Where frames are small, after so many of them.
const CLOSE_FRAMES: u64 = 8;

/// What the notes of an earlier run say.
#[derive(Default)]
struct Notes {
    done: Vec<Done>,
    handled: BTreeSet<u32>,
    /// Marks of each volume, the last of which may be in the making.
    marks: Vec<(u32, Vec<Mark>)>,
    /// Up to where the file of the last volume is durable.
    durable: u64,
    /// Into which chunks blobs were cut.
    chunks: Vec<(Blob, Vec<(Key, u64)>)>,
    /// Which files blobs hold.
    files: HashMap<Digest, Vec<FileInTar>>,
    /// What it takes to read frames with a prefix.
    costs: Costs,
}

impl Notes {
    fn read(entries: Vec<Entry>) -> Self {
        let mut notes = Self::default();
        for entry in entries {
            match entry {
                Entry::Begin { .. } => {}
                Entry::Volume { number } => {
                    notes.marks.retain(|(there, _)| *there != number);
                    notes.marks.push((number, Vec::new()));
                    notes.durable = 0;
                }
                Entry::Mark(mark) => notes.marks.last_mut().into_iter().for_each(|(_, marks)| marks.push(mark.clone())),
                Entry::Synced { end } => notes.durable = end,
                Entry::Done(done) => notes.done.push(done),
                Entry::Handled { number, .. } => drop(notes.handled.insert(number)),
                Entry::Chunks(blob, chunks) => notes.chunks.push((blob, chunks)),
                Entry::Files(digest, files) => drop(notes.files.entry(digest).or_insert(files)),
                Entry::Costs(costs) => notes.costs.extend(costs),
            }
        }
        notes
    }

    /// Takes the marks of the volume in the making out of the notes.
    fn open_volume(&mut self) -> Option<(u32, Vec<Mark>)> {
        let finished = |number: u32| self.done.iter().any(|done| done.number == number);
        if self.marks.last().is_some_and(|(number, _)| !finished(*number)) { self.marks.pop() } else { None }
    }
}

fn journal_path(head: &Head, options: &Options) -> PathBuf {
    options.scratch.join(format!("{}.journal", stem(head)))
}

/// Whether an earlier run has left notes of this set.
pub(super) fn is_begun(head: &Head, options: &Options) -> bool {
    journal_path(head, options).exists()
}

/// Opens the set: begun anew, or as far as an earlier run came.
pub(super) fn open(head: Head, options: Options, earlier: Arc<Earlier>, on_volume: OnVolume) -> Result<SetWriter> {
    let path = journal_path(&head, &options);
    let (journal, entries) = match Journal::open(&path, head.set)? {
        Some((journal, entries)) => (journal, entries),
        None => (Journal::create(&path, head.set)?, Vec::new()),
    };
    let mut notes = Notes::read(entries);
    let open = notes.open_volume();
    let frame_bytes = frame_bytes(&options);
    let (threads, level) = (options.threads, options.level);
    let gathered = Gathered::new(options.index_bytes);
    let own = own(&head, &options, frame_bytes, &earlier);
    let line = Line::new(head, options, journal, (notes.done, notes.handled), on_volume, own.clone(), Arc::clone(&earlier));
    let most_frames = most_frames(u64::try_from(frame_bytes).unwrap_or(u64::MAX));
    let history = History { earlier: Arc::clone(&earlier), own: own.clone(), most_frames };
    let builder = Builder::new(threads, level, frame_bytes, Arc::clone(&line.idle), history);
    let mut set = SetWriter { builder, line, known: HashSet::new(), blob_bytes: 0, gathered, own, earlier };
    for (number, marks) in &notes.marks {
        set.remember(*number, marks, &notes.costs);
    }
    if !set.line.done.is_empty() {
        // The run may have ended before it wrote them.
        set.line.write_sums()?;
    }
    if let Some((number, marks)) = open {
        set.reopen(number, marks, notes.durable, &notes.costs)?;
    }
    notes.chunks.into_iter().for_each(|(blob, chunks)| set.recall(blob, chunks, &notes.files));
    Ok(set)
}

/// What the set can build on of its own, if it is to.
fn own(head: &Head, options: &Options, frame_bytes: usize, earlier: &Arc<Earlier>) -> Option<Arc<Own>> {
    let close_bytes = CLOSE_BYTES.min(u64::try_from(frame_bytes).unwrap_or(u64::MAX).saturating_mul(CLOSE_FRAMES));
    let stem = options.folder.join(stem(head));
    options.own_version_bytes.map(|memory_bytes| Arc::new(Own::new(memory_bytes, close_bytes, stem, Arc::clone(earlier))))
}

/// Removes what a finished set leaves in the scratch folder: the notes first, because without them nothing is left to be done.
pub(super) fn clean(head: &Head, options: &Options) -> Result<()> {
    let journal = journal_path(head, options);
    std::fs::remove_file(&journal).map_err(|error| Error::io(&journal, &error))?;
    let names = std::fs::read_dir(&options.scratch).map_err(|error| Error::io(&options.scratch, &error))?;
    let stem = stem(head);
    for entry in names {
        let entry = entry.map_err(|error| Error::io(&options.scratch, &error))?;
        if entry.file_name().to_string_lossy().starts_with(&stem) {
            std::fs::remove_file(entry.path()).map_err(|error| Error::io(&entry.path(), &error))?;
        }
    }
    Ok(())
}

/// The plain bytes of a frame: such that even one that does not shrink is at most an eighth of the cap.
fn frame_bytes(options: &Options) -> usize {
    let eighth = options.cap >> 3;
    let most = eighth.saturating_sub(eighth >> 6).saturating_sub(256);
    usize::try_from(options.frame_bytes.min(most).max(1)).unwrap_or(usize::MAX)
}

impl SetWriter {
    /// Takes over what is in volume `number`.
    fn remember(&mut self, number: u32, marks: &[Mark], costs: &Costs) {
        for mark in marks {
            self.own.iter().for_each(|own| own.shelf.remember(number, mark, costs));
            self.line.needs.extend(mark.needs.iter().copied());
            self.line.depth = mark
                .frames
                .iter()
                .filter_map(|row| costs.get(&(number, row.stream_offset)))
                .fold(self.line.depth, |depth, cost| depth.max(cost.depth));
            for (record, _) in &mark.records {
                self.note(record.digest, record.bytes);
            }
            for (key, offset) in &mark.chunks {
                self.builder.remember(*key, Place::Stream { volume: number, offset: *offset });
            }
        }
    }

    /// Takes over what an interrupted run has noted of a blob. One that has no record is added again.
    fn recall(&mut self, blob: Blob, chunks: Vec<(Key, u64)>, files: &HashMap<Digest, Vec<FileInTar>>) {
        if let Some(own) = &self.own {
            let files = files.get(&blob.digest).map(Vec::as_slice).unwrap_or_default();
            own.with(|table| table.add(blob.digest, blob.plain_bytes, chunks.len(), files));
            if self.known.contains(&blob.digest)
                && let Some(spots) = self.builder.spots_of(&chunks, blob.plain_bytes)
            {
                own.with(|table| table.lay(&blob.digest, spots));
            }
        }
        self.gathered.add(blob, chunks);
    }

    /// Goes on with the volume that was in the making.
    fn reopen(&mut self, number: u32, mut marks: Vec<Mark>, durable: u64, costs: &Costs) -> Result<()> {
        let path = self.line.options.folder.join(volume_name(&self.line.head, 'v', number));
        if path.exists() {
            self.remember(number, &marks, costs);
            return adopt(&path, number).and_then(|done| self.line.take_done(done));
        }
        let sound = sound_marks(&partial_of(&path), &marks, durable, self.line.head.time)?;
        if sound < marks.len() {
            // What was noted of the lost groups must not count when the notes are read again.
            self.line.journal.append(&Entry::Volume { number })?;
            marks.truncate(sound);
            marks.iter().try_for_each(|mark| self.line.journal.append(&Entry::Mark(mark.clone())))?;
        }
        let Some(last) = marks.last() else { return Ok(()) };
        let header = header_of(&self.line.head, VolumeKind::Data, number, self.line.options.cap);
        let mut volume = VolumeWriter::at(&path, header, last.end, &self.line.journal, &self.line.idle)?.read_by(self.own.clone());
        volume = volume.leaving(self.line.options.reserve_bytes);
        marks.iter().try_for_each(|mark| volume.apply(mark))?;
        self.remember(number, &marks, costs);
        self.line.volume = Some(volume);
        Ok(())
    }
}

/// A volume that got its name before that was noted.
fn adopt(path: &Path, number: u32) -> Result<Done> {
    let at = |error: &std::io::Error| Error::io(path, error);
    let mut file = File::open(path).map_err(|error| at(&error))?;
    let mut hasher = Hasher::sha256();
    let bytes = std::io::copy(&mut file, &mut hasher).map_err(|error| at(&error))?;
    let mut footer = [0u8; FIXED_BYTES];
    file.read_exact_at(&mut footer, bytes.saturating_sub(FOOTER_FROM_END)).map_err(|error| at(&error))?;
    let root = Footer::decode(&footer).map_err(|error| error.in_file(path))?.root;
    Ok(Done { number, bytes, root, sum: hasher.finish() })
}

/// How many marks the file holds, from the first on. What was not durable yet is checked byte by byte.
fn sound_marks(path: &Path, marks: &[Mark], durable: u64, time: u64) -> Result<usize> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Error::io(path, &error)),
    };
    let end = file.metadata().map_err(|error| Error::io(path, &error))?.len();
    let holds = |mark: &&Mark| mark.end <= end && (mark.end <= durable || is_sound(&file, mark, time));
    Ok(marks.iter().take_while(holds).count())
}

/// Whether the bytes of a group are exactly what its mark says.
fn is_sound(file: &File, mark: &Mark, time: u64) -> bool {
    let mut frames = mark.frames.iter();
    mark.members.iter().all(|member| {
        let Some(bytes) = usize::try_from(tar::member_bytes(member.bytes)).ok().filter(|bytes| *bytes < 64 << 20) else { return false };
        let mut buffer = vec![0u8; bytes];
        if file.read_exact_at(&mut buffer, member.offset).is_err() {
            return false;
        }
        let Some((header, rest)) = buffer.split_at_checked(512) else { return false };
        let Some((content, padding)) = usize::try_from(member.bytes).ok().and_then(|size| rest.split_at_checked(size)) else {
            return false;
        };
        let framed = tar::header(&member.name, member.bytes, time).is_ok_and(|expected| expected == header);
        let holds = match member.kind {
            MemberKind::Pack => is_sound_pack(content, &mut frames),
            _ => Digest::of(content) == member.digest,
        };
        framed && holds && padding.iter().all(|byte| *byte == 0)
    })
}

fn is_sound_pack<'a>(mut content: &[u8], frames: &mut impl Iterator<Item = &'a crate::index::FrameRow>) -> bool {
    while !content.is_empty() {
        let Some(row) = frames.next() else { return false };
        let Ok((header, bytes)) = FrameHeader::decode(content) else { return false };
        let Some(rest) = content.get(bytes..).filter(|_| row.is_of(&header)) else { return false };
        let Some((stored, rest)) = usize::try_from(row.stored_bytes).ok().and_then(|size| rest.split_at_checked(size)) else {
            return false;
        };
        if header.codec.digest(stored) != row.digest || length(stored) == 0 {
            return false;
        }
        content = rest;
    }
    true
}
