//! Sets that take from earlier ones what they can: chunks as runs, older versions as prefixes.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocm_format::catalogue::Records;
use ocm_format::check;
use ocm_format::delta::{Blob, Chunks, Earlier, Older, Versions};
use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::reader::{self, Past, Reader};
use ocm_format::set::{self, Ancestor, ParentSet, SetFiles};
use ocm_format::writer::{Closing, Fate, Finished, Form, Head, Options, SetWriter, chunks_path};

use self::support::{new_blob, noise};

const MEMORY: u64 = 1 << 20;

/// A layer of generation `generation`: most files stay, some change in places, one is new; all times change.
fn layer(name: &str, generation: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for file in 0..12u64 {
        let mut content = noise(file + name.len() as u64 * 100, 20_000 + 9_000 * file as usize);
        if file % 4 == 0 {
            for round in 0..generation {
                for at in (0..content.len()).step_by(5_000) {
                    content[at] = (round + 3 * file) as u8;
                }
            }
        }
        ocm_format::tar::put_member(&mut out, &format!("{name}-{file}"), &content, 1_600_000_000 + generation).expect("a member");
    }
    let new = noise(generation + 7_777, 30_000);
    ocm_format::tar::put_member(&mut out, &format!("{name}-new-{generation}"), &new, 1_600_000_000).expect("a member");
    out.extend([0; 1024]);
    out
}

fn layers(generation: u64) -> Vec<Vec<u8>> {
    ["base", "app", "tools"].iter().map(|name| layer(name, generation)).collect()
}

fn head(generation: u32, parent: Option<&Finished>) -> Head {
    let parent = parent.map(|parent| ParentSet::Set { id: parent.manifest.set, root: parent.root, generation: parent.manifest.generation });
    Head { generation, parent, ..support::head(generation as u8) }
}

fn options(folder: &Path, threads: usize) -> Options {
    Options { cap: 1 << 20, frame_bytes: 256 << 10, threads, ..support::options(folder) }
}

fn closing(folder: &Path, parent: Option<&Finished>, listed: &[Vec<u8>]) -> Closing {
    let own = parent.map(|parent| Ancestor { id: parent.manifest.set, root: parent.root, generation: parent.manifest.generation });
    let before = parent.map(|parent| parent.manifest.ancestors.clone()).unwrap_or_default();
    Closing {
        ancestors: own.into_iter().chain(before).collect(),
        catalogue: Some(folder.join("catalogues")),
        listed: listed.iter().map(|blob| Digest::of(blob)).collect(),
        ..support::closing()
    }
}

fn add(set: &mut SetWriter, blobs: &[Vec<u8>]) {
    for content in blobs {
        set.add(new_blob(Form::Tar, content), &mut content.as_slice()).expect("stored");
    }
}

fn write(folder: &Path, generation: u32, parent: Option<&Finished>, earlier: Earlier, threads: usize) -> Finished {
    let blobs = layers(generation.into());
    let mut set =
        SetWriter::create_after(head(generation, parent), options(folder, threads), Arc::new(earlier), Box::new(|_| Ok(Fate::Kept)))
            .expect("a writer");
    add(&mut set, &blobs);
    set.finish(closing(folder, parent, &blobs)).expect("finished")
}

fn sets(folders: &[&Path]) -> Vec<SetFiles> {
    let mut sets: Vec<SetFiles> = folders.iter().flat_map(|folder| set::scan(folder).expect("a folder").sets).collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.header.generation));
    sets
}

fn reader(folders: &[&Path]) -> Reader {
    Reader::open(&sets(folders), reader::Options::default())
}

fn index(folder: &Path, parent: &Finished) -> Chunks {
    let path = chunks_path(&folder.join("catalogues"), &set::name::stem("lab", parent.manifest.generation, parent.manifest.set));
    Chunks::read(&path, parent.manifest.set, MEMORY).expect("readable").expect("there")
}

fn by_chunks(folder: &Path, parent: &Finished) -> Earlier {
    Earlier { chunks: index(folder, parent), versions: None }
}

fn by_patches(folder: &Path, parent: &Finished) -> Earlier {
    let chunks = index(folder, parent);
    let older: Arc<dyn Older> = Arc::new(Past::new(reader(&[folder])));
    let versions = Versions::of(&chunks, older, MEMORY);
    assert!(versions.unread().is_empty(), "{:?}", versions.unread());
    Earlier { versions: Some(versions), chunks }
}

fn bytes(made: &Finished) -> u64 {
    made.volumes.iter().map(|(_, done)| done.bytes).sum()
}

fn comes_back(reader: &Reader, generation: u32) {
    for content in layers(generation.into()) {
        let mut read = Vec::new();
        let mut stream = reader.stream(&Digest::of(&content)).expect("a blob");
        while let Some(chunk) = stream.next_chunk().expect("content") {
            read.extend_from_slice(&chunk);
        }
        assert!(read == content);
    }
}

fn sound(folder: &Path) {
    let all = sets(&[folder]);
    for (place, set) in all.iter().enumerate() {
        let parents: Vec<&SetFiles> = all[place + 1..].iter().collect();
        let normal = check::Options { quick: false, deep: true, threads: 2 };
        let report = check::check(set, &parents, normal, &mut |_| std::ops::ControlFlow::Continue(()));
        assert!(report.is_sound(), "{:?}", report.damage);
    }
}

#[test]
fn each_depth_is_smaller_than_the_one_before_and_all_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(folder.path(), 1, None, Earlier::default(), 2);
    let depths = [("blob", Earlier::default()), ("chunk", by_chunks(folder.path(), &base)), ("patch", by_patches(folder.path(), &base))];
    let mut sizes = BTreeMap::new();
    for (depth, earlier) in depths {
        let beside = tempfile::tempdir().expect("a folder");
        let made = write(beside.path(), 2, Some(&base), earlier, 2);
        sizes.insert(depth, bytes(&made));
        comes_back(&reader(&[beside.path(), folder.path()]), 2);
        comes_back(&reader(&[beside.path(), folder.path()]), 1);
        let packs = std::process::Command::new("tar").arg("tf").arg(&made.volumes[0].0).output().expect("tar");
        let has_patches = String::from_utf8_lossy(&packs.stdout).contains(".pzst");
        assert_eq!(has_patches, depth == "patch", "{depth}");
    }
    assert!(sizes["chunk"] * 2 < sizes["blob"] && sizes["patch"] * 3 < sizes["chunk"] * 2, "{sizes:?}");
}

#[test]
fn a_chain_of_patches_stays_readable_and_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut last = write(folder.path(), 1, None, Earlier::default(), 2);
    for generation in 2..=9 {
        let earlier = by_patches(folder.path(), &last);
        last = write(folder.path(), generation, Some(&last), earlier, 2);
        comes_back(&reader(&[folder.path()]), generation);
    }
    sound(folder.path());
}

#[test]
fn without_the_parent_the_content_is_missing_not_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(folder.path(), 1, None, Earlier::default(), 2);
    for earlier in [by_chunks(folder.path(), &base), by_patches(folder.path(), &base)] {
        let alone = tempfile::tempdir().expect("a folder");
        write(alone.path(), 2, Some(&base), earlier, 2);
        let reader = reader(&[alone.path()]);
        let error = reader.stream(&Digest::of(&layers(2)[0])).expect("a record").next_chunk().map(drop);
        let error = error.and_then(|()| {
            let mut stream = reader.stream(&Digest::of(&layers(2)[0]))?;
            while stream.next_chunk()?.is_some() {}
            Ok(())
        });
        assert_eq!(error.expect_err("the parent is elsewhere").kind(), Kind::Missing);
    }
}

#[test]
fn the_number_of_threads_and_an_interruption_change_no_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(folder.path(), 1, None, Earlier::default(), 2);
    let files = |made: &Finished| made.volumes.iter().map(|(path, _)| std::fs::read(path).expect("a volume")).collect::<Vec<_>>();
    let whole = tempfile::tempdir().expect("a folder");
    let expected = write(whole.path(), 2, Some(&base), by_patches(folder.path(), &base), 1);
    let index_of = |folder: &Path, made: &Finished| index(folder, made);
    for stop_after in 0..=layers(2).len() {
        let cut = tempfile::tempdir().expect("a folder");
        let earlier = Arc::new(by_patches(folder.path(), &base));
        let begin = || {
            SetWriter::create_after(head(2, Some(&base)), options(cut.path(), 8), Arc::clone(&earlier), Box::new(|_| Ok(Fate::Kept)))
                .expect("a writer")
        };
        let mut first = begin();
        add(&mut first, &layers(2)[..stop_after]);
        drop(first);
        let mut second = begin();
        add(&mut second, &layers(2));
        let made = second.finish(closing(cut.path(), Some(&base), &layers(2))).expect("finished");
        assert!(files(&made) == files(&expected), "after {stop_after}");
        assert!(index_of(cut.path(), &made) == index_of(whole.path(), &expected));
    }
}

#[test]
fn an_index_that_is_made_again_from_the_data_is_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(folder.path(), 1, None, Earlier::default(), 2);
    let blobs =
        layers(1).into_iter().map(|layer| Blob { digest: Digest::of(&layer), bytes: layer.len() as u64, plain_bytes: layer.len() as u64 });
    let (again, unread) = Chunks::of(blobs, &Past::new(reader(&[folder.path()])), MEMORY);
    assert!(unread.is_empty(), "{unread:?}");
    assert!(again == index(folder.path(), &base));
}

#[test]
fn a_blob_that_stays_is_found_through_the_next_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(folder.path(), 1, None, Earlier::default(), 2);
    // Generation 2 has no new blob: it lists those of the base.
    let set = SetWriter::create_after(
        head(2, Some(&base)),
        options(folder.path(), 2),
        Arc::new(by_chunks(folder.path(), &base)),
        Box::new(|_| Ok(Fate::Kept)),
    );
    let listed: Vec<Vec<u8>> = layers(1)[..2].to_vec();
    let second = set.expect("a writer").finish(closing(folder.path(), Some(&base), &listed)).expect("finished");
    let index = index(folder.path(), &second);
    let digests: Vec<Digest> = index.blobs().iter().map(|blob| blob.digest).collect();
    assert_eq!(digests, listed.iter().map(|blob| Digest::of(blob)).collect::<Vec<_>>());
    assert!(!index.is_empty());
}

#[test]
fn what_a_set_needs_of_earlier_ones_is_told_before_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(folder.path(), 1, None, Earlier::default(), 2);
    let mut set = SetWriter::create_after(
        head(2, Some(&base)),
        options(folder.path(), 2),
        Arc::new(by_patches(folder.path(), &base)),
        Box::new(|_| Ok(Fate::Kept)),
    )
    .expect("a writer");
    add(&mut set, &layers(2));
    let needs = set.settle().expect("settled");
    let expected: BTreeMap<Digest, u64> = layers(1).iter().map(|layer| (Digest::of(layer), layer.len() as u64)).collect();
    assert_eq!(needs, expected);
}

#[test]
fn the_catalogue_knows_the_blobs_of_volumes_that_are_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    // So many small volumes that the catalogue has more than one file.
    let options = Options { cap: 96 << 10, frame_bytes: 8 << 10, ..options(folder.path(), 2) };
    let mut set = SetWriter::create_after(head(1, None), options, Arc::default(), Box::new(|_| Ok(Fate::Kept))).expect("a writer");
    add(&mut set, &layers(1));
    let base = set.finish(closing(folder.path(), None, &layers(1))).expect("finished");
    let volumes = reader(&[folder.path()]);
    for (path, _) in &base.volumes {
        std::fs::rename(path, path.with_extension("away")).expect("renamed");
    }
    let files: Vec<PathBuf> = base.catalogue.iter().filter(|path| path.starts_with(folder.path().join("catalogues"))).cloned().collect();
    assert!(base.volumes.len() > 1 && files.len() > 1, "{} in {}", base.volumes.len(), files.len());
    let records = Records::open(&files, &base.manifest.volumes).expect("all indexes");
    for layer in layers(1) {
        let digest = Digest::of(&layer);
        let (there, here) =
            (volumes.blob(&digest).expect("readable").expect("there"), records.blob(&digest).expect("readable").expect("there"));
        assert_eq!((here.bytes, here.stored, here.plain), (there.bytes, there.stored, there.plain));
    }
    assert_eq!(records.blob(&Digest::of(b"another")).expect("readable"), None);
    let mut other = base.manifest.volumes.clone();
    other[1].root = Digest::of(b"another");
    for wrong in [Records::open(&files, &other), Records::open(&files[..1], &base.manifest.volumes)] {
        let error = wrong.expect_err("not all indexes");
        assert!(error.to_string().contains("it lacks the index of volume"), "{error}");
    }
}

#[test]
fn blobs_that_cannot_be_read_are_counted_and_the_others_are_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(folder.path(), 1, None, Earlier::default(), 2);
    // What its first volume holds alone, in its first pack.
    let path = &base.volumes[0].0;
    let mut bytes = std::fs::read(path).expect("a volume");
    let first = reader(&[folder.path()]).volumes(base.manifest.set).next().expect("one").frame_at(0).expect("a frame");
    bytes[first.file_offset as usize + 20] ^= 1;
    std::fs::remove_file(path).and_then(|()| std::fs::write(path, bytes)).expect("damaged");
    let (chunks, older) = (index(folder.path(), &base), Arc::new(Past::new(reader(&[folder.path()]))));
    let versions = Versions::of(&chunks, older.clone(), MEMORY);
    chunks.blobs().iter().for_each(|blob| drop(versions.read(&blob.digest, 0, blob.plain_bytes)));
    let unread = versions.unread();
    assert!(!versions.is_empty() && unread.absent == 0, "{unread:?}");
    assert!(unread.broken > 0 && unread.broken < chunks.blobs().len() as u64, "{unread:?}");
    assert!(unread.why.expect("why").to_string().contains("SHA-256"));
    let (again, unread) = Chunks::of(chunks.blobs().iter().copied(), older.as_ref(), MEMORY);
    assert!(unread.broken > 0 && !again.is_empty() && again.len() < chunks.len(), "{unread:?}");
}
