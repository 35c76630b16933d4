//! `ocm serve`, run as a person runs it, and asked by the clients that people have.
//!
//! **Invariants.** What a client gets is compared with what the layout has that the archive was made of.
//!
//! *Not here:* answers to single requests and clients that mean no good (unit tests of `serve`).

mod checks;
mod clients;
mod doors;
mod sets;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::images::{Image, Layout, zoo};
use crate::support::layers::Layer;
use crate::support::process::Watched;
use ocm::image::Descriptor;

/// A home for archives, and the program in it.
pub(crate) struct Home {
    folder: TempDir,
}

/// A running server.
pub(crate) struct Served {
    child: Child,
    out: BufReader<ChildStdout>,
    url: String,
    /// The lines that it said of itself when it was ready.
    said: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocm"));
        command.args(arguments).env_clear().env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Exit code, stdout and stderr of a run.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().expect("ocm runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Makes a set of a layout in `disk`.
    fn sync(&self, layout: &Layout, options: &[&str]) {
        let (from, disk) = (format!("oci:{}", layout.path().display()), self.path("disk"));
        let (code, _, err) = self.run(&[&["sync", "-q"], options, &[&from, &disk]].concat());
        assert_eq!(code, Some(0), "{err}");
    }

    /// Serves `disk`, or what else `arguments` name, on a free port.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Served {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ocm runs");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (mut said, mut url) = (String::new(), None);
        while url.is_none() {
            if out.read_line(&mut said).expect("a line") == 0 {
                let mut err = String::new();
                let _nothing = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut err));
                panic!("it did not come up: {said}{err}");
            }
            let begins = said.find("http").map(|at| &said[at..]);
            url = begins.and_then(|rest| rest.split(['"', ' ', '\n']).next()).map(str::to_owned);
        }
        let url = url.expect("a loop until there is one");
        Served { child, out, url, said }
    }
}

impl Served {
    /// What the program takes.
    pub(crate) fn watched(&self) -> Watched {
        Watched::of(&self.child)
    }

    /// Host and port.
    pub(crate) fn host(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn get(&self, path: &str) -> Response {
        client().get(self.url(path)).send().await.expect("an answer")
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.bytes().await.expect("a body")).expect("json")
    }

    /// Asks it to end as a service manager does, and answers its exit code.
    fn end(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it runs");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The next line that it says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

pub(crate) fn client() -> Client {
    let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().build().expect("a client")
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// An archive of one image of every kind, one of them with a signature, and the layout that it was made of.
fn archive_of_all_kinds(options: &[&str]) -> (Home, Layout, Vec<(String, Descriptor)>) {
    let home = Home::new();
    let (layout, kinds) = zoo();
    layout.tag("signature", &layout.artifact("application/x.sig", b"signed", Some(&kinds["index"])));
    layout.tag(
        "large",
        &layout.image(&Image::of([Layer::tree(40, 3 << 20).tar(), Layer::tree(41, 2 << 20), Layer::tree(42, 1 << 20).zstd()])),
    );
    home.sync(&layout, options);
    let kinds = kinds.into_iter().map(|(kind, root)| (kind.to_owned(), root)).collect();
    (home, layout, kinds)
}
