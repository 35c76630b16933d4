//! What holds for any bytes, any tar and any pushes.

use ocm_format::chunk::{Class, MAX, MAX_SKELETON, Shape};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::kit::{Tar, chunks, chunks_of_pushes, files, joined, random};

#[derive(Debug, Clone)]
enum Entry {
    File { seed: u64, size: usize },
    Sized { seed: u64, size: usize },
    Directory,
    Name { length: usize },
    Comment { length: usize },
    Zeros { blocks: usize },
}

fn entry() -> impl Strategy<Value = Entry> {
    let size = || prop_oneof![0..3_000usize, 60_000..70_000usize, 100_000..900_000usize];
    prop_oneof![
        4 => (any::<u64>(), size()).prop_map(|(seed, size)| Entry::File { seed, size }),
        1 => (any::<u64>(), size()).prop_map(|(seed, size)| Entry::Sized { seed, size }),
        2 => Just(Entry::Directory),
        1 => (0..2_000usize).prop_map(|length| Entry::Name { length }),
        1 => (0..100_000usize).prop_map(|length| Entry::Comment { length }),
        1 => (1..5usize).prop_map(|blocks| Entry::Zeros { blocks }),
    ]
}

fn add(tar: Tar, entry: &Entry) -> Tar {
    match *entry {
        Entry::File { seed, size } => tar.file("f", &random(seed, size)),
        Entry::Sized { seed, size } => tar.pax(&[("size", &size.to_string())]).header(b'0', "f", 1).body(&random(seed, size)),
        Entry::Directory => tar.directory("d/"),
        Entry::Name { length } => tar.header(b'L', "l", length).body(&vec![b'n'; length]).directory("d/"),
        Entry::Comment { length } => tar.pax(&[("comment", &"c".repeat(length))]).directory("d/"),
        Entry::Zeros { blocks } => tar.body(&vec![0; blocks * 512]),
    }
}

fn tar(entries: &[Entry]) -> Vec<u8> {
    entries.iter().fold(Tar::default(), add).end()
}

/// The contents that are not empty, in order.
fn contents(entries: &[Entry]) -> Vec<Vec<u8>> {
    let content = |entry: &Entry| match *entry {
        Entry::File { seed, size } | Entry::Sized { seed, size } if size > 0 => Some(random(seed, size)),
        _ => None,
    };
    entries.iter().filter_map(content).collect()
}

fn pushes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..20usize, 500..530usize, 1_000..100_000usize, 200_000..2_000_000usize], 1..6)
}

fn cases() -> u32 {
    if std::env::var_os("OCM_NIGHTLY").is_some() { 10_000 } else { 96 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_out_as_they_went_in(bytes in vec(any::<u8>(), 0..5_000), pushes in pushes()) {
        for shape in [Shape::Tar, Shape::Plain] {
            let list = chunks(shape, &bytes);
            prop_assert_eq!(&joined(&list), &bytes);
            prop_assert_eq!(list, chunks_of_pushes(shape, &bytes, &pushes));
        }
    }

    #[test]
    fn the_contents_of_any_tar_are_found_however_it_is_pushed(entries in vec(entry(), 0..10), pushes in pushes()) {
        let blob = tar(&entries);
        let list = chunks_of_pushes(Shape::Tar, &blob, &pushes);
        prop_assert_eq!(joined(&list), blob.clone());
        prop_assert_eq!(files(&list), contents(&entries));
        prop_assert_eq!(list, chunks(Shape::Tar, &blob));
    }

    #[test]
    fn a_damaged_tar_loses_nothing_and_keeps_the_bounds(
        entries in vec(entry(), 1..6),
        damage in vec((any::<prop::sample::Index>(), 1..=255u8), 0..4),
        at_headers in any::<bool>(),
        end in any::<prop::sample::Index>(),
        pushes in pushes(),
    ) {
        let mut blob = tar(&entries);
        for (at, change) in damage {
            let at = at.index(if at_headers { 512.min(blob.len()) } else { blob.len() });
            blob[at] ^= change;
        }
        blob.truncate(end.index(blob.len()));
        let list = chunks_of_pushes(Shape::Tar, &blob, &pushes);
        prop_assert_eq!(joined(&list), blob.clone());
        for (class, bytes) in &list {
            let most = if *class == Class::Content { MAX } else { MAX_SKELETON };
            prop_assert!((1..=most).contains(&bytes.len()), "{:?} of {}", class, bytes.len());
        }
        prop_assert_eq!(list, chunks(Shape::Tar, &blob));
    }
}
