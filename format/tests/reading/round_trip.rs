//! What was written comes back.

use std::io::Read;

use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::reader::{Options, Reader};
use ocm_format::volume::Volume;

use crate::made::{Made, NORMAL, check_set, mini, mini_blobs, noise, only_set, reader, tar};
use ocm_format::check;
use ocm_format::writer::Form;

#[test]
fn every_blob_comes_back_by_stream_and_by_range() {
    for (cap, frame_bytes) in [(64 << 10, 16 << 10), (64 << 10, 1 << 20), (200_000, 3_000), (1 << 20, 1 << 20)] {
        let made = Made::new(1, mini_blobs(), cap, frame_bytes);
        let reader = reader(made.path());
        for (_, content) in &made.blobs {
            let digest = Digest::of(content);
            let info = reader.blob(&digest).expect("an answer").expect("a blob");
            assert_eq!((info.bytes, info.digest), (content.len() as u64, digest));
            let mut read = Vec::new();
            reader.stream(&digest).expect("a stream").read_to_end(&mut read).expect("content");
            assert!(read == *content);
            for (offset, length) in [(0, 1), (1, 100), (content.len() / 2, 20_000), (content.len(), 5), (content.len() + 7, 1)] {
                let mut buffer = vec![0; length];
                let count = reader.read_at(&digest, offset as u64, &mut buffer).expect("a range");
                let wanted = content.get(offset..content.len().min(offset + length)).unwrap_or_default();
                assert_eq!(&buffer[..count], wanted);
            }
        }
    }
}

#[test]
fn a_blob_that_is_its_own_plain_form_is_read_as_such() {
    let made = mini();
    let reader = reader(made.path());
    let content = tar(3);
    let mut buffer = vec![0; 5_000];
    assert_eq!(reader.plain_at(&Digest::of(&content), 3_000, &mut buffer).expect("plain"), 5_000);
    assert_eq!(buffer, content[3_000..8_000]);
    let mut read = Vec::new();
    reader.plain_stream(&Digest::of(&content)).expect("a stream").read_to_end(&mut read).expect("content");
    assert_eq!(read, content);
}

#[test]
fn reading_is_right_with_hardly_any_cache_and_many_threads() {
    let made = mini();
    let reader = Reader::open([&only_set(made.path())], Options { cache_bytes: 20_000, index_cache_bytes: 1 });
    std::thread::scope(|scope| {
        for thread in 0..8usize {
            let (reader, made) = (&reader, &made);
            scope.spawn(move || {
                for step in 0..200 {
                    let (_, content) = &made.blobs[(thread + step) % made.blobs.len()];
                    let offset = (step * 7_919) % (content.len() + 1);
                    let mut buffer = vec![0; 3_000];
                    let count = reader.read_at(&Digest::of(content), offset as u64, &mut buffer).expect("a range");
                    assert_eq!(buffer[..count], content[offset..content.len().min(offset + 3_000)]);
                }
            });
        }
    });
}

#[test]
fn a_blob_that_is_nowhere_is_absent_only_if_all_volumes_are_here() {
    let made = mini();
    let nowhere = Digest::of(b"nowhere");
    assert_eq!(reader(made.path()).blob(&nowhere).expect("an answer"), None);
    std::fs::remove_file(made.volume(2)).expect("removed");
    let error = reader(made.path()).blob(&nowhere).expect_err("unknown");
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("volumes 2 of set 0101"), "{error}");
}

#[test]
fn a_missing_volume_hurts_only_the_blobs_in_it() {
    let made = mini();
    let whole = reader(made.path());
    let needs = |digest: &Digest| whole.volumes_of(digest).expect("volumes").iter().any(|(_, number)| *number == 2);
    let in_second: Vec<bool> = made.digests().iter().map(needs).collect();
    assert!(in_second.contains(&true) && in_second.contains(&false));
    std::fs::remove_file(made.volume(2)).expect("removed");
    let reader = reader(made.path());
    for (digest, hurt) in made.digests().iter().zip(in_second) {
        let read = reader.stream(digest).and_then(|mut stream| {
            while stream.next_chunk()?.is_some() {}
            Ok(())
        });
        match read {
            Ok(()) => assert!(!hurt),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Missing, "{error}");
                assert!(error.to_string().contains(&digest.hex()), "{error}");
            }
        }
    }
}

#[test]
fn the_tail_of_a_set_comes_back() {
    let made = mini();
    let volume = Volume::open(&made.volume(3)).expect("a volume");
    let tail = volume.read_tail().expect("a tail");
    assert_eq!(tail.names().collect::<Vec<_>>(), ["oci-layout", "index.json", "SET.json"]);
    assert_eq!(tail.get("index.json"), Some(&br#"{"schemaVersion":2,"manifests":[]}"#[..]));
    assert_eq!(Digest::of(tail.get("SET.json").expect("the set")), made.finished.root);
    assert!(Volume::open(&made.volume(1)).expect("a volume").read_tail().expect("a tail").names().next().is_none());
}

#[test]
fn a_sound_set_is_found_sound_however_much_is_checked() {
    for (cap, frame_bytes) in [(64 << 10, 16 << 10), (1 << 20, 1 << 20)] {
        let made = Made::new(1, mini_blobs(), cap, frame_bytes);
        let set = only_set(made.path());
        assert!(set.is_complete() && set.root == Some(made.finished.root));
        for options in [NORMAL, check::Options { deep: true, ..NORMAL }, check::Options { quick: true, ..NORMAL }] {
            let report = check_set(&set, options);
            assert!(report.is_sound(), "{:#?}", report.damage);
            let files = || set.volumes.values().chain(set.catalogues.values());
            assert_eq!(report.bytes, files().map(|file| file.footer.file_bytes).sum::<u64>());
        }
    }
}

#[test]
fn large_sets_are_read_through_many_index_blocks() {
    let blobs: Vec<_> = (0..6_000u64).map(|n| (if n % 5 == 0 { Form::Document } else { Form::Packed }, noise(n + 1, 40))).collect();
    let made = Made::new(1, blobs, 64 << 20, 1 << 20);
    let set = only_set(made.path());
    let report = check_set(&set, check::Options { deep: true, ..NORMAL });
    assert!(report.is_sound(), "{:#?}", report.damage);
    assert_eq!(report.blobs, 6_000);
    let reader = reader(made.path());
    for (_, content) in made.blobs.iter().step_by(97) {
        let mut buffer = vec![0; 41];
        assert_eq!(reader.read_at(&Digest::of(content), 0, &mut buffer).expect("a range"), 40);
        assert_eq!(buffer[..40], content[..]);
    }
}

#[test]
fn small_reads_anywhere_are_right_however_much_of_a_frame_they_open() {
    let text: Vec<u8> = (0..500_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let blobs = vec![(Form::Plain, text), (Form::Packed, noise(7, 1_500_000)), (Form::Tar, tar(3))];
    let made = Made::new(1, blobs, 16 << 20, 1 << 20);
    for cache_bytes in [64 << 20, 1 << 20, 1] {
        let reader = Reader::open([&only_set(made.path())], Options { cache_bytes, ..Options::default() });
        for step in 0..600usize {
            let (_, content) = &made.blobs[step % made.blobs.len()];
            let (offset, most) = ((step * 7_919_993) % content.len(), [1, 4_096, 130_000, usize::MAX][step % 4]);
            let end = content.len().min(offset.saturating_add(most));
            for chunk in [
                reader.chunk_at(&Digest::of(content), offset as u64, most as u64).expect("bytes"),
                reader.chunk_at(&Digest::of(content), offset as u64, 10).expect("bytes"),
            ] {
                assert!(!chunk.is_empty() && content[offset..end.max(content.len().min(offset + 10))].starts_with(&chunk));
            }
        }
        let (_, content) = &made.blobs[0];
        assert!(reader.chunk_at(&Digest::of(content), content.len() as u64, 9).expect("the end").is_empty());
    }
}
