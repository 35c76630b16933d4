//! [`Written`]: content that archives are written from: images of every kind, and layers of every encoder that ocm knows.

use std::collections::BTreeMap;

use ocm::image::{Descriptor, Digest};
use ocm_format::gzip::Encoder;
use ocm_format::gzip::klauspost::Generation;

use super::members;
use super::places::{FULL_NAME, Place};
use super::restored::Script;
use crate::conformance::given::everything;
use crate::deltas::layer;
use crate::replay::image;
use crate::support::images::{Layout, zoo};

/// An encoder of each kind, and which programs have it.
const ENCODERS: [(Encoder, &[Script]); 6] = [
    (Encoder::Zlib { level: 6, memory_level: 8 }, &[Script::Small, Script::Gzip]),
    (Encoder::Go { level: 6 }, &[Script::Gzip]),
    (Encoder::Klauspost { generation: Generation::K9 }, &[Script::Gzip]),
    (Encoder::Pgzip { generation: Generation::K8, block_bytes: 256 << 10 }, &[Script::Gzip]),
    (Encoder::Gnu { level: 6 }, &[]),
    (Encoder::Pigz { level: 6 }, &[]),
];

/// Content, and what its names stand for.
pub(super) struct Written {
    pub(super) layout: Layout,
    names: BTreeMap<String, Descriptor>,
    /// Layers of known encoders, in their order: the blob, and its plain form.
    encoded: Vec<(Digest, Vec<u8>)>,
}

impl Written {
    /// A generation: the next one has the same files with other bytes here and there.
    pub(super) fn of(generation: u64) -> Self {
        let (layout, kinds) = zoo();
        let mut names: BTreeMap<String, Descriptor> = kinds.into_iter().map(|(kind, root)| (format!("layout:{kind}"), root)).collect();
        let mut name = |name: &str, root: Descriptor| {
            layout.list_in_index(&root, &[(FULL_NAME, &format!("registry.example/{name}"))]);
            names.insert(name.to_owned(), root);
        };
        name(&format!("team/app:{generation}"), image(&layout, &[layer("base", generation), layer("app", generation)]));
        let made = |(seed, (encoder, _)): (u64, (Encoder, _))| {
            // Programs in Python are slow. Of less, other encoders make the same; and pgzip has more than one block of this.
            let bytes = if matches!(encoder, Encoder::Go { .. } | Encoder::Klauspost { .. }) { 60_000 } else { 260 << 10 };
            let plain = plain(seed, bytes, generation);
            let blob = members::gzip(encoder, &plain);
            ((Digest::of(&blob), plain), blob)
        };
        let (encoded, layers): (Vec<_>, Vec<_>) = (1..).zip(ENCODERS).map(made).unzip();
        name("team/encoded:latest", image(&layout, &layers));
        Self { layout, names, encoded }
    }

    /// The layers that a program has no encoder of, each with the plain form that it writes instead.
    pub(super) fn lacking(&self, script: Script) -> BTreeMap<Digest, &[u8]> {
        let all = self.encoded.iter().zip(ENCODERS);
        let lacking = all.filter(|(_, (_, scripts))| !scripts.contains(&script));
        lacking.map(|((blob, plain), _)| (*blob, plain.as_slice())).collect()
    }

    /// Everything is in a place under the same names, and is the same.
    pub(super) async fn assert_in(&self, place: &Place) {
        self.assert_but_for(place, &BTreeMap::new()).await;
    }

    /// The same of a place that has plain forms instead of some layers.
    pub(super) async fn assert_but_for(&self, place: &Place, plains: &BTreeMap<Digest, &[u8]>) {
        let names: BTreeMap<String, Digest> = self.names.iter().map(|(name, root)| (name.clone(), root.digest)).collect();
        assert_eq!(place.names().await, names);
        for (name, root) in &self.names {
            for content in everything(&self.layout, root) {
                let found = place.read(name, &content).await;
                let Some(plain) = plains.get(&content.digest) else {
                    let found = found.unwrap_or_else(|| panic!("{name}: {content:?}"));
                    assert!(content.digest.matches(&found) && found == self.layout.read(&content.digest), "{name}: {content:?}");
                    continue;
                };
                let layer = Descriptor::new("", Digest::of(plain), plain.len() as u64);
                assert!(found.is_none() && place.read(name, &layer).await.as_deref() == Some(plain), "{name}: {content:?}");
            }
        }
    }
}

/// A layer uncompressed.
fn plain(seed: u64, bytes: usize, generation: u64) -> Vec<u8> {
    let mut plain = members::layer(seed, bytes);
    (0..plain.len()).step_by(20_000).for_each(|at| plain[at] = generation as u8);
    plain
}
