//! [`Output`]: the thread that writes a volume's file, hashes it, and notes in the journal how far it is.
//!
//! **Invariants.** Bytes reach the file in the order given, and a mark reaches the journal after the bytes that it
//! speaks of. Every 64 MiB, data and journal are made durable while writing goes on; no more than three times that
//! is ever not durable.
//!
//! *Not here:* what the bytes are (`volume`), what a mark says (`journal`).

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::journal::{Entry, Journal};
use crate::codec::length;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::idle::Idle;

const SYNC_BYTES: u64 = 64 << 20;
/// Packs that may wait to be written: it bounds memory.
const QUEUE: usize = 2;
/// Buffers from this size on are used again.
const MIN_IDLE_BYTES: usize = 64 << 10;

enum Command {
    Write(Vec<Arc<Vec<u8>>>),
    Mark(Entry),
    Then(Box<dyn FnOnce() + Send>),
}

/// A file that grows at its end.
pub(super) struct Output {
    path: PathBuf,
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<Result<Digest>>>,
}

impl Output {
    /// Writes to `path`, of which the first `keep_bytes` are there already.
    pub(super) fn open(path: &Path, keep_bytes: u64, journal: Arc<Journal>, idle: Arc<Idle>) -> Result<Self> {
        let at = |error: &std::io::Error| Error::io(path, error);
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(|error| at(&error))?;
        file.set_len(keep_bytes).map_err(|error| at(&error))?;
        let (commands, queue) = sync_channel(QUEUE);
        let syncer = Syncer::start(path, file.try_clone().map_err(|error| at(&error))?, Arc::clone(&journal));
        let mut worker = Worker { path: path.to_owned(), file, hasher: Hasher::sha256(), end: 0, asked: 0, journal, idle };
        let thread = std::thread::spawn(move || worker.take_in(keep_bytes).and_then(|()| worker.run(&queue, syncer)));
        Ok(Self { path: path.to_owned(), commands: Some(commands), thread: Some(thread) })
    }

    /// Appends these bytes.
    pub(super) fn write(&mut self, parts: Vec<Arc<Vec<u8>>>) -> Result<()> {
        self.send(Command::Write(parts))
    }

    /// Notes an entry, once everything before it is in the file.
    pub(super) fn mark(&mut self, entry: Entry) -> Result<()> {
        self.send(Command::Mark(entry))
    }

    /// Does this, once everything before it is in the file.
    pub(super) fn then(&mut self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.send(Command::Then(work))
    }

    /// Makes everything durable; says the SHA-256 of the file.
    pub(super) fn finish(mut self) -> Result<Digest> {
        self.commands = None;
        self.join()
    }

    fn send(&mut self, command: Command) -> Result<()> {
        let sent = self.commands.as_ref().is_some_and(|commands| commands.send(command).is_ok());
        if sent { Ok(()) } else { self.join().and(Err(Error::limit("the file is closed already").in_file(&self.path))) }
    }

    fn join(&mut self) -> Result<Digest> {
        let gone = || Error::limit("the thread that writes has ended").in_file(&self.path);
        self.thread.take().ok_or_else(gone)?.join().map_err(|_| gone())?
    }
}

impl Drop for Output {
    /// Waits for the thread, so that nobody opens a file that still grows.
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A run that stops here has its reason already; what the thread says adds nothing.
            let _ = thread.join();
        }
    }
}

struct Worker {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    end: u64,
    /// Up to where the file is durable, or was asked to be.
    asked: u64,
    journal: Arc<Journal>,
    /// Where buffers go that are in the file.
    idle: Arc<Idle>,
}

impl Worker {
    /// Hashes what is in the file already.
    fn take_in(&mut self, bytes: u64) -> Result<()> {
        let mut buffer = vec![0u8; 1 << 20];
        let mut rest = (&self.file).take(bytes);
        loop {
            let count = rest.read(&mut buffer).map_err(|error| Error::io(&self.path, &error))?;
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
            self.hasher.update(read);
        }
        (self.end, self.asked) = (bytes, bytes);
        self.file.seek(SeekFrom::Start(bytes)).map(drop).map_err(|error| Error::io(&self.path, &error))
    }

    fn run(&mut self, queue: &Receiver<Command>, mut syncer: Syncer) -> Result<Digest> {
        for command in queue {
            match command {
                Command::Write(parts) => parts.into_iter().try_for_each(|part| self.append(part))?,
                Command::Mark(entry) => self.mark(&entry, &mut syncer)?,
                Command::Then(work) => work(),
            }
        }
        syncer.end()?;
        self.file.sync_all().map_err(|error| Error::io(&self.path, &error))?;
        // The file gets its name next. Then it counts as it is, and with it what was noted of it: no note may be lost any more.
        self.journal.sync()?;
        Ok(self.hasher.clone().finish())
    }

    fn append(&mut self, part: Arc<Vec<u8>>) -> Result<()> {
        self.file.write_all(&part).map_err(|error| Error::io(&self.path, &error))?;
        self.hasher.update(&part);
        self.end = self.end.saturating_add(length(&part));
        // What others still read is not used again.
        if let Some(buffer) = Arc::into_inner(part).filter(|buffer| buffer.len() >= MIN_IDLE_BYTES) {
            self.idle.give(buffer);
        }
        Ok(())
    }

    fn mark(&mut self, entry: &Entry, syncer: &mut Syncer) -> Result<()> {
        self.journal.append(entry)?;
        if self.end.saturating_sub(self.asked) >= SYNC_BYTES {
            syncer.ask(self.end)?;
            self.asked = self.end;
        }
        Ok(())
    }
}

/// The thread that makes a file durable, so that hashing and writing need not wait for the disk.
struct Syncer {
    ends: Option<SyncSender<u64>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Syncer {
    fn start(path: &Path, file: File, journal: Arc<Journal>) -> Self {
        let path = path.to_owned();
        let (ends, queue) = sync_channel::<u64>(1);
        let thread = std::thread::spawn(move || {
            for end in queue {
                file.sync_data().map_err(|error| Error::io(&path, &error))?;
                journal.append(&Entry::Synced { end })?;
                journal.sync()?;
            }
            Ok(())
        });
        Self { ends: Some(ends), thread: Some(thread) }
    }

    /// Asks for the file to be durable up to `end`; waits where the disk is too far behind.
    fn ask(&mut self, end: u64) -> Result<()> {
        let asked = self.ends.as_ref().is_some_and(|ends| ends.send(end).is_ok());
        if asked { Ok(()) } else { self.end() }
    }

    /// Waits until everything that was asked for is done.
    fn end(&mut self) -> Result<()> {
        self.ends = None;
        let ended = |_| Error::limit("the thread that makes a file durable has ended");
        self.thread.take().map_or(Ok(()), |thread| thread.join().map_err(ended)?)
    }
}

impl Drop for Syncer {
    /// Waits for the thread, so that no note of a file is made when the file is in other hands.
    fn drop(&mut self) {
        // A run that stops here has its reason already.
        let _ = self.end();
    }
}
