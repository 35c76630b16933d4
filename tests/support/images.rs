//! [`Layout`]: generated images in an OCI layout.
//!
//! **Invariants.** The same calls make the same digests. Nothing of ocm but its plain data types is used, so that a
//! fault of its stores cannot hide itself.
//!
//! *Not here:* what is in a layer (`layers`), how an image comes into a registry (`deliver`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ocm::image::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use ocm::image::{Descriptor, Digest, Platform};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use super::deliver::{digest_by_skopeo, fetch_manifest, push, push_with_skopeo};
use super::layers::Layer;

/// The empty JSON object, the content that OCI artifacts have where they have none.
pub const EMPTY_JSON: &[u8] = b"{}";
/// The media type of [`EMPTY_JSON`].
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// An OCI layout that is being filled.
pub struct Layout {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

/// What an image is made of.
#[derive(Debug, Clone)]
#[must_use]
pub struct Image {
    layers: Vec<Layer>,
    platform: Platform,
    docker: bool,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

impl Image {
    /// An OCI image for linux/amd64 of these layers, lowest first.
    pub fn of(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self {
            layers: layers.into_iter().collect(),
            platform: platform("linux/amd64"),
            docker: false,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// An OCI image of two generated layers of about `size_bytes` in all.
    pub fn generated(seed: u64, size_bytes: usize) -> Self {
        Self::of([Layer::tree(seed, size_bytes / 2), Layer::tree(seed + 1_000_000, size_bytes / 2)])
    }

    /// For this platform: `os/arch` or `os/arch/variant`.
    pub fn platform(self, text: &str) -> Self {
        Self { platform: platform(text), ..self }
    }

    /// A Docker v2s2 image.
    pub fn docker(self) -> Self {
        Self { docker: true, ..self }
    }

    /// Attached to `subject`, as a referrer.
    pub fn subject(self, subject: &Descriptor) -> Self {
        Self { subject: Some(bare(subject)), ..self }
    }

    /// With this annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }
}

impl Layout {
    /// An empty layout in a temporary directory, which goes with the value.
    pub fn new() -> Self {
        let temporary = TempDir::new().expect("a temporary directory");
        let layout = Self::at(&temporary.path().join("layout"));
        Self { _temporary: Some(temporary), ..layout }
    }

    /// The layout at `path`; an empty one is made where nothing is there.
    pub fn at(path: &Path) -> Self {
        let layout = Self { path: path.to_owned(), _temporary: None };
        if !path.join("oci-layout").exists() {
            fs::create_dir_all(path.join("blobs/sha256")).expect("the directory can be made");
            fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file can be written");
            layout.write_index(&json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }));
        }
        layout
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a blob, there or not.
    pub fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    /// The bytes of a blob.
    pub fn read(&self, digest: &Digest) -> Vec<u8> {
        fs::read(self.blob_file(digest)).unwrap_or_else(|error| panic!("{digest}: {error}"))
    }

    /// Every blob that is there, sorted: manifests too.
    pub fn digests(&self) -> Vec<Digest> {
        let entries = fs::read_dir(self.path.join("blobs/sha256")).expect("the directory can be read");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string().expect("hex");
        let mut digests: Vec<Digest> = entries.map(|entry| format!("sha256:{}", name(entry)).parse().expect("a digest")).collect();
        digests.sort_unstable();
        digests
    }

    /// Adds a blob.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let digest = Digest::of(bytes);
        fs::write(self.blob_file(&digest), bytes).expect("a file can be written");
        Descriptor::new(media_type, digest, bytes.len() as u64)
    }

    /// Adds an image with its blobs.
    pub fn image(&self, image: &Image) -> Descriptor {
        let layers: Vec<Value> = image.layers.iter().map(|layer| self.layer(layer, image.docker)).collect();
        let (media_type, config_type) = match image.docker {
            false => (OCI_MANIFEST, "application/vnd.oci.image.config.v1+json"),
            true => (DOCKER_MANIFEST, "application/vnd.docker.container.image.v1+json"),
        };
        let config = self.blob(config_type, &text(&config_of(image)));
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers });
        insert(&mut manifest, "subject", image.subject.as_ref().map(|subject| json!(subject)));
        insert(&mut manifest, "annotations", Some(json!(image.annotations)).filter(|_| !image.annotations.is_empty()));
        let described = self.blob(media_type, &text(&manifest));
        Descriptor { platform: Some(image.platform.clone()), ..described }
    }

    /// Adds an OCI index of these manifests, with their platforms.
    pub fn index(&self, manifests: &[Descriptor]) -> Descriptor {
        self.list(OCI_INDEX, manifests)
    }

    /// Adds a Docker manifest list of these manifests, with their platforms.
    pub fn docker_list(&self, manifests: &[Descriptor]) -> Descriptor {
        self.list(DOCKER_LIST, manifests)
    }

    /// Adds an artifact with one blob of `content`, attached to `subject` where there is one.
    pub fn artifact(&self, artifact_type: &str, content: &[u8], subject: Option<&Descriptor>) -> Descriptor {
        let (config, blob) = (self.blob(EMPTY_TYPE, EMPTY_JSON), self.blob("application/octet-stream", content));
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type, "config": config, "layers": [blob],
        });
        insert(&mut manifest, "subject", subject.map(|subject| json!(bare(subject))));
        Descriptor { artifact_type: Some(artifact_type.to_owned()), ..self.blob(OCI_MANIFEST, &text(&manifest)) }
    }

    /// Adds a manifest of any JSON at all.
    pub fn manifest(&self, media_type: &str, manifest: &Value) -> Descriptor {
        self.blob(media_type, &text(manifest))
    }

    /// Lists a manifest in `index.json` under this `ref.name`.
    pub fn tag(&self, name: &str, root: &Descriptor) {
        self.list_in_index(root, &[("org.opencontainers.image.ref.name", name)]);
    }

    /// Lists a manifest in `index.json` with these annotations.
    pub fn list_in_index(&self, root: &Descriptor, annotations: &[(&str, &str)]) {
        let bytes = fs::read(self.path.join("index.json")).expect("the index can be read");
        let mut index: Value = serde_json::from_slice(&bytes).expect("the index is JSON");
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let listed = json!(Descriptor { annotations: Some(annotations), ..root.clone() });
        index["manifests"].as_array_mut().expect("a list").push(listed);
        self.write_index(&index);
    }

    fn layer(&self, layer: &Layer, docker: bool) -> Value {
        let (stored, media_type) = (layer.stored(), layer.type_in(docker));
        if !layer.is_foreign() {
            return json!(self.blob(&media_type, &stored));
        }
        let digest = Digest::of(&stored);
        let urls = Some(vec![format!("https://layers.example.invalid/{}", digest.hex())]);
        json!(Descriptor { urls, ..Descriptor::new(media_type, digest, stored.len() as u64) })
    }

    fn list(&self, media_type: &str, manifests: &[Descriptor]) -> Descriptor {
        let manifests: Vec<Descriptor> = manifests.iter().map(|one| Descriptor { platform: one.platform.clone(), ..bare(one) }).collect();
        self.manifest(media_type, &json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests }))
    }

    fn write_index(&self, index: &Value) {
        fs::write(self.path.join("index.json"), text(index)).expect("a file can be written");
    }
}

/// A layout with one image of every kind, tagged by its kind, small enough for every test.
pub fn zoo() -> (Layout, BTreeMap<&'static str, Descriptor>) {
    let layout = Layout::new();
    let base = Layer::tree(1, 200 << 10);
    let single = layout.image(&Image::of([base.clone(), Layer::tree(2, 60 << 10)]));
    let arm = layout.image(&Image::of([Layer::tree(3, 150 << 10)]).platform("linux/arm64/v8"));
    let docker = layout.image(&Image::of([base.clone(), Layer::tree(4, 10 << 10)]).docker());
    let docker_arm = layout.image(&Image::of([Layer::tree(5, 10 << 10)]).docker().platform("linux/arm64"));
    let index = layout.index(&[single.clone(), arm.clone()]);
    let blobs_of_nothing = layout.image(&Image::of([Layer::bytes([]), Layer::bytes(EMPTY_JSON).media_type(EMPTY_TYPE)]));
    let kinds = BTreeMap::from([
        ("single", single.clone()),
        ("index", index.clone()),
        ("nested", layout.index(&[index, docker.clone()])),
        ("docker", docker.clone()),
        ("docker-list", layout.docker_list(&[docker, docker_arm])),
        ("tar", layout.image(&Image::of([base.clone().tar(), Layer::tree(6, 90 << 10).tar()]))),
        ("zstd", layout.image(&Image::of([base.clone().zstd()]))),
        ("foreign", layout.image(&Image::of([Layer::tree(7, 4 << 10).foreign(), base]).docker())),
        ("nothing", blobs_of_nothing),
        ("artifact", layout.artifact("application/vnd.example.chart", b"name: chart\n", None)),
    ]);
    kinds.iter().for_each(|(name, root)| layout.tag(name, root));
    (layout, kinds)
}

fn config_of(image: &Image) -> Value {
    let diff_ids: Vec<Digest> = image.layers.iter().map(Layer::diff_id).collect();
    let mut config = json!({
        "created": "2023-11-14T22:13:20Z",
        "os": image.platform.os,
        "architecture": image.platform.architecture,
        "config": { "Cmd": ["/bin/true"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": vec![json!({ "created_by": "generated" }); diff_ids.len()],
    });
    insert(&mut config, "variant", image.platform.variant.as_ref().map(|variant| json!(variant)));
    config
}

fn insert(document: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (document.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}

/// Media type, digest and size alone.
fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size)
}

fn platform(text: &str) -> Platform {
    text.parse().expect("a platform of a test")
}

fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value is JSON")
}
