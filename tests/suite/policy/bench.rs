//! [`Bench`]: one image in a registry, a policy for it, and a lookaside beside it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use ocm::environment::Environment;
use ocm::error::Result;
use ocm::transfer::{Class, Ending};
use ocm::workflow::{Trust, TrustChoice};
use serde_json::{Value, json};

use super::keys::Gpg;
use crate::support::images::{Image, Layout, push};
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};
use crate::workflows::lab::Lab;

pub(super) struct Bench {
    pub(super) lab: Lab,
    _registry: Registry,
    /// The name of the image.
    pub(super) origin: String,
    digest: String,
    /// The digests of the manifests that the image lists.
    pub(super) children: Vec<String>,
    pub(super) lab_platform: Option<&'static str>,
    /// The address of the lookaside.
    pub(super) lookaside: String,
    /// Where the image is read from, if not from the registry.
    pub(super) from: Option<String>,
}

impl Bench {
    /// An image of one platform; `None` where there is no registry.
    pub(super) async fn new() -> Option<Self> {
        let layout = Layout::new();
        let root = layout.image(&Image::generated(1, 20_000));
        Self::of(&layout, &root, Vec::new()).await
    }

    /// An index of two platforms.
    pub(super) async fn with_index() -> Option<Self> {
        let layout = Layout::new();
        let children =
            [("linux/amd64", 1), ("linux/arm64", 2)].map(|(name, seed)| layout.image(&Image::generated(seed, 20_000).platform(name)));
        let digests = children.iter().map(|child| child.digest.to_string()).collect();
        Self::of(&layout, &layout.index(&children), digests).await
    }

    async fn of(layout: &Layout, root: &ocm::image::Descriptor, children: Vec<String>) -> Option<Self> {
        let registry = Registry::start()?;
        let mut lab = Lab::new();
        lab.settings.now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 5;
        push(layout, root, &format!("{}/team/app", registry.host()), Some("1")).await;
        let origin = format!("{}/team/app:1", registry.host());
        let lookaside = format!("file://{}", lab.path("lookaside"));
        Some(Self {
            lab,
            _registry: registry,
            origin,
            digest: root.digest.to_string(),
            children,
            lab_platform: None,
            lookaside,
            from: None,
        })
    }

    pub(super) fn name(&self) -> String {
        self.origin.clone()
    }

    pub(super) fn place(&self) -> String {
        format!("docker://{}", self.origin)
    }

    pub(super) fn digest(&self) -> String {
        self.digest.clone()
    }

    /// Demands this of the image from now on.
    pub(super) fn demand(&mut self, requirements: &Value) {
        self.load(requirements).expect("a policy");
    }

    /// The same; the error is one of the policy.
    pub(super) fn load(&mut self, requirements: &Value) -> Result<()> {
        let folder = self.lab.folder("registries.d");
        std::fs::create_dir_all(&folder).expect("a directory");
        std::fs::write(folder.join("x.yaml"), format!("docker:\n  127.0.0.1: {{}}\ndefault-docker:\n  lookaside: {}\n", self.lookaside))
            .expect("a file");
        let host = self.origin.split('/').next().expect("a host").to_owned();
        policy(&mut self.lab, &json!({ "default": [{ "type": "reject" }], "transports": { "docker": { host: requirements } } }))
    }

    /// Lays signatures of this manifest into the lookaside; earlier ones go.
    pub(super) fn lay(&self, digest: &str, signatures: &[Vec<u8>]) {
        let folder = self.lab.folder("lookaside").join(format!("team/app@{}", digest.replace(':', "=")));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a directory");
        for (number, signature) in signatures.iter().enumerate() {
            std::fs::write(folder.join(format!("signature-{}", number + 1)), signature).expect("a file");
        }
    }

    /// Whether ocm would bring the image; else why not.
    pub(super) async fn verdict(&self) -> Result<(), String> {
        let from = self.from.clone().unwrap_or_else(|| self.place());
        let (from, to) = ([from], format!("oci:{}", self.lab.path("out")));
        let outcome = self.lab.sync_with(&from, &to, |request| {
            request.dry_run = true;
            request.platforms = self.lab_platform.iter().map(|platform| platform.parse().expect("a platform")).collect();
        });
        let outcome = outcome.await.expect("a plan");
        match &outcome.report.items[0].ending {
            Ending::Failed(error) => Err(error.to_string()),
            _ => {
                assert_eq!(outcome.class(), Class::Done, "{:?}", outcome.report);
                Ok(())
            }
        }
    }

    /// Whether skopeo brings it; `None` where there is none, or it does not check such signatures, as that of Debian.
    pub(super) fn skopeo(&self) -> Option<bool> {
        let mut skopeo = Tool::find("skopeo")?;
        let to = tempfile::tempdir().expect("a directory");
        skopeo.args([
            "--policy",
            &self.lab.path("policy.json"),
            "--registries.d",
            &self.lab.path("registries.d"),
            "copy",
            "--remove-signatures",
        ]);
        skopeo.args(["--src-tls-verify=false", &self.place(), &format!("dir:{}", to.path().display())]);
        let output = skopeo.output().expect("skopeo runs");
        if String::from_utf8_lossy(&output.stderr).contains("sigstore disabled") {
            writeln!(std::io::stderr(), "skipped: this skopeo does not check sigstore").expect("stderr is open in a test");
            return None;
        }
        Some(output.status.success())
    }

    /// A signature of the image by `skopeo standalone-sign`.
    pub(super) fn signed_by_skopeo(&self, gpg: &Gpg, key: &str) -> Option<Vec<u8>> {
        let mut skopeo = Tool::find("skopeo")?;
        let raw = run(skopeo.args(["inspect", "--raw", "--tls-verify=false", &self.place()]));
        let (manifest, signature) = (self.lab.folder("manifest.json"), self.lab.folder("signature"));
        std::fs::write(&manifest, raw).expect("a file");
        let mut skopeo = Tool::find("skopeo")?;
        skopeo.env("GNUPGHOME", gpg.home()).arg("standalone-sign").arg(&manifest).args([&self.origin, &gpg.fingerprint(key)]);
        run(skopeo.arg("-o").arg(&signature));
        Some(std::fs::read(signature).expect("a signature"))
    }
}

/// Makes this the policy of the runs of a lab, with what lies in its registries.d.
pub(super) fn policy(lab: &mut Lab, document: &Value) -> Result<()> {
    let (file, folder) = (lab.folder("policy.json"), lab.folder("registries.d"));
    std::fs::create_dir_all(&folder).expect("a directory");
    std::fs::write(&file, document.to_string()).expect("a file");
    let choice = TrustChoice { secure: true, policy: Some(file), registries_d: Some(folder) };
    lab.settings.trust = Trust::load(&Environment::default(), &choice)?;
    Ok(())
}

/// What simple signing signs.
pub(super) fn payload(digest: &str, name: &str) -> Vec<u8> {
    let critical = json!({ "type": "atomic container signature", "image": { "docker-manifest-digest": digest }, "identity": { "docker-reference": name } });
    json!({ "critical": critical, "optional": { "creator": "a test" } }).to_string().into_bytes()
}

/// A web server over a directory, which counts.
pub(super) struct Web {
    pub(super) address: String,
    asked: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

impl Web {
    pub(super) async fn over(folder: &Path) -> Self {
        let (folder, asked, fails): (PathBuf, Arc<AtomicU64>, Arc<AtomicBool>) = (folder.to_owned(), Arc::default(), Arc::default());
        let (count, failing) = (Arc::clone(&asked), Arc::clone(&fails));
        let serve = move |uri: axum::http::Uri| async move {
            count.fetch_add(1, Ordering::Relaxed);
            if failing.load(Ordering::Relaxed) {
                return Err(StatusCode::INTERNAL_SERVER_ERROR);
            }
            std::fs::read(folder.join(uri.path().trim_start_matches('/'))).map_err(|_| StatusCode::NOT_FOUND)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let router = axum::Router::new().fallback(serve);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked, fails }
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Answers 500 from now on.
    pub(super) fn fail(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }
}
