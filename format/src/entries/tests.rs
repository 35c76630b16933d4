//! Tars are followed as programs that unpack them do, and hostile ones are errors.

#![expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test may panic")]

use super::*;

fn block(flag: u8, name: &[u8], link: &[u8], size: usize) -> Block {
    let mut block = [0u8; 512];
    block[..name.len()].copy_from_slice(name);
    for (at, text) in [(100, "0104755"), (108, "0000144"), (116, "0000145"), (329, "0000010"), (337, "0000003"), (136, "00000000007")] {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = flag;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..263].copy_from_slice(b"ustar\0");
    signed(block)
}

fn signed(mut block: Block) -> Block {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(flag: u8, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = block(flag, name, b"", content.len()).to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn pax(flag: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let record = |(key, value): &(&str, &[u8])| {
        let rest = key.len() + value.len() + 3;
        let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).expect("a length") + rest;
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    };
    entry(flag, b"pax", &records.iter().map(record).collect::<Vec<_>>().concat())
}

const END: [u8; 1024] = [0; 1024];

/// What a tar has: entries, with the contents of files.
fn read(tar: &[u8], step: usize) -> Result<Vec<(Entry, Vec<u8>)>, Malformed> {
    let (mut entries, mut found) = (Entries::default(), Vec::<(Entry, Vec<u8>)>::new());
    for part in tar.chunks(step) {
        entries.push(part, &mut |part| {
            match part {
                Part::Entry(entry) => found.push((entry, Vec::new())),
                Part::Content(bytes) => found.last_mut().expect("content comes after an entry").1.extend(bytes),
            }
            Ok::<(), Malformed>(())
        })?;
    }
    entries.finish().map(|()| found)
}

fn kinds(tar: &[u8]) -> Vec<(String, Kind)> {
    let named = |(entry, _): (Entry, Vec<u8>)| (String::from_utf8_lossy(&entry.path).into_owned(), entry.kind);
    read(tar, tar.len()).expect("a tar").into_iter().map(named).collect()
}

#[test]
fn every_kind_of_entry_is_told_with_what_belongs_to_it() {
    let tar = [
        entry(b'5', b"./etc/", b""),
        entry(b'0', b"etc/file", &[b'a'; 700]),
        entry(0, b"old/", b""),
        block(b'1', b"hard", b"etc/file", 9).to_vec(),
        block(b'2', b"soft", b"/etc", 0).to_vec(),
        entry(b'3', b"character", b""),
        entry(b'4', b"block", b""),
        entry(b'6', b"fifo", b""),
        entry(b'V', b"no part of a file system", b"x"),
        entry(b'7', b"contiguous", b"content"),
        END.to_vec(),
        b"what follows counts for nothing".to_vec(),
    ]
    .concat();
    let expected = [
        ("./etc/", Kind::Directory),
        ("etc/file", Kind::File(700)),
        ("old/", Kind::Directory),
        ("hard", Kind::HardLink(b"etc/file".to_vec())),
        ("soft", Kind::Symlink(b"/etc".to_vec())),
        ("character", Kind::CharacterDevice(8, 3)),
        ("block", Kind::BlockDevice(8, 3)),
        ("fifo", Kind::Fifo),
        ("contiguous", Kind::File(7)),
    ];
    assert_eq!(kinds(&tar), expected.map(|(name, kind)| (name.to_owned(), kind)));
    let all = read(&tar, 100).expect("a tar");
    assert_eq!((all[1].1.len(), all[8].1.as_slice()), (700, &b"content"[..]));
    assert_eq!((all[1].0.mode, all[1].0.owner, all[1].0.modified), (0o4755, (100, 101), (7, 0)));
}

#[test]
fn names_and_records_before_a_header_count_for_that_entry_alone() {
    let long = [b"d/".repeat(80), b"name".to_vec()].concat();
    let records: [(&str, &[u8]); 8] = [
        ("path", b"pax/path"),
        ("linkpath", b"pax/target"),
        ("uid", b"70000"),
        ("gid", b"80000"),
        ("mtime", b"-1.5"),
        ("SCHILY.xattr.security.capability", b"\x01\0\0\x02"),
        ("SCHILY.xattr.user.gone", b""),
        ("comment", b"of no account"),
    ];
    let tar = [
        entry(b'L', b"././@LongLink", &[long.as_slice(), b"\0"].concat()),
        entry(b'K', b"././@LongLink", b"target\0"),
        block(b'2', b"short", b"short", 0).to_vec(),
        pax(b'g', &[("path", b"of no account"), ("comment", b"x")]),
        pax(b'x', &records),
        block(b'2', b"short", b"short", 0).to_vec(),
        pax(b'x', &[("size", b"3"), ("mtime", b"12.25"), ("uid", b"")]),
        entry(b'0', b"sized", b"abc"),
        entry(b'0', b"plain", b""),
    ]
    .concat();
    let found = read(&tar, 7).expect("a tar");
    let entry = |at: usize| &found[at].0;
    assert_eq!((&entry(0).path, &entry(0).kind), (&long, &Kind::Symlink(b"target".to_vec())));
    assert_eq!((entry(1).path.as_slice(), &entry(1).kind), (&b"pax/path"[..], &Kind::Symlink(b"pax/target".to_vec())));
    assert_eq!((entry(1).owner, entry(1).modified), ((70_000, 80_000), (-2, 500_000_000)));
    assert_eq!(entry(1).attributes.len(), 2);
    assert_eq!(entry(1).attributes[b"security.capability".as_slice()], b"\x01\0\0\x02");
    assert_eq!((entry(2).owner, entry(2).modified, found[2].1.as_slice()), ((100, 101), (12, 250_000_000), &b"abc"[..]));
    assert_eq!((entry(3).path.as_slice(), entry(3).attributes.len(), entry(3).modified), (&b"plain"[..], 0, (7, 0)));
}

#[test]
fn parts_do_not_depend_on_how_the_tar_was_split() {
    let tar = [entry(b'5', b"d/", b""), pax(b'x', &[("path", b"d/x")]), entry(b'0', b"x", &[7; 1500]), END.to_vec()].concat();
    let whole = read(&tar, tar.len()).expect("a tar");
    let broken = [&tar[..1024], &[1; 512]].concat();
    for step in [1, 7, 511, 512, 513] {
        assert_eq!(read(&tar, step).as_ref(), Ok(&whole));
        assert_eq!(read(&broken, step).expect_err("broken").at, 1024);
    }
}

#[test]
fn a_tar_may_end_at_an_entry_and_nowhere_else() {
    let whole = [entry(b'0', b"a", &[1; 700]), pax(b'x', &[("path", b"b")]), entry(b'0', b"x", b"")].concat();
    for length in 0..=whole.len() {
        let is_end = [0, 512 + 1024, whole.len()].contains(&length);
        assert_eq!(read(&whole[..length], 512).is_ok(), is_end, "{length}");
    }
    assert!(read(&[whole, vec![0; 512]].concat(), 512).is_ok());
}

#[test]
fn a_tar_that_cannot_be_followed_is_an_error_that_says_where() {
    let first = entry(b'0', b"a", b"");
    let mut owner = block(b'0', b"a", b"", 0);
    owner[108] = b'x';
    let pax_of = |records: &[u8]| entry(b'x', b"pax", records);
    let many: Vec<u8> = (0..3).flat_map(|_| entry(b'L', b"L", &[b'n'; 400 << 10])).collect();
    for (bytes, why) in [
        (vec![1; 512], "no header"),
        (signed(owner).to_vec(), "no number"),
        (pax_of(b"99 path=a\n"), "pax records"),
        (pax_of(b"9 uid=x1\n"), "pax records"),
        (pax_of(b"10 path=a\0\n"), "pax records"),
        (pax_of(b"13 mtime=1.x\n"), "pax records"),
        (pax(b'g', &[("size", b"1")]), "pax records"),
        (block(b'x', b"pax", b"", 2 << 20).to_vec(), "more names and records"),
        (many, "more names and records"),
        ([vec![0; 512], first.clone()].concat(), "follows a block of zeros"),
    ] {
        let error = read(&[first.clone(), bytes].concat(), 512).expect_err(why);
        assert!(error.why.contains(why) && error.at >= 512, "{error}: {why}");
    }
}
