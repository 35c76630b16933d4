//! What other writers may make: patches and replays, and archives that lie.

mod bombs;
mod documents;
mod places;
mod tars;

use std::io::Read;
use std::path::Path;

use ocm_format::check;
use ocm_format::digest::Digest;
use ocm_format::error::{Kind, Result};
use ocm_format::layout::{Id, Parent};
use ocm_format::reader::{Options, Reader};
use ocm_format::recipe::{Part, Piece, Plain, Replay, Restart};
use ocm_format::set::scan;

use crate::apart::{Came, apart};
use crate::built::{Built, NewFrame, pieces, range, raw, run};
use crate::forged::Forged;
use crate::made::{NORMAL, check_set, noise, only_set};

/// What a process of its own makes of it.
fn seen(forged: &Forged) -> Came {
    let folder = tempfile::tempdir().expect("a folder");
    forged.write(folder.path());
    apart(folder.path())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn reader(folder: &Path) -> Reader {
    let found = scan(folder).expect("a scan");
    assert!(found.sets.iter().all(|set| set.is_complete()), "{found:?}");
    Reader::open(&found.sets, Options::default())
}

fn read(reader: &Reader, digest: &Digest) -> Result<Vec<u8>> {
    let (mut stream, mut content) = (reader.stream(digest)?, Vec::new());
    while let Some(chunk) = stream.next_chunk()? {
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

/// Two sets: the second has a blob of which half is in the first, one patched from it, and one with a plain form.
fn two_generations(folder: &Path) -> [Vec<u8>; 4] {
    let old = noise(1, 50_000);
    let mut base = Built::new(1, Parent::None);
    base.plain_pack(&[&old[..30_000], &old[30_000..]]).records(&[raw(Digest::of(&old), vec![range(0, 50_000)])]);
    let root = base.write(folder);
    let new = noise(2, 10_000);
    let mut patched = old[5_000..45_000].to_vec();
    patched[20_000] ^= 1;
    let mut next = Built::new(2, Parent::Set { id: Id([1; 16]), root });
    let old_run = run(Digest::of(&old), 5_000, 40_000);
    let frames = [NewFrame { plain: &new, prefix: None }, NewFrame { plain: &patched, prefix: Some((vec![old_run], &old[5_000..45_000])) }];
    next.pack(&frames[..1]).records(&[]);
    next.pack(&frames[1..]);
    let half = [&old[10_000..40_000], &new].concat();
    let zipped = [b"head", &patched[..100]].concat();
    let plain_parts = vec![range(10_000, 20_000), Part::Run(run(Digest::of(&old), 0, 100))];
    let plain = [&patched[..20_000], &old[..100]].concat();
    let listed = Plain::Listed { digest: Digest::of(&plain), bytes: 20_100, parts: plain_parts };
    next.records(&[
        raw(Digest::of(&half), vec![Part::Run(run(Digest::of(&old), 10_000, 30_000)), range(0, 10_000)]),
        raw(Digest::of(&patched), vec![range(10_000, 40_000)]),
    ]);
    next.plain_pack(&[b"head"]);
    let parts = vec![Piece::Raw(vec![range(50_000, 4)]), Piece::Raw(vec![range(10_000, 100)])];
    next.records(&[pieces(Digest::of(&zipped), parts, listed)]);
    next.write(folder);
    [half, patched, zipped, plain]
}

#[test]
fn runs_patches_pieces_and_plain_forms_lead_back_to_their_bytes() {
    let folder = folder();
    let [half, patched, zipped, plain] = two_generations(folder.path());
    let reader = reader(folder.path());
    for content in [&half, &patched, &zipped] {
        assert!(read(&reader, &Digest::of(content)).expect("content") == *content);
    }
    let mut found = Vec::new();
    reader.plain_stream(&Digest::of(&zipped)).expect("a stream").read_to_end(&mut found).expect("content");
    assert!(found == plain);
    let mut buffer = [0; 200];
    assert_eq!(reader.plain_at(&Digest::of(&zipped), 19_950, &mut buffer).expect("plain"), 150);
    assert_eq!(buffer[..150], plain[19_950..]);
    let volumes = reader.volumes_of(&Digest::of(&half)).expect("volumes");
    assert_eq!(volumes.into_iter().collect::<Vec<_>>(), [(Id([1; 16]), 1), (Id([2; 16]), 1)]);
    let found = scan(folder.path()).expect("a scan");
    for (set, before) in [(&found.sets[0], &found.sets[1..]), (&found.sets[1], &[][..])] {
        let before: Vec<_> = before.iter().collect();
        let report = check::check(set, &before, check::Options { deep: true, ..NORMAL }, &mut |_| std::ops::ControlFlow::Continue(()));
        assert!(report.is_sound(), "{:#?}", report.damage);
    }
}

#[test]
fn a_parent_that_is_missing_is_named() {
    let folder = folder();
    let [half, patched, zipped, _] = two_generations(folder.path());
    let found = scan(folder.path()).expect("a scan");
    let reader = Reader::open(&found.sets[..1], Options::default());
    for content in [&half, &patched] {
        let error = read(&reader, &Digest::of(content)).expect_err("it needs the parent");
        assert_eq!(error.kind(), Kind::Missing);
        assert!(error.to_string().contains(&format!("set {}", Id([1; 16]))), "{error}");
    }
    assert!(read(&reader, &Digest::of(&zipped)).is_err());
    assert!(reader.blob(&Digest::of(b"elsewhere")).is_err(), "the parent may have it");
}

#[test]
fn damage_of_a_blob_hurts_those_that_are_made_from_it() {
    let folder = folder();
    let content = noise(1, 1_000);
    let digest = Digest::of(&content);
    let copy = [&content[..500], &content[..500]].concat();
    let patched = [&content[..], b"!"].concat();
    let untouched = noise(3, 10);
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&content, &untouched]);
    let halves = vec![Part::Run(run(digest, 0, 500)), Part::Run(run(digest, 0, 500))];
    built.records(&[
        raw(digest, vec![range(0, 1_000)]),
        raw(Digest::of(&untouched), vec![range(1_000, 10)]),
        raw(Digest::of(&copy), halves),
    ]);
    built.pack(&[NewFrame { plain: &patched, prefix: Some((vec![run(digest, 0, 1_000)], &content)) }]);
    built.records(&[raw(Digest::of(&patched), vec![range(1_010, 1_001)])]);
    built.write(folder.path());
    assert!(check_set(&only_set(folder.path()), NORMAL).is_sound());
    let path = only_set(folder.path()).volumes[&1].path.clone();
    let mut bytes = std::fs::read(&path).expect("bytes");
    let frame = reader(folder.path()).volumes(Id([1; 16])).next().expect("a volume").frame_at(0).expect("a frame");
    bytes[frame.file_offset as usize + 30] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let report = check_set(&only_set(folder.path()), NORMAL);
    let mut wanted = [digest, Digest::of(&copy), Digest::of(&patched)];
    wanted.sort();
    assert_eq!(report.hurt().into_iter().collect::<Vec<_>>(), wanted);
    let reader = reader(folder.path());
    wanted.iter().for_each(|digest| assert_eq!(read(&reader, digest).expect_err("damaged").kind(), Kind::Damaged));
    assert!(read(&reader, &Digest::of(&untouched)).expect("content") == untouched);
}

#[test]
fn a_replay_is_refused_by_blob_and_encoder() {
    let folder = folder();
    let content = noise(1, 100);
    let digest = Digest::of(b"a gzip file");
    let restart = |plain_offset, output_bit| Restart { plain_offset, output_bit, check: 7 };
    let replay = Replay {
        bytes: 50,
        encoder: 4711,
        parameters: vec![6],
        plain_offset: 0,
        plain_bytes: 100,
        restarts: vec![restart(0, 0), restart(60, 203)],
    };
    let parts = vec![Piece::Raw(vec![range(0, 10)]), Piece::Replay(replay)];
    let listed = Plain::Listed { digest: Digest::of(&content), bytes: 100, parts: vec![range(0, 100)] };
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&content]).records(&[pieces(digest, parts, listed)]);
    built.write(folder.path());
    let reader = reader(folder.path());
    let mut buffer = [0; 20];
    assert_eq!(reader.read_at(&digest, 0, &mut buffer[..10]).expect("the raw piece"), 10);
    for offset in [10, 59] {
        let error = reader.read_at(&digest, offset, &mut buffer[..1]).expect_err("no encoder");
        assert_eq!(error.kind(), Kind::Unsupported);
        let text = error.to_string();
        assert!(text.contains(&digest.to_string()) && text.contains("encoder 4711"), "{text}");
    }
    assert_eq!(reader.plain_at(&digest, 0, &mut buffer).expect("the plain form"), 20);
    let report = check_set(&only_set(folder.path()), NORMAL);
    assert!(report.is_sound(), "{:#?}", report.damage);
}

#[test]
fn blobs_that_refer_to_each_other_in_a_circle_are_an_error() {
    let folder = folder();
    let [a, b, c] = [b"a", b"b", b"c"].map(|name| Digest::of(name));
    let turn = |from: Digest, to: Digest| raw(from, vec![Part::Run(run(to, 0, 10))]);
    let mut built = Built::new(1, Parent::None);
    built.records(&[turn(a, b), turn(b, c), turn(c, a)]);
    built.write(folder.path());
    let error = read(&reader(folder.path()), &a).expect_err("a circle");
    assert!(error.kind() == Kind::Damaged && error.to_string().contains("refer to each other"), "{error}");
}

#[test]
fn a_frame_that_is_its_own_prefix_is_an_error() {
    let folder = folder();
    let content = noise(1, 1_000);
    let digest = Digest::of(&content);
    let mut built = Built::new(1, Parent::None);
    let circle = NewFrame { plain: &content, prefix: Some((vec![run(digest, 0, 1_000)], &content)) };
    built.pack(&[circle]).records(&[raw(digest, vec![range(0, 1_000)])]);
    built.write(folder.path());
    let error = read(&reader(folder.path()), &digest).expect_err("a circle");
    assert!(error.to_string().contains("prefixes are too deep"), "{error}");
}

#[test]
fn blobs_of_one_set_that_are_each_others_prefixes_are_an_error() {
    let folder = folder();
    let [a, b] = [noise(1, 1_000), noise(2, 1_000)];
    let [one, other] = [&a, &b].map(|content| Digest::of(content));
    let mut built = Built::new(1, Parent::None);
    let frames = [
        NewFrame { plain: &a, prefix: Some((vec![run(other, 0, 1_000)], &b)) },
        NewFrame { plain: &b, prefix: Some((vec![run(one, 0, 1_000)], &a)) },
    ];
    built.pack(&frames).records(&[raw(one, vec![range(0, 1_000)]), raw(other, vec![range(1_000, 1_000)])]);
    built.write(folder.path());
    for digest in [one, other] {
        let reader = reader(folder.path());
        let error = read(&reader, &digest).expect_err("a circle");
        assert!(error.kind() == Kind::Damaged && error.to_string().contains("prefixes are too deep"), "{error}");
        let error = reader.reach(&digest).expect_err("a circle");
        assert!(error.kind() == Kind::Damaged && error.to_string().contains("its prefix needs itself"), "{error}");
    }
    let report = check_set(&only_set(folder.path()), check::Options { deep: true, ..NORMAL });
    assert!(!report.is_sound());
}

#[test]
fn a_stream_withholds_the_end_of_a_blob_that_does_not_match_its_digest() {
    let folder = folder();
    let content = noise(1, 3_000);
    let lie = Digest::of(b"something else");
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&content[..2_000], &content[2_000..]]).records(&[raw(lie, vec![range(0, 3_000)])]);
    built.write(folder.path());
    let reader = reader(folder.path());
    let mut stream = reader.stream(&lie).expect("a stream");
    let mut buffer = [0; 2_000];
    stream.read_exact(&mut buffer).expect("the first frame");
    for _ in 0..3 {
        let error = stream.read(&mut buffer).expect_err("the end is withheld");
        assert!(error.to_string().contains("do not match the digest"), "{error}");
    }
    let set = only_set(folder.path());
    assert!(check_set(&set, NORMAL).is_sound(), "frames are what they were");
    let report = check_set(&set, check::Options { deep: true, ..NORMAL });
    assert_eq!(report.hurt().into_iter().collect::<Vec<_>>(), [lie]);
}

#[test]
fn a_verbatim_blob_that_does_not_match_its_digest_is_not_given_out() {
    let folder = folder();
    let lie = Digest::of(b"something else");
    let mut built = Built::new(1, Parent::None);
    built.verbatim(b"some bytes", lie);
    built.write(folder.path());
    let error = reader(folder.path()).read_at(&lie, 0, &mut [0; 5]).expect_err("a lie");
    assert!(error.kind() == Kind::Damaged && error.to_string().contains("do not match its digest"), "{error}");
    assert_eq!(check_set(&only_set(folder.path()), NORMAL).hurt().into_iter().collect::<Vec<_>>(), [lie]);
}

#[test]
fn parts_that_lead_nowhere_are_an_error_and_seen_by_a_check() {
    let (digest, other) = (Digest::of(b"a"), Digest::of(b"other"));
    let elsewhere = |volume| Part::Range(ocm_format::recipe::Range { volume, offset: 0, bytes: 1 });
    for (part, kind, why) in [
        (range(90, 20), Kind::Damaged, "at 100: nothing is there"),
        (range(1 << 62, 20), Kind::Damaged, "nothing is there"),
        (elsewhere(7), Kind::Missing, "volume 7 of set"),
        (Part::Run(run(other, 0, 1)), Kind::Missing, "in none of the sets"),
        (Part::Run(run(digest, 1, 1 << 40)), Kind::Damaged, "ends beyond it"),
    ] {
        let folder = folder();
        let mut built = Built::new(1, Parent::None);
        built.plain_pack(&[&noise(1, 100)]).records(&[raw(digest, vec![part])]);
        built.write(folder.path());
        let error = read(&reader(folder.path()), &digest).expect_err(why);
        assert!(error.kind() == kind && error.to_string().contains(why), "{error}");
        assert_eq!(check_set(&only_set(folder.path()), NORMAL).is_sound(), !matches!(part, Part::Range(_)));
    }
}
