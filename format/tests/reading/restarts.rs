//! Gzip blobs of one stream, entered in the middle.

use std::fs;
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::gzip::klauspost::Generation;
use ocm_format::gzip::{Encoder, Maker, Plan, Reason, Verdict, find};
use ocm_format::recipe::{Piece, Restart};
use ocm_format::writer::Form;
use proptest::prelude::*;

use crate::made::{Made, noise, reader};
use crate::members::{gzip, layer};
use crate::replay::{assert_range, built, plan};

/// Encoders that are one stream, each of which begins anew in its own way.
const STREAMS: [Encoder; 8] = [
    Encoder::Pigz { level: 6 },
    Encoder::Zlib { level: 6, memory_level: 8 },
    Encoder::Zlib { level: 1, memory_level: 9 },
    Encoder::Gnu { level: 4 },
    Encoder::Go { level: 6 },
    Encoder::Go { level: 1 },
    Encoder::Klauspost { generation: Generation::K1 },
    Encoder::Klauspost { generation: Generation::K9 },
];

/// The newest Go with the encoder that is known.
const LAST_GO: u32 = 26;
/// What encoders take at the most to make a stretch, beside its own plain bytes.
const BESIDE_BYTES: u64 = 1 << 20;
const PYTHON: &str = "
import sys, zlib
encoder = zlib.compressobj(int(sys.argv[1]), zlib.DEFLATED, 31, int(sys.argv[2]))
with open(sys.argv[3], 'rb') as plain, open(sys.argv[4], 'wb') as out:
    out.write(encoder.compress(plain.read()) + encoder.flush())
";

/// Where the stretches between restarts lie in a blob of one member, with how many plain bytes each has.
fn stretches(plan: &Plan) -> Vec<(Range<u64>, u64)> {
    let member = &plan.members[0];
    let ends = member.restarts.iter().skip(1).map(|next| (next.output_bit / 8, next.plain_offset));
    let ends = ends.chain([(member.bytes, member.plain_bytes)]);
    let stretch = |(begin, end): (&Restart, (u64, u64))| (begin.output_bit / 8..end.0, end.1 - begin.plain_offset);
    member.restarts.iter().zip(ends).map(stretch).collect()
}

/// Ranges anywhere are right, and cost the stretches that they lie in.
fn assert_is_entered(content: &[u8], restarts: usize, name: &str) {
    let plan = plan(content);
    let stretches = stretches(&plan);
    assert!(stretches.len() >= restarts, "{name}: {} restarts", stretches.len());
    let made = Made::replayed(1, vec![(Form::Packed, content.to_vec())], 64 << 20, 1 << 20);
    for at in 0..6_u64 {
        let (begin, bytes) = (at * 7_919_191_919 % content.len() as u64, 1 + at * 1_117 % 9_000);
        let reader = reader(made.path());
        assert_range(&reader, content, begin as usize, bytes as usize);
        let touched = stretches.iter().filter(|(within, _)| within.start < begin + bytes && begin < within.end);
        let most: u64 = touched.map(|(_, plain)| plain + BESIDE_BYTES).sum();
        assert!(reader.encoded_bytes() <= most, "{name} at {begin}: {} of {most}", reader.encoded_bytes());
    }
    let (mut read, reader) = (Vec::new(), reader(made.path()));
    reader.stream(&Digest::of(content)).expect("a stream").read_to_end(&mut read).expect("content");
    assert!(read == content, "{name}");
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether a program is there. Go is no part of what the tests must have.
fn installed(name: &str, argument: &str) -> bool {
    let found = Command::new(name).arg(argument).output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(name == "go" || std::env::var("CI").as_deref() != Ok("true"), "{name} is not installed");
        writeln!(std::io::stderr(), "skipped: {name} is not installed (restarts)").expect("stderr is open in a test");
    }
    found
}

/// Machine code and words.
fn program(folder: &Path) -> Vec<u8> {
    let mut plain = fs::read(std::env::current_exe().expect("this program")).expect("its bytes");
    plain.truncate(3_500_000);
    plain.extend(layer(5, 2_000_000));
    fs::write(folder.join("plain"), &plain).expect("an input");
    plain
}

#[test]
fn what_programs_wrote_is_entered_in_the_middle() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, out) = (folder.path().join("plain"), folder.path().join("out"));
    program(folder.path());
    if installed("python3", "--version") {
        for (level, memory, restarts) in [(1, 8, 2), (6, 8, 2), (9, 9, 1)] {
            run(Command::new("python3").args(["-c", PYTHON, &level.to_string(), &memory.to_string()]).args([&plain, &out]));
            assert_is_entered(&fs::read(&out).expect("an output"), restarts, &format!("zlib {level} {memory}"));
        }
    }
    for (program, arguments, restarts) in [("gzip", "-nc1", 1), ("gzip", "-nc6", 2), ("pigz", "-nc6", 5)] {
        if installed(program, "--version") {
            assert_is_entered(&run(Command::new(program).arg(arguments).arg(&plain)), restarts, program);
        }
    }
}

#[test]
fn what_a_program_in_go_wrote_is_entered_in_the_middle() {
    if !installed("go", "version") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, out) = (folder.path().join("plain"), folder.path().join("out"));
    program(folder.path());
    fs::write(folder.path().join("main.go"), include_str!("../gzip_go/std.go")).expect("a source");
    fs::write(folder.path().join("go.mod"), "module program\n\ngo 1.21\n").expect("a module");
    let go = |command: &mut Command| run(command.current_dir(folder.path()).env("CGO_ENABLED", "0"));
    let version = String::from_utf8_lossy(&go(Command::new("go").args(["env", "GOVERSION"]))).into_owned();
    let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.trim().parse().ok()).expect("a version of Go");
    if minor > LAST_GO {
        writeln!(std::io::stderr(), "skipped: this Go has another encoder (restarts)").expect("stderr is open in a test");
        return;
    }
    go(Command::new("go").args(["build", "-o", "program", "."]));
    for level in ["1", "6"] {
        run(Command::new(folder.path().join("program")).arg(level).args([&plain, &out]));
        assert_is_entered(&fs::read(&out).expect("an output"), 2, &format!("Go {level}"));
    }
}

#[test]
fn every_encoder_has_restarts_and_a_wrong_one_hurts_no_other() {
    let plain = [layer(1, 4_500_000), noise(2, 1_500_000)].concat();
    for encoder in STREAMS {
        let content = gzip(encoder, &plain);
        let mut recipe = plan(&content).pieces();
        let Piece::Replay(replay) = &mut recipe[0] else { panic!("a replay") };
        assert!(replay.restarts.len() > 3, "{encoder:?}: {:?}", replay.restarts);
        replay.restarts[1].check ^= 1;
        let [begin, end] = [1, 2].map(|at| replay.restarts[at].output_bit / 8);
        let (_folder, reader) = built(Digest::of(&content), &plain, recipe);
        assert_range(&reader, &content, begin as usize - 100, 100);
        assert_range(&reader, &content, end as usize, 100);
        for offset in [begin, end - 1] {
            let error = reader.read_at(&Digest::of(&content), offset, &mut [0]).expect_err("a wrong check");
            assert_eq!(error.kind(), Kind::Damaged, "{error}");
        }
    }
}

#[test]
fn a_restart_where_the_encoder_has_none_is_refused() {
    let plain = layer(1, 3_000_000);
    let content = gzip(STREAMS[1], &plain);
    let recipe = plan(&content).pieces();
    let changes: [fn(&mut Restart); 4] = [
        |restart| restart.plain_offset += 1,
        |restart| restart.plain_offset = 2,
        |restart| restart.output_bit += 3,
        |restart| restart.output_bit -= 8,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut recipe = recipe.clone();
        let Piece::Replay(replay) = &mut recipe[0] else { panic!("a replay") };
        change(&mut replay.restarts[1]);
        let offset = replay.restarts[1].output_bit / 8 + 1;
        let (_folder, reader) = built(Digest::of(&content), &plain, recipe);
        let error = reader.read_at(&Digest::of(&content), offset, &mut [0]).expect_err("no restart");
        assert_eq!(error.kind(), Kind::Damaged, "change {at}: {error}");
    }
}

#[test]
fn a_long_stretch_is_read_on_by_an_encoder_that_waits() {
    let plain = layer(3, 9_000_000);
    let content = gzip(STREAMS[1], &plain);
    let mut recipe = plan(&content).pieces();
    let Piece::Replay(replay) = &mut recipe[0] else { panic!("a replay") };
    // As archives were written before streams had restarts, and with one that is far from the end.
    for kept in [1, 2] {
        replay.restarts.truncate(kept);
        let last = replay.restarts[kept - 1].output_bit as usize / 8;
        replay.restarts[kept - 1].check = crc32c::crc32c(&content[last..]);
        if kept == 2 {
            replay.restarts[0].check = crc32c::crc32c(&content[..last]);
        }
        let (_folder, reader) = built(Digest::of(&content), &plain, vec![Piece::Replay(replay.clone())]);
        for offset in (last..content.len()).step_by(100_000) {
            assert_range(&reader, &content, offset, 100_000);
        }
        assert!(reader.encoded_bytes() <= plain.len() as u64 + BESIDE_BYTES, "{}", reader.encoded_bytes());
        assert_range(&reader, &content, last, content.len());
        *replay = match plan(&content).pieces().remove(0) {
            Piece::Replay(replay) => replay,
            Piece::Raw(_) => panic!("a replay"),
        };
    }
}

#[test]
fn a_blob_of_more_members_than_are_kept_track_of_is_stored_as_it_came() {
    let member = gzip(Encoder::Go { level: 1 }, b"a file");
    let most = 1 << 16;
    assert_eq!(plan(&member.repeat(100)).members.len(), 100);
    let verdict = find(&&member.repeat(most + 1)[..]).expect("memory can be read");
    assert_eq!(verdict, Verdict::Keep(Reason::TooMany));
    // Fewer, with a long name each.
    let named = [&member[..3], &[8], &member[4..10], &[b'a'; 1_900], &[0], &member[10..]].concat();
    assert_eq!(plan(&named.repeat(10)).members.len(), 10);
    assert_eq!(find(&&named.repeat(2_300)[..]).expect("memory can be read"), Verdict::Keep(Reason::TooMany));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_stretch_between_restarts_is_made_alone(
        parts in proptest::collection::vec((0..4_u8, any::<u32>(), 1..1_200_000_usize), 1..6),
        which in 0..STREAMS.len(),
    ) {
        let part = |(kind, seed, bytes): (u8, u32, usize)| match kind {
            0 => noise(seed.into(), bytes),
            1 => vec![seed as u8; bytes],
            _ => layer(seed.into(), bytes),
        };
        let plain: Vec<u8> = parts.into_iter().flat_map(part).collect();
        let (encoder, content) = (STREAMS[which], gzip(STREAMS[which], &plain));
        // The likeliest encoder of some content may be another one that writes the same.
        let plan = plan(&content);
        let found = plan.members[0].member.encoder;
        for (restart, (within, _)) in plan.members[0].restarts.iter().zip(stretches(&plan)).skip(1) {
            let anew = found.anew(restart.plain_offset);
            let mut maker = Maker::anew(found, anew);
            plain[anew.from as usize..].chunks(50_000).for_each(|part| maker.write(part));
            maker.end();
            let wanted = &content[within.start as usize..within.end as usize];
            let made = maker.take();
            prop_assert!(made.len() >= wanted.len() - 8, "{:?} at {}", encoder, restart.plain_offset);
            let common = made.len().min(wanted.len());
            prop_assert!(made[..common] == wanted[..common], "{:?} at {}", encoder, restart.plain_offset);
            prop_assert_eq!(restart.check, crc32c::crc32c(wanted));
        }
    }
}
