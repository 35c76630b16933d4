//! [`Files`]: which files a tar has, and where their contents begin: by reading headers alone.
//!
//! **Invariants.** It follows a tar as far as the chunker does; from the first header on that cannot be followed, nothing more
//! is found. Memory is bounded by the metadata of one entry.
//!
//! *Not here:* chunks (`chunker`). What is found here is a hint: nothing depends on it but how small a delta is.

use super::MAX_METADATA;
use super::header::{self, BLOCK_BYTES, Kind};
use super::pax::Records;
use crate::codec::length;
use crate::digest::Digest;

/// A file of a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// What stands for its path.
    pub name: u64,
    /// Where in the tar its content begins.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Finds the files of a tar while it streams by, or is read here and there.
pub struct Files {
    at: u64,
    state: State,
    held: Vec<u8>,
    name: Option<u64>,
    size: Option<u64>,
    metadata_bytes: u64,
}

enum State {
    Header,
    /// A metadata body with its padding: what it is, and how long.
    Metadata(Kind, u64),
    /// Bytes that say nothing.
    Idle(u64),
}

impl Default for Files {
    fn default() -> Self {
        Self { at: 0, state: State::Header, held: Vec::new(), name: None, size: None, metadata_bytes: 0 }
    }
}

impl Files {
    /// How many of the next bytes say nothing: [`Files::skip`] takes them unseen.
    #[must_use]
    pub fn idle_bytes(&self) -> u64 {
        if let State::Idle(left) = self.state { left } else { 0 }
    }

    /// How many of the bytes after them are looked at next.
    #[must_use]
    pub fn wanted_bytes(&self) -> u64 {
        let whole = match self.state {
            State::Header | State::Idle(_) => length(&[0; BLOCK_BYTES]),
            State::Metadata(_, size) => size.saturating_add(header::padding(size)),
        };
        whole.saturating_sub(length(&self.held))
    }

    /// Passes over bytes, at most those that are idle.
    pub fn skip(&mut self, count: u64) {
        self.at = self.at.saturating_add(count);
        if let State::Idle(left) = &mut self.state {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.state = State::Header;
            }
        }
    }

    /// Takes the next bytes; `found` is told each file whose content comes next.
    pub fn push(&mut self, bytes: &[u8], found: &mut impl FnMut(File)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let idle = usize::try_from(self.idle_bytes()).unwrap_or(usize::MAX);
            let wanted = if idle > 0 { idle } else { usize::try_from(self.wanted_bytes()).unwrap_or(usize::MAX) };
            let (now, after) = rest.split_at(wanted.min(rest.len()));
            if idle > 0 {
                self.skip(length(now));
            } else {
                self.at = self.at.saturating_add(length(now));
                self.held.extend_from_slice(now);
                if self.wanted_bytes() == 0 {
                    self.look(found);
                }
            }
            rest = after;
        }
    }

    /// Looks at what is whole now.
    fn look(&mut self, found: &mut impl FnMut(File)) {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Header) {
            State::Metadata(kind, size) => self.take_metadata(kind, size, &held),
            State::Header | State::Idle(_) => self.take_header(&held, found),
        }
    }

    fn take_header(&mut self, held: &[u8], found: &mut impl FnMut(File)) {
        let Some(block) = held.first_chunk().filter(|block| !header::is_zero(*block)) else { return self.end_entry() };
        match header::read(block) {
            Some((Kind::Bare, _)) => self.end_entry(),
            Some((Kind::Data, size)) => {
                let bytes = self.size.unwrap_or(size);
                let name = self.name.unwrap_or_else(|| named(&header::name(block)));
                if bytes > 0 {
                    found(File { name, offset: self.at, bytes });
                    self.state = State::Idle(bytes.saturating_add(header::padding(bytes)));
                }
                self.end_entry();
            }
            Some((kind @ (Kind::Pax { .. } | Kind::LongName), size)) => {
                self.metadata_bytes = self.metadata_bytes.saturating_add(size);
                self.state = match (self.metadata_bytes > MAX_METADATA, size) {
                    (true, _) => State::Idle(u64::MAX),
                    (false, 0) => State::Header,
                    (false, _) => State::Metadata(kind, size),
                };
            }
            None => self.state = State::Idle(u64::MAX),
        }
    }

    fn take_metadata(&mut self, kind: Kind, size: u64, held: &[u8]) {
        let Kind::Pax { global } = kind else {
            // The name of a link's target is taken for that of the link, which has no content.
            self.name = Some(named(held.split(|&byte| byte == 0).next().unwrap_or_default()));
            return;
        };
        let mut records = Records::new(size, global);
        records.push(held);
        self.name = records.path().filter(|_| !global).map(named).or(self.name);
        match records.size() {
            Ok(size) => self.size = size.or(self.size),
            Err(_) => self.state = State::Idle(u64::MAX),
        }
    }

    fn end_entry(&mut self) {
        (self.name, self.size, self.metadata_bytes) = (None, None, 0);
    }
}

/// What stands for a path, however it begins.
fn named(path: &[u8]) -> u64 {
    let path = path.strip_prefix(b"./").or(path.strip_prefix(b"/")).unwrap_or(path);
    Digest::of(path).bytes().first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Pushes a tar in some way.
    type Pushes<'a> = dyn FnMut(&mut Files, &mut dyn FnMut(File)) + 'a;

    fn entry(out: &mut Vec<u8>, flag: u8, name: &[u8], content: &[u8]) {
        let mut block = [0u8; 512];
        block[..name.len()].copy_from_slice(name);
        block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        block[156] = flag;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend(block);
        out.extend(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }

    fn tar() -> Vec<u8> {
        let mut tar = Vec::new();
        entry(&mut tar, b'5', b"etc/", b"");
        entry(&mut tar, b'0', b"./etc/a", &[b'a'; 700]);
        entry(&mut tar, b'L', b"././@LongLink", b"usr/long\0");
        entry(&mut tar, b'0', b"usr/lo", b"content");
        entry(&mut tar, b'x', b"pax", b"17 path=usr/long\n");
        entry(&mut tar, b'0', b"x", b"other");
        entry(&mut tar, b'0', b"empty", b"");
        tar.extend([0; 1024]);
        tar
    }

    fn found(pushes: &mut Pushes<'_>) -> Vec<File> {
        let (mut files, mut all) = (Files::default(), Vec::new());
        pushes(&mut files, &mut |file| all.push(file));
        all
    }

    #[test]
    fn files_are_found_by_name_however_the_tar_is_cut() {
        let tar = tar();
        let whole = found(&mut |files, found| files.push(&tar, &mut |file| found(file)));
        let long = named(b"usr/long");
        assert_eq!(whole.iter().map(|file| (file.name, file.bytes)).collect::<Vec<_>>(), [(named(b"etc/a"), 700), (long, 7), (long, 5)]);
        for file in &whole {
            assert!(tar[file.offset as usize..].starts_with(match file.bytes {
                700 => &[b'a'; 700],
                7 => b"content",
                _ => b"other",
            }));
        }
        for step in [1, 7, 511, 512, 513] {
            assert_eq!(found(&mut |files, found| tar.chunks(step).for_each(|push| files.push(push, &mut |file| found(file)))), whole);
        }
    }

    #[test]
    fn contents_need_not_be_read() {
        let tar = tar();
        let whole = found(&mut |files, found| files.push(&tar, &mut |file| found(file)));
        let mut read = 0;
        let skipping = found(&mut |files, found| {
            let mut at = 0;
            while at < tar.len() {
                let idle = files.idle_bytes();
                files.skip(idle);
                at += idle as usize;
                let wanted = files.wanted_bytes() as usize;
                files.push(&tar[at..(at + wanted).min(tar.len())], &mut |file| found(file));
                (at, read) = (at + wanted, read + wanted);
            }
        });
        assert_eq!(skipping, whole);
        assert!(read < tar.len() - 2000, "{read} of {}", tar.len());
    }

    #[test]
    fn what_is_no_tar_has_no_files() {
        let noise: Vec<u8> = (0..5000u32).map(|n| (n * n) as u8).collect();
        assert_eq!(found(&mut |files, found| files.push(&noise, &mut |file| found(file))), []);
    }
}
