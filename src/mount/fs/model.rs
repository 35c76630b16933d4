//! Random calls on the file system, without a kernel, against a naive model of it: a dictionary of paths.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::sync::{Arc, OnceLock};

use fuser::{FileHandle, FileType, INodeNo};
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::ahead::Ahead;
use super::super::attributes::Effort;
use super::super::lab::{Lab, showing, view};
use super::super::layout::MARKER;
use super::super::pictures::layer_name;
use super::Fs;
use crate::image::inside::Form;
use crate::image::tree::tests::tar;
use crate::image::{Digest, Inside};

/// What is at a path.
#[derive(Debug, Clone, PartialEq)]
enum Thing {
    Folder,
    File(Vec<u8>),
    Link(&'static str),
    /// A file of whose content the model knows nothing but that it stays while it is open.
    Report,
}

/// Everything there is, by path; the root is the empty one.
type World = BTreeMap<String, Thing>;

/// A line of a layer.
#[derive(Debug, Clone)]
enum Line {
    File(&'static str, usize),
    Link(&'static str, &'static str),
    /// Hides what lower layers have.
    Hidden(&'static str),
}

/// The lines of a layer, and whether an archive would have its plain form.
type Layer = (Vec<Line>, bool);

/// What a kernel asks for. A place in the model stands for a path of it.
#[derive(Debug, Clone)]
enum Call {
    Lookup(Index, &'static str),
    Getattr(Index),
    List {
        at: Index,
        from: u64,
        most: usize,
    },
    Readlink(Index),
    Open(Index),
    Read {
        open: Index,
        offset: u64,
        most: u32,
    },
    Release(Index),
    /// Everything of a number that nobody was given.
    Stray(u64),
}

fn lines() -> impl Strategy<Value = Line> {
    let file = prop::sample::select(vec!["a", "b", "d/a", "d/b", "d/e/f", "d/e/.g"]);
    let hidden = prop::sample::select(vec!["a", "d/a", "d/e", "d"]);
    prop_oneof![
        4 => (file.clone(), 0usize..3_000).prop_map(|(path, bytes)| Line::File(path, bytes)),
        1 => (file, prop::sample::select(vec!["a", "../x", "/d/e/f"])).prop_map(|(path, target)| Line::Link(path, target)),
        1 => hidden.prop_map(Line::Hidden),
    ]
}

fn images() -> impl Strategy<Value = Vec<Vec<Layer>>> {
    let layer = (prop::collection::vec(lines(), 0..8), any::<bool>());
    prop::collection::vec(prop::collection::vec(layer, 1..4), 0..4)
}

fn calls() -> impl Strategy<Value = Call> {
    let offset = || prop_oneof![4 => 0u64..5_000, 1 => 0..=i64::MAX as u64];
    prop_oneof![
        2 => (any::<Index>(), prop::sample::select(vec!["a", "..", "rootfs", "sha256", "status", "\u{fc}"])).prop_map(|(at, name)| Call::Lookup(at, name)),
        2 => any::<Index>().prop_map(Call::Getattr),
        3 => (any::<Index>(), prop_oneof![4 => 0u64..12, 1 => any::<u64>()], 0usize..7).prop_map(|(at, from, most)| Call::List { at, from, most }),
        1 => any::<Index>().prop_map(Call::Readlink),
        2 => any::<Index>().prop_map(Call::Open),
        5 => (any::<Index>(), offset(), 0u32..6_000).prop_map(|(open, offset, most)| Call::Read { open, offset, most }),
        1 => any::<Index>().prop_map(Call::Release),
        1 => any::<u64>().prop_map(Call::Stray),
    ]
}

fn content(bytes: usize) -> String {
    "0123456789abcde".chars().cycle().take(bytes).collect()
}

/// A layer as lines of the tar that tests write. Every one has the directories that any path needs.
fn text(lines: &[Line]) -> String {
    let line = |line: &Line| match line {
        Line::File(path, bytes) => format!("f {path} {}\n", content(*bytes)),
        Line::Link(path, target) => format!("s {path} {target}\n"),
        Line::Hidden(path) => match path.rsplit_once('/') {
            Some((folder, name)) => format!("f {folder}/.wh.{name}\n"),
            None => format!("f .wh.{path}\n"),
        },
    };
    format!("d d\nd d/e\n{}", lines.iter().map(line).collect::<String>())
}

/// What layers make together: hidden is what lower ones have, and of one path the last one counts.
fn unpacked(layers: &[Layer]) -> World {
    let mut world = World::new();
    for (lines, _) in layers {
        for line in lines {
            if let Line::Hidden(hidden) = line {
                let below = format!("{hidden}/");
                world.retain(|path, _| path != hidden && !path.starts_with(&below));
            }
        }
        world.extend(["", "d", "d/e"].map(|folder| (folder.to_owned(), Thing::Folder)));
        world.extend(lines.iter().filter_map(|line| match line {
            Line::File(path, bytes) => Some(((*path).to_owned(), Thing::File(content(*bytes).into_bytes()))),
            Line::Link(path, target) => Some(((*path).to_owned(), Thing::Link(target))),
            Line::Hidden(_) => None,
        }));
    }
    world
}

/// Puts something at a path, and directories above it.
fn put(world: &mut World, path: &str, thing: Thing) {
    for (at, _) in path.match_indices('/') {
        world.insert(path[..at].to_owned(), Thing::Folder);
    }
    world.insert(path.to_owned(), thing);
}

/// Puts the directory of an image, and the image into the lab.
fn put_image(world: &mut World, lab: &mut Lab, name: &str, layers: &[Layer]) {
    let home = format!("images/quay.io/{name}/1");
    let mut listed = Vec::new();
    for (number, (lines, is_known)) in layers.iter().enumerate() {
        let text = text(lines);
        let layer = if *is_known { lab.layer(&text) } else { lab.unknown_layer(&text) };
        put(world, &format!("{home}/layers/{}", layer_name(number, &layer)), Thing::File(tar(&text)));
        listed.push(layer);
    }
    let image = lab.image(&listed);
    lab.tag(&format!("quay.io/{name}:1"), &image);
    put(world, &format!("{home}/manifest.json"), Thing::File(whole(lab, &image.digest)));
    put(world, &format!("{home}/config.json"), Thing::File(b"{}".to_vec()));
    for (path, thing) in unpacked(layers) {
        put(world, format!("{home}/rootfs/{path}").trim_end_matches('/'), thing);
    }
}

fn whole(lab: &Lab, digest: &Digest) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match lab.read(digest, Form::Stored, all.len() as u64, u64::MAX).expect("a blob") {
            part if part.is_empty() => return all,
            part => all.extend_from_slice(&part),
        }
    }
}

/// An open file: its path, its handle, and what is in it.
struct Open {
    path: String,
    handle: FileHandle,
    content: Vec<u8>,
}

/// The file system beside its model.
struct Trial {
    fs: Fs,
    world: World,
    paths: Vec<String>,
    /// What was found at paths so far: it stays.
    numbers: HashMap<String, u64>,
    orders: HashMap<String, Vec<String>>,
    open: Vec<Open>,
}

impl Trial {
    fn new(images: &[Vec<Layer>]) -> Self {
        let (mut lab, mut world) = (Lab::default(), World::from([(String::new(), Thing::Folder)]));
        for (layers, name) in images.iter().zip(["app", "team/app", "team/tools", "x"]) {
            put_image(&mut world, &mut lab, name, layers);
        }
        for folder in ["images", "blobs/sha256"] {
            put(&mut world, folder, Thing::Folder);
        }
        for (digest, _) in lab.blobs().expect("a list") {
            put(&mut world, &format!("blobs/sha256/{}", digest.hex()), Thing::File(whole(&lab, &digest)));
        }
        put(&mut world, "oci-layout", Thing::File(MARKER.to_vec()));
        put(&mut world, ".ocm/lab.g0001.json", Thing::File(b"{}".to_vec()));
        ["index.json", ".ocm/status", ".ocm/status.json"].iter().for_each(|report| put(&mut world, report, Thing::Report));
        let (_, view, _) = view(lab, showing());
        let view = Arc::new(view);
        let ahead = Ahead::start(&view, &Arc::new(OnceLock::new()), false).expect("threads");
        let paths = world.keys().cloned().collect();
        Self { fs: Fs::new(view, ahead), world, paths, numbers: HashMap::new(), orders: HashMap::new(), open: Vec::new() }
    }

    fn path(&self, at: Index) -> String {
        at.get(&self.paths).clone()
    }

    /// The number of what is at a path, from the root on.
    fn number(&mut self, path: &str) -> INodeNo {
        let step = |number, name| self.fs.find(INodeNo(number), OsStr::new(name)).expect(path).attr.ino.0;
        let number = path.split('/').filter(|name| !name.is_empty()).fold(1, step);
        assert_eq!(*self.numbers.entry(path.to_owned()).or_insert(number), number, "{path} has another number");
        INodeNo(number)
    }

    fn call(&mut self, call: &Call) {
        match *call {
            Call::Lookup(at, name) => self.lookup(&self.path(at), name),
            Call::Getattr(at) => self.getattr(&self.path(at)),
            Call::List { at, from, most } => self.list(&self.path(at), from, most),
            Call::Readlink(at) => self.readlink(&self.path(at)),
            Call::Open(at) => self.open(self.path(at)),
            Call::Read { open, offset, most } if !self.open.is_empty() => self.read(open.index(self.open.len()), offset, most),
            Call::Release(open) if !self.open.is_empty() => self.release(open.index(self.open.len())),
            Call::Read { .. } | Call::Release(_) => {}
            Call::Stray(number) => self.stray(INodeNo(number)),
        }
    }

    fn lookup(&mut self, path: &str, name: &str) {
        let number = self.number(path);
        let child = format!("{path}/{name}");
        let is_there = self.world.contains_key(child.trim_start_matches('/'));
        let found = self.fs.find(number, OsStr::new(name));
        assert_eq!(found.as_ref().err().map(|errno| errno.code()), (!is_there).then_some(libc::ENOENT), "{child}");
    }

    fn getattr(&mut self, path: &str) {
        let number = self.number(path);
        let attr = self.fs.attributes(number.0, Effort::Asked).expect(path).attr;
        let (kind, bytes) = match &self.world[path] {
            Thing::Folder => (FileType::Directory, None),
            Thing::File(content) => (FileType::RegularFile, Some(content.len() as u64)),
            Thing::Link(target) => (FileType::Symlink, Some(target.len() as u64)),
            Thing::Report => (FileType::RegularFile, None),
        };
        assert_eq!((attr.ino, attr.kind, attr.perm & 0o222), (number, kind, attr.perm & 0o222), "{path}");
        assert!(bytes.is_none_or(|bytes| bytes == attr.size), "{path}: {} bytes", attr.size);
    }

    /// The names in a directory that the model has.
    fn children(&self, path: &str) -> BTreeSet<String> {
        let above = if path.is_empty() { String::new() } else { format!("{path}/") };
        let below = self.paths.iter().filter_map(|other| other.strip_prefix(&above));
        below.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned).collect()
    }

    /// Entries with the places after them, at most so many, as a kernel with a small buffer gets them.
    fn listed(&self, number: INodeNo, from: u64, most: usize) -> Vec<(u64, String, u64)> {
        let mut all = Vec::new();
        let add = |next, name: &OsStr, number: super::Number| {
            if all.len() == most {
                return true;
            }
            all.push((next, name.to_string_lossy().into_owned(), number.to_u64()));
            false
        };
        self.fs.list(number, from, add).expect("a directory");
        all
    }

    fn list(&mut self, path: &str, from: u64, most: usize) {
        let number = self.number(path);
        if self.world[path] != Thing::Folder {
            assert!(self.fs.list(number, from, |_, _, _| false).is_err(), "{path} is no directory");
            return;
        }
        if !self.orders.contains_key(path) {
            let names: Vec<String> = self.listed(number, 0, usize::MAX).into_iter().map(|(_, name, _)| name).collect();
            assert_eq!(names[..2], [".", ".."], "{path}");
            assert_eq!(names[2..].iter().cloned().collect::<BTreeSet<_>>(), self.children(path), "{path}");
            assert_eq!(names.len(), self.children(path).len() + 2, "{path} has a name twice");
            self.orders.insert(path.to_owned(), names);
        }
        let order = self.orders[path].clone();
        let first = usize::try_from(from).unwrap_or(usize::MAX).min(order.len());
        let mut wanted = Vec::new();
        for (at, name) in order.into_iter().enumerate().skip(first).take(most) {
            let number = if at < 2 { number } else { self.number(format!("{path}/{name}").trim_start_matches('/')) };
            wanted.push((at as u64 + 1, name, number.0));
        }
        assert_eq!(self.listed(number, from, most), wanted, "{path} from {from}");
    }

    fn readlink(&mut self, path: &str) {
        let number = self.number(path);
        let target = self.fs.target(number);
        match &self.world[path] {
            Thing::Link(wanted) => assert_eq!(target.expect(path), wanted.as_bytes()),
            _ => assert!(target.is_err(), "{path} is no link"),
        }
    }

    fn open(&mut self, path: String) {
        let content = match &self.world[&path] {
            Thing::File(content) => Some(content.clone()),
            Thing::Report => None,
            Thing::Folder | Thing::Link(_) => return,
        };
        let number = self.number(&path);
        let handle = FileHandle(self.fs.open_file(number).expect(&path).0);
        let as_it_is = || self.fs.read_file(number, handle, 0, u32::MAX).expect(&path).0.to_vec();
        let content = content.unwrap_or_else(as_it_is);
        self.open.push(Open { path, handle, content });
    }

    fn read(&mut self, open: usize, offset: u64, most: u32) {
        let number = self.number(&self.open[open].path.clone());
        let Open { path, handle, content } = &self.open[open];
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let wanted = &content[start..content.len().min(start + most as usize)];
        let (bytes, _) = self.fs.read_file(number, *handle, offset, most).expect(path);
        // One byte less would be the end of the file to a program.
        assert!(bytes == wanted, "{path} at {offset}: {} bytes, not {}", bytes.len(), wanted.len());
    }

    fn release(&mut self, open: usize) {
        self.fs.close_file(self.open.swap_remove(open).handle);
    }

    /// Whatever the answer is, there is one.
    fn stray(&self, number: INodeNo) {
        let _answers = (
            self.fs.attributes(number.0, Effort::Asked).is_ok(),
            self.fs.find(number, OsStr::new("a")).is_ok(),
            self.fs.list(number, 0, |_, _, _| false).is_ok(),
            self.fs.target(number).is_ok(),
            self.fs.read_file(number, FileHandle(0), 7, 100).is_ok(),
        );
    }
}

proptest! {
    #[test]
    fn whatever_a_kernel_asks_in_whatever_order_is_answered_as_a_dictionary_would(
        images in images(), calls in prop::collection::vec(calls(), 1..150),
    ) {
        let mut trial = Trial::new(&images);
        calls.iter().for_each(|call| trial.call(call));
        while !trial.open.is_empty() {
            trial.release(0);
        }
        assert!(super::held(&trial.fs.reports).is_empty(), "what was closed is let go");
    }
}
