//! The programs themselves, where they are installed.

use std::io::{Seek as _, Write as _};
use std::process::{Command, Stdio};

use ocm_format::gzip::{Deflate, gnu, pigz, zlib};

use crate::inputs::{binaries, inputs, mixture, text};
use crate::kit::whole;

/// Prints, for each `LEVEL:MEMLEVEL` of its arguments, the length in 8 bytes and the deflate of standard input, whose
/// first bytes, as many as the first argument says, are the dictionary.
const PYTHON: &str = "
import sys, zlib
data = sys.stdin.buffer.read()
history, data = data[:int(sys.argv[1])], data[int(sys.argv[1]):]
for argument in sys.argv[2:]:
    level, memory = map(int, argument.split(':'))
    more = [history] if history else []
    encoder = zlib.compressobj(level, zlib.DEFLATED, -15, memory, 0, *more)
    deflate = encoder.compress(data) + encoder.flush()
    sys.stdout.buffer.write(len(deflate).to_bytes(8, 'little') + deflate)
";
const VERSION: &str = "import zlib; print(zlib.ZLIB_RUNTIME_VERSION)";

/// Runs a program over an input that is a file for it, so that it can read as much at a time as it likes.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(input).expect("it takes the input");
    file.rewind().expect("it can be read again");
    output(command.stdin(Stdio::from(file)))
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stderr(Stdio::inherit()).output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}

/// The deflate in a gzip file without a name.
fn body(gzip: &[u8]) -> &[u8] {
    assert_eq!((gzip[..3].to_vec(), gzip[3]), (vec![0x1f, 0x8b, 8], 0), "a head of ten bytes");
    &gzip[10..gzip.len() - 8]
}

/// Whether `says` is in what the program says of itself. Without it the test has nothing to do, which CI does not let pass.
fn installed(name: &str, program: &str, arguments: &[&str], says: impl Fn(&str) -> bool) -> bool {
    let answer = Command::new(program).args(arguments).output();
    let found = answer.is_ok_and(|answer| {
        let said = [answer.stdout, answer.stderr].concat();
        says(&String::from_utf8_lossy(&said))
    });
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} is not installed");
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        // Written past the capture of the harness, which only holds back what `print!` and `eprint!` say.
        writeln!(std::io::stderr(), "skipped: {name} is not installed ({test})").expect("stderr is open in a test");
    }
    found
}

/// Python with a zlib that is nobody's fork: versions of those have a suffix.
fn has_zlib() -> bool {
    installed("python3 with zlib", "python3", &["-c", VERSION], |version| {
        let mut parts = version.trim().split('.');
        parts.next() == Some("1") && parts.clone().next().is_some() && parts.all(|part| part.parse::<u32>().is_ok())
    })
}

fn has_gnu_gzip() -> bool {
    installed("gzip", "gzip", &["--version"], |version| version.contains("Free Software Foundation"))
}

fn has_pigz() -> bool {
    installed("pigz", "pigz", &["--version"], |version| version.contains("pigz"))
}

/// What Python's zlib makes of it at each of these levels.
fn by_zlib(levels: &[(u8, u8)], history: &[u8], plain: &[u8]) -> Vec<Vec<u8>> {
    let arguments = levels.iter().map(|(level, memory)| format!("{level}:{memory}"));
    let size = history.len().to_string();
    let mut answer = &run(Command::new("python3").args(["-c", PYTHON, &size]).args(arguments), &[history, plain].concat())[..];
    let mut answers = Vec::new();
    while let Some((size, rest)) = answer.split_first_chunk() {
        let (deflate, rest) = rest.split_at(u64::from_le_bytes(*size) as usize);
        answers.push(deflate.to_vec());
        answer = rest;
    }
    answers
}

fn check_zlib(name: &str, levels: &[(u8, u8)], plain: &[u8]) {
    for ((level, memory), wanted) in levels.iter().zip(by_zlib(levels, &[], plain)) {
        let got = whole(&mut zlib::Encoder::new(*level, *memory), plain);
        assert!(got == wanted, "{name} at level {level}, memory {memory}: {} bytes, not {}", got.len(), wanted.len());
    }
}

fn check_program(program: &str, level: u8, encoder: &mut dyn Deflate, (name, plain): (&str, &[u8])) {
    let gzip = run(Command::new(program).args(["-n", "-c", &format!("-{level}")]), plain);
    let got = whole(encoder, plain);
    assert!(got == body(&gzip), "{name} by {program} -{level}: {} bytes, not {}", got.len(), body(&gzip).len());
}

#[test]
fn zlib_gives_the_same_at_every_level() {
    if !has_zlib() {
        return;
    }
    let levels: Vec<_> = (1..=9).flat_map(|level| [(level, 8), (level, 9)]).collect();
    for (name, plain) in inputs() {
        check_zlib(&name, &levels, &plain);
    }
    check_zlib("a word", &[(0, 8)], b"abracadabra");
}

#[test]
fn zlib_gives_the_same_with_any_memory() {
    if !has_zlib() {
        return;
    }
    let levels: Vec<_> = (1..=9).flat_map(|memory| [(1, memory), (6, memory)]).collect();
    check_zlib("text", &levels, &text(300_000));
    check_zlib("a mixture", &levels, &mixture(12, 300_000, 64));
}

#[test]
fn zlib_gives_the_same_for_binaries() {
    if !has_zlib() {
        return;
    }
    let plain = binaries(8 << 20);
    check_zlib("8 MiB", &[(1, 8), (6, 8)], &plain);
    let levels: Vec<_> = (1..=9).map(|level| (level, 8)).chain([(6, 9), (9, 9)]).collect();
    check_zlib("1 MiB", &levels, &plain[plain.len() / 2..][..1 << 20]);
}

#[test]
fn zlib_gives_the_same_after_a_history() {
    if !has_zlib() {
        return;
    }
    let plain = mixture(3, 200_000, 256);
    for history in [1, 2, 3, 100, 32_767, 32_768, 32_769, 90_000] {
        let (history, plain) = plain.split_at(history);
        let levels = [(1, 8), (4, 8), (6, 8), (9, 9)];
        for ((level, memory), wanted) in levels.iter().zip(by_zlib(&levels, history, plain)) {
            let got = whole(&mut zlib::Encoder::primed(*level, *memory, history), plain);
            assert!(got == wanted, "{} bytes of history, level {level}", history.len());
        }
    }
}

#[test]
fn gnu_gzip_gives_the_same_at_every_level() {
    if !has_gnu_gzip() {
        return;
    }
    for (name, plain) in inputs() {
        for level in 1..=9 {
            check_program("gzip", level, &mut gnu::Encoder::new(level), (&name, &plain));
        }
    }
}

#[test]
fn gnu_gzip_gives_the_same_for_binaries_and_their_tails() {
    if !has_gnu_gzip() {
        return;
    }
    let plain = binaries(8 << 20);
    check_program("gzip", 6, &mut gnu::Encoder::new(6), ("8 MiB", &plain));
    for cut in 0..40 {
        let size = 100_000 + cut * 5_003;
        check_program("gzip", 9, &mut gnu::Encoder::new(9), (&format!("{size} bytes"), &plain[..size]));
    }
}

#[test]
fn gnu_gzip_gives_the_same_in_a_pipe() {
    if !has_gnu_gzip() {
        return;
    }
    let plain = binaries(2 << 20);
    let mut child = Command::new("gzip").arg("-n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut pipe = child.stdin.take().expect("it is piped");
    let records = plain.clone();
    let writer = std::thread::spawn(move || records.chunks(10_240).try_for_each(|record| pipe.write_all(record)));
    let gzip = child.wait_with_output().expect("it ends").stdout;
    writer.join().expect("it ends").expect("gzip read it all");
    assert!(whole(&mut gnu::Encoder::new(6), &plain) == body(&gzip));
}

#[test]
fn pigz_gives_the_same() {
    if !has_pigz() {
        return;
    }
    for (name, plain) in inputs().iter().map(|(name, plain)| (&**name, &**plain)).chain([("binaries", &*binaries(2 << 20))]) {
        for level in [0, 1, 4, 6, 9] {
            let gzip = run(Command::new("pigz").args(["-n", "-c", "-p", "3", &format!("-{level}")]), plain);
            let got = whole(&mut pigz::Encoder::new(level), plain);
            assert!(got == body(&gzip), "{name} by pigz -{level}: {} bytes, not {}", got.len(), body(&gzip).len());
        }
    }
}
