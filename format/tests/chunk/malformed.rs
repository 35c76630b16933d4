//! Tars that cannot be followed: from the header in question on, they are cut like any blob, and nothing is lost.

use ocm_format::chunk::{Class, MAX_METADATA, Shape};

use crate::kit::{Tar, chunks, chunks_of_pushes, content, joined, random, signed};

/// Changes the last header, and makes its checksum right again.
fn edit(mut tar: Tar, change: impl FnOnce(&mut [u8; 512])) -> Tar {
    let block = tar.bytes.last_chunk_mut::<512>().expect("a header");
    change(block);
    *block = signed(*block);
    tar
}

/// What comes after the files before the fault.
fn tail(tar: Tar) -> Tar {
    tar.body(&random(5, 200_000)).file("after", &random(6, 100_000))
}

#[test]
fn the_rest_is_plain_from_the_header_that_cannot_be_followed() {
    let start = || Tar::default().directory("d/").file("before", &random(1, 70_000));
    let long = usize::try_from(MAX_METADATA).expect("small") + 1;
    let half = vec![b'n'; long / 2 + 1];
    let bad_sum = |mut tar: Tar| {
        *tar.bytes.last_mut().expect("a byte") ^= 1;
        tar
    };
    let records = |flag: u8, body: &[u8]| start().header(flag, "x", body.len()).body(body);
    let entry = |tar: Tar| tar.header(b'0', "f", 200_000);
    for (what, before, tar) in [
        ("no tar at all", Tar::default(), Tar::default()),
        ("a block that is no header", start(), start()),
        ("a bad checksum", start(), bad_sum(start().header(b'0', "f", 200_000))),
        ("a checksum that is no number", start(), {
            let mut tar = start().header(b'0', "f", 200_000);
            let at = tar.bytes.len() - 512 + 148;
            tar.bytes[at] = b'z';
            tar
        }),
        ("a size that is no number", start(), start().header_with_size(b'0', "f", b"0000000z000\0")),
        ("a size of decimal digits", start(), start().header_with_size(b'0', "f", b"00000200009\0")),
        ("a negative size", start(), start().header_with_size(b'0', "f", &[0xff; 12])),
        ("a size over 2^63", start(), start().header_with_size(b'0', "f", b"\x80\0\0\0\x80\0\0\0\0\0\0\0")),
        ("a size over 2^64", start(), start().header_with_size(b'0', "f", b"\x80\0\0\x01\0\0\0\0\0\0\0\0")),
        ("a directory of no size", start(), start().header_with_size(b'5', "f", b"9")),
        ("a sparse map that goes on", start(), edit(start().header(b'S', "s", 200_000), |block| block[482] = 1)),
        ("pax records over the bound", start(), start().header(b'x', "x", long)),
        ("a long name over the bound", start(), start().header(b'L', "x", long)),
        ("metadata of a huge size", start(), start().header_with_size(b'g', "x", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")),
        (
            "metadata that is over the bound together",
            start().header(b'L', "x", half.len()).body(&half),
            start().header(b'L', "x", half.len()).body(&half).header(b'K', "x", half.len()),
        ),
        ("records without a length", records(b'x', b"size=10\n"), entry(records(b'x', b"size=10\n"))),
        ("a record longer than all", records(b'x', b"99 size=10\n"), entry(records(b'x', b"99 size=10\n"))),
        ("a pax size over 2^63", records(b'x', b"28 size=9223372036854775808\n"), entry(records(b'x', b"28 size=9223372036854775808\n"))),
        ("a size for all entries", records(b'g', b"11 size=10\n"), entry(records(b'g', b"11 size=10\n"))),
    ] {
        let blob = tail(tar).end();
        let list = chunks(Shape::Tar, &blob);
        let (_, rest) = blob.split_at(before.bytes.len());
        let plain = chunks(Shape::Plain, rest);
        assert_eq!(joined(&list), blob, "{what}");
        assert!(list.ends_with(&plain), "{what}: the rest is not cut plainly");
        let (followed, _) = list.split_at(list.len() - plain.len());
        assert!(followed.last().is_none_or(|(class, _)| *class == Class::Skeleton), "{what}: followed too far");
        assert_eq!(list, chunks_of_pushes(Shape::Tar, &blob, &[511, 1, 70_000]), "{what}");
    }
}

#[test]
fn metadata_up_to_the_bound_is_followed() {
    let name = vec![b'n'; usize::try_from(MAX_METADATA).expect("small") / 2];
    let tar = (0..3).fold(Tar::default(), |tar, n| {
        tar.header(b'L', "l", name.len()).body(&name).header(b'K', "k", name.len()).body(&name).file(&format!("f{n}"), b"data")
    });
    assert_eq!(content(&chunks(Shape::Tar, &tar.end())), [b"data"; 3]);
}

#[test]
fn a_size_beyond_the_end_of_the_blob_is_only_a_promise() {
    let sizes: [&[u8]; 3] = [b"77777777777\0", b"\x80\0\0\0\0\x01\0\0\0\0\0\0", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"];
    for size in sizes {
        let data = random(2, 3_000_000);
        let list = chunks(Shape::Tar, &Tar::default().header_with_size(b'0', "f", size).body(&data).bytes);
        assert_eq!(list, chunks_of_pushes(Shape::Tar, &joined(&list), &[4_096]));
        assert_eq!(content(&list).concat().get(..data.len()), Some(data.as_slice()));
        assert!(list.len() > 10);
    }
}

#[test]
fn nothing_in_gives_nothing_out() {
    for shape in [Shape::Tar, Shape::Plain] {
        assert_eq!(chunks(shape, b""), []);
        assert_eq!(chunks_of_pushes(shape, b"x", &[0, 1]).len(), 1);
    }
}
