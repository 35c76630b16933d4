//! SET.json as nobody would write it: too deep, too long, said twice, or of something else.

use std::os::unix::fs::FileExt as _;

use ocm_format::digest::Digest;
use ocm_format::layout::Parent;
use serde_json::json;

use super::seen;
use crate::apart::apart;
use crate::built::{Built, range, raw};
use crate::forged::Forged;
use crate::made::noise;

/// What becomes of the bytes of SET.json.
type Change = fn(&mut Vec<u8>);

fn volume() -> Forged {
    let content = noise(1, 1_000);
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&content]).records(&[raw(Digest::of(&content), vec![range(0, 1_000)])]);
    built.forged()
}

#[test]
fn a_set_manifest_that_is_no_canonical_json_is_refused_and_its_volume_still_read() {
    let cases: [(Change, &str); 7] = [
        (|set| set.push(b'\n'), "SET.json: it is not canonical JSON"),
        (|set| drop(set.splice(1..1, *b"\"cap\":16777216,")), "SET.json: it is not canonical JSON"),
        (|set| drop(set.splice(1..1, *b"\"a\":[\xff],")), "SET.json: "),
        (|set| drop(set.splice(1..1, *b"\"a\":1.5,")), "SET.json: "),
        (|set| drop(set.splice(1..1, *b"\"a\":9007199254740992,")), "SET.json: "),
        (|set| drop(set.splice(1..1, [b"\"a\":".to_vec(), vec![b'['; 1 << 20]].concat())), "SET.json: it nests deeper than 32"),
        (|set| drop(set.splice(1..1, [b"\"a\":".to_vec(), b"{\"\":".repeat(100_000)].concat())), "SET.json: it nests deeper than 32"),
    ];
    for (change, why) in cases {
        let mut forged = volume();
        forged.on_set = change;
        seen(&forged).says("read: ", "all of it").says("broken: ", why);
    }
}

#[test]
fn a_set_manifest_that_contradicts_itself_its_volume_or_the_limits_is_refused() {
    let ancestor = json!({"id": "01".repeat(16), "root": Digest::of(b"root"), "generation": 1});
    for (key, value, why) in [
        ("set", json!("02".repeat(16)), "SET.json: it is of set 0202"),
        ("set", json!("02".repeat(1_000)), "SET.json: "),
        ("generation", json!(0), "generation or cap is out of bounds"),
        ("generation", json!(1_u64 << 40), "SET.json: "),
        ("cap", json!(65_535), "generation or cap is out of bounds"),
        ("cap", json!(70_000), "it is not the volume that SET.json names"),
        ("features", json!(["b", "a"]), "its features are not sorted"),
        ("features", json!(["a", "a"]), "its features are not sorted"),
        ("ancestors", json!(vec![ancestor; 65]), "it names more ancestors or volumes than the format allows"),
        ("lineage", json!({"id": "x", "name": "lab"}), "SET.json: "),
        ("parent", json!({"kind": "universe"}), "SET.json: unknown variant `universe`"),
        ("format", json!("zip"), "its format is not \"ocm-archive\""),
    ] {
        let mut forged = volume();
        forged.set[key] = value;
        seen(&forged).says("broken: ", why);
    }
    let mut forged = volume();
    forged.on_set = |set| {
        let text = String::from_utf8(set.clone()).expect("text");
        *set = text.replace("\"volumes\":[{\"n\":1", "\"volumes\":[{\"n\":2").into_bytes();
    };
    seen(&forged).says("broken: ", "its volumes are not numbered from 1");
}

#[test]
fn a_set_manifest_that_is_longer_than_it_may_be_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut forged = volume();
    forged.set["cap"] = json!(1_u64 << 40);
    forged.change_header(|header| header[72..80].copy_from_slice(&(1_u64 << 40).to_le_bytes()));
    let (path, _) = forged.write(folder.path());
    // The tail grows by a hole; the end of the file moves behind it.
    let bytes = std::fs::read(&path).expect("bytes");
    let more = 65 << 20;
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    file.set_len(bytes.len() as u64 + more).expect("a hole");
    let end = &bytes[bytes.len() - 2048..];
    let mut footer = ocm_format::layout::Footer::decode(end[512..1024].try_into().expect("512 bytes")).expect("a footer");
    footer.file_bytes += more;
    footer.set_json_bytes += more;
    file.write_all_at(&vec![0; 2048], bytes.len() as u64 - 2048).expect("written");
    let end = [&end[..512], &footer.encode(), &end[1024..]].concat();
    file.write_all_at(&end, bytes.len() as u64 + more - 2048).expect("written");
    apart(folder.path()).says("broken: ", "SET.json: ").says("broken: ", "is more than the 67108864 allowed");
}

#[test]
fn a_set_of_a_hundred_thousand_tags_is_read() {
    let mut forged = volume();
    let item = |number: u32| json!({"name": format!("registry.example/team/app-{number:06}:1.{number}"), "kind": "image"});
    forged.set["items"] = (0..100_000).map(item).collect();
    let folder = tempfile::tempdir().expect("a folder");
    forged.write(folder.path());
    apart(folder.path()).says("read: ", "all of it").is_silent("check: ");
}

#[test]
fn a_set_manifest_of_16_mebibytes_takes_little_more_room_than_that() {
    let parent = |set: &mut Vec<u8>| {
        let text = String::from_utf8(std::mem::take(set)).expect("text");
        let hostile = format!(r#""parent":{{"kind":"receipt","more":[{}0]}}"#, "[],".repeat(5 << 20));
        *set = text.replace(r#""parent":null"#, &hostile).into_bytes();
    };
    let names = |set: &mut Vec<u8>| put(set, b"\"features\":[", &b"\"\",".repeat(5 << 20));
    let cases: [(Change, &str, &str); 6] = [
        (|set| put(set, b"\"items\":[", &b"[],".repeat(5 << 20)), "read: ", "all of it"),
        (|set| put(set, b"\"options\":{", &members(1 << 20)), "read: ", "all of it"),
        (|set| put(set, b"\"options\":{", &[&b"\"a\":["[..], &b"[],".repeat(5 << 20), b"0],"].concat()), "read: ", "all of it"),
        (parent, "broken: ", "missing field `root`"),
        (names, "broken: ", "SET.json: more than 1024 names"),
        (|set| put(set, b"{", &members(1 << 20)), "broken: ", "SET.json: it has more than 1024 keys"),
    ];
    for (change, what, why) in cases {
        let mut forged = volume();
        forged.on_set = change;
        seen(&forged).says(what, why);
    }
}

/// Puts a list of things, with a comma behind each, between `open` and its close.
fn put(set: &mut Vec<u8>, open: &[u8], list: &[u8]) {
    let at = set.windows(open.len()).position(|window| window == open).expect("it is there") + open.len();
    let more = if matches!(set[at], b']' | b'}') { &list[..list.len() - 1] } else { list };
    drop(set.splice(at..at, more.iter().copied()));
}

/// So many members in order, which come before all that a set manifest has.
fn members(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("\"A{number:09}\":0,").into_bytes()).collect()
}
