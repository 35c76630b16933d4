//! [`Entries`]: what a tar lists, and the contents of its files, as it streams by.
//!
//! **Invariants.** The parts depend on the bytes alone, never on how they were split. Memory is bounded by
//! [`MAX_METADATA`] for one entry. A tar that cannot be followed to its end is an error; nothing here guesses.
//!
//! *Not here:* what an entry means in an image (whiteouts, the order of layers); the holes of sparse files, whose content is what is stored.

use std::collections::BTreeMap;
use std::fmt;

use crate::chunk::MAX_METADATA;
use crate::chunk::header::{self, BLOCK_BYTES, Block};
use crate::chunk::pax::{self, Records};
use crate::codec::length;

/// What the name of an extended attribute begins with in pax records.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// One entry of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path as it is written: it may begin with `./` or `/`, and have `..` in it.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Where in the tar its content begins, or would begin: behind its header.
    pub at: u64,
    /// Permissions: the lower twelve bits of its mode.
    pub mode: u16,
    /// Owner and group.
    pub owner: (u64, u64),
    /// When it was modified: seconds since 1970, and nanoseconds after that.
    pub modified: (i64, u32),
    /// Extended attributes.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file, of so many bytes: these come next.
    File(u64),
    /// A further name of the file at this path of the tar.
    HardLink(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
    /// A character device, by major and minor number.
    CharacterDevice(u64, u64),
    /// A block device, the same.
    BlockDevice(u64, u64),
    /// A fifo.
    Fifo,
}

/// What comes next in a tar.
#[derive(Debug)]
pub enum Part<'a> {
    /// An entry.
    Entry(Entry),
    /// Bytes of the file that was told last.
    Content(&'a [u8]),
}

/// Why a tar cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Where it begins: bytes from the start.
    pub at: u64,
    /// What it is.
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:#x}: {}", self.at, self.why)
    }
}

/// Reads a tar that is fed to it.
#[derive(Default)]
pub struct Entries {
    at: u64,
    state: State,
    held: Vec<u8>,
    next: Next,
    zero: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Header,
    /// The body of a long name, a long link target or pax records, by type flag, of so many bytes.
    Metadata(u8, u64),
    /// Content that is told, and what fills its last block.
    Content(u64, u64),
    /// Bytes that are not told.
    Skip(u64),
    /// After the two blocks of zeros nothing counts.
    End,
}

/// What was told of the next entry before its header.
#[derive(Default)]
struct Next {
    metadata_bytes: u64,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<(i64, u32)>,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Entries {
    /// Takes the next bytes; `take` is told what they are.
    pub fn push<E: From<Malformed>>(&mut self, bytes: &[u8], take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = usize::try_from(self.wanted_bytes()).unwrap_or(usize::MAX).min(rest.len());
            let (now, after) = rest.split_at(most);
            if let State::Content(..) = self.state {
                take(Part::Content(now))?;
            }
            if let Some(entry) = self.step(now)? {
                take(Part::Entry(entry))?;
            }
            self.at = self.at.saturating_add(length(now));
            rest = after;
        }
        Ok(())
    }

    /// Says that the tar ends here.
    pub fn finish(self) -> Result<(), Malformed> {
        let between = matches!(self.state, State::Header) && self.held.is_empty() && self.next.metadata_bytes == 0;
        match self.state {
            State::End => Ok(()),
            _ if between => Ok(()),
            _ => Err(Malformed { at: self.at, why: "it ends in the middle of an entry" }),
        }
    }

    /// How many of the next bytes may be passed over: [`Entries::skip`] takes them unseen, and nothing is told of them.
    #[must_use]
    pub fn idle_bytes(&self) -> u64 {
        match self.state {
            State::Header | State::Metadata(..) => 0,
            State::Content(left, padding) => left.saturating_add(padding),
            State::Skip(left) => left,
            State::End => u64::MAX,
        }
    }

    /// Passes over bytes, at most those that are idle.
    pub fn skip(&mut self, count: u64) {
        self.at = self.at.saturating_add(count);
        if !matches!(self.state, State::End) && count > 0 {
            self.state = skip(self.idle_bytes().saturating_sub(count));
        }
    }

    /// How many bytes are taken at once at the most; never none.
    #[must_use]
    pub fn wanted_bytes(&self) -> u64 {
        match self.state {
            State::Header => length(&[0; BLOCK_BYTES]).saturating_sub(length(&self.held)),
            State::Metadata(_, size) => size.saturating_add(header::padding(size)).saturating_sub(length(&self.held)),
            State::Content(left, _) | State::Skip(left) => left,
            State::End => u64::MAX,
        }
    }

    /// Takes bytes, no more than are wanted.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<Entry>, Malformed> {
        match &mut self.state {
            State::End => {}
            State::Content(left, padding) => {
                *left = left.saturating_sub(length(bytes));
                if *left == 0 {
                    self.state = skip(*padding);
                }
            }
            State::Skip(left) => self.state = skip(left.saturating_sub(length(bytes))),
            State::Header | State::Metadata(..) => {
                self.held.extend_from_slice(bytes);
                if self.wanted_bytes() == 0 {
                    return self.look(self.at.saturating_add(length(bytes)));
                }
            }
        }
        Ok(None)
    }

    /// Looks at what is whole now and ends here.
    fn look(&mut self, end: u64) -> Result<Option<Entry>, Malformed> {
        let held = std::mem::take(&mut self.held);
        let found = match (std::mem::take(&mut self.state), held.first_chunk()) {
            (State::Metadata(flag, size), _) => self.take_metadata(flag, size, &held).map(|()| None),
            (_, Some(block)) => self.take_header(block, end),
            (_, None) => Ok(None),
        };
        found.map_err(|why| Malformed { at: end.saturating_sub(length(&held)), why })
    }

    fn take_header(&mut self, block: &Block, end: u64) -> Result<Option<Entry>, &'static str> {
        if header::is_zero(block) {
            self.state = if self.zero { State::End } else { State::Header };
            self.zero = true;
            return Ok(None);
        }
        if self.zero {
            return Err("an entry follows a block of zeros");
        }
        let (kind, size) = header::read(block).ok_or("this is no header that can be followed")?;
        if matches!(kind, header::Kind::Pax { .. } | header::Kind::LongName) {
            self.next.metadata_bytes = self.next.metadata_bytes.saturating_add(size);
            if self.next.metadata_bytes > MAX_METADATA {
                return Err("an entry has more names and records than are taken");
            }
            self.state = if size == 0 { State::Header } else { State::Metadata(header::flag(block), size) };
            return Ok(None);
        }
        let next = std::mem::take(&mut self.next);
        let size = if kind == header::Kind::Data { next.size.unwrap_or(size) } else { 0 };
        let entry = next.entry(block, size, end)?;
        self.state = match entry.as_ref().map(|entry| &entry.kind) {
            Some(Kind::File(1..)) => State::Content(size, header::padding(size)),
            _ => skip(size.saturating_add(header::padding(size))),
        };
        Ok(entry)
    }

    fn take_metadata(&mut self, flag: u8, size: u64, held: &[u8]) -> Result<(), &'static str> {
        let text = || Some(held.split(|&byte| byte == 0).next().unwrap_or_default().to_vec());
        match flag {
            b'L' => self.next.path = text(),
            b'K' => self.next.link = text(),
            flag => {
                let mut records = Records::new(size, flag == b'g');
                records.push(held);
                let size = records.size().map_err(|_| UNREADABLE)?;
                self.next.size = size.or(self.next.size);
                // Records for all entries that follow are heeded by no one who unpacks layers.
                if flag != b'g' {
                    self.next.apply(&records)?;
                }
            }
        }
        Ok(())
    }
}

const UNREADABLE: &str = "its pax records cannot be read";

/// Passes over so many bytes to the next header.
fn skip(bytes: u64) -> State {
    if bytes == 0 { State::Header } else { State::Skip(bytes) }
}

impl Next {
    fn apply(&mut self, records: &Records) -> Result<(), &'static str> {
        for record in records.each() {
            let (key, value) = record.map_err(|_| UNREADABLE)?;
            let number = || if value.is_empty() { Ok(None) } else { pax::decimal(value).map(Some).ok_or(UNREADABLE) };
            let text = || if value.contains(&0) { Err(UNREADABLE) } else { Ok((!value.is_empty()).then(|| value.to_vec())) };
            match key {
                b"path" | b"GNU.sparse.name" => self.path = text()?,
                b"linkpath" => self.link = text()?,
                b"uid" => self.uid = number()?,
                b"gid" => self.gid = number()?,
                b"mtime" if value.is_empty() => self.modified = None,
                b"mtime" => self.modified = Some(time(value).ok_or(UNREADABLE)?),
                key => {
                    let name = key.strip_prefix(XATTR).map(<[u8]>::to_vec);
                    name.map(|name| self.attributes.insert(name, value.to_vec()));
                }
            }
        }
        Ok(())
    }

    /// The entry that the header before `at` says it all of; none of a kind that is no part of a file system.
    fn entry(self, block: &Block, size: u64, at: u64) -> Result<Option<Entry>, &'static str> {
        let fields = header::fields(block).ok_or("a field of its header is no number")?;
        let path = self.path.unwrap_or_else(|| header::name(block));
        let link = self.link.unwrap_or_else(|| header::link(block).to_vec());
        let (major, minor) = fields.device;
        let kind = match header::flag(block) {
            // The oldest tars have no type for directories.
            0 | b'0' if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File(size),
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' => Kind::CharacterDevice(major, minor),
            b'4' => Kind::BlockDevice(major, minor),
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            _ => return Ok(None),
        };
        Ok(Some(Entry {
            path,
            kind,
            at,
            mode: u16::try_from(fields.mode & 0o7777).unwrap_or_default(),
            owner: (self.uid.unwrap_or(fields.uid), self.gid.unwrap_or(fields.gid)),
            modified: self.modified.unwrap_or((fields.seconds, 0)),
            attributes: self.attributes,
        }))
    }
}

/// A time as pax has it: `1350244992.023960108`, perhaps negative. Digits after the ninth do not count.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(pax::decimal(parts.next()?)?).ok()?;
    let mut fraction = parts.next().unwrap_or_default().to_vec();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    fraction.resize(9, b'0');
    let nanoseconds = u32::try_from(pax::decimal(&fraction)?).ok()?;
    match (negative, nanoseconds) {
        (false, _) => Some((seconds, nanoseconds)),
        (true, 0) => Some((seconds.checked_neg()?, 0)),
        (true, _) => Some((seconds.checked_neg()?.checked_sub(1)?, 1_000_000_000u32.checked_sub(nanoseconds)?)),
    }
}

#[cfg(test)]
mod tests;
