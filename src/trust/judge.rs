//! [`Case`]: one image, held against the requirements of a policy.
//!
//! **Invariants.** An image is accepted if every requirement accepts its root; or, of an index, each manifest that is carried, alone. So every
//! image that is carried is covered by a signature of itself or of an index that lists it by digest. What cannot be found out is
//! no acceptance.
//!
//! *Not here:* which requirements those are (`policy`). What is attached to an image (referrers, tags of signatures) is not judged:
//! it is content about the image, and counts for nothing here.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::Trust;
use super::attachments::{Attachments, tag};
use super::claims::{COSIGN, Claims, SIMPLE};
use super::identity::Identity;
use super::json::Why;
use super::lookaside::{Lookaside, MAX_SIGNATURES, Place};
use super::openpgp::Keyring;
use super::policy::{Demand, Requirement};
use super::sigstore::PublicKey;
use crate::error::{Error, Result};
use crate::image::manifest::{DOCKER_MANIFEST, OCI_MANIFEST, Parts};
use crate::image::{Descriptor, Digest, Manifest, Platform, Reference, Source};

/// How deep indexes may nest, as where they are carried.
const MAX_DEPTH: usize = 8;
/// How many manifests of one index are looked at alone.
const MAX_MANIFESTS: usize = 1000;
/// How many reasons are told.
const MAX_REASONS: usize = 3;

/// One image that is judged.
pub(super) struct Case<'a> {
    pub(super) trust: &'a Trust,
    pub(super) requirements: &'a [Requirement],
    /// What it is called where it comes from.
    pub(super) name: Reference,
    pub(super) source: &'a Arc<dyn Source>,
    /// The platforms that are carried; none means all.
    pub(super) platforms: &'a [Platform],
    /// The network, where it may be asked.
    pub(super) network: Option<&'a dyn Lookaside>,
    /// The time, in seconds since 1970.
    pub(super) now: u64,
}

/// Why a requirement does not accept something.
pub(super) type Refusal = (String, Error);

impl Case<'_> {
    /// Judges a manifest or index, and all of it that is carried.
    pub(super) fn judge<'c>(&'c self, root: &'c Descriptor, depth: usize) -> BoxFuture<'c, Result<(), Refusal>> {
        async move {
            let Err(refusal) = self.accepts(&root.digest).await else { return Ok(()) };
            let children = match self.children(root).await {
                Ok(children) if !children.is_empty() && depth < MAX_DEPTH && children.len() <= MAX_MANIFESTS => children,
                Ok(_) => return Err(refusal),
                Err(error) => return Err((refusal.0, error)),
            };
            for child in &children {
                let of_index = |(place, error): Refusal| {
                    (place, error.context(format!("{}: {}; nor is its manifest {} accepted", root.digest, refusal.1, child.digest)))
                };
                self.judge(child, depth + 1).await.map_err(of_index)?;
            }
            Ok(())
        }
        .boxed()
    }

    /// What of an index is carried, at least; nothing of an image, and where looking into it would change nothing.
    async fn children(&self, root: &Descriptor) -> Result<Vec<Descriptor>> {
        let never = self.requirements.iter().any(|requirement| matches!(requirement.demand, Demand::Reject));
        if never || [OCI_MANIFEST, DOCKER_MANIFEST].contains(&root.media_type.as_str()) {
            return Ok(Vec::new());
        }
        let absent = || Error::failed(format!("manifest {}: it is not in {}", root.digest, self.source.place()));
        let manifest = self.source.manifest(self.name.repository(), root).await?.ok_or_else(absent)?;
        Ok(carried(&manifest, self.platforms))
    }

    /// Whether all requirements accept the manifest with this digest.
    async fn accepts(&self, digest: &Digest) -> Result<(), Refusal> {
        for requirement in self.requirements {
            let verdict = match &requirement.demand {
                Demand::Accept => Ok(()),
                Demand::Reject => Err(Error::failed("everything is rejected there")),
                Demand::SignedBy(keys, identity) => self.signed_by(digest, keys, identity).await,
                Demand::SigstoreSigned(keys, identity) => self.sigstore_signed(digest, keys, identity).await,
            };
            verdict.map_err(|error| (requirement.place.clone(), error))?;
        }
        Ok(())
    }

    async fn signed_by(&self, digest: &Digest, keys: &Keyring, identity: &Identity) -> Result<()> {
        let nowhere = || Error::failed("no place is known where its signatures lie").hint("name one in registries.d");
        let place = self.trust.lookaside(&self.name, digest)?.ok_or_else(nowhere)?;
        let network = match (&place, self.network) {
            (_, Some(network)) => network,
            (Place::Folder(_), None) => &Nowhere,
            (Place::Web(url), None) => {
                let from = self.source.place();
                return Err(Error::failed(format!("its signatures are on a network, at {url}, and {from} is read without one")).hint(
                    "name a lookaside file://… for it with --registries-d, or use the policy where the images come from a registry",
                ));
            }
        };
        let mut reasons = Reasons::default();
        for number in 1..=MAX_SIGNATURES {
            let Some(signature) = place.signature(number, network).await? else {
                return Err(reasons.error(&place.to_string()));
            };
            let claims = keys.open(&signature, self.now).and_then(|payload| Claims::read(&payload, SIMPLE));
            match claims.and_then(|claims| claims.check(digest, &self.name, identity)) {
                Ok(()) => return Ok(()),
                Err(why) => reasons.add(format!("signature-{number}: {why}")),
            }
        }
        Err(Error::failed(format!("none of {MAX_SIGNATURES} signatures in {place} is accepted, and more are not looked at")))
    }

    async fn sigstore_signed(&self, digest: &Digest, keys: &[PublicKey], identity: &Identity) -> Result<()> {
        let repository = self.name.repository();
        let mut reasons = Reasons::default();
        if let Some(found) = Attachments::find(self.source.as_ref(), repository, digest).await? {
            for number in 0..found.len() {
                let (payload, signature) = found.signature(number).await?;
                match sigstore_claims(keys, &payload, signature).and_then(|claims| claims.check(digest, &self.name, identity)) {
                    Ok(()) => return Ok(()),
                    Err(why) => reasons.add(format!("signature {}: {why}", number + 1)),
                }
            }
        }
        Err(reasons.error(&format!("{} in {}", tag(repository, digest)?, self.source.place())))
    }
}

fn sigstore_claims(keys: &[PublicKey], payload: &[u8], signature: &str) -> Why<Claims> {
    let mut verdict = Err("no key is there".to_owned());
    for key in keys {
        verdict = key.check(payload, signature);
        if verdict.is_ok() {
            break;
        }
    }
    verdict.and_then(|()| Claims::read(payload, COSIGN))
}

/// The manifests of an index that are carried for these platforms: all but images of others.
fn carried(index: &Manifest, wanted: &[Platform]) -> Vec<Descriptor> {
    let Parts::Index { manifests } = index.parts() else { return Vec::new() };
    let fits = |entry: &&Descriptor| match entry.platform.as_ref().filter(|platform| !platform.is_unknown()) {
        Some(platform) => wanted.is_empty() || wanted.iter().any(|one| one.takes(platform)),
        None => true,
    };
    let is_manifest = |entry: &&Descriptor| entry.is_manifest() || entry.media_type.is_empty();
    manifests.iter().filter(fits).filter(is_manifest).cloned().collect()
}

/// Why signatures were not accepted, as far as it is told.
#[derive(Default)]
struct Reasons {
    told: Vec<String>,
    more: usize,
}

impl Reasons {
    fn add(&mut self, why: String) {
        if self.told.len() < MAX_REASONS { self.told.push(why) } else { self.more += 1 }
    }

    fn error(self, place: &str) -> Error {
        let more = if self.more == 0 { String::new() } else { format!("; and {} more", self.more) };
        match self.told.is_empty() {
            true => Error::failed(format!("no signature was found: {place}")),
            false => Error::failed(format!("no signature is accepted: {place}: {}{more}", self.told.join("; "))),
        }
    }
}

/// No network.
struct Nowhere;

#[async_trait::async_trait]
impl Lookaside for Nowhere {
    async fn get(&self, url: &url::Url, _: u64) -> Result<Option<bytes::Bytes>> {
        Err(Error::failed(format!("{url}: there is no network")))
    }
}
