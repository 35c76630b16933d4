//! [`trace`]: what a program asks of the file system, as strace saw it.
//!
//! **Invariants.** Calls that are not understood and touch the folder are a failure of the test, not passed over.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::disk::Op;

const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,syncfs,sync_file_range,rename,renameat,renameat2,\
                     ftruncate,truncate,fallocate,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,copy_file_range,sendfile,splice,lseek,\
                     dup,dup2,dup3,fcntl,close";

/// An open file: which, and where it is written to next.
#[derive(Debug)]
struct Handle {
    path: PathBuf,
    inode: Option<usize>,
    at: u64,
    appends: bool,
}

struct Reading<'f> {
    folder: &'f Path,
    handles: HashMap<u64, Rc<RefCell<Handle>>>,
    inodes: HashMap<PathBuf, usize>,
    next: usize,
    ops: Vec<Op>,
}

/// Runs a command, and gives what it asked for below `folder`, in order.
pub(crate) fn trace(command: &Command, folder: &Path) -> Vec<Op> {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-xx", "-s", "100000000", "-e", "signal=none", "-e", &format!("trace={}", CALLS.replace(' ', "")), "-o"])
        .arg(log.path());
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        strace.env(name, value.expect("a value"));
    }
    let output = strace.output().expect("strace runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(log.path()).expect("a log");
    let mut reading = Reading { folder, handles: HashMap::new(), inodes: HashMap::new(), next: 0, ops: Vec::new() };
    let mut begun: HashMap<&str, String> = HashMap::new();
    for line in text.lines() {
        let (process, call) = line.split_once(' ').expect("a process");
        let call = call.trim_start();
        if let Some(first) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, first.to_owned());
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|call| call.split_once(" resumed>")) {
            let whole = begun.remove(process).unwrap_or_default() + rest;
            reading.line(&whole);
        } else {
            reading.line(call);
        }
    }
    reading.ops
}

impl Reading<'_> {
    fn line(&mut self, line: &str) {
        let Some((call, result)) = line.rsplit_once(" = ") else { return };
        let Some((name, arguments)) = call.trim_end().strip_suffix(')').and_then(|call| call.split_once('(')) else { return };
        let Some(result) = result.split(' ').next().and_then(|result| result.parse::<u64>().ok()) else { return };
        let arguments: Vec<&str> = arguments.split(", ").collect();
        self.call(name, &arguments, result);
    }

    /// A path below the folder, relative to it.
    fn path(&self, argument: &str) -> Option<PathBuf> {
        let text = String::from_utf8(bytes(argument)).ok()?;
        Path::new(&text).strip_prefix(self.folder).ok().map(Path::to_owned)
    }

    fn call(&mut self, name: &str, arguments: &[&str], result: u64) {
        let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
        let handle = arguments[0].parse::<u64>().ok().and_then(|fd| self.handles.get(&fd).cloned());
        match (name, handle) {
            ("openat", _) => self.open(arguments[1], arguments[2], result),
            ("close", Some(_)) => {
                self.handles.remove(&number(0));
            }
            ("fcntl", Some(handle)) if arguments[1].starts_with("F_DUPFD") => {
                self.handles.insert(result, handle);
            }
            ("fcntl" | "close", _) => {}
            ("lseek", Some(handle)) => handle.borrow_mut().at = result,
            ("write", Some(handle)) => {
                let mut handle = handle.borrow_mut();
                let inode = handle.inode.expect("a file");
                if handle.appends {
                    handle.at = self.end(inode);
                }
                self.ops.push(Op::Write(inode, handle.at, written(arguments[1], result)));
                handle.at += result;
            }
            ("pwrite64", Some(handle)) => {
                self.ops.push(Op::Write(handle.borrow().inode.expect("a file"), number(3), written(arguments[1], result)));
            }
            ("ftruncate", Some(handle)) => self.ops.push(Op::Resize(handle.borrow().inode.expect("a file"), number(1))),
            ("fsync" | "fdatasync", Some(handle)) => {
                let handle = handle.borrow();
                self.ops.push(handle.inode.map_or_else(|| Op::SyncFolder(handle.path.clone()), Op::Sync));
            }
            ("mkdir", _) => self.ops.extend(self.path(arguments[0]).map(Op::Folder)),
            ("unlink", _) => self.remove(arguments[0]),
            ("rename", _) => {
                if let (Some(from), Some(to)) = (self.path(arguments[0]), self.path(arguments[1])) {
                    let inode = self.inodes.remove(&from).expect("a file that was made here");
                    self.inodes.insert(to.clone(), inode);
                    self.ops.push(Op::Rename(from, to));
                }
            }
            (_, None) if arguments.iter().all(|argument| self.path(argument).is_none()) => {}
            (name, _) => panic!("{name}({arguments:?}) is not understood"),
        }
    }

    fn open(&mut self, path: &str, flags: &str, fd: u64) {
        self.handles.remove(&fd);
        let Some(path) = self.path(path) else { return };
        let known = self.inodes.get(&path).copied();
        let inode = match known {
            None if flags.contains("O_CREAT") => {
                self.next += 1;
                self.inodes.insert(path.clone(), self.next);
                self.ops.push(Op::Create(path.clone(), self.next));
                Some(self.next)
            }
            other => other,
        };
        if let (Some(inode), true) = (known, flags.contains("O_TRUNC")) {
            self.ops.push(Op::Resize(inode, 0));
        }
        let handle = Handle { path, inode, at: 0, appends: flags.contains("O_APPEND") };
        self.handles.insert(fd, Rc::new(RefCell::new(handle)));
    }

    fn remove(&mut self, path: &str) {
        if let Some(path) = self.path(path) {
            self.inodes.remove(&path);
            self.ops.push(Op::Remove(path));
        }
    }

    /// Where a file ends after all that was written to it.
    fn end(&self, inode: usize) -> u64 {
        self.ops.iter().fold(0, |end, op| match op {
            Op::Write(to, offset, bytes) if *to == inode => end.max(offset + bytes.len() as u64),
            Op::Resize(of, bytes) if *of == inode => *bytes,
            _ => end,
        })
    }
}

fn written(argument: &str, count: u64) -> Vec<u8> {
    let mut all = bytes(argument);
    assert!(all.len() as u64 >= count, "strace cut what was written");
    all.truncate(usize::try_from(count).expect("small"));
    all
}

/// What stands in a string of `\x61`; nothing where it is none.
fn bytes(argument: &str) -> Vec<u8> {
    let digits = argument.trim_matches('"').split("\\x").skip(1);
    digits.filter_map(|pair| u8::from_str_radix(pair.get(..2)?, 16).ok()).collect()
}
