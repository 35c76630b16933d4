//! Signed sets: what signs them, what vouches for them, and what is refused without; stock minisign is the judge.
//!
//! **Invariants.** Every archive is made of an OCI layout, so that no registry is needed but where something is pushed.
//!
//! *Not here:* single bits of signatures and lines of trust files (unit tests of `trust`).

mod command;
mod receipts;
pub(crate) mod stock;
mod vouching;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocm::error::Result;
use ocm::trust::secret::{NewKey, SecretKey};
use ocm::workflow::sync::{Outcome, Request};

use crate::support::images::{Image, Layout};
use crate::workflows::lab::Lab;

/// A key of this test.
pub(crate) fn key(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::new(&NewKey { id: [seed; 8], seed: &[seed; 32] }).expect("a key"))
}

/// A lab with a layout of one image, to which more can be added.
struct Vault {
    lab: Lab,
    layout: Layout,
}

impl Vault {
    fn new() -> Self {
        let vault = Self { lab: Lab::new(), layout: Layout::new() };
        vault.add(1);
        vault
    }

    /// One more image.
    fn add(&self, number: u64) {
        let root = self.layout.image(&Image::generated(number, 60_000));
        self.layout.tag(&format!("lab.test/app:{number}"), &root);
    }

    fn from(&self) -> String {
        format!("oci:{}", self.layout.path().display())
    }

    /// Writes a set into `to`, signed by the key with this seed.
    async fn sync(&mut self, seed: Option<u8>, to: &str) -> Result<Outcome> {
        self.sync_with(seed, to, |_| {}).await
    }

    async fn sync_with(&mut self, seed: Option<u8>, to: &str, options: impl FnOnce(&mut Request)) -> Result<Outcome> {
        self.lab.settings.signer = seed.map(key);
        let done = self.lab.sync_with(&[self.from()], &self.lab.path(to), options).await;
        self.lab.settings.signer = None;
        done
    }

    /// Brings an archive to a layout.
    async fn deliver(&self, from: &str, to: &str) -> Result<Outcome> {
        self.lab.sync(&[self.lab.path(from)], &format!("oci:{}", self.lab.path(to))).await
    }

    /// A trust file of these lines, each a seed and what follows the key.
    fn trust(&self, name: &str, lines: &[(u8, &str)]) -> String {
        let text: String = lines.iter().map(|(seed, rest)| format!("{} {rest}\n", key(*seed).public())).collect();
        std::fs::write(self.lab.folder(name), text).expect("a trust file");
        self.lab.path(name)
    }

    /// From now on these signatures are asked for.
    fn demand(&mut self, trust: &str, demands: &[&str], approvals: &[&Path]) {
        self.lab.demand(trust, demands, approvals);
    }

    fn volumes(&self, archive: &str) -> Vec<PathBuf> {
        let folder = self.lab.folder(archive);
        let files = self.lab.archive(archive).into_keys().filter(|name| name.ends_with(".tar"));
        files.map(|name| folder.join(name)).collect()
    }
}
