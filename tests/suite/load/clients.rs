//! [`Client`]: who reads an archive under load, and compares what it gets.

use std::path::Path;
use std::process::Command;

use crate::mount::seen::{Archive, Seen};
use crate::serve::Home;
use crate::support::tools::{Tool, run};

/// What clients read.
pub(super) struct Stage<'a> {
    pub(super) archive: &'a Archive,
    pub(super) seen: &'a Seen,
    pub(super) home: &'a Home,
    pub(super) host: &'a str,
}

/// One who reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client {
    /// skopeo, from the registry.
    Skopeo,
    /// crane, from the registry.
    Crane,
    /// Every blob by plain HTTP.
    Curl,
    /// Every file of the mount.
    Tar,
    /// Every blob of the mount, which the kernel then has nothing of.
    Sums,
    /// `ocm sync` to a layout.
    Sync,
}

impl Client {
    /// All whose programs are here.
    pub(super) fn all() -> Vec<Self> {
        let all = [
            (Self::Skopeo, "skopeo"),
            (Self::Crane, "crane"),
            (Self::Curl, "curl"),
            (Self::Tar, "tar"),
            (Self::Sums, "sha256sum"),
            (Self::Sync, "cmp"),
        ];
        all.into_iter().filter(|(_, program)| Tool::find(program).is_some()).map(|(client, _)| client).collect()
    }

    /// Reads everything once.
    pub(super) fn round(self, stage: &Stage<'_>) {
        match self {
            Self::Skopeo => self.skopeo(stage),
            Self::Crane => self.crane(stage),
            Self::Curl => self.curl(stage),
            // One image has a layer that nobody has.
            Self::Tar => drop(shell("tar -cf - blobs images .ocm 2>/dev/null | wc -c", &stage.seen.at(""))),
            Self::Sums => sums(&stage.seen.at("blobs/sha256")),
            Self::Sync => self.sync(stage),
        }
    }

    fn skopeo(self, stage: &Stage<'_>) {
        let out = self.out(stage);
        let mut skopeo = Tool::find("skopeo").expect("it was there");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false"]);
        run(skopeo.arg(format!("docker://{}/{}:large", stage.host, repository(stage))).arg(format!("oci:{out}:large")));
        sums(&Path::new(&out).join("blobs/sha256"));
    }

    fn crane(self, stage: &Stage<'_>) {
        let mut crane = Tool::find("crane").expect("it was there");
        run(crane.args(["validate", "--insecure", "--remote", &format!("{}/{}:single", stage.host, repository(stage))]));
    }

    fn curl(self, stage: &Stage<'_>) {
        for digest in stage.archive.layout.digests() {
            let url = format!("http://{}/v2/{}/blobs/{digest}", stage.host, repository(stage));
            let sum = shell(&format!("curl -sS '{url}' | sha256sum"), Path::new("/"));
            // What no image there refers to is not found, and is another document.
            let found = run(Tool::find("curl").expect("it was there").args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", &url]));
            assert!(sum.starts_with(&digest.hex()) || found == "404", "{digest}: {found}");
        }
    }

    fn sync(self, stage: &Stage<'_>) {
        let out = self.out(stage);
        let (code, _, err) = stage.home.run(&["sync", "-q", &stage.archive.path(), &format!("oci:{out}")]);
        assert_eq!(code, Some(0), "{err}");
        sums(&Path::new(&out).join("blobs/sha256"));
    }

    /// A folder of its own that is not there.
    fn out(self, stage: &Stage<'_>) -> String {
        let out = stage.home.path(&format!("out-{self:?}"));
        let _absent = std::fs::remove_dir_all(&out);
        out
    }
}

/// The repository that all images are in.
fn repository(stage: &Stage<'_>) -> String {
    stage.archive.repository()
}

/// All blobs of a folder are what their names say.
fn sums(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let file = std::fs::File::open(entry.path()).expect("a blob");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice");
    }
    for line in shell("sha256sum *", folder).lines() {
        let (sum, name) = line.split_once("  ").expect("a line of sha256sum");
        assert_eq!(sum, name);
    }
}

fn shell(script: &str, folder: &Path) -> String {
    run(Command::new("sh").args(["-c", script]).current_dir(folder))
}
