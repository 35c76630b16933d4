//! Sets whose later blobs are compressed after earlier ones of the same set.

mod support;

use std::io::Read;
use std::path::Path;

use ocm_format::check;
use ocm_format::digest::Digest;
use ocm_format::layout::{Id, MAX_DEPTH};
use ocm_format::reader::{self, Reader};
use ocm_format::salvage::salvage;
use ocm_format::set::{self};
use ocm_format::volume::Volume;
use ocm_format::writer::{Fate, Finished, Form, Options, SetWriter};

use self::support::{closing, files, head, new_blob, noise};

const MEMORY: u64 = 1 << 20;

/// Version `version` of a layer: every file but one in three changes in places, so that hardly a chunk stays; one is new.
fn layer(name: &str, version: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for file in 0..9u64 {
        let mut content = noise(file + name.len() as u64 * 100, 15_000 + 12_000 * file as usize);
        for round in 0..if file % 3 == 2 { 0 } else { version } {
            for at in (file as usize..content.len()).step_by(5_000) {
                content[at] = (round + 3 * file) as u8;
            }
        }
        ocm_format::tar::put_member(&mut out, &format!("{name}-{file}"), &content, 1_600_000_000 + version).expect("a member");
    }
    ocm_format::tar::put_member(&mut out, &format!("{name}-new-{version}"), &noise(version + 7_777, 9_000), 0).expect("a member");
    out.extend([0; 1024]);
    out
}

/// Several versions of two layers, and between them what has none.
fn blobs(versions: u64) -> Vec<(Form, Vec<u8>)> {
    let mut blobs = Vec::new();
    for version in 1..=versions {
        blobs.push((Form::Tar, layer("base", version)));
        blobs.push((Form::Document, noise(version, 700)));
        blobs.push((Form::Packed, noise(50 + version, 40_000)));
        blobs.push((Form::Tar, layer("tools", version)));
        blobs.push((Form::Plain, noise(90 + version, 3_000)));
    }
    blobs
}

fn options(folder: &Path, cap: u64, threads: usize) -> Options {
    Options { cap, frame_bytes: 32 << 10, threads, own_version_bytes: Some(MEMORY), ..support::options(folder) }
}

fn begin(options: Options) -> SetWriter {
    SetWriter::create(head(1), options, Box::new(|_| Ok(Fate::Kept))).expect("a writer")
}

/// Adds what the set lacks, as a caller does that asks first.
fn add(set: &mut SetWriter, blobs: &[(Form, Vec<u8>)]) {
    for blob in blobs.iter().filter(|(_, content)| !set.has(&Digest::of(content))).collect::<Vec<_>>() {
        set.add(new_blob(blob.0, &blob.1), &mut blob.1.as_slice()).expect("stored");
    }
}

fn write(options: Options, blobs: &[(Form, Vec<u8>)]) -> Finished {
    let mut set = begin(options);
    add(&mut set, blobs);
    set.finish(closing()).expect("finished")
}

fn bytes(made: &Finished) -> u64 {
    made.volumes.iter().map(|(_, done)| done.bytes).sum()
}

/// The files of a folder and their content.
fn reader(folder: &Path) -> Reader {
    reader_with(folder, reader::Options::default())
}

fn reader_with(folder: &Path, options: reader::Options) -> Reader {
    let found = set::scan(folder).expect("a folder");
    assert!(found.sets[0].is_complete());
    Reader::open(&found.sets, options)
}

fn patches(reader: &Reader) -> usize {
    let mut count = 0;
    for volume in reader.volumes(Id([1; 16])) {
        let mut at = 0;
        while let Ok(row) = volume.frame_at(at) {
            count += usize::from(row.codec == 2);
            at += u64::from(row.plain_bytes);
        }
    }
    count
}

fn comes_back(folder: &Path, blobs: &[(Form, Vec<u8>)]) {
    // What can be read does not depend on what is at hand.
    for cache_bytes in [0, reader::Options::default().cache_bytes] {
        let reader = reader_with(folder, reader::Options { cache_bytes, ..Default::default() });
        // The last ones first: nothing that they are compressed after is at hand.
        for (_, content) in blobs.iter().rev() {
            let (mut stream, mut read) = (reader.stream(&Digest::of(content)).expect("a blob"), Vec::new());
            while let Some(chunk) = stream.next_chunk().expect("content") {
                read.extend_from_slice(&chunk);
            }
            assert!(read == *content);
        }
    }
    let set = &set::scan(folder).expect("a folder").sets[0];
    for options in [check::Options { quick: false, deep: true, threads: 2 }, check::Options { quick: true, deep: false, threads: 1 }] {
        let report = check::check(set, &[], options, &mut |_| std::ops::ControlFlow::Continue(()));
        assert!(report.is_sound(), "{:?}", report.damage);
    }
}

#[test]
fn versions_of_a_layer_in_one_set_are_stored_as_what_changed() {
    let [alone, together] = [None, Some(MEMORY)].map(|own_version_bytes| {
        let folder = tempfile::tempdir().expect("a folder");
        let made = write(Options { own_version_bytes, ..options(folder.path(), 64 << 20, 2) }, &blobs(3));
        comes_back(folder.path(), &blobs(3));
        (bytes(&made), patches(&reader(folder.path())), made.manifest.needs.depth)
    });
    assert_eq!((alone.1, alone.2), (0, 0));
    assert!(together.1 > 0 && together.2 > 1, "{together:?}");
    assert!(together.0 * 3 < alone.0 * 2, "{together:?} {alone:?}");
}

#[test]
fn many_versions_and_many_volumes_stay_readable_and_sound() {
    for cap in [256 << 10, 1 << 20] {
        let folder = tempfile::tempdir().expect("a folder");
        let made = write(options(folder.path(), cap, 2), &blobs(8));
        assert!(made.volumes.len() > 1 && made.manifest.needs.depth <= MAX_DEPTH, "{:?}", made.manifest.needs);
        comes_back(folder.path(), &blobs(8));
        let alone = tempfile::tempdir().expect("a folder");
        let alone = write(Options { own_version_bytes: None, ..options(alone.path(), cap, 2) }, &blobs(8));
        assert!(bytes(&made) * 2 < bytes(&alone), "{} of {}", bytes(&made), bytes(&alone));
    }
}

/// Version `version` of a layer of many files: every second one is the one of the version before, so that what lies together in the layer
/// lies in many frames.
fn scattered(version: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for file in 0..300u64 {
        let mut content = noise(file + 9_000, 5_000);
        content[2_500] = ((version + file % 2) / 2) as u8;
        ocm_format::tar::put_member(&mut out, &format!("f{file}"), &content, 1_600_000_000).expect("a member");
    }
    out.extend([0; 1024]);
    out
}

#[test]
fn what_is_compressed_after_content_of_many_frames_is_read_whatever_is_at_hand() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs: Vec<_> = (1..=8).map(|version| (Form::Tar, scattered(version))).collect();
    let made = write(options(folder.path(), 64 << 20, 2), &blobs);
    assert!(made.manifest.needs.depth > 2, "{:?}", made.manifest.needs);
    comes_back(folder.path(), &blobs);
}

#[test]
fn what_a_blob_needs_names_the_volumes_that_it_is_compressed_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = write(options(folder.path(), 512 << 10, 2), &blobs(3));
    let last = blobs(3).iter().rev().find(|(form, _)| *form == Form::Tar).map(|(_, content)| Digest::of(content)).expect("one");
    let needed = reader(folder.path()).volumes_of(&last).expect("volumes");
    // Those alone are enough, and with one less it is not.
    for without in needed.iter().map(Some).chain([None]) {
        let some = tempfile::tempdir().expect("a folder");
        for (path, done) in &made.volumes {
            let is_last = done.number as usize == made.volumes.len();
            let is_needed = needed.contains(&(Id([1; 16]), done.number)) && without != Some(&(Id([1; 16]), done.number));
            if is_needed || is_last && without != Some(&(Id([1; 16]), done.number)) {
                std::fs::copy(path, some.path().join(path.file_name().expect("a name"))).expect("copied");
            }
        }
        let found = set::scan(some.path()).expect("a folder");
        let reader = Reader::open(&found.sets, reader::Options::default());
        let read = reader.stream(&last).and_then(|mut stream| {
            while stream.next_chunk()?.is_some() {}
            Ok(())
        });
        assert_eq!(read.is_ok(), without.is_none(), "{without:?}: {read:?}");
    }
    assert!(needed.len() > 1, "{needed:?}");
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let sets = [1, 2, 8].map(|threads| {
        let folder = tempfile::tempdir().expect("a folder");
        write(options(folder.path(), 512 << 10, threads), &blobs(4));
        files(folder.path())
    });
    assert!(sets[0] == sets[1] && sets[1] == sets[2]);
}

#[test]
fn a_table_that_is_full_forgets_the_same_every_time() {
    let sizes = [0, 2_000, 6_000, MEMORY].map(|memory| {
        let [one, other] = [1, 4].map(|threads| {
            let folder = tempfile::tempdir().expect("a folder");
            let options = Options { own_version_bytes: Some(memory), ..options(folder.path(), 64 << 20, threads) };
            let made = write(options, &blobs(3));
            comes_back(folder.path(), &blobs(3));
            (bytes(&made), made.root)
        });
        assert_eq!(one, other);
        one.0
    });
    assert!(sizes.is_sorted_by(|more, less| more >= less) && sizes[0] > sizes[3] / 2 * 3 && sizes[1] > sizes[3], "{sizes:?}");
}

/// Content that fails after some bytes: a run that is killed there.
struct Cut<'a>(&'a [u8]);

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::Error::other("killed")),
            count => Ok(count),
        }
    }
}

/// The end of the volume in the making is lost with a power cut, and the end of the notes.
fn tear(folder: &Path, volume: u64, notes: u64) {
    let cut = |path: &Path, bytes: u64| {
        let file = std::fs::File::options().write(true).open(path).expect("a file");
        let length = file.metadata().expect("a size").len();
        file.set_len(length.saturating_sub(bytes)).expect("cut");
    };
    for name in files(folder).into_keys().filter(|name| name.ends_with(".partial")) {
        cut(&folder.join(name), volume);
    }
    for name in files(&folder.join(".ocm")).into_keys().filter(|name| name.ends_with(".journal")) {
        cut(&folder.join(".ocm").join(name), notes);
    }
}

#[test]
fn a_run_that_is_killed_anywhere_comes_to_the_same_bytes() {
    let (blobs, caps) = (blobs(3), [512 << 10, 64 << 20]);
    let whole = caps.map(|cap| {
        let folder = tempfile::tempdir().expect("a folder");
        write(options(folder.path(), cap, 2), &blobs);
        files(folder.path())
    });
    for (place, (_, content)) in blobs.iter().enumerate().filter(|(_, (form, _))| *form == Form::Tar) {
        for part in 0..3usize {
            // Many small volumes, or a large one.
            for (cap, expected) in caps.iter().zip(&whole).skip((place + part) % 2).take(1) {
                let folder = tempfile::tempdir().expect("a folder");
                let mut set = begin(options(folder.path(), *cap, 1 + part));
                add(&mut set, &blobs[..place]);
                let cut = set.add(new_blob(blobs[place].0, content), &mut Cut(&content[..content.len() / 3 * part + part * 100]));
                assert!(cut.is_err());
                drop(set);
                // Of notes that are durable nothing is lost; those of a set of one volume are not yet.
                let notes = if *cap > 1 << 20 { 911 * (part as u64 + place as u64) } else { 0 };
                tear(folder.path(), [0, 70_000, 9][part], notes);
                // Once more, not as far; and then to the end.
                let mut again = begin(options(folder.path(), *cap, 3));
                add(&mut again, &blobs[..place.saturating_sub(part)]);
                drop(again);
                write(options(folder.path(), *cap, 2), &blobs);
                assert!(files(folder.path()) == *expected, "blob {place}, part {part}, cap {cap}");
            }
        }
    }
}

#[test]
fn a_volume_that_is_gone_when_it_is_to_be_built_on_stops_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut set = begin(options(folder.path(), 256 << 10, 1));
    add(&mut set, &blobs(1));
    drop(set);
    std::fs::remove_file(folder.path().join("lab.g0001-01010101.v001.ocm.tar")).expect("removed");
    let mut set = begin(options(folder.path(), 256 << 10, 1));
    let stored = blobs(2).iter().try_for_each(|blob| set.add(new_blob(blob.0, &blob.1), &mut blob.1.as_slice()));
    let error = stored.and_then(|()| set.finish(closing()).map(drop)).expect_err("a volume is gone");
    assert!(error.to_string().contains("this volume, which is gone"), "{error}");
}

/// What salvage finds where no index is left: frames with a prefix are read by what stands before them.
#[test]
fn versions_come_out_of_volumes_without_indexes() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = write(options(folder.path(), 256 << 10, 2), &blobs(4));
    for (path, _) in &made.volumes {
        let index = Volume::open(path).expect("a volume").footer().index_offset;
        let mut bytes = std::fs::read(path).expect("bytes");
        bytes[index as usize..].fill(0);
        std::fs::write(path, bytes).expect("written");
    }
    let sets = set::scan(folder.path()).expect("a folder").sets;
    let found = salvage(&sets, folder.path(), reader::Options::default()).expect("salvaged");
    assert!(patches(&found.reader) > 0);
    for (_, content) in blobs(4) {
        let mut out = Vec::new();
        found.reader.stream(&Digest::of(&content)).expect("a stream").read_to_end(&mut out).expect("read");
        assert!(out == content);
    }
}
