//! [`Trust`]: whether an image may be brought, by containers' policy.json(5) and registries.d(5).
//!
//! **Invariants.** Without a policy everything is accepted; with one, only what it accepts. What cannot be enforced is refused when the policy is
//! read. Images are judged by the names of their origins, wherever they are read, and by the digest that is carried.
//!
//! *Not here:* HTTP ([`Lookaside`] is handed in), what becomes of an image that is refused (`workflow`).

mod attachments;
pub mod authority;
mod claims;
mod document;
mod files;
mod identity;
mod json;
mod judge;
mod lookaside;
pub mod minisign;
mod openpgp;
mod policy;
pub mod secret;
pub mod signers;
mod sigstore;
mod subject;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::lookaside::Lookaside;
pub use self::openpgp::Keyring;
pub(crate) use self::policy::Transport;

use self::judge::Case;
use self::lookaside::{Lookasides, Place};
use self::policy::Policy;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::image::{Digest, Hasher, Reference, Wanted};

/// What a person says of policies.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// A policy is used, even if no file is named.
    pub secure: bool,
    /// The file with it.
    pub policy: Option<PathBuf>,
    /// The directory that says where signatures lie.
    pub registries_d: Option<PathBuf>,
}

/// What a run accepts; the default accepts everything.
#[derive(Clone, Default)]
pub struct Trust(Option<Arc<Inner>>);

struct Inner {
    file: String,
    policy: Policy,
    lookasides: Lookasides,
    key: Digest,
}

impl Trust {
    /// Reads the policy that was chosen, its keys, and where signatures lie. A file that cannot be read, or has a mistake, is an error.
    pub fn load(environment: &Environment, choice: &Choice) -> Result<Self> {
        let Some(file) = choice.file(environment)? else { return Ok(Self::default()) };
        let name = file.display().to_string();
        let absent = || Error::usage(format!("{name}: it is not there")).hint("name another file with --policy");
        let text = files::read(&file)?.ok_or_else(absent)?;
        let mut keys = Hasher::sha256();
        keys.update(&text);
        let wrong = |why: String| Error::usage(format!("{name}: {why}")).hint("correct the file, or name another with --policy");
        let policy = document::read(&text, &mut keys).map_err(wrong)?;
        let lookasides = Lookasides::load(environment, choice.registries_d.as_deref())?;
        Ok(Self(Some(Arc::new(Inner { file: name, policy, lookasides, key: keys.finish() }))))
    }

    /// What makes two policies the same one: the digest of all that they say; `None` where everything is accepted.
    #[must_use]
    pub fn key(&self) -> Option<Digest> {
        self.0.as_ref().map(|inner| inner.key)
    }

    /// Refuses an image that the policy does not accept. `network` is asked for signatures that lie there; without one they cannot be had.
    pub(crate) async fn judge(&self, wanted: &Wanted, transport: &Transport, network: Option<&dyn Lookaside>, now: u64) -> Result<()> {
        let (Some(inner), Some(root)) = (&self.0, &wanted.item.root) else { return Ok(()) };
        let name = judged_name(&wanted.item.origin);
        let requirements = inner.policy.requirements(transport, &name);
        let case = Case { trust: self, requirements, name, source: &wanted.source, platforms: &wanted.item.wanted, network, now };
        let refused = |(place, error): judge::Refusal| {
            let told = Error::failed(format!("image {}: it is refused by {}, {place}: {error}", wanted.item.origin, inner.file));
            error.way_out().map_or(told.clone(), |hint| told.hint(hint))
        };
        case.judge(root, 0).await.map_err(refused)
    }

    fn lookaside(&self, name: &Reference, digest: &Digest) -> Result<Option<Place>> {
        self.0.as_ref().map_or(Ok(None), |inner| inner.lookasides.place(name, digest))
    }
}

/// The name that an image is judged by. A digest that was asked for goes before a tag beside it, as for podman.
fn judged_name(origin: &Reference) -> Reference {
    origin.digest().map_or_else(|| origin.clone().or_latest(), |digest| origin.repository().at(digest))
}

impl Choice {
    /// The file with the policy; `None` where none shall be used.
    fn file(&self, environment: &Environment) -> Result<Option<PathBuf>> {
        if self.policy.is_some() || !self.secure {
            return Ok(self.policy.clone());
        }
        let own = environment.path("HOME").map(|home| home.join(".config/containers/policy.json"));
        let places: Vec<PathBuf> = own.into_iter().chain([Path::new("/etc/containers/policy.json").to_owned()]).collect();
        let names = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" and ");
        let none =
            || Error::usage(format!("--secure-policy: there is no policy: {names} are not there")).hint("name one with --policy FILE");
        places.into_iter().find(|place| place.exists()).map(Some).ok_or_else(none)
    }
}

/// Reads a policy and its keys; for tests that feed it anything.
pub fn check(text: &[u8]) -> Result<()> {
    document::read(text, &mut Hasher::sha256()).map(|_| ()).map_err(Error::usage)
}
