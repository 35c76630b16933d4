//! The cut points of released versions: if one of these tests fails, deduplication against older sets is lost.

use std::fmt::Write as _;

use fastcdc::v2020::FastCDC;
use ocm_format::chunk::{AVG, Class, MAX, MIN, Shape};
use ocm_format::digest::Digest;

use crate::kit::{Chunk, Tar, chunks, random};

/// One line a chunk: class and length.
fn listing(chunks: &[Chunk]) -> String {
    chunks.iter().fold(String::new(), |mut list, (class, bytes)| {
        let letter = if *class == Class::Content { 'c' } else { 's' };
        writeln!(list, "{letter} {}", bytes.len()).expect("a string takes everything");
        list
    })
}

#[test]
fn the_cut_points_never_change() {
    let text: Vec<u8> = (0..400_000).flat_map(|n: u32| format!("{n} {}\n", n.wrapping_mul(n)).into_bytes()).collect();
    let tar = Tar::default()
        .directory("d/")
        .file("d/small", &random(1, 1_000))
        .file("d/average", &random(2, AVG))
        .file("d/large", &random(3, 3_000_001))
        .header(b'2', "link", 0)
        .end();
    for (what, shape, blob, digest) in [
        ("random", Shape::Plain, random(7, 16 << 20), "d67a3ca98f2d6f105042e9f227fc66240fadf85413479dc85149be3977d0d686"),
        ("text", Shape::Plain, text, "fbf5b0ba7efdce8d0336bf82177023591d808d2d42060588f2b8acd51eed8680"),
        ("zeros", Shape::Plain, vec![0; 1_000_000], "11d4f99e6782ee1a95cebfdfb0b86dc04e802c184908aea489953d997112e763"),
        ("tar", Shape::Tar, tar, "564d5b8ce9702035bd53f4ac0ee045f43db3f8083224127425d8205cbf159cd0"),
    ] {
        let list = listing(&chunks(shape, &blob));
        assert_eq!(Digest::of(list.as_bytes()).hex(), digest, "{what}:\n{list}");
    }
}

#[test]
fn cuts_in_a_stream_are_those_of_the_whole() {
    let blob = random(11, 5_000_000);
    let whole: Vec<usize> = FastCDC::new(&blob, MIN, AVG, MAX).map(|chunk| chunk.length).collect();
    let streamed: Vec<usize> = chunks(Shape::Plain, &blob).iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(streamed, whole);
}

#[test]
fn chunks_of_random_bytes_are_as_long_as_promised() {
    let list = chunks(Shape::Plain, &random(5, 64 << 20));
    let lengths: Vec<usize> = list.iter().map(|(_, bytes)| bytes.len()).collect();
    let (last, others) = lengths.split_last().expect("some chunks");
    assert!(others.iter().all(|length| (MIN..=MAX).contains(length)) && *last <= MAX);
    let average = (64 << 20) / lengths.len();
    assert!((AVG / 2..AVG * 2).contains(&average), "{average}");
}
