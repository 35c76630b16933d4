//! [`Tool`]: programs of others that tests run, where they are installed.
//!
//! **Invariants.** A program that is missing is named on stderr (also when the test harness captures output), and is
//! a failure under `CI=true`, unless it comes by Go and there is no Go.
//!
//! *Not here:* installing them (`tools/setup`).

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that come by `go install`: a machine without Go does without them, also under `CI=true`.
const BY_GO: [&str; 3] = ["crane", "oras", "regctl"];

/// A program of another project.
pub struct Tool;

impl Tool {
    /// The program `name`, ready for its arguments. Where it is not installed, says `skipped: NAME is not installed`
    /// and answers `None`, upon which the test returns; under `CI=true` it panics.
    pub fn find(name: &str) -> Option<Command> {
        let found = Self::path(name);
        if found.is_none() {
            skip(name);
        }
        found.map(Command::new)
    }

    /// Where the program `name` is, in silence.
    pub fn path(name: &str) -> Option<PathBuf> {
        places().into_iter().map(|place| place.join(name)).find(|path| is_program(path))
    }
}

/// Runs a command to its end and answers its standard output; panics with all it said if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

fn skip(name: &str) {
    let is_optional = BY_GO.contains(&name) && Tool::path("go").is_none();
    assert!(env::var("CI").as_deref() != Ok("true") || is_optional, "{name} is not installed; run `make setup`");
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    // Written past the capture of the harness, which only holds back what `print!` and `eprint!` say.
    writeln!(std::io::stderr(), "skipped: {name} is not installed ({test})").expect("stderr is open in a test");
}

/// The search path, the places of administrators, and the places that `go install` writes to.
fn places() -> Vec<PathBuf> {
    let listed = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&listed).collect();
    places.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.extend(env::var_os("GOBIN").map(PathBuf::from));
    places.extend(env::var_os("GOPATH").map(|path| Path::new(&path).join("bin")));
    places.extend(env::var_os("HOME").map(|home| Path::new(&home).join("go/bin")));
    places
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
