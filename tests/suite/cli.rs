//! The command line, run as a person runs it.
//!
//! **Invariants.** The program sees only the variables that a test gives it, and a home of its own. It knows no mirrors unless a test names some.
//!
//! *Not here:* how results look (unit tests beside their code).

mod archive;
mod comparing;
mod configuring;
mod elsewhere;
mod enclave;
mod failing;
mod journeys;
mod killed;
mod media;
mod mending;
mod oc_mirror;
mod secrets;
mod syncing;
mod users;

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The program, in a home of its own.
struct Ocm {
    home: TempDir,
}

impl Ocm {
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a home") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocm"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("OCM_REGISTRIES_CONF", "/dev/null")
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().expect("ocm runs"))
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }
}

/// What `ocm plan` says of an image that is nowhere, with these variables and arguments.
pub(crate) fn plan(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocm"));
    command.arg("plan").args(arguments).args(["docker://origin.invalid/a:1", "disk", "--retry-times", "0"]);
    command.env_clear().env("HOME", home).current_dir(home).envs(variables.iter().copied());
    let output = command.output().expect("ocm runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// What the program said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

#[test]
fn answers_have_their_stream_and_exit_code() {
    let ocm = Ocm::new();
    for (arguments, code, out, err) in [
        (&["--version"][..], 0, "ocm 0.", ""),
        (&["--help"], 0, "Usage: ocm", ""),
        (&["sync", "--help"], 0, "ocm sync /mnt/disk docker://registry.lab:5000/mirror", ""),
        (&[], 2, "", "Usage: ocm"),
        (&["mirror"], 2, "", "unrecognized subcommand"),
        (
            &["sync", "a"],
            2,
            "",
            "error: one place alone is no sync\n  hint:    name where from, and last where to; or what to bring, with -c\n",
        ),
        (&["sync", "s3://b", "x"], 2, "", "s3:// is not a kind of place"),
        (
            &["sync", "a", "b", "--release"],
            2,
            "",
            "error: --release lets go of volumes that no command took\n  hint:    add --on-volume CMD\n",
        ),
        (&["sync", "a", "b", "--full", "--since", "2026-01-01"], 2, "", "error: --full builds on nothing"),
        (&["ls"], 2, "", "error: .: there is no ocm archive here\n  hint:"),
        (&["ls", "oci:x"], 2, "", "error: oci:x is no archive directory\n  hint:"),
        (&["inspect", "nowhere"], 2, "", "nowhere: there is no such directory"),
        (&["verify", "nowhere"], 1, "", "error: nowhere: No such file"),
        (&["verify", "--color", "always", "nowhere"], 1, "", "\u{1b}[1;31merror:\u{1b}[0m nowhere"),
        (&["ls", "a\u{1b}[2J"], 2, "", "a\\u{1b}[2J: there is no"),
        (&["completion", "zsh"], 0, "#compdef ocm", ""),
        (&["man", "pages"], 0, "manual pages are in pages", ""),
    ] {
        let said = ocm.run(arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {said:?}");
        assert!(said.out.contains(out) && said.out.is_empty() == out.is_empty(), "{arguments:?}: {said:?}");
        assert!(said.err.contains(err) && said.err.is_empty() == err.is_empty(), "{arguments:?}: {said:?}");
    }
    assert!(ocm.home.path().join("pages/ocm-sync.1").is_file());
}

#[test]
fn a_variable_stands_for_an_option_and_an_empty_one_for_nothing() {
    let ocm = Ocm::new();
    for (name, value, code, err) in [
        ("OCM_VOLUME_SIZE", "1MiB", 2, "mostly overhead"),
        ("OCM_VOLUME_SIZE", "", 2, "one place alone"),
        ("OCM_FULL", "no", 2, "one place alone"),
        ("OCM_FULL", "1", 2, "--full builds on nothing"),
        ("OCM_RELEASE", "1", 2, "--on-volume"),
        ("OCM_COLOR", "always", 2, "\u{1b}[1;31merror:"),
    ] {
        let said = Said::of(&ocm.command(&["sync", "a", "--since", "x"]).env(name, value).output().expect("ocm runs"));
        assert!(said.code == Some(code) && said.err.contains(err), "{name}={value}: {said:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let ocm = Ocm::new();
    let mut child = ocm.command(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ocm runs");
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut err).expect("text");
    assert_eq!((child.wait().expect("its end").code(), err.as_str()), (Some(0), ""));
}

#[test]
fn ctrl_c_ends_a_run_that_can_go_on_later() {
    let ocm = Ocm::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let from = format!("docker://{}/a:1", server.local_addr().expect("an address"));
    let child = ocm.command(&["sync", &from, &ocm.path("archive")]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("ocm runs");
    // Once it asks the registry, which never answers, it is in the middle of its run.
    let _asked = server.accept().expect("a connection");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("a signal");
    let said = Said::of(&child.wait_with_output().expect("its end"));
    assert_eq!(said.code, Some(130), "{said:?}");
    assert!(said.err.contains("error: the run was interrupted\n  hint:    run the same command again"), "{said:?}");
}

#[test]
fn the_reference_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/cli.md");
    let made = ocm::cli::reference::markdown();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/reference/cli.md is out of date: UPDATE=1 cargo test --test suite cli");
}
