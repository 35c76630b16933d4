//! The ways to bring a generated image to a registry, and to see what is there: none of them is ocm's.
//!
//! **Invariants.** What is brought is what the layout has, byte for byte.
//!
//! *Not here:* making images (`images`); re-exported from there.

use ocm::image::{Descriptor, Digest};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::images::Layout;
use super::tools::{Tool, run};

/// Brings everything below `root` to the repository `name` (`host:port/repository`), children first, over the plain
/// distribution API; under `tag`, or by digest alone. The registry must be open and without TLS.
pub async fn push(layout: &Layout, root: &Descriptor, name: &str, tag: Option<&str>) {
    let (host, repository) = name.split_once('/').expect("host/repository");
    let target = Target { client: client(), base: format!("http://{host}/v2/{repository}") };
    target.push(layout, root, tag.map_or(root.digest.to_string(), str::to_owned)).await;
}

/// The bytes of a manifest as the registry has them; `None` where there is none. `name` is `host:port/repository`.
pub async fn fetch_manifest(name: &str, reference: &str) -> Option<Vec<u8>> {
    let (host, repository) = name.split_once('/').expect("host/repository");
    let accepted = ocm::image::manifest::ACCEPTED.join(", ");
    let url = format!("http://{host}/v2/{repository}/manifests/{reference}");
    let response = client().get(url).header("accept", accepted).send().await.expect("the registry answers");
    match response.status() {
        StatusCode::NOT_FOUND => None,
        StatusCode::OK => Some(response.bytes().await.expect("a whole answer").to_vec()),
        other => panic!("{name}:{reference}: {other}"),
    }
}

/// Brings the image that the layout lists as `reference` to `name` (`host:port/repository:tag`) with skopeo, as it is;
/// `None` where there is no skopeo.
pub fn push_with_skopeo(layout: &Layout, reference: &str, name: &str) -> Option<()> {
    let mut skopeo = Tool::find("skopeo")?;
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false"]);
    run(skopeo.arg(format!("oci:{}:{reference}", layout.path().display())).arg(format!("docker://{name}")));
    Some(())
}

/// The digest of `name` (`host:port/repository:tag`) as skopeo sees it; `None` where there is no skopeo.
pub fn digest_by_skopeo(name: &str) -> Option<Digest> {
    let mut skopeo = Tool::find("skopeo")?;
    let raw = run(skopeo.args(["inspect", "--raw", "--tls-verify=false"]).arg(format!("docker://{name}")));
    Some(Digest::of(raw.as_bytes()))
}

struct Target {
    client: Client,
    base: String,
}

impl Target {
    /// Brings one manifest and all below it.
    async fn push(&self, layout: &Layout, manifest: &Descriptor, reference: String) {
        let bytes = layout.read(&manifest.digest);
        let document: Value = serde_json::from_slice(&bytes).expect("a manifest is JSON");
        for child in parts(&document, "manifests") {
            Box::pin(self.push(layout, &child, child.digest.to_string())).await;
        }
        for blob in parts(&document, "layers").into_iter().chain(parts(&document, "config")) {
            if !blob.is_foreign() {
                self.push_blob(layout.read(&blob.digest), &blob.digest).await;
            }
        }
        let request = self.client.put(format!("{}/manifests/{reference}", self.base));
        let answer = request.header("content-type", &manifest.media_type).body(bytes).send().await.expect("the registry answers");
        assert_eq!(answer.status(), StatusCode::CREATED, "{reference}: {}", answer.text().await.unwrap_or_default());
    }

    async fn push_blob(&self, bytes: Vec<u8>, digest: &Digest) {
        let there = self.client.request(Method::HEAD, format!("{}/blobs/{digest}", self.base)).send().await;
        if there.expect("the registry answers").status() == StatusCode::OK {
            return;
        }
        let begun = self.client.post(format!("{}/blobs/uploads/", self.base)).send().await.expect("the registry answers");
        let place = begun.headers()["location"].to_str().expect("a URL").to_owned();
        let place = format!("{place}{}digest={digest}", if place.contains('?') { '&' } else { '?' });
        let answer = self.client.put(place).body(bytes).send().await.expect("the registry answers");
        assert_eq!(answer.status(), StatusCode::CREATED, "{digest}");
    }
}

/// The descriptors that stand under `key`: one, or a list.
fn parts(document: &Value, key: &str) -> Vec<Descriptor> {
    let read = |value: &Value| serde_json::from_value(value.clone()).expect("a descriptor");
    match &document[key] {
        Value::Array(list) => list.iter().map(read).collect(),
        Value::Null => Vec::new(),
        one => vec![read(one)],
    }
}

fn client() -> Client {
    // A second call finds the first one's provider in place, which is just as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().build().expect("a client of no options")
}
