//! A whole volume as a file: scanned, opened, read and checked.

use std::path::Path;

use ocm_format::check::{self, check};
use ocm_format::digest::Digest;
use ocm_format::layout::Id;
use ocm_format::reader::{Options as ReaderOptions, Reader};
use ocm_format::set::{self, Found, Lineage, Needs};
use ocm_format::writer::{Closing, Fate, Form, Head, NewBlob, Options, SetWriter};

/// Puts the bytes down as the only volume of a directory and does everything that can be done with it. A volume that
/// `check` calls sound gives every blob with its digest.
pub fn volume(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.ocm.tar"), bytes).expect("it is written");
    let found = set::scan(folder.path()).expect("the folder can be read");
    for files in &found.sets {
        let report =
            check(files, &[], check::Options { quick: false, deep: true, threads: 1 }, &mut |_| std::ops::ControlFlow::Continue(()));
        let is_sound = report.is_sound() && files.is_complete();
        let reader = Reader::open([files], ReaderOptions { cache_bytes: 1 << 20, index_cache_bytes: 1 << 20 });
        for (digest, content) in blobs().into_iter().map(|(_, content)| (Digest::of(&content), content)) {
            let read = read(&reader, &digest);
            assert!(read.as_ref().is_none_or(|read| *read == content), "wrong bytes were given for {digest}");
            assert!(!is_sound || read.is_some() || bytes_of_another_set(files), "{digest} is gone and nothing is said");
        }
    }
}

/// Puts the bytes down as a volume and takes out what is left of it. Whatever comes has its digest.
pub fn salvaged(bytes: &[u8]) {
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("x.ocm.tar"), bytes).expect("it is written");
    let found = set::scan(folder.path()).expect("the folder can be read");
    let options = ReaderOptions { cache_bytes: 1 << 20, index_cache_bytes: 1 << 20 };
    let salvaged = ocm_format::salvage::salvage(&found.sets, scratch.path(), options).expect("it is no failure of the disk");
    for content in blobs().into_iter().map(|(_, content)| content) {
        let read = read(&salvaged.reader, &Digest::of(&content));
        assert!(read.is_none_or(|read| read == content), "wrong bytes were given");
    }
}

/// The volumes of a small archive, whole and without their ends.
pub fn cut_volumes() -> Vec<Vec<u8>> {
    let whole = volumes();
    let cut = whole.iter().map(|volume| volume[..volume.len() - 4096].to_vec()).collect::<Vec<_>>();
    [whole, cut].concat()
}

/// The volumes of a small archive.
pub fn volumes() -> Vec<Vec<u8>> {
    with_archive(|found| {
        let paths = found.sets.iter().flat_map(|set| set.volumes.values().map(|volume| volume.path.clone()));
        paths.map(|path| std::fs::read(path).expect("it was just written")).collect()
    })
}

/// Makes a small archive, and lets `look` look at it.
pub fn with_archive<T>(look: impl FnOnce(&Found) -> T) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    look(&set::scan(folder.path()).expect("it was just written"))
}

fn blobs() -> Vec<(Form, Vec<u8>)> {
    vec![
        (Form::Document, br#"{"schemaVersion":2}"#.to_vec()),
        (Form::Packed, (0..3000u32).map(|n| u8::try_from(n * n % 251).expect("below 251")).collect()),
        (Form::Plain, b"the same again and again ".repeat(80)),
        (Form::Tar, crate::structures::layers().concat()),
    ]
}

/// Whether a mutation made a sound set that never had these blobs; only a set with another id may.
fn bytes_of_another_set(files: &set::SetFiles) -> bool {
    files.id() != SET
}

const SET: Id = Id([1; 16]);

fn read(reader: &Reader, digest: &Digest) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut stream = reader.stream(digest).ok()?;
    while let Some(chunk) = stream.next_chunk().ok()? {
        content.extend_from_slice(chunk.as_ref());
    }
    Some(content)
}

fn write(folder: &Path) {
    let head =
        Head { set: SET, lineage: Lineage { id: Id([2; 16]), name: "lab".into() }, generation: 1, time: 1_700_000_000, parent: None };
    let options = Options {
        folder: folder.into(),
        scratch: folder.join(".ocm"),
        cap: 1 << 20,
        frame_bytes: 4096,
        level: 3,
        threads: 1,
        index_bytes: 1 << 20,
        own_version_bytes: None,
        reserve_bytes: 0,
    };
    let mut set = SetWriter::create(head, options, Box::new(|_| Ok(Fate::Kept))).expect("a set");
    for (form, content) in blobs() {
        let blob = NewBlob { digest: Digest::of(&content), bytes: content.len() as u64, form, note: String::new() };
        set.add(blob, &mut content.as_slice()).expect("a blob");
    }
    let closing = Closing {
        items: "[]".parse().expect("canonical"),
        options: "{}".parse().expect("canonical"),
        ancestors: Vec::new(),
        needs: Needs::default(),
        oci_layout: br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        index_json: br#"{"schemaVersion":2,"manifests":[]}"#.to_vec(),
        writer: "fuzz".into(),
        catalogue: None,
        listed: Default::default(),
    };
    set.finish(closing).expect("a finished set");
}
