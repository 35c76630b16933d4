//! [`Disk`]: a file system as far as a power cut is concerned: what was asked of it, and what of that is durable.
//!
//! **Invariants.** What was synced stays. Of what was not, each change of a file may be there, be gone, or be there in part, by sectors; names
//! may be as they are now, or as they were when their directory was synced last. A file that was synced has its name, as Linux file
//! systems have it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const SECTOR: usize = 512;

/// One thing that was asked of the file system.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Folder(PathBuf),
    /// A file that was not there, by number.
    Create(PathBuf, usize),
    Write(usize, u64, Vec<u8>),
    Resize(usize, u64),
    Sync(usize),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// What becomes of changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All are there: only the process ended.
    Kept,
    /// None is.
    Lost,
    /// Each sector of each is there or not.
    Torn,
    /// Each is there or not, in any order.
    Mixed,
}

/// A way in which the power goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) fate: Fate,
    /// Names are those of the last sync of their directory.
    pub(crate) old_names: bool,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    inodes: BTreeMap<usize, Inode>,
    names: BTreeMap<PathBuf, Option<usize>>,
    durable_names: BTreeMap<PathBuf, Option<usize>>,
}

impl Disk {
    pub(crate) fn take(&mut self, op: &Op) {
        match op.clone() {
            Op::Folder(path) => {
                self.names.insert(path, None);
            }
            Op::Create(path, inode) => {
                self.inodes.insert(inode, Inode::default());
                self.names.insert(path, Some(inode));
            }
            Op::Write(inode, offset, bytes) => self.change(inode, Change::Write(usize::try_from(offset).expect("small"), bytes)),
            Op::Resize(inode, bytes) => self.change(inode, Change::Resize(usize::try_from(bytes).expect("small"))),
            Op::Sync(inode) => {
                let found = self.inodes.get_mut(&inode).expect("it is open");
                found.durable = found.pending.drain(..).fold(std::mem::take(&mut found.durable), changed);
                let name = self.names.iter().find(|(_, named)| **named == Some(inode)).map(|(path, _)| path.clone());
                self.durable_names.extend(name.map(|path| (path, Some(inode))));
            }
            Op::SyncFolder(folder) => {
                let below = |path: &Path| path.parent() == Some(&folder);
                self.durable_names.retain(|path, _| !below(path));
                let now = self.names.iter().filter(|(path, _)| below(path)).map(|(path, inode)| (path.clone(), *inode));
                self.durable_names.extend(now);
            }
            Op::Rename(from, to) => {
                let inode = self.names.remove(&from).expect("it is there");
                self.names.insert(to, inode);
            }
            Op::Remove(path) => {
                self.names.remove(&path);
            }
        }
    }

    fn change(&mut self, inode: usize, change: Change) {
        self.inodes.get_mut(&inode).expect("it is open").pending.push(change);
    }

    /// What is found below `folder` after the power was cut.
    pub(crate) fn after(&self, cut: Cut, folder: &Path) {
        let mut random = Random(cut.seed | 1);
        let names = if cut.old_names { &self.durable_names } else { &self.names };
        for (path, inode) in names {
            let path = folder.join(path);
            match inode {
                None => fs::create_dir_all(&path).expect("a folder"),
                Some(inode) => {
                    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
                    fs::write(&path, self.inodes[inode].after(cut.fate, &mut random)).expect("written");
                }
            }
        }
    }
}

impl Inode {
    fn after(&self, fate: Fate, random: &mut Random) -> Vec<u8> {
        let pending = self.pending.iter().cloned();
        match fate {
            Fate::Kept => pending.fold(self.durable.clone(), changed),
            Fate::Lost => self.durable.clone(),
            Fate::Mixed => pending.filter(|_| random.coin()).fold(self.durable.clone(), changed),
            Fate::Torn => pending.fold(self.durable.clone(), |content, change| match change {
                Change::Write(offset, bytes) => {
                    let sectors = bytes.chunks(SECTOR).enumerate().map(|(n, sector)| (offset + n * SECTOR, sector.to_vec()));
                    sectors.filter(|_| random.coin()).fold(content, |content, (at, sector)| changed(content, Change::Write(at, sector)))
                }
                resize @ Change::Resize(_) => changed(content, resize),
            }),
        }
    }
}

fn changed(mut content: Vec<u8>, change: Change) -> Vec<u8> {
    match change {
        Change::Write(offset, bytes) => {
            content.resize(content.len().max(offset + bytes.len()), 0);
            content[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
        Change::Resize(bytes) => content.resize(bytes, 0),
    }
    content
}

struct Random(u64);

impl Random {
    fn coin(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 0x10 != 0
    }
}
