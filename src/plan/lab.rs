//! [`Lab`]: a registry in memory for tests: strict about order, talkative, and ready to fail.

mod ends;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::FutureExt as _;

use crate::error::{Error, Result};
use crate::image::ends::{Moved, Rest};
use crate::image::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::image::{Contents, Descriptor, Digest, Item, Manifest, Platform, Reference, Repository, Verified, Wanted};

pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What goes wrong, or slowly, at a step whose log line has a certain text.
#[derive(Clone)]
pub(crate) enum Trouble {
    Fail(Error),
    Panic,
    Slow(Duration),
    /// Bytes trickle, one report a pause.
    Trickle(Duration, u32),
    FailInOrder(Error),
}

/// A place that is a source and a sink. Clones are the same place.
#[derive(Clone, Default)]
pub(crate) struct Lab(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    bytes: BTreeMap<Digest, Bytes>,
    pub(crate) documents: BTreeMap<Digest, Manifest>,
    /// What is where: repository (or all, where blobs are shared) and digest.
    pub(crate) held: BTreeSet<(String, Digest)>,
    pub(crate) names: BTreeMap<Reference, Digest>,
    pub(crate) referrers: Vec<(Digest, Descriptor)>,
    pub(crate) listing: Option<Contents>,
    /// What every name is answered with.
    pub(crate) answer: Option<Descriptor>,
    pub(crate) shares: bool,
    pub(crate) sparse_welcome: bool,
    /// Steps leave their last part to be done in order.
    pub(crate) in_order: bool,
    /// Names are never there, as in an archive in the making.
    pub(crate) nameless: bool,
    pub(crate) waiting: usize,
    pub(crate) most_waiting: usize,
    running: usize,
    pub(crate) most_running: usize,
    pub(crate) log: Vec<String>,
    pub(crate) written: Vec<String>,
    pub(crate) troubles: Vec<(String, Trouble)>,
    pub(crate) finished: Option<Contents>,
}

pub(crate) fn name(text: &str) -> Reference {
    text.parse().expect("a name")
}

pub(crate) fn platform(text: &str) -> Platform {
    text.parse().expect("a platform")
}

/// `origin` of `lab`, to be called the same below `reg`.
pub(crate) fn want(lab: &Lab, origin: &str, root: &Descriptor) -> Wanted {
    let item = Item { root: Some(root.clone()), ..Item::image(name(origin)) };
    let path = origin.split_once('/').expect("a host").1;
    Wanted::new(item, Arc::new(lab.clone()), name(&format!("reg:5000/{path}")))
}

impl Lab {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with it in hand")
    }

    pub(crate) fn with(set: impl FnOnce(&mut State)) -> Self {
        let lab = Self::default();
        set(&mut lab.state());
        lab
    }

    pub(crate) fn trouble(&self, at: impl ToString, trouble: Trouble) {
        self.state().troubles.push((at.to_string(), trouble));
    }

    pub(crate) fn log(&self, with: &str) -> Vec<String> {
        self.state().log.iter().filter(|line| line.contains(with)).cloned().collect()
    }

    pub(crate) fn blob(&self, of: &Repository, kind: &str, text: &str) -> Descriptor {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let blob = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
        self.state().hold(of, blob.digest);
        self.state().bytes.insert(blob.digest, bytes);
        blob
    }

    pub(crate) fn document(&self, of: &Repository, json: &serde_json::Value) -> Descriptor {
        let bytes = Verified::own(json.to_string().into_bytes().into());
        let manifest = Manifest::parse(bytes, "").expect("a manifest");
        let described = manifest.descriptor().clone();
        let mut state = self.state();
        state.hold(of, described.digest);
        if let Some(subject) = manifest.subject() {
            state.referrers.push((subject.digest, described.clone()));
        }
        state.documents.insert(described.digest, manifest);
        described
    }

    /// An image with these layers, under a name if it has a tag.
    pub(crate) fn image(&self, text: &str, layers: &[&str]) -> Descriptor {
        let name = name(text);
        let config = self.blob(name.repository(), CONFIG, &format!("config of {layers:?}"));
        let layers: Vec<_> = layers.iter().map(|layer| self.blob(name.repository(), LAYER, layer)).collect();
        let json = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers});
        let image = self.document(name.repository(), &json);
        self.point_at(text, image.digest);
        image
    }

    /// An index of these, as they are described.
    pub(crate) fn index(&self, text: &str, children: &[Descriptor]) -> Descriptor {
        let json = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children});
        let index = self.document(name(text).repository(), &json);
        self.point_at(text, index.digest);
        index
    }

    /// An image for each platform, and an index of them.
    pub(crate) fn multi(&self, text: &str, platforms: &[&str]) -> (Descriptor, Vec<Descriptor>) {
        let repository = name(text).repository().to_string();
        let child = |wanted: &&str| {
            let image = self.image(&repository, &["base", &format!("{repository} for {wanted}")]);
            Descriptor { platform: Some(platform(wanted)), ..image }
        };
        let children: Vec<_> = platforms.iter().map(child).collect();
        (self.index(text, &children), children)
    }

    /// An artifact that refers to `subject`.
    pub(crate) fn attach(&self, of: &str, subject: &Descriptor, text: &str) -> Descriptor {
        let repository = name(of).repository().clone();
        let (config, layer) = (self.blob(&repository, "application/x.sig", "{}"), self.blob(&repository, "text/plain", text));
        let subject = Descriptor::new(subject.media_type.clone(), subject.digest, subject.size);
        self.document(
            &repository,
            &serde_json::json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer], "subject": subject}),
        )
    }

    pub(crate) fn forget(&self, digest: Digest) {
        self.state().held.retain(|(_, held)| *held != digest);
    }

    fn point_at(&self, text: &str, digest: Digest) {
        if name(text).tag().is_some() {
            self.state().names.insert(name(text), digest);
        }
    }

    async fn step(&self, line: String) -> Result<Rest> {
        let troubles = {
            let mut state = self.state();
            state.log.push(line.clone());
            state.troubles.clone()
        };
        let mut in_order = None;
        for (_, trouble) in troubles.into_iter().filter(|(at, _)| line.contains(at)) {
            match trouble {
                Trouble::Fail(error) => return Err(error),
                Trouble::Panic => panic!("the lab burns"),
                Trouble::Slow(pause) => tokio::time::sleep(pause).await,
                Trouble::FailInOrder(error) => in_order = Some(error),
                Trouble::Trickle(..) => {}
            }
        }
        let state = self.0.clone();
        Ok(self.state().wait_in_order(&line).then(|| {
            async move {
                tokio::task::yield_now().await;
                let mut state = state.lock().expect("no test panics with it in hand");
                state.waiting -= usize::from(line.starts_with("put"));
                state.written.push(line);
                in_order.map_or(Ok(()), Err)
            }
            .boxed()
        }))
    }

    async fn trickle(&self, line: &str, moved: &Moved) {
        let troubles = self.state().troubles.clone();
        for (at, trouble) in troubles {
            if let (true, Trouble::Trickle(pause, times)) = (line.contains(&at), trouble) {
                for _ in 0..times {
                    tokio::time::sleep(pause).await;
                    moved(0);
                }
            }
        }
    }
}

/// Counts the blobs on their way.
struct Running(Lab);

impl Running {
    fn new(lab: &Lab) -> Self {
        let mut state = lab.state();
        state.running += 1;
        state.most_running = state.most_running.max(state.running);
        Self(lab.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

impl State {
    fn shelf(&self, of: &Repository) -> String {
        if self.shares { String::new() } else { of.to_string() }
    }

    fn hold(&mut self, of: &Repository, digest: Digest) {
        let shelf = self.shelf(of);
        self.held.insert((shelf, digest));
    }

    pub(crate) fn holds(&self, of: &Repository, digest: &Digest) -> bool {
        self.held.contains(&(self.shelf(of), *digest))
    }

    fn wait_in_order(&mut self, line: &str) -> bool {
        self.waiting += usize::from(self.in_order && line.starts_with("put"));
        self.most_waiting = self.most_waiting.max(self.waiting);
        self.in_order
    }

    /// What a manifest lacks in a repository; a strict registry refuses it then.
    fn lacks(&self, of: &Repository, manifest: &Manifest) -> Option<Digest> {
        let children = manifest.children().iter().filter(|_| !self.sparse_welcome);
        manifest.blobs().chain(children).map(|part| part.digest).find(|part| !self.holds(of, part))
    }
}
