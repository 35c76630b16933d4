//! Tars that are as they should be: which bytes are content, and where a chunk may end.

use ocm_format::chunk::{AVG, Class, MAX_SKELETON, Shape};

use crate::kit::{Chunk, Tar, chunks, chunks_of_pushes, content, files, joined, random, signed};

fn classes(chunks: &[Chunk]) -> Vec<Class> {
    chunks.iter().map(|(class, _)| *class).collect()
}

#[test]
fn contents_and_what_stands_between_alternate() {
    use Class::{Content, Skeleton};
    let tar = Tar::default().directory("d/").file("a", b"a").file("none", b"").file("b", &[7; 512]).end();
    let list = chunks(Shape::Tar, &tar);
    assert_eq!(classes(&list), [Skeleton, Content, Skeleton, Content, Skeleton]);
    let lengths: Vec<usize> = list.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [1024, 1, 511 + 1024, 512, 1024]);
    assert_eq!(joined(&list), tar);
}

#[test]
fn a_file_up_to_the_average_is_one_chunk_and_a_longer_one_is_cut_plainly() {
    let would_be_cut = |data: &Vec<u8>| chunks(Shape::Plain, &data[..AVG - 1]).len() > 1;
    let data = (0..).map(|seed| random(seed, 4 * AVG)).find(would_be_cut).expect("one of endlessly many");
    let plain = |size: usize| chunks(Shape::Plain, &data[..size]);
    for size in [1, AVG - 1, AVG, AVG + 1, 4 * AVG] {
        let list = chunks(Shape::Tar, &Tar::default().file("f", &data[..size]).end());
        let expected = if size <= AVG { vec![(Class::Content, data[..size].to_vec())] } else { plain(size) };
        assert_eq!(content(&list), content(&expected), "{size}");
    }
}

#[test]
fn every_type_with_data_is_content_and_every_other_is_not() {
    let data = random(9, 700);
    for flag in *b"0\x007SMNVz" {
        let list = chunks(Shape::Tar, &Tar::default().header(flag, "f", data.len()).body(&data).end());
        assert_eq!(content(&list), [data.as_slice()], "{}", flag.escape_ascii());
    }
    for flag in *b"123456" {
        let list = chunks(Shape::Tar, &Tar::default().header(flag, "f", 700).file("g", &data).end());
        assert_eq!(content(&list), [data.as_slice()], "{}", flag.escape_ascii());
    }
    for flag in *b"LKg" {
        let metadata = if flag == b'g' { b"6 a=b\n".repeat(100) } else { vec![b'n'; 600] };
        let list = chunks(Shape::Tar, &Tar::default().header(flag, "m", 600).body(&metadata).file("g", &data).end());
        assert_eq!(content(&list), [data.as_slice()], "{}", flag.escape_ascii());
    }
}

#[test]
fn the_size_of_pax_records_counts_for_the_next_entry_only() {
    let (one, two) = (random(1, 5_000), random(2, 900));
    let tar = Tar::default()
        .pax(&[("mtime", "1.5"), ("size", "5000"), ("path", "one")])
        .header(b'L', "long", 4)
        .body(b"one\0")
        .header(b'0', "one", 0)
        .body(&one)
        .file("two", &two)
        .end();
    assert_eq!(files(&chunks(Shape::Tar, &tar)), [one, two]);
}

#[test]
fn a_second_pax_header_without_a_size_leaves_that_of_the_first() {
    let tar = Tar::default().pax(&[("size", "700")]).pax(&[("mtime", "1")]).header(b'0', "f", 0).body(&random(1, 700)).end();
    assert_eq!(files(&chunks(Shape::Tar, &tar)), [random(1, 700)]);
}

#[test]
fn a_part_of_a_header_is_content_and_a_part_of_the_end_is_skeleton() {
    let tar = Tar::default().directory("d/").file("f", b"data").directory("e/").end();
    let list = chunks(Shape::Tar, &tar[..tar.len() - 100]);
    assert_eq!(classes(&list), [Class::Skeleton, Class::Content, Class::Skeleton]);
    let list = chunks(Shape::Tar, &tar[..300]);
    assert_eq!(list, [(Class::Content, tar[..300].to_vec())]);
}

#[test]
fn a_pax_size_does_not_give_a_directory_a_body() {
    let tar = Tar::default().pax(&[("size", "512")]).directory("d/").file("f", b"data").end();
    assert_eq!(files(&chunks(Shape::Tar, &tar)), [b"data"]);
}

#[test]
fn a_zero_block_ends_what_pax_records_say() {
    let tar = Tar::default().pax(&[("size", "100")]).body(&[0; 512]).file("f", b"data").end();
    assert_eq!(files(&chunks(Shape::Tar, &tar)), [b"data"]);
}

#[test]
fn a_size_in_base_256_counts() {
    let data = random(4, 1_000);
    let tar = Tar::default().header_with_size(b'0', "f", b"\x80\0\0\0\0\0\0\0\0\0\x03\xe8").body(&data).file("g", b"g").end();
    assert_eq!(files(&chunks(Shape::Tar, &tar)), [data, b"g".to_vec()]);
}

#[test]
fn tars_one_after_the_other_are_all_followed() {
    let one = Tar::default().file("a", b"a").end();
    let two = Tar::default().file("b", b"b").end();
    assert_eq!(files(&chunks(Shape::Tar, &[one, vec![0; 9_000 / 512 * 512], two].concat())), [b"a", b"b"]);
}

#[test]
fn a_long_run_of_entries_is_cut_between_entries() {
    let mut tar = Tar::default();
    for n in 0..300 {
        tar = tar.pax(&[("path", &"p".repeat(600 + n))]).header(b'2', "link", 0);
    }
    let list = chunks(Shape::Tar, &tar.clone().end());
    assert!(list.len() > 5 && list.iter().all(|(class, bytes)| *class == Class::Skeleton && bytes.len() <= MAX_SKELETON));
    let mut at = 0;
    for (_, bytes) in &list {
        let first = tar.bytes.get(at..at + 512).expect("a header");
        assert_eq!(first[156], b'x', "a chunk begins at {at}");
        at += bytes.len();
    }
}

#[test]
fn an_entry_longer_than_a_skeleton_chunk_is_cut_inside() {
    let tar = Tar::default().directory("d/").pax(&[("comment", &"c".repeat(200_000))]).file("f", b"data").end();
    let list = chunks(Shape::Tar, &tar);
    let lengths: Vec<usize> = list.iter().take(3).map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [512, MAX_SKELETON, MAX_SKELETON]);
    assert_eq!(files(&list), [b"data"]);
}

#[test]
fn one_changed_file_changes_no_other_content_chunk() {
    let tree = |changed: &[u8]| {
        (0..20)
            .fold(Tar::default(), |tar, n| tar.file(&format!("f{n}"), &random(n, 30_000 * usize::try_from(n).expect("small"))))
            .file("changed", changed)
            .file("last", &random(99, 400_000))
            .end()
    };
    let (before, after) = (chunks(Shape::Tar, &tree(&random(50, 60_000))), chunks(Shape::Tar, &tree(&random(51, 50_001))));
    let new: Vec<&[u8]> = content(&after).into_iter().filter(|chunk| !content(&before).contains(chunk)).collect();
    assert_eq!(new, [random(51, 50_001).as_slice()]);
}

#[test]
fn an_insertion_in_a_large_file_costs_few_chunks() {
    let old = random(77, 4 << 20);
    let new = [&old[..1_000_000], b"a few bytes more", &old[1_000_000..]].concat();
    let before = chunks(Shape::Tar, &Tar::default().file("f", &old).end());
    let after = chunks(Shape::Tar, &Tar::default().file("f", &new).end());
    let fresh = content(&after).into_iter().filter(|chunk| !content(&before).contains(chunk)).count();
    assert!(fresh <= 3, "{fresh} of {} chunks are new", after.len());
}

#[test]
fn other_times_leave_content_as_it_is() {
    let tree = |mtime| Tar { mtime, ..Tar::default() }.file("a", &random(1, 300_000)).directory("d/").file("b", b"b").end();
    let (before, after) = (chunks(Shape::Tar, &tree(1)), chunks(Shape::Tar, &tree(1_700_000_000)));
    assert_eq!(content(&before), content(&after));
    assert_ne!(before, after);
}

#[test]
fn a_tar_cut_anywhere_gives_what_is_there() {
    let mut sparse = [0; 512];
    sparse.copy_from_slice(&Tar::default().header(b'S', "s", 30).bytes);
    let mut tar = Tar::default().pax(&[("size", "700")]).header(b'0', "a", 0).body(&random(1, 700)).directory("d/");
    tar.bytes.extend_from_slice(&signed(sparse));
    let tar = tar.body(&random(2, 30)).end();
    for length in 0..=tar.len() {
        let list = chunks(Shape::Tar, &tar[..length]);
        assert_eq!(joined(&list), tar[..length], "cut at {length}");
        assert_eq!(list, chunks_of_pushes(Shape::Tar, &tar[..length], &[1]), "cut at {length}");
    }
}

#[test]
fn a_file_that_is_cut_short_keeps_the_chunks_it_has() {
    let data = random(8, 2_000_000);
    let whole = chunks(Shape::Tar, &Tar::default().file("f", &data).bytes);
    let half = chunks(Shape::Tar, &Tar::default().file("f", &data).bytes[..1_000_000]);
    let same = whole.iter().zip(&half).take_while(|(a, b)| a == b).count();
    assert!(same >= half.len() - 3, "{same} of {}", half.len());
    assert_eq!(joined(&half).len(), 1_000_000);
}
