//! [`Registry`]: Debian's `docker-registry` on a free loopback port, for as long as the value lives.
//!
//! **Invariants.** The registry picks its port itself, so no two tests meet on one. It ends with the value, and with
//! the test process: its guard waits for the end of a pipe.
//!
//! *Not here:* faults on the way (`proxy`), content (`images`).

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::certificates::{Authority, Pair};
use super::namespace::Namespace;
use super::tools::Tool;

/// The one user of a registry [with a password](Options::with_password).
pub const USER: &str = "tester";
/// That user's password.
pub const PASSWORD: &str = "open-sesame";
const HTPASSWD: &str = "tester:$2y$05$D8jIOossE21Z80pMU/VZdeBCp.wFy.rcJJJPYnSwbC8tHV/3qv3A6\n";

/// The guard: starts the registry and ends it when standard input closes.
const GUARD: &str = r#""$1" serve "$2" & cat > /dev/null; kill -9 $!; wait"#;

/// A running registry.
pub struct Registry {
    guard: Child,
    address: String,
    home: Home,
}

/// What a registry keeps on disk, shared by all that run on it one after the other.
#[derive(Clone)]
struct Home {
    directory: Arc<TempDir>,
    authority: Option<Arc<Authority>>,
    client: Option<Pair>,
}

/// How a registry is set up; the default is plain HTTP, open to all, with deletion enabled.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Options {
    password: bool,
    tls: bool,
    client_certificate: bool,
    read_only: bool,
    delete_disabled: bool,
}

impl Options {
    /// Basic authentication as [`USER`] with [`PASSWORD`].
    pub fn with_password(self) -> Self {
        Self { password: true, ..self }
    }

    /// TLS, with a certificate of [`Registry::authority`].
    pub fn with_tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// TLS that asks for a certificate: [`Registry::client`] is one that it takes.
    pub fn with_client_certificate(self) -> Self {
        Self { tls: true, client_certificate: true, ..self }
    }

    /// Every push is refused.
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Every deletion is refused.
    pub fn delete_disabled(self) -> Self {
        Self { delete_disabled: true, ..self }
    }

    /// Starts an empty registry; `None` where there is no `docker-registry`.
    pub fn start(self) -> Option<Registry> {
        let directory = Arc::new(TempDir::new().expect("a temporary directory"));
        self.start_in(Home { directory, authority: None, client: None }, Command::new("sh"))
    }

    /// The same, on the loopback of a network namespace.
    pub fn start_inside(self, namespace: &Namespace) -> Option<Registry> {
        let directory = Arc::new(TempDir::new().expect("a temporary directory"));
        self.start_in(Home { directory, authority: None, client: None }, namespace.inside("sh"))
    }

    fn start_in(self, mut home: Home, mut shell: Command) -> Option<Registry> {
        let program = Tool::find("docker-registry")?.get_program().to_owned();
        if self.tls && home.authority.is_none() {
            let authority = Authority::new(home.path());
            home.client = Some(authority.client("client"));
            home.authority = Some(Arc::new(authority));
        }
        fs::write(home.path().join("htpasswd"), HTPASSWD).expect("the directory can be written");
        fs::write(home.path().join("config.yml"), self.config(&home)).expect("the directory can be written");
        let log = File::create(home.path().join("log")).expect("the directory can be written");
        let guard = shell
            .args(["-c", GUARD, "registry"])
            .args([program, home.path().join("config.yml").into_os_string()])
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file handle"))
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let address = wait_for_address(&home.path().join("log"));
        Some(Registry { guard, address, home })
    }

    fn config(self, home: &Home) -> String {
        let root = home.path().display();
        let (delete, read_only) = (!self.delete_disabled, self.read_only);
        let mut http = String::new();
        if let Some(authority) = home.authority.as_ref().filter(|_| self.tls) {
            let Pair { certificate, key } = authority.server();
            http += &format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
        }
        if self.client_certificate {
            http += &format!("    clientcas:\n      - {root}/ca.crt\n");
        }
        let auth = if self.password { format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n") } else { String::new() };
        format!(
            "version: 0.1\n\
             log:\n  level: info\n  formatter: json\n  accesslog:\n    disabled: true\n\
             storage:\n  filesystem:\n    rootdirectory: {root}/storage\n  delete:\n    enabled: {delete}\n  \
             maintenance:\n    uploadpurging:\n      enabled: false\n    readonly:\n      enabled: {read_only}\n\
             validation:\n  manifests:\n    urls:\n      allow:\n        - ^https://\n\
             {auth}http:\n  addr: 127.0.0.1:0\n  secret: of-a-test\n{http}"
        )
    }
}

impl Registry {
    /// An empty registry: plain HTTP, open to all; `None` where there is no `docker-registry`.
    pub fn start() -> Option<Self> {
        Options::default().start()
    }

    /// The choices there are; `start` ends them.
    pub fn options() -> Options {
        Options::default()
    }

    /// Ends this registry and starts another on the same storage (and, with TLS, the same authority).
    pub fn again(self, options: Options) -> Self {
        let home = self.home.clone();
        drop(self);
        options.start_in(home, Command::new("sh")).expect("the program was there a moment ago")
    }

    /// Address and port: `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// The URL of `path`, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.home.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Where it keeps blobs and links: for tests that damage them.
    pub fn storage(&self) -> PathBuf {
        self.home.path().join("storage")
    }

    /// The file in which the registry keeps the bytes of this `sha256:…` digest, of a blob or a manifest.
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let pair = hex.get(..2).expect("a digest");
        self.storage().join(format!("docker/registry/v2/blobs/sha256/{pair}/{hex}/data"))
    }

    /// Who signed its certificate, with TLS.
    pub fn authority(&self) -> Option<&Authority> {
        self.home.authority.as_deref()
    }

    /// A client certificate that it takes, with TLS.
    pub fn client(&self) -> Option<&Pair> {
        self.home.client.as_ref()
    }

    /// What it has logged: one JSON object a line.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).expect("the log can be read")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // The guard ends by itself; a failure to wait for it is no matter for a test that is over.
        let _ = self.guard.wait();
    }
}

impl Home {
    fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// The address that the registry says it listens on.
fn wait_for_address(log: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut said = String::new();
        File::open(log).and_then(|mut file| file.read_to_string(&mut said)).expect("the log can be read");
        if let Some((_, rest)) = said.split_once("listening on ") {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
            if let Some(address) = end.and_then(|end| rest.get(..end)) {
                return address.to_owned();
            }
        }
        assert!(Instant::now() < deadline, "docker-registry did not come up:\n{said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
