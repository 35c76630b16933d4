//! Archives of a version that is still to come: what may be ignored is ignored, and what may not is refused by its name.

use ocm_format::codec::put_uvarint;
use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::frame;
use ocm_format::index::table;
use ocm_format::layout::{Codec, Parent};
use ocm_format::reader::{Options, Reader};
use ocm_format::recipe::{Piece, Plain};
use ocm_format::set::scan;
use serde_json::json;

use crate::apart::apart;
use crate::built::{Built, pieces, range, raw, run};
use crate::forged::Forged;
use crate::made::{NORMAL, check_set, noise, only_set};
use crate::tables::{Block, Table};

/// A volume with a blob of each kind, of which nothing is of the future yet.
fn volume() -> Forged {
    let content = noise(1, 3_000);
    let (whole, made) = (Digest::of(&content), Digest::of(&content[..1_000]));
    let mut built = Built::new(1, Parent::None);
    built.verbatim(b"a document", Digest::of(b"a document"));
    built.plain_pack(&[&content[..2_000], &content[2_000..]]);
    built.records(&[raw(whole, vec![range(0, 3_000)]), pieces(made, vec![Piece::Raw(vec![range(0, 1_000)])], Plain::Own)]);
    built.forged()
}

/// Whether the set in a folder is sound, and all its blobs come out.
fn is_read(forged: &Forged) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    forged.write(folder.path());
    let set = only_set(folder.path());
    let reader = Reader::open([&set], Options::default());
    let blobs: Vec<_> = reader.blobs().map(|row| row.expect("a row")).collect();
    let comes_out = |digest: &Digest| {
        let mut stream = reader.stream(digest).expect("a stream");
        while stream.next_chunk().expect("content").is_some() {}
    };
    blobs.iter().for_each(|row| comes_out(&row.digest));
    blobs.len() == 3 && set.is_complete() && check_set(&set, NORMAL).is_sound()
}

/// What is said of a folder with this volume in it.
fn refused(forged: &Forged) -> (Kind, String) {
    let folder = tempfile::tempdir().expect("a folder");
    forged.write(folder.path());
    let mut found = scan(folder.path()).expect("a folder");
    if let Some((_, error)) = found.strangers.pop() {
        return (error.kind(), error.to_string());
    }
    let set = found.sets.remove(0);
    let error = set.broken.iter().map(|file| &file.error).chain(&set.problems).next();
    if let Some(error) = error {
        return (error.kind(), error.to_string());
    }
    let reader = Reader::open([&set], Options::default());
    let damage = check_set(&set, NORMAL).damage.into_iter().map(|damage| (damage.kind, damage.to_string()));
    let content = noise(1, 3_000);
    let read = [Digest::of(&content), Digest::of(&content[..1_000])].into_iter().filter_map(|digest| {
        let error = reader.read_at(&digest, 0, &mut [0]).err()?;
        Some((error.kind(), error.to_string()))
    });
    read.chain(damage).next().expect("it is refused")
}

#[track_caller]
fn assert_refused(forged: &Forged, why: &str) {
    let (kind, text) = refused(forged);
    assert!(kind == Kind::Unsupported && text.contains(why) && text.contains("set-0101"), "{kind:?}: {text}");
}

#[test]
fn a_compatible_feature_that_is_unknown_is_ignored() {
    let mut forged = volume();
    assert!(is_read(&forged));
    forged.change_header(|header| header[16..24].fill(0xff));
    forged.set["features"] = json!(["faster", "smaller"]);
    assert!(is_read(&forged));
}

#[test]
fn an_incompatible_feature_that_is_unknown_is_refused_by_its_bit_and_the_name_that_set_json_has() {
    let mut forged = volume();
    forged.change_header(|header| header[31] = 0x80);
    let without_names = "header: it uses features 0x8000000000000000, and this version cannot do without them";
    assert_refused(&forged, without_names);
    assert!(!refused(&forged).1.contains("SET.json"));
    forged.set["features"] = json!(["encryption", "\u{1b}[31mred"]);
    assert_refused(&forged, &format!(r#"{without_names}; SET.json has features "encryption", "\u{{1b}}[31mred""#));
}

#[test]
fn a_table_that_is_unknown_is_skipped_where_it_says_so_and_else_refused_by_its_id() {
    let block = || Block { key: vec![0], rows: 1, plain: b"\x01whatever this may be".to_vec(), lies: [None; 3] };
    let table = |id, flags| Table { id, flags, rows: 2, count: None, blocks: vec![block(), Block { key: vec![7], ..block() }] };
    let mut forged = volume();
    forged.tables.push(table(77, 1));
    forged.tables.push(Table { rows: 0, blocks: vec![], ..table(78, 1) });
    assert!(is_read(&forged));
    forged.tables.push(table(79, 0));
    assert_refused(&forged, "directory: table 79 is unknown, and this version cannot do without");
    forged.tables[7].flags = 3;
    assert_refused(&forged, "directory: table 79 has flags 0x3, and this version cannot do without");
}

#[test]
fn keys_of_set_json_that_are_unknown_are_ignored() {
    let mut forged = volume();
    forged.set["aaa"] = json!({"deep": [1, {"er": null}]});
    forged.set["zzz"] = json!("later");
    forged.set["lineage"]["motto"] = json!("for ever");
    forged.set["needs"]["patience"] = json!(7);
    assert!(is_read(&forged));
}

#[test]
fn kinds_that_are_unknown_are_refused_by_their_numbers() {
    for (id, column, why) in [
        (table::PARTS, 2, "PARTS: part 9 is unknown"),
        (table::PIECES, 2, "PIECES: piece 9 is unknown"),
        (table::BLOBS, 1, "BLOBS: digest algorithm 9 is unknown"),
        (table::BLOBS, 3, "BLOBS: blob kind 9 is unknown"),
        (table::BLOBS, 5, "BLOBS: plain form 9 is unknown"),
        (table::MEMBERS, 2, "MEMBERS: member kind 9 is unknown"),
        (table::FRAMES, 4, "frame: codec 9 is unknown"),
    ] {
        let mut forged = volume();
        forged.table(id).blocks[0].column(column)[0] = 9;
        assert_refused(&forged, &format!("{why}, and this version cannot do without"));
    }
    for (at, why) in [(12, "header: volume kind 9 is unknown"), (13, "header: kind of parent 9 is unknown")] {
        let mut forged = volume();
        forged.change_header(|header| header[at] = 9);
        assert_refused(&forged, &format!("{why}, and this version cannot do without"));
    }
}

#[test]
fn a_codec_that_is_unknown_is_refused_by_its_number_in_the_header_of_its_frame_too() {
    let mut forged = volume();
    let at = forged.members.windows(4).position(|window| window == b"OCMF").expect("a frame header");
    forged.members[at + 4] = 9;
    let sum = crc32c::crc32c(&forged.members[at..at + 56]);
    forged.members[at + 56..at + 60].copy_from_slice(&sum.to_le_bytes());
    let folder = tempfile::tempdir().expect("a folder");
    forged.write(folder.path());
    apart(folder.path()).says("check: ", "frame header: codec 9 is unknown, and this version cannot do without");
}

/// A record of a blob of 3,000 bytes with this recipe and what follows.
fn record(recipe: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(Digest::of(&noise(1, 3_000)).bytes());
    put_uvarint(&mut body, 3_000);
    body.push(0);
    body.extend(recipe.concat());
    let mut record = Vec::new();
    put_uvarint(&mut record, body.len() as u64);
    [record, body].concat()
}

#[test]
fn records_of_kinds_that_are_unknown_are_refused_by_their_numbers() {
    let all = noise(1, 3_000);
    // 3,000 as a uvarint is b8 17.
    for (recipe, why) in [
        (&[9, 0][..], "record: recipe 9 is unknown"),
        (&[2, 1, 9, 0xb8, 0x17][..], "record: piece 9 is unknown"),
        (&[1, 1, 9, 1, 0, 0xb8, 0x17, 0][..], "record: part 9 is unknown"),
        (&[1, 1, 0, 1, 0, 0xb8, 0x17, 9][..], "record: plain form 9 is unknown"),
        (&[1, 1, 1, 9][..], "record: digest algorithm 9 is unknown"),
    ] {
        let packed = frame::compress(&record(&[recipe]), 3).expect("compressed");
        let mut built = Built::new(1, Parent::None);
        built.plain_pack(&[&all]);
        let row = match recipe[0] {
            2 => pieces(Digest::of(&all), vec![Piece::Raw(vec![range(0, 3_000)])], Plain::Own),
            _ => raw(Digest::of(&all), vec![range(0, 3_000)]),
        };
        built.rows(&[row]).rec(&[Digest::of(&packed).bytes(), &packed].concat());
        let mut forged = built.forged();
        let folder = tempfile::tempdir().expect("a folder");
        forged.write(folder.path());
        let why = format!("{why}, and this version cannot do without");
        apart(folder.path()).says("check: ", &why).says("read: ", "all of it");
        // Without its index, nothing else tells of the blob.
        forged.on_footer = |footer| footer.directory = Digest::of(b"another");
        forged.write(folder.path());
        apart(folder.path()).says("lost: ", &why);
    }
}

#[test]
fn another_version_or_draft_is_refused_with_both_anywhere_that_it_stands() {
    for (at, by, other) in [(8, 1, "2"), (10, 60, "1 draft 60")] {
        let mut forged = volume();
        forged.change_header(|header| header[at] += by);
        let (kind, text) = refused(&forged);
        let wanted = format!("header: it is of format version {other}; this program reads version 1");
        assert!(kind == Kind::Version && text.contains(&wanted), "{text}");
    }
    for (key, number, other) in [("version", 7, "7"), ("draft", 7_000, "1 draft 7000")] {
        let mut forged = volume();
        forged.set[key] = json!(number);
        let (kind, text) = refused(&forged);
        let wanted = format!("SET.json: it is of format version {other}; this program reads version 1");
        assert!(kind == Kind::Version && text.contains(&wanted), "{text}");
    }
}

#[test]
fn a_frame_that_needs_a_deeper_prefix_than_there_may_be_is_refused() {
    let content = noise(1, 100);
    let mut built = Built::new(1, Parent::None);
    let stored = frame::compress(&content, 3).expect("compressed");
    let runs = vec![run(Digest::of(b"old"), 0, 10)];
    built.stored_pack(vec![(Codec::Prefix { depth: 5, runs }, stored, 100)], |_| ());
    built.records(&[raw(Digest::of(&content), vec![range(0, 100)])]);
    let folder = tempfile::tempdir().expect("a folder");
    built.write(folder.path());
    apart(folder.path())
        .says("check: ", "frame header: a prefix of depth 5 is out of bounds")
        .says("read: ", "a prefix of depth 5 is out of bounds");
}
