//! Small sets to read.

use std::path::{Path, PathBuf};

use ocm_format::check::{self, Report};
use ocm_format::digest::Digest;
use ocm_format::gzip::{self, Verdict};
use ocm_format::layout::Id;
use ocm_format::reader::{Options as ReaderOptions, Reader};
use ocm_format::set::{Lineage, SetFiles, scan};
use ocm_format::writer::{Closing, Fate, Finished, Form, Head, NewBlob, Options, SetWriter};

pub(crate) use crate::support::noise;
use crate::support::{self, new_blob};

/// A folder with a set, and the blobs that it holds.
pub(crate) struct Made {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) finished: Finished,
    pub(crate) blobs: Vec<(Form, Vec<u8>)>,
}

impl Made {
    /// A set of `blobs` in volumes below `cap`, with frames of at most `frame_bytes`.
    pub(crate) fn new(id: u8, blobs: Vec<(Form, Vec<u8>)>, cap: u64, frame_bytes: u64) -> Self {
        Self::by(id, blobs, cap, frame_bytes, |set, blob, mut content| set.add(blob, &mut content).expect("stored"))
    }

    /// The same, with all blobs stored by their plain form.
    pub(crate) fn replayed(id: u8, blobs: Vec<(Form, Vec<u8>)>, cap: u64, frame_bytes: u64) -> Self {
        Self::by(id, blobs, cap, frame_bytes, |set, blob, content| match gzip::find(&content).expect("memory can be read") {
            Verdict::Replay(plan) => set.add_replayed(blob, &plan, &content).expect("stored"),
            kept => panic!("{kept:?}"),
        })
    }

    fn by(id: u8, blobs: Vec<(Form, Vec<u8>)>, cap: u64, frame_bytes: u64, store: impl Fn(&mut SetWriter, NewBlob, &[u8])) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let lineage = Lineage { id: Id([9; 16]), name: "lab".into() };
        let head = Head { lineage, generation: u32::from(id), ..support::head(id) };
        let options = Options { cap, frame_bytes, threads: 2, ..support::options(folder.path()) };
        let scratch = options.scratch.clone();
        let mut set = SetWriter::create(head, options, Box::new(|_| Ok(Fate::Kept))).expect("a writer");
        for (form, content) in &blobs {
            store(&mut set, NewBlob { note: "a note".into(), ..new_blob(*form, content) }, content);
        }
        let items = r#"[{"name":"a"}]"#.parse().expect("canonical");
        let closing = Closing { items, catalogue: Some(scratch), ..support::closing() };
        let finished = set.finish(closing).expect("finished");
        Self { folder, finished, blobs }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file of volume `number`.
    pub(crate) fn volume(&self, number: usize) -> PathBuf {
        self.finished.volumes[number - 1].0.clone()
    }

    pub(crate) fn digests(&self) -> Vec<Digest> {
        self.blobs.iter().map(|(_, content)| Digest::of(content)).collect()
    }
}

/// Three volumes of at most 64 KiB with every kind of content.
pub(crate) fn mini() -> Made {
    let made = Made::new(1, mini_blobs(), 64 << 10, 16 << 10);
    assert_eq!(made.finished.volumes.len(), 3);
    made
}

pub(crate) fn mini_blobs() -> Vec<(Form, Vec<u8>)> {
    vec![
        (Form::Document, noise(1, 700)),
        (Form::Packed, noise(2, 30_000)),
        (Form::Tar, tar(3)),
        (Form::Document, noise(4, 1_300)),
        (Form::Packed, noise(5, 60_000)),
        (Form::Plain, noise(6, 9_000)),
        (Form::Packed, Vec::new()),
        (Form::Packed, noise(7, 10)),
    ]
}

/// An uncompressed tar of some files; two of them have the same content.
pub(crate) fn tar(seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for file in [1, 2, 1] {
        let content = noise(seed + file, 4_000 * file as usize);
        ocm_format::tar::put_member(&mut out, &format!("file-{file}"), &content, 1_600_000_000 + seed).expect("a member");
    }
    out.extend([0; 1024]);
    out
}

/// The only set in a folder.
pub(crate) fn only_set(folder: &Path) -> SetFiles {
    let mut found = scan(folder).expect("a scan");
    assert_eq!(found.sets.len(), 1, "{found:?}");
    found.sets.remove(0)
}

pub(crate) fn reader(folder: &Path) -> Reader {
    Reader::open([&only_set(folder)], ReaderOptions::default())
}

pub(crate) fn check_set(set: &SetFiles, options: check::Options) -> Report {
    check::check(set, &[], options, &mut |_| std::ops::ControlFlow::Continue(()))
}

pub(crate) const NORMAL: check::Options = check::Options { quick: false, deep: false, threads: 2 };

/// Whether everything is to be tried, however long it takes.
pub(crate) fn nightly() -> bool {
    std::env::var_os("OCM_NIGHTLY").is_some()
}
