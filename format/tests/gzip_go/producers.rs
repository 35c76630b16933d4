//! Gzip as real programs write it, built here from their sources.
//!
//! **Invariants.** Without Go, or without the modules of others, a test says so and is skipped; where Go is, lacking modules
//! are a failure under `CI=true`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocm_format::gzip::klauspost::Generation;
use tempfile::TempDir;

use crate::encoders::{go_file, pgzip, stream};
use crate::inputs::input;

/// The newest Go with the encoder that is known.
const LAST_GO: u32 = 26;
const PGZIP: &str = "v1.2.6";
/// Releases of `klauspost/compress` from its oldest to its newest generation.
const RELEASES: [(&str, Generation); 6] = [
    ("v1.9.7", Generation::K1),
    ("v1.11.12", Generation::K4),
    ("v1.13.6", Generation::K6a),
    ("v1.14.4", Generation::K7b),
    ("v1.17.11", Generation::K8),
    ("v1.18.7", Generation::K9),
];

/// A program in a directory of its own.
struct Program(TempDir);

impl Program {
    fn new(source: &str, requirements: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("main.go"), source).expect("a source");
        fs::write(directory.path().join("go.mod"), format!("module program\n\ngo 1.21\n\n{requirements}")).expect("a module");
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn go(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("go");
        command.args(arguments).current_dir(self.0.path()).env("GOFLAGS", "-mod=mod").env("CGO_ENABLED", "0");
        command
    }

    /// Whether what it needs of others is here now.
    fn fetch(&self) -> bool {
        self.go(&["mod", "download"]).output().is_ok_and(|output| output.status.success())
    }

    fn build(&self, toolchain: Option<String>) {
        run(self.go(&["build", "-o", "program", "."]).envs(toolchain.map(|name| ("GOTOOLCHAIN", name))));
    }

    /// What it makes of a file.
    fn output(&self, argument: &str, plain: &Path) -> Vec<u8> {
        let out = self.path("out.gz");
        run(Command::new(self.path("program")).arg(argument).arg(plain).arg(&out));
        fs::read(out).expect("an output")
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// The second number of the version of Go that is installed; if there is none, says so.
fn go_minor() -> Option<u32> {
    let Ok(output) = Command::new("go").args(["env", "GOVERSION"]).output() else {
        skip("go");
        return None;
    };
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(version.split('.').nth(1).and_then(|minor| minor.trim().parse().ok()).expect("a version of Go"))
}

fn skip(name: &str) {
    // Go is no part of what the tests must have; where it is, its modules are.
    assert!(name == "go" || std::env::var("CI").as_deref() != Ok("true"), "{name} is not installed");
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    // Written past the capture of the harness, which only holds back what `print!` and `eprint!` say.
    writeln!(std::io::stderr(), "skipped: {name} is not installed ({test})").expect("stderr is open in a test");
}

/// Some of all, machine code too.
fn plain() -> Vec<u8> {
    let mut plain = input("X(2500000,11)");
    let program = fs::read(std::env::current_exe().expect("this program")).expect("its bytes");
    plain.extend_from_slice(&program[..program.len().min(2_000_000)]);
    plain.extend(input("S(300000,3)"));
    plain.extend(input("X(700000,12)"));
    plain
}

#[test]
fn every_level_of_go_writes_what_the_encoder_writes() {
    let Some(minor) = go_minor() else { return };
    let program = Program::new(include_str!("std.go"), "");
    program.build((minor > LAST_GO).then(|| format!("go1.{LAST_GO}.0")));
    let (plain, path) = (plain(), program.path("plain"));
    fs::write(&path, &plain).expect("an input");
    for level in [1, 4, 5, 6, 7, 8, 9] {
        let real = program.output(&level.to_string(), &path);
        assert!(go_file(level, &plain) == real, "level {level}");
    }
}

#[test]
fn releases_of_klauspost_write_what_their_generations_write() {
    if go_minor().is_none() {
        return;
    }
    let plain = plain();
    for (release, generation) in RELEASES {
        let module = "github.com/klauspost/compress";
        let pin =
            format!("require github.com/klauspost/pgzip {PGZIP}\nrequire {module} {release}\nreplace {module} => {module} {release}\n");
        let program = Program::new(include_str!("klauspost.go"), &pin);
        if !program.fetch() {
            return skip(module);
        }
        program.build(None);
        let path = program.path("plain");
        fs::write(&path, &plain).expect("an input");
        for block_bytes in [1 << 20, 1 << 18] {
            assert!(pgzip(generation, block_bytes, &plain) == program.output(&block_bytes.to_string(), &path), "{release}");
        }
        assert!(stream(generation, &plain) == program.output("0", &path), "{release}, a stream");
    }
}
