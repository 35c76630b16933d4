//! Content that is in no set at hand: what is told of it before it is read, and how it is read from somewhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use ocm_format::check;
use ocm_format::digest::Digest;
use ocm_format::error::{Error, Kind, Result};
use ocm_format::layout::{Id, Parent};
use ocm_format::reader::{Base, Options, Reach, Reader};
use ocm_format::recipe::{Part, Piece, Plain};
use ocm_format::set::{SetFiles, scan};

use crate::built::{Built, NewFrame, pieces, range, raw, run};
use crate::made::noise;

/// Plain forms in memory, which give little at a time, and what they were asked.
#[derive(Default)]
struct Elsewhere {
    plain: BTreeMap<Digest, Vec<u8>>,
    asked: Mutex<BTreeSet<Digest>>,
}

impl Elsewhere {
    fn of(contents: &[&[u8]]) -> Arc<Self> {
        let plain = contents.iter().map(|content| (Digest::of(content), content.to_vec())).collect();
        Arc::new(Self { plain, ..Self::default() })
    }

    fn asked(&self) -> Vec<Digest> {
        self.asked.lock().expect("no panic while it is held").iter().copied().collect()
    }
}

impl Base for Elsewhere {
    fn plain_at(&self, blob: &Digest, offset: u64, buffer: &mut [u8]) -> Result<Option<usize>> {
        self.asked.lock().expect("no panic while it is held").insert(*blob);
        let Some(plain) = self.plain.get(blob) else { return Ok(None) };
        let rest = &plain[offset as usize..];
        let count = rest.len().min(buffer.len()).min(3_001);
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(Some(count))
    }
}

fn read(reader: &Reader, content: &[u8]) -> Result<Vec<u8>> {
    let (mut stream, mut found) = (reader.stream(&Digest::of(content))?, Vec::new());
    while let Some(chunk) = stream.next_chunk()? {
        found.extend_from_slice(&chunk);
    }
    Ok(found)
}

/// Generations in a folder: the first has `old`, the second `middle` with a run of it, the third the rest.
struct Chain {
    folder: tempfile::TempDir,
    old: Vec<u8>,
    /// Half of it is a run of `old`.
    middle: Vec<u8>,
    /// Some of it is a run of that half of `middle`.
    copied: Vec<u8>,
    /// One frame, compressed after some of `old`.
    patched: Vec<u8>,
    /// Made from a plain form that is listed.
    zipped: Vec<u8>,
    /// Here wholly.
    alone: Vec<u8>,
}

impl Chain {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let old = noise(1, 50_000);
        let mut first = Built::new(1, Parent::None);
        first.plain_pack(&[&old[..30_000], &old[30_000..]]).records(&[raw(Digest::of(&old), vec![range(0, 50_000)])]);
        let root = first.write(folder.path());

        let middle = [&old[10_000..20_000], &noise(2, 10_000)[..]].concat();
        let mut second = Built::new(2, Parent::Set { id: Id([1; 16]), root });
        second.plain_pack(&[&middle[10_000..]]);
        let parts = vec![Part::Run(run(Digest::of(&old), 10_000, 10_000)), range(0, 10_000)];
        second.records(&[raw(Digest::of(&middle), parts)]);
        let root = second.write(folder.path());

        let alone = noise(3, 5_000);
        let mut patched = old[40_000..].to_vec();
        patched[77] ^= 1;
        let copied = [&middle[5_000..15_000], &alone[..100]].concat();
        let zipped = [&b"head"[..], &patched[..10]].concat();
        let mut third = Built::new(3, Parent::Set { id: Id([2; 16]), root });
        third.plain_pack(&[&alone, b"head"]).records(&[raw(Digest::of(&alone), vec![range(0, 5_000)])]);
        let prefix = vec![run(Digest::of(&old), 40_000, 10_000)];
        third.pack(&[NewFrame { plain: &patched, prefix: Some((prefix, &old[40_000..])) }]);
        let listed = Plain::Listed { digest: Digest::of(&patched), bytes: 10_000, parts: vec![range(5_004, 10_000)] };
        let of_zipped = vec![Piece::Raw(vec![range(5_000, 4)]), Piece::Raw(vec![range(5_004, 10)])];
        third.records(&[
            raw(Digest::of(&patched), vec![range(5_004, 10_000)]),
            raw(Digest::of(&copied), vec![Part::Run(run(Digest::of(&middle), 5_000, 10_000)), range(0, 100)]),
            pieces(Digest::of(&zipped), of_zipped, listed),
        ]);
        third.write(folder.path());
        Self { folder, old, middle, copied, patched, zipped, alone }
    }

    /// The sets of these generations, newest first.
    fn sets(&self, generations: &[u32]) -> Vec<SetFiles> {
        let sets = scan(self.folder.path()).expect("a scan").sets;
        sets.into_iter().filter(|set| generations.contains(&set.header.generation)).collect()
    }

    fn reader(&self, generations: &[u32]) -> Reader {
        Reader::open(&self.sets(generations), Options::default())
    }

    fn third(&self) -> [&Vec<u8>; 4] {
        [&self.copied, &self.patched, &self.zipped, &self.alone]
    }
}

fn elsewhere(reach: &Reach) -> Vec<(Digest, Vec<(u64, u64)>)> {
    reach.elsewhere.iter().map(|(digest, ranges)| (*digest, ranges.iter().map(|range| (range.start, range.end)).collect())).collect()
}

fn reach(reader: &Reader, content: &[u8]) -> Reach {
    reader.reach(&Digest::of(content)).expect("a walk")
}

#[test]
fn what_no_set_at_hand_gives_is_told_by_blob_and_stretch() {
    let chain = Chain::new();
    let (old, middle) = (Digest::of(&chain.old), Digest::of(&chain.middle));
    let reader = chain.reader(&[3]);
    assert!(!reader.is_closed());
    assert_eq!(elsewhere(&reach(&reader, &chain.copied)), [(middle, vec![(5_000, 15_000)])]);
    assert_eq!(elsewhere(&reach(&reader, &chain.patched)), [(old, vec![(40_000, 50_000)])]);
    assert_eq!(elsewhere(&reach(&reader, &chain.zipped)), [(old, vec![(40_000, 50_000)])]);
    assert_eq!(elsewhere(&reach(&reader, &chain.alone)), []);
    assert_eq!(reader.reach(&middle).expect_err("it is not here").kind(), Kind::Missing);
    // With the set between, only the half that lies before it is elsewhere.
    let reader = chain.reader(&[3, 2]);
    assert_eq!(elsewhere(&reach(&reader, &chain.copied)), [(old, vec![(15_000, 20_000)])]);
    let reader = chain.reader(&[3, 2, 1]);
    assert!(reader.is_closed());
    for (content, sets) in [(&chain.copied, &[1, 2, 3][..]), (&chain.patched, &[1, 3]), (&chain.alone, &[3])] {
        let reach = reach(&reader, content);
        assert!(reach.elsewhere.is_empty());
        assert_eq!(reach.volumes.into_iter().collect::<Vec<_>>(), sets.iter().map(|id| (Id([*id; 16]), 1)).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_told_is_what_is_read() {
    let chain = Chain::new();
    for (here, base) in [(&[3][..], &[&chain.old[..], &chain.middle][..]), (&[3, 2], &[&chain.old]), (&[3, 2, 1], &[])] {
        for content in chain.third() {
            let (reader, base) = (chain.reader(here), Elsewhere::of(base));
            let told = reach(&reader, content);
            reader.look_in(base.clone());
            assert!(read(&reader, content).expect("content") == *content);
            assert_eq!(base.asked(), told.elsewhere.into_keys().collect::<Vec<_>>());
        }
    }
    // Without it, or where it has not what is asked for, it is missing as ever.
    let reader = chain.reader(&[3]);
    assert_eq!(read(&reader, &chain.copied).expect_err("missing").kind(), Kind::Missing);
    reader.look_in(Elsewhere::of(&[&chain.old]));
    let error = read(&reader, &chain.copied).expect_err("missing");
    assert!(error.kind() == Kind::Missing && error.to_string().contains(&Digest::of(&chain.middle).to_string()), "{error}");
}

#[test]
fn a_place_that_fails_fails_the_blob_and_one_that_lies_is_found_out() {
    struct Broken;
    impl Base for Broken {
        fn plain_at(&self, _: &Digest, _: u64, _: &mut [u8]) -> Result<Option<usize>> {
            Err(Error::damaged("the registry lies"))
        }
    }
    let chain = Chain::new();
    let reader = chain.reader(&[3]);
    reader.look_in(Arc::new(Broken));
    let error = read(&reader, &chain.patched).expect_err("it failed");
    assert!(error.kind() == Kind::Damaged && error.to_string().ends_with("the registry lies"), "{error}");
    assert!(read(&reader, &chain.alone).expect("it needs nobody") == chain.alone);
    let mut wrong = chain.middle.clone();
    wrong[6_000] ^= 1;
    let reader = chain.reader(&[3]);
    reader.look_in(Arc::new(Elsewhere { plain: [(Digest::of(&chain.middle), wrong)].into(), ..Elsewhere::default() }));
    assert_eq!(read(&reader, &chain.copied).expect_err("another digest").kind(), Kind::Damaged);
}

#[test]
fn content_of_a_volume_that_is_missing_may_be_elsewhere_too() {
    // As a record of `old` says that it lies in a volume that is nowhere.
    let folder = tempfile::tempdir().expect("a folder");
    let (old, own) = (noise(1, 4_000), noise(2, 100));
    let digest = Digest::of(&old);
    let lost = Part::Range(ocm_format::recipe::Range { volume: 2, offset: 0, bytes: 4_000 });
    let content = [&old[1_000..2_000], &own].concat();
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&own]);
    built.records(&[raw(digest, vec![lost]), raw(Digest::of(&content), vec![Part::Run(run(digest, 1_000, 1_000)), range(0, 100)])]);
    built.write(folder.path());
    let reader = Reader::open(&scan(folder.path()).expect("a scan").sets, Options::default());
    assert_eq!(elsewhere(&reach(&reader, &content)), [(digest, vec![(1_000, 2_000)])]);
    assert_eq!(reader.reach(&digest).expect_err("all of it").kind(), Kind::Missing);
    // Which volume it is in is known all the same.
    let volumes = reader.volumes_of(&Digest::of(&content)).expect("records lead there");
    assert_eq!(volumes, [(Id([1; 16]), 1), (Id([1; 16]), 2)].into());
    reader.look_in(Elsewhere::of(&[&old]));
    assert!(read(&reader, &content).expect("content") == content);
    assert_eq!(read(&reader, &old).expect_err("no run leads to it").kind(), Kind::Missing);
}

#[test]
fn a_plain_form_that_no_record_lists_may_be_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, plain) = (noise(1, 500), noise(2, 4_000));
    let content = plain[5..2_000].to_vec();
    let (mut record, offset) = raw(Digest::of(&old), vec![range(0, 500)]);
    record.plain = Plain::Unknown;
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[&old]);
    built.records(&[(record, offset), raw(Digest::of(&content), vec![Part::Run(run(Digest::of(&old), 5, 1_995))])]);
    built.write(folder.path());
    let reader = Reader::open(&scan(folder.path()).expect("a scan").sets, Options::default());
    assert_eq!(elsewhere(&reach(&reader, &content)), [(Digest::of(&old), vec![(5, 2_000)])]);
    reader.look_in(Arc::new(Elsewhere { plain: [(Digest::of(&old), plain)].into(), ..Elsewhere::default() }));
    assert!(read(&reader, &content).expect("content") == content);
}

/// The digest of what turns in a circle.
fn circles(folder: &Path, prefix: bool) -> Digest {
    let mut built = Built::new(1, Parent::None);
    let content = noise(1, 1_000);
    let digest = Digest::of(&content);
    if prefix {
        let circle = NewFrame { plain: &content, prefix: Some((vec![run(digest, 0, 1_000)], &content)) };
        built.pack(&[circle]).records(&[raw(digest, vec![range(0, 1_000)])]);
    } else {
        let other = Digest::of(b"other");
        let turn = |from: Digest, to: Digest| raw(from, vec![Part::Run(run(to, 0, 10)), Part::Run(run(to, 0, 10))]);
        built.records(&[turn(digest, other), turn(other, digest)]);
    }
    built.write(folder);
    digest
}

#[test]
fn a_walk_in_a_circle_ends_in_an_error() {
    for (prefix, why) in [(false, "refer to each other"), (true, "its prefix needs itself")] {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = circles(folder.path(), prefix);
        let reader = Reader::open(&scan(folder.path()).expect("a scan").sets, Options::default());
        let error = reader.reach(&digest).expect_err(why);
        assert!(error.kind() == Kind::Damaged && error.to_string().contains(why), "{error}");
    }
}

#[test]
fn damage_of_an_earlier_set_hurts_what_later_ones_make_from_it() {
    let chain = Chain::new();
    let hurt = |generation: u32, earlier: &[&Vec<u8>]| {
        let earlier = earlier.iter().map(|content| Digest::of(content)).collect();
        check::spread(&chain.sets(&[generation])[0], &earlier)
    };
    let of = |contents: &[&Vec<u8>]| contents.iter().map(|content| Digest::of(content)).collect::<BTreeSet<_>>();
    assert_eq!(hurt(2, &[&chain.old]), of(&[&chain.old, &chain.middle]));
    assert_eq!(hurt(3, &[&chain.old]), of(&[&chain.old, &chain.patched, &chain.zipped]));
    assert_eq!(hurt(3, &[&chain.old, &chain.middle]), of(&[&chain.old, &chain.middle, &chain.copied, &chain.patched, &chain.zipped]));
    // What it has itself is not hurt by another copy.
    assert_eq!(hurt(3, &[&chain.alone]), of(&[]));
}
