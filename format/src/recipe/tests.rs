//! Unit tests of records.

use super::*;

fn sample() -> Record {
    let range = |offset, bytes| Part::Range(Range { volume: 2, offset, bytes });
    let run = Part::Run(Run { digest: Digest::of(b"old"), offset: 5, bytes: 6 });
    let restarts = vec![Restart { plain_offset: 0, output_bit: 0, check: 4 }];
    let replay = Replay { bytes: 20, encoder: 1, parameters: vec![9], plain_offset: 0, plain_bytes: 36, restarts };
    Record {
        digest: Digest::of(b"blob"),
        bytes: 30,
        note: "image quay.io/a:1".into(),
        recipe: Recipe::Pieces(vec![Piece::Raw(vec![range(0, 10)]), Piece::Replay(replay)]),
        plain: Plain::Listed { digest: Digest::of(b"plain"), bytes: 36, parts: vec![range(10, 30), run] },
    }
}

#[test]
fn a_record_comes_back() {
    let mut bytes = Vec::new();
    sample().encode(&mut bytes);
    let mut cursor = Cursor::new(&bytes, "records");
    assert_eq!(Record::decode(&mut cursor).expect("a record"), sample());
    cursor.end().expect("nothing left");
}

#[test]
fn lengths_that_do_not_add_up_are_refused() {
    for wrong in [Record { bytes: 31, ..sample() }, Record { recipe: Recipe::Raw(vec![]), ..sample() }] {
        let mut bytes = Vec::new();
        wrong.encode(&mut bytes);
        let error = Record::decode(&mut Cursor::new(&bytes, "records")).expect_err("wrong");
        assert!(error.to_string().contains("do not add up"), "{error}");
    }
}

#[test]
fn restarts_begin_at_the_beginning_and_ascend_in_both() {
    for (restarts, is_sound) in [
        (&[(0, 0)][..], true),
        (&[(0, 0), (5, 8), (6, 9)][..], true),
        (&[][..], false),
        (&[(1, 0)][..], false),
        (&[(0, 1)][..], false),
        (&[(0, 0), (5, 0)][..], false),
        (&[(0, 0), (0, 5)][..], false),
        (&[(0, 0), (5, 8), (6, 8)][..], false),
        (&[(0, 0), (5, 8), (5, 9)][..], false),
        (&[(0, 0), (5, 8), (4, 9)][..], false),
    ] {
        let restarts =
            restarts.iter().map(|(plain_offset, output_bit)| Restart { plain_offset: *plain_offset, output_bit: *output_bit, check: 4 });
        let mut record = sample();
        let Recipe::Pieces(pieces) = &mut record.recipe else { panic!("pieces") };
        let Some(Piece::Replay(replay)) = pieces.last_mut() else { panic!("a replay") };
        replay.restarts = restarts.collect();
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let read = Record::decode(&mut Cursor::new(&bytes, "records"));
        assert_eq!(read.ok(), is_sound.then_some(record));
    }
}

#[test]
fn the_runs_of_a_record_are_those_of_all_its_parts() {
    let run = |offset| Run { digest: Digest::of(b"old"), offset, bytes: 15 };
    let listed = Plain::Listed { digest: Digest::of(b"plain"), bytes: 15, parts: vec![Part::Run(run(3))] };
    for recipe in [Recipe::Raw(vec![Part::Run(run(1))]), Recipe::Pieces(vec![Piece::Raw(vec![Part::Run(run(1))])])] {
        let record = Record { bytes: 15, recipe, plain: listed.clone(), ..sample() };
        assert_eq!(record.runs().map(|run| run.offset).collect::<Vec<_>>(), [1, 3]);
    }
}

#[test]
fn a_part_is_cut_where_it_is_said_and_runs_that_touch_become_one() {
    let run = |digest: &[u8], offset, bytes| Part::Run(Run { digest: Digest::of(digest), offset, bytes });
    let range = |offset, bytes| Part::Range(Range { volume: 3, offset, bytes });
    assert_eq!(run(b"a", 10, 90).cut(5, 7), run(b"a", 15, 7));
    assert_eq!(range(10, 90).cut(5, 7), range(15, 7));
    let mut parts = Vec::new();
    for part in [run(b"a", 0, 5), run(b"a", 5, 5), run(b"b", 10, 5), run(b"b", 16, 1), range(17, 1)] {
        Part::join(&mut parts, part);
    }
    assert_eq!(parts, [run(b"a", 0, 10), run(b"b", 10, 5), run(b"b", 16, 1), range(17, 1)]);
}

#[test]
fn parts_that_touch_become_one() {
    let range = |volume, offset, bytes| Part::Range(Range { volume, offset, bytes });
    let mut parts = Vec::new();
    for part in [range(1, 0, 5), range(1, 5, 5), range(1, 11, 1), range(2, 12, 1)] {
        Part::join(&mut parts, part);
    }
    assert_eq!(parts, [range(1, 0, 10), range(1, 11, 1), range(2, 12, 1)]);
}
