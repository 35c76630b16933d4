//! [`Gpg`]: keys and signatures by gpg, in a home of their own.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::tools::{Tool, run};

pub(super) struct Gpg {
    home: TempDir,
}

impl Gpg {
    /// No keys yet; `None` where there is no gpg.
    pub(super) fn new() -> Option<Self> {
        Tool::find("gpg")?;
        let home = tempfile::Builder::new()
            .prefix("g")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .expect("a short path, for the sockets of gpg");
        Some(Self { home })
    }

    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    fn command(&self) -> Command {
        let mut gpg = Tool::find("gpg").expect("it was there a moment ago");
        gpg.env("GNUPGHOME", self.home.path()).args(["--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""]);
        gpg
    }

    /// Makes a key `NAME@test` for signing.
    pub(super) fn make(&self, name: &str, kind: &str, lasts: &str, options: &[&str]) {
        run(self.command().args(options).args(["--quick-gen-key", &format!("{name}@test"), kind, "sign", lasts]));
    }

    /// The public keys in a file, one after the other.
    pub(super) fn export(&self, names: &[&str]) -> String {
        let file = self.home.path().join(format!("{}.asc", names.join("-")));
        let armored = |name: &&str| run(self.command().args(["--armor", "--export", &format!("{name}@test")]));
        std::fs::write(&file, names.iter().map(armored).collect::<String>()).expect("a file");
        file.display().to_string()
    }

    /// A signed message.
    pub(super) fn sign(&self, name: &str, content: &[u8], options: &[&str]) -> Vec<u8> {
        self.sign_as(&format!("{name}@test"), content, options)
    }

    fn sign_as(&self, key: &str, content: &[u8], options: &[&str]) -> Vec<u8> {
        let mut gpg = self.command();
        gpg.args(options).args(["--local-user", key, "--sign"]);
        let mut gpg = gpg.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("gpg runs");
        gpg.stdin.take().expect("a pipe").write_all(content).expect("gpg reads");
        let output = gpg.wait_with_output().expect("gpg ends");
        assert!(output.status.success(), "gpg does not sign");
        output.stdout
    }

    /// A message that is signed by a new subkey.
    pub(super) fn sign_with_subkey(&self, name: &str, content: &[u8]) -> Vec<u8> {
        run(self.command().args(["--quick-add-key", &self.fingerprint(name), "rsa2048", "sign", "0"]));
        let listed = run(self.command().args(["--with-colons", "--list-keys", &format!("{name}@test")]));
        let subkey = listed.lines().rfind(|line| line.starts_with("fpr:")).and_then(|line| line.split(':').nth(9)).expect("a subkey");
        self.sign_as(&format!("{subkey}!"), content, &[])
    }

    pub(super) fn fingerprint(&self, name: &str) -> String {
        let listed = run(self.command().args(["--with-colons", "--list-keys", &format!("{name}@test")]));
        let line = listed.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint");
        line.split(':').nth(9).expect("a fingerprint").to_owned()
    }

    /// Revokes a key by the certificate that gpg made with it.
    pub(super) fn revoke(&self, name: &str) {
        let file = self.home.path().join(format!("openpgp-revocs.d/{}.rev", self.fingerprint(name)));
        let text = std::fs::read_to_string(&file).expect("a certificate").replace("\n:-----", "\n-----");
        std::fs::write(&file, text).expect("a file");
        run(self.command().arg("--import").arg(&file));
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // Its agent would outlive the test.
        if let Some(path) = Tool::path("gpgconf") {
            let _ = Command::new(path).env("GNUPGHOME", self.home.path()).args(["--kill", "all"]).status();
        }
    }
}
