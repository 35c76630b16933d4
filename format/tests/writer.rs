//! The writer: caps that hold, and the same bytes however a set came to be.

mod support;

use std::path::Path;

use ocm_format::digest::Digest;
use ocm_format::layout::Id;
use ocm_format::set::scan;
use ocm_format::volume::Volume;
use ocm_format::writer::{Closing, Fate, Finished, Form, NewBlob, Options, Seal, SetWriter};
use proptest::prelude::*;

use self::support::{closing, files, head, new_blob, next, noise_twice};

fn blobs() -> Vec<(Form, Vec<u8>)> {
    let mut blobs = Vec::new();
    for n in 0..12u64 {
        blobs.push((Form::Document, noise_twice(n, 300 + 40 * n as usize, 64)));
        blobs.push((Form::Packed, noise_twice(100 + n, 20_000 * n as usize, 4096)));
        blobs.push((Form::Plain, noise_twice(200 + n, 9_000 * n as usize, 300)));
        blobs.push((Form::Tar, tar(n)));
    }
    blobs.push((Form::Packed, Vec::new()));
    blobs.push((Form::Document, noise_twice(7, 200_000, 512)));
    blobs
}

fn tar(seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for file in 0..seed * 3 {
        let content = noise_twice(file, 5000 * file as usize % 70_000, 512);
        ocm_format::tar::put_member(&mut out, &format!("file-{file}"), &content, 1_600_000_000 + seed).expect("a member");
    }
    out.extend([0; 1024]);
    out
}

fn options(folder: &Path, cap: u64, threads: usize) -> Options {
    Options { cap, frame_bytes: 1 << 20, threads, ..support::options(folder) }
}

fn add(set: &mut SetWriter, (form, content): &(Form, Vec<u8>)) {
    set.add(new_blob(*form, content), &mut content.as_slice()).expect("stored");
}

fn open(folder: &Path, cap: u64, threads: usize) -> SetWriter {
    SetWriter::create(head(1), options(folder, cap, threads), Box::new(|_| Ok(Fate::Kept))).expect("a writer")
}

fn write(folder: &Path, cap: u64, threads: usize) -> Finished {
    let mut set = open(folder, cap, threads);
    blobs().iter().for_each(|blob| add(&mut set, blob));
    set.finish(closing()).expect("finished")
}

#[test]
fn every_file_is_strictly_below_its_cap() {
    let around = |cap: u64| [cap - 1, cap, cap + 1];
    let every = (65_536..=1 << 20).step_by(512).flat_map(around).skip(1);
    let every = every.filter(|_| std::env::var_os("OCM_NIGHTLY").is_some());
    let few = [65_536, 65_537, 70_000, 99_999].into_iter().chain(around(128 << 10)).chain(around(200 << 10)).chain(around(1 << 20));
    let caps: Vec<u64> = few.chain(every).collect();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let caps = caps.iter().skip(half).step_by(2).copied();
            scope.spawn(move || caps.for_each(every_file_is_below));
        }
    });
}

fn every_file_is_below(cap: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let made = write(folder.path(), cap, 2);
    for (name, content) in files(folder.path()) {
        assert!((content.len() as u64) < cap, "{name} has {} bytes with a cap of {cap}", content.len());
    }
    let volumes = made.volumes.len();
    assert_eq!(made.manifest.volumes.len(), volumes);
    for (path, done) in &made.volumes[..volumes - 1] {
        assert_eq!(std::fs::metadata(path).expect("a file").len(), done.bytes);
        // What does not fit is at most a frame and its record: a volume is not left half empty.
        assert!(done.bytes > cap * 6 / 10, "{} of {cap} bytes", done.bytes);
    }
    assert!(!folder.path().join(".ocm").read_dir().expect("scratch").any(|entry| entry.is_ok()));
}

/// A file of noise that is made as it is read.
struct Noise {
    state: u64,
    left: u64,
}

impl std::io::Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.left.min(buffer.len() as u64) as usize;
        for word in buffer[..bytes].chunks_mut(8) {
            word.copy_from_slice(&next(&mut self.state).to_le_bytes()[..word.len()]);
        }
        self.left -= bytes as u64;
        Ok(bytes)
    }
}

/// One blob of so many bytes that do not shrink: every file is below the cap, and no volume but the last leaves more than a pack.
fn one_blob_fills_its_volumes(cap: u64, bytes: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let content = || Noise { state: bytes | 1, left: bytes };
    let mut hasher = ocm_format::digest::Hasher::sha256();
    let mut buffer = vec![0; 1 << 20];
    let mut reader = content();
    loop {
        let read = std::io::Read::read(&mut reader, &mut buffer).expect("noise");
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let mut set = open(folder.path(), cap, 2);
    let blob = NewBlob { digest: hasher.finish(), bytes, form: Form::Packed, note: String::new() };
    set.add(blob, &mut content()).expect("stored");
    let made = set.finish(closing()).expect("finished");
    let (last, full) = made.volumes.split_last().expect("a volume");
    assert!(!full.is_empty() && last.1.bytes < cap, "{bytes} bytes with a cap of {cap}");
    let pack = (cap / 8).min(8 << 20);
    for (path, done) in full {
        assert_eq!(std::fs::metadata(path).expect("a file").len(), done.bytes);
        assert!(done.bytes < cap && done.bytes >= cap - pack - cap * 3 / 100, "{} of {cap} bytes", done.bytes);
    }
}

#[test]
fn blobs_of_about_a_cap_and_of_ten_fill_their_volumes() {
    for cap in [64 << 10, 128 << 10, 1 << 20] {
        for bytes in [cap - 1, cap, cap + 1, 10 * cap] {
            one_blob_fills_its_volumes(cap, bytes);
        }
    }
}

#[test]
fn volumes_of_2_and_4_gibibytes_are_filled() {
    if std::env::var_os("OCM_NIGHTLY").is_none() {
        return;
    }
    // The longest file of FAT has 4 GiB - 1 bytes: the cap is one more than that at most.
    for cap in [2 << 30, (4 << 30) - 1] {
        one_blob_fills_its_volumes(cap, cap + (1 << 20));
    }
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let sets = [1, 2, 8].map(|threads| {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), 128 << 10, threads);
        files(folder.path())
    });
    assert!(sets[0].len() > 3);
    assert!(sets[0] == sets[1] && sets[1] == sets[2]);
}

#[test]
fn a_set_that_cannot_fit_its_cap_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = SetWriter::create(head(1), options(folder.path(), 65_535, 1), Box::new(|_| Ok(Fate::Kept)));
    assert!(refused.err().expect("refused").to_string().contains("65536"));
    let set = open(folder.path(), 65_536, 1);
    let items = format!("\"{}\"", "x".repeat(70_000)).parse().expect("canonical");
    let error = set.finish(Closing { items, ..closing() }).expect_err("refused");
    assert!(error.to_string().contains("the set manifest does not fit"), "{error}");
}

#[test]
fn sums_name_every_volume() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = write(folder.path(), 128 << 10, 2);
    let sums = std::fs::read_to_string(folder.path().join("lab.g0001-01010101.sha256")).expect("sums");
    assert_eq!(sums.lines().count(), made.volumes.len());
    for (path, done) in &made.volumes {
        assert_eq!(Digest::of(&std::fs::read(path).expect("content")), done.sum);
        assert!(sums.contains(&format!("{}  {}", done.sum.hex(), path.file_name().expect("a name").display())));
    }
}

#[test]
fn each_volume_is_handed_over_once_and_a_failed_hand_over_stops_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut failing = SetWriter::create(
        head(1),
        options(folder.path(), 128 << 10, 2),
        Box::new(|volume| if volume.done.number == 2 { Err(ocm_format::error::Error::limit("no disc")) } else { Ok(Fate::Kept) }),
    )
    .expect("a writer");
    let stopped = blobs().iter().try_for_each(|(form, content)| {
        let blob = NewBlob { digest: Digest::of(content), bytes: content.len() as u64, form: *form, note: String::new() };
        failing.add(blob, &mut content.as_slice())
    });
    assert!(stopped.expect_err("stopped").to_string().contains("no disc"));
    drop(failing);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = std::sync::Arc::clone(&seen);
    let on_volume = Box::new(move |volume: &ocm_format::writer::Volume<'_>| {
        note.lock().expect("the list").push(volume.done.number);
        std::fs::remove_file(volume.path).expect("let go");
        Ok(Fate::Released)
    });
    let mut set = SetWriter::create(head(1), options(folder.path(), 128 << 10, 2), on_volume).expect("a writer");
    blobs().iter().for_each(|blob| add(&mut set, blob));
    let made = set.finish(closing()).expect("finished");
    let seen = seen.lock().expect("the list").clone();
    assert_eq!(seen, (2..=made.volumes.len() as u32).collect::<Vec<_>>());
    let whole = tempfile::tempdir().expect("a folder");
    let again = write(whole.path(), 128 << 10, 2);
    assert_eq!(again.root, made.root);
}

#[test]
fn a_volume_cut_within_its_first_texts_is_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    for cut in [1, 600, 1500] {
        let mut set = open(folder.path(), 65_536, 1);
        add(&mut set, &(Form::Document, noise_twice(3, 900, 64)));
        add(&mut set, &(Form::Document, noise_twice(4, 900, 64)));
        drop(set);
        let partial = files(folder.path()).into_keys().find(|name| name.ends_with(".partial")).expect("a partial");
        let texts = 1024 + 512 + include_bytes!("../RESTORE.txt").len().next_multiple_of(512) as u64;
        let file = std::fs::File::options().write(true).open(folder.path().join(partial)).expect("the partial");
        file.set_len(texts - cut).expect("cut");
    }
    let made = write(folder.path(), 65_536, 2);
    let whole = tempfile::tempdir().expect("a folder");
    assert_eq!(write(whole.path(), 65_536, 2).root, made.root);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("OCM_NIGHTLY").is_some() { 96 } else { 8 }))]
    #[test]
    fn an_interrupted_set_comes_to_the_same_bytes(stops in proptest::collection::vec(0usize..50, 1..4), cap in prop_oneof![Just(65_536u64), Just(150_000), Just(1 << 20)], torn in 0u64..40_000) {
        let whole = tempfile::tempdir().expect("a folder");
        write(whole.path(), cap, 2);
        let folder = tempfile::tempdir().expect("a folder");
        for stop in stops {
            let mut set = open(folder.path(), cap, 1);
            blobs().iter().take(stop).for_each(|blob| add(&mut set, blob));
            drop(set);
            // A power cut: the end of what was not synced is gone.
            for (name, content) in files(folder.path()).into_iter().filter(|(name, _)| name.ends_with(".partial")) {
                let file = std::fs::File::options().write(true).open(folder.path().join(name)).expect("the partial");
                file.set_len((content.len() as u64).saturating_sub(torn)).expect("cut");
            }
        }
        write(folder.path(), cap, 2);
        prop_assert!(files(whole.path()) == files(folder.path()));
    }
}

/// A signature that says which set and which bytes it is of.
fn seal(word: &'static str) -> Seal {
    Seal::Made(std::sync::Arc::new(move |manifest, set_json| {
        Ok(format!("{word} {} {} {}\n", manifest.set, manifest.generation, Digest::of(set_json)).into_bytes())
    }))
}

#[test]
fn a_signature_stands_behind_the_manifest_in_the_last_volume_and_in_the_catalogue() {
    let written = |seal: Seal| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut set = open(folder.path(), 200 << 10, 2).sealed(seal);
        blobs().iter().for_each(|blob| add(&mut set, blob));
        let finished = set.finish(closing()).expect("finished");
        (folder, finished)
    };
    let (folder, finished) = written(seal("ours"));
    let expected = format!("ours {} 1 {}\n", Id([1; 16]), finished.root).into_bytes();
    let last = finished.volumes.last().expect("a volume").0.clone();
    for file in [last].iter().chain(&finished.catalogue) {
        let tail = Volume::open(file).expect("a volume").read_tail().expect("a tail");
        assert_eq!(tail.names().last(), Some("SET.json.minisig"));
        assert_eq!(tail.get("SET.json.minisig"), Some(expected.as_slice()));
    }
    let set = scan(folder.path()).expect("readable").sets.pop().expect("a set");
    assert_eq!(set.signatures.iter().map(|signature| signature.bytes.as_slice()).collect::<Vec<_>>(), [expected.as_slice()]);
    assert!(set.is_complete() && set.problems.is_empty());
    // Whoever signs, the root is the same; and a signature that is kept makes the same bytes.
    assert_eq!(written(seal("else")).1.root, finished.root);
    assert_eq!(files(written(Seal::Kept(expected)).0.path()), files(folder.path()));
    let (folder, _) = written(Seal::None);
    assert!(scan(folder.path()).expect("readable").sets.iter().all(|set| set.signatures.is_empty()));
}

#[test]
fn a_signature_of_two_and_one_that_cannot_be_read_are_both_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut set = open(folder.path(), 1 << 20, 1).sealed(seal("ours"));
    blobs().iter().for_each(|blob| add(&mut set, blob));
    let finished = set.finish(closing()).expect("finished");
    let last = &finished.volumes.last().expect("a volume").0;
    let copy = folder.path().join("copy.tar");
    let mut bytes = std::fs::read(last).expect("content");
    let at = bytes.windows(5).rposition(|word| word == b"ours ").expect("the signature");
    bytes[at] = b'O';
    std::fs::write(&copy, &bytes).expect("a copy");
    assert_eq!(scan(folder.path()).expect("readable").sets[0].signatures.len(), 2);
    bytes[at - 512] ^= 1;
    std::fs::write(&copy, &bytes).expect("a copy");
    let found = scan(folder.path()).expect("readable");
    assert_eq!((found.sets[0].signatures.len(), found.sets[0].problems.len()), (1, 1));
    let text = found.sets[0].problems[0].to_string();
    assert!(text.contains("SET.json.minisig does not stand where it must") && text.contains("copy.tar"), "{text}");
}
