//! [`Lab`]: content in memory that can be looked into, for tests; blobs in it can be hurt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::cache::held;
use super::plains::Trust;
use super::view::{Showing, View};
use crate::error::{Error, Result};
use crate::image::inside::{Ailment, Facts, Form, Lies, Made, Sizes};
use crate::image::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::image::tree::tests::tar;
use crate::image::{Contents, Descriptor, Digest, Inside, Item, Manifest, Platform, Verified};
use crate::monitor::{Event, Monitor};

pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Content in memory.
#[derive(Default)]
pub(super) struct Lab {
    contents: Contents,
    blobs: BTreeMap<Digest, Bytes>,
    /// Plain forms of blobs that have one of their own.
    plain: BTreeMap<Digest, Bytes>,
    /// Blobs whose plain form is not known.
    unknown: BTreeSet<Digest>,
    hurt: Mutex<BTreeSet<Digest>>,
}

impl Lab {
    pub(super) fn put(&mut self, kind: &str, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
        self.blobs.insert(descriptor.digest, bytes);
        descriptor
    }

    /// A layer whose plain form is the tar of these lines.
    pub(super) fn layer(&mut self, lines: &str) -> Descriptor {
        let plain = tar(lines);
        let layer = self.put(LAYER, format!("what stands for {}", Digest::of(&plain)));
        self.plain.insert(layer.digest, plain.into());
        layer
    }

    /// A layer that has to be decompressed.
    pub(super) fn unknown_layer(&mut self, lines: &str) -> Descriptor {
        let layer = self.put(LAYER, zstd::encode_all(tar(lines).as_slice(), 3).expect("memory"));
        self.unknown.insert(layer.digest);
        layer
    }

    pub(super) fn image(&mut self, layers: &[Descriptor]) -> Descriptor {
        let config = self.put("application/vnd.oci.image.config.v1+json", "{}");
        let json = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers});
        self.put(OCI_MANIFEST, json.to_string())
    }

    pub(super) fn index(&mut self, images: &[(&str, Descriptor)]) -> Descriptor {
        let parts = |platform: &str| platform.split('/').map(str::to_owned).collect::<Vec<_>>();
        let listed: Vec<Descriptor> = images
            .iter()
            .map(|(platform, image)| {
                let parts = parts(platform);
                let platform = Platform { os: parts[0].clone(), architecture: parts[1].clone(), variant: parts.get(2).cloned() };
                Descriptor { platform: Some(platform), ..image.clone() }
            })
            .collect();
        let json = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed});
        self.put(OCI_INDEX, json.to_string())
    }

    pub(super) fn tag(&mut self, name: &str, root: &Descriptor) {
        self.contents.put(Item { root: Some(root.clone()), ..Item::image(name.parse().expect(name)) });
    }

    pub(super) fn hurt(&self, blob: &Descriptor) {
        held(&self.hurt).insert(blob.digest);
    }

    pub(super) fn heal(&self) {
        held(&self.hurt).clear();
    }

    pub(super) fn forget(&mut self, blob: &Descriptor) {
        self.blobs.remove(&blob.digest);
    }

    /// Puts other bytes in the place of a blob.
    pub(super) fn swap(&mut self, blob: &Descriptor, bytes: &'static str) {
        self.blobs.insert(blob.digest, bytes.into());
    }

    fn whole(&self, blob: &Digest, form: Form) -> Option<&Bytes> {
        match form {
            Form::Plain if self.unknown.contains(blob) => None,
            Form::Plain => self.plain.get(blob).or_else(|| self.blobs.get(blob)),
            Form::Stored => self.blobs.get(blob),
        }
    }
}

impl Inside for Lab {
    fn place(&self) -> String {
        "/lab".to_owned()
    }

    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn time(&self) -> u64 {
        1_700_000_000
    }

    fn documents(&self) -> Result<Vec<(String, Bytes)>> {
        Ok(vec![("lab.g0001.json".to_owned(), Bytes::from_static(b"{}"))])
    }

    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let Some(bytes) = self.blobs.get(&wanted.digest) else { return Ok(None) };
        if held(&self.hurt).contains(&wanted.digest) {
            return Err(Error::damaged(format!("blob {}: hurt", wanted.digest)));
        }
        Manifest::parse(Verified::check_digest(bytes.clone(), &wanted.digest, "lab")?, &wanted.media_type).map(Some)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Facts>> {
        let facts = |bytes: &Bytes| Facts {
            bytes: bytes.len() as u64,
            made: Made::Stored,
            plain_bytes: self.whole(digest, Form::Plain).map(|plain| plain.len() as u64),
        };
        Ok(self.blobs.get(digest).map(facts))
    }

    fn blobs(&self) -> Result<Vec<(Digest, u64)>> {
        Ok(self.blobs.iter().map(|(digest, bytes)| (*digest, bytes.len() as u64)).collect())
    }

    fn read(&self, blob: &Digest, form: Form, offset: u64, most: u64) -> Result<Bytes> {
        if held(&self.hurt).contains(blob) {
            return Err(Error::damaged(format!("blob {blob}: hurt")));
        }
        let whole = self.whole(blob, form).ok_or_else(|| Error::needed(format!("blob {blob}: gone")))?;
        // Never more than a few bytes lie together.
        let (start, most) = ((offset as usize).min(whole.len()), (most as usize).min(700));
        Ok(whole.slice(start..(start + most).min(whole.len())))
    }

    fn lies(&self, _: &Digest) -> Result<Vec<Lies>> {
        Ok(vec![Lies { set: 2, volume: 1, here: true }, Lies { set: 2, volume: 3, here: false }])
    }

    fn health(&self) -> Vec<Ailment> {
        Vec::new()
    }

    fn sizes(&self) -> Result<Sizes> {
        Ok(Sizes { stored_bytes: 10_000, plain_bytes: 50_000, blobs: self.blobs.len() as u64 })
    }
}

/// Hears warnings.
#[derive(Default)]
pub(super) struct Heard(pub(super) Mutex<Vec<String>>);

impl Monitor for Heard {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            held(&self.0).push(text.to_owned());
        }
    }
}

pub(super) fn showing() -> Showing {
    let spool = std::path::PathBuf::from("/tmp");
    Showing { devices: false, set_ids: false, trust: Trust::Parts, spool, spool_bytes: 1 << 20, owner: (7, 8) }
}

/// The lab as a file system, and what it tells.
pub(super) fn view(lab: Lab, showing: Showing) -> (Arc<Lab>, View, Arc<Heard>) {
    let (lab, heard) = (Arc::new(lab), Arc::new(Heard::default()));
    let view = View::new(Arc::clone(&lab) as Arc<dyn Inside>, showing, Arc::clone(&heard) as Arc<dyn Monitor>);
    (lab, view, heard)
}
