//! [`Place`]: somewhere that images are read from with nothing of ocm: a folder that is an OCI layout, or a registry.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ocm::image::manifest::ACCEPTED;
use ocm::image::{Descriptor, Digest};
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::serve::client;

/// The annotation of `index.json` that has the full name of an image.
pub(super) const FULL_NAME: &str = "io.containerd.image.name";

/// Somewhere that images are read from.
pub(super) enum Place {
    /// An OCI layout.
    Folder(PathBuf),
    /// What answers the distribution API at this host.
    Registry { host: String, client: Client },
}

impl Place {
    pub(super) fn registry(host: &str) -> Self {
        Self::Registry { host: host.to_owned(), client: client() }
    }

    /// What each name stands for. Names are without their host, which not every place keeps.
    pub(super) async fn names(&self) -> BTreeMap<String, Digest> {
        match self {
            Self::Folder(folder) => listed(folder),
            Self::Registry { .. } => self.tagged().await,
        }
    }

    /// Content that belongs to an image; `None` where it is not there.
    pub(super) async fn read(&self, name: &str, content: &Descriptor) -> Option<Vec<u8>> {
        let (digest, (repository, _)) = (&content.digest, name.rsplit_once(':').expect("repository:tag"));
        match self {
            Self::Folder(folder) => fs::read(folder.join("blobs").join(digest.algorithm()).join(digest.hex())).ok(),
            Self::Registry { .. } => {
                let kind = if content.is_manifest() { "manifests" } else { "blobs" };
                self.get(&format!("{repository}/{kind}/{digest}")).await
            }
        }
    }

    /// What a registry says of all tags of all its repositories.
    async fn tagged(&self) -> BTreeMap<String, Digest> {
        let mut names = BTreeMap::new();
        for repository in texts(&self.json("_catalog").await["repositories"]) {
            for tag in texts(&self.json(&format!("{repository}/tags/list")).await["tags"]) {
                let manifest = self.get(&format!("{repository}/manifests/{tag}")).await.expect("what is listed is there");
                names.insert(format!("{}:{tag}", without_host(&repository)), Digest::of(&manifest));
            }
        }
        names
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.expect(path)).expect("json")
    }

    async fn get(&self, path: &str) -> Option<Vec<u8>> {
        let Self::Registry { host, client } = self else { panic!("{path}: a folder") };
        let request = client.get(format!("http://{host}/v2/{path}")).header("accept", ACCEPTED.join(", "));
        let response = request.send().await.expect("an answer");
        match response.status() {
            StatusCode::NOT_FOUND => None,
            StatusCode::OK => Some(response.bytes().await.expect("a whole answer").to_vec()),
            other => panic!("{path}: {other}"),
        }
    }
}

/// What `index.json` lists by name.
fn listed(folder: &Path) -> BTreeMap<String, Digest> {
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).expect("an index")).expect("json");
    let manifests = index["manifests"].as_array().expect("a list").iter();
    let named = manifests.filter_map(|manifest| Some((manifest["annotations"][FULL_NAME].as_str()?, manifest)));
    let digest = |manifest: &Value| manifest["digest"].as_str().expect("a digest").parse().expect("a digest");
    named.map(|(name, manifest)| (without_host(name).to_owned(), digest(manifest))).collect()
}

/// A name as it goes on after its host, if it has one.
fn without_host(name: &str) -> &str {
    let is_host = |first: &str| first == "localhost" || first.contains('.');
    name.split_once('/').filter(|(first, _)| is_host(first)).map_or(name, |(_, rest)| rest)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}
