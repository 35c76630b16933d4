//! [`Lab`]: an archive in memory that lies where it is told to; and [`Running`], a server of it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Current, Limits, Options, Server, Spool};
use crate::error::{Error, Result};
use crate::image::inside::{Ailment, Facts, Form, Lies, Made, Sizes};
use crate::image::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::image::{Contents, Descriptor, Digest, Inside, Item, Manifest, Verified};
use crate::monitor::Silent;

/// What is wrong with a blob.
#[derive(Clone)]
pub(super) enum Fault {
    /// The byte at this offset.
    Flipped(u64),
    /// It cannot be read from this offset on.
    Broken(u64),
    /// Every read of it takes so long.
    Slow(Duration),
}

/// An archive in memory.
#[derive(Default)]
pub(super) struct Lab {
    contents: Contents,
    blobs: BTreeMap<Digest, (Bytes, Option<Made>)>,
    media_types: HashMap<Digest, String>,
    pub(super) faults: Mutex<HashMap<Digest, Fault>>,
    pub(super) ailments: Mutex<Vec<Ailment>>,
    /// How many bytes were read of each blob.
    pub(super) read: Mutex<HashMap<Digest, u64>>,
    pub(super) reading: AtomicU64,
    pub(super) most_reading: AtomicU64,
}

impl Lab {
    /// Adds a blob.
    pub(super) fn blob(&mut self, bytes: impl Into<Bytes>, made: Made) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.blobs.insert(digest, (bytes, Some(made)));
        digest
    }

    /// Adds a blob under a digest that is not its own, or of another kind.
    pub(super) fn blob_as(&mut self, digest: Digest, bytes: impl Into<Bytes>) {
        self.blobs.insert(digest, (bytes.into(), Some(Made::Stored)));
    }

    /// Adds a manifest of this JSON.
    pub(super) fn manifest(&mut self, media_type: &str, document: &Value) -> Descriptor {
        let digest = self.blob(document.to_string(), Made::Verbatim);
        self.media_types.insert(digest, media_type.to_owned());
        Descriptor::new(media_type, digest, self.blobs[&digest].0.len() as u64)
    }

    /// Adds an image of these layers.
    pub(super) fn image(&mut self, layers: &[Digest], more: Value) -> Descriptor {
        let config = self.blob(r#"{"architecture":"amd64","os":"linux"}"#, Made::Verbatim);
        let describe = |kind: &str, digest: &Digest| json!({ "mediaType": kind, "digest": digest, "size": self.size(digest) });
        let layers: Vec<Value> = layers.iter().map(|layer| describe("application/vnd.oci.image.layer.v1.tar", layer)).collect();
        let config = describe("application/vnd.oci.image.config.v1+json", &config);
        let mut document = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
        let object = document.as_object_mut().expect("an object");
        object.extend(more.as_object().cloned().unwrap_or_default());
        self.manifest(OCI_MANIFEST, &document)
    }

    /// Adds an index.
    pub(super) fn index(&mut self, manifests: &[Descriptor]) -> Descriptor {
        self.manifest(OCI_INDEX, &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests }))
    }

    /// Names a root.
    pub(super) fn name(&mut self, name: &str, root: &Descriptor, attached: &[Descriptor]) {
        let item = Item::image(name.parse().expect("a name"));
        self.contents.put(Item { root: Some(root.clone()), attached: attached.to_vec(), ..item });
    }

    pub(super) fn fault(&self, digest: Digest, fault: Option<Fault>) {
        let mut faults = self.faults.lock().expect("faults");
        match fault {
            Some(fault) => faults.insert(digest, fault),
            None => faults.remove(&digest),
        };
    }

    pub(super) fn bytes(&self, digest: &Digest) -> Bytes {
        self.blobs[digest].0.clone()
    }

    pub(super) fn bytes_read(&self, digest: &Digest) -> u64 {
        self.read.lock().expect("counts").get(digest).copied().unwrap_or_default()
    }

    fn size(&self, digest: &Digest) -> usize {
        self.blobs[digest].0.len()
    }
}

impl Inside for Lab {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn time(&self) -> u64 {
        0
    }

    fn documents(&self) -> Result<Vec<(String, Bytes)>> {
        Ok(Vec::new())
    }

    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let Some((bytes, _)) = self.blobs.get(&wanted.digest) else { return Ok(None) };
        if self.faults.lock().expect("faults").contains_key(&wanted.digest) {
            return Err(Error::damaged(format!("{}: volume /secret/v1: damaged", wanted.digest)));
        }
        let verified = Verified::check_digest(bytes.clone(), &wanted.digest, "memory")?;
        Manifest::parse(verified, &wanted.media_type).map(Some)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Facts>> {
        let facts = |(bytes, made): &(Bytes, Option<Made>)| Facts {
            bytes: bytes.len() as u64,
            made: made.unwrap_or(Made::Stored),
            plain_bytes: None,
        };
        Ok(self.blobs.get(digest).map(facts))
    }

    fn blobs(&self) -> Result<Vec<(Digest, u64)>> {
        Ok(self.blobs.iter().map(|(digest, (bytes, _))| (*digest, bytes.len() as u64)).collect())
    }

    fn read(&self, blob: &Digest, _: Form, offset: u64, most: u64) -> Result<Bytes> {
        let now = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_reading.fetch_max(now, Ordering::SeqCst);
        let fault = self.faults.lock().expect("faults").get(blob).cloned();
        if let Some(Fault::Slow(time)) = fault {
            std::thread::sleep(time);
        }
        self.reading.fetch_sub(1, Ordering::SeqCst);
        let whole = self.bytes(blob);
        // Odd pieces: what lies together never fits what is asked for.
        let end = (offset + most.min(50_000)).min(whole.len() as u64);
        let part = whole.slice(usize::try_from(offset.min(end)).expect("small")..usize::try_from(end).expect("small"));
        *self.read.lock().expect("counts").entry(*blob).or_default() += part.len() as u64;
        match fault {
            Some(Fault::Flipped(at)) if (offset..end).contains(&at) => {
                let mut part = part.to_vec();
                part[usize::try_from(at - offset).expect("small")] ^= 1;
                Ok(part.into())
            }
            Some(Fault::Broken(at)) if end > at => Err(Error::needed(format!("{blob}: volume 3 is not here"))),
            _ => Ok(part),
        }
    }

    fn lies(&self, _: &Digest) -> Result<Vec<Lies>> {
        Ok(Vec::new())
    }

    fn health(&self) -> Vec<Ailment> {
        self.ailments.lock().expect("ailments").clone()
    }

    fn sizes(&self) -> Result<Sizes> {
        Ok(Sizes::default())
    }
}

/// A server that runs until this is dropped or ended.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) current: Arc<Current>,
    pub(super) client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    done: tokio::task::JoinHandle<()>,
}

/// Options of a server for tests.
pub(super) fn options() -> Options {
    let limits = Limits { farewell: Duration::from_secs(5), ..Limits::usual(64, 2) };
    Options { limits, identity: None, credentials: None, spool: None, log: None, monitor: Arc::new(Silent), clock: SystemTime::now }
}

/// A spool of so many bytes.
pub(super) fn spool(bytes: u64) -> Option<Spool> {
    Some(Spool::new(&std::env::temp_dir(), bytes).expect("a spool"))
}

impl Running {
    pub(super) async fn start(inside: Arc<Lab>, options: Options) -> Self {
        let current = Current::new(inside);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::listen(any, current.clone(), options).await.expect("a server");
        let address = server.address().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(server.run(async move {
            let _asked_or_dropped = stopped.await;
        }));
        Self { address, current, client: client(), stop: Some(stop), done }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.expect("an answer")
    }

    pub(super) async fn range(&self, path: &str, range: &str) -> reqwest::Response {
        self.client.get(self.url(path)).header("range", range).send().await.expect("an answer")
    }

    pub(super) async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.bytes().await.expect("a body")).expect("json")
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn end(mut self) {
        self.stop.take();
        self.done.await.expect("an orderly end");
    }
}

fn client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().use_preconfigured_tls(tls).no_proxy().build().expect("a client")
}

/// `size` bytes that do not repeat.
pub(super) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
