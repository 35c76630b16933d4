//! [`judged`]: what is to be brought, without what the policy of the run refuses.
//!
//! **Invariants.** What is refused stays in the list with its failure, so nothing of it is brought and the others go on. Nothing on a network is
//! asked for images that lie in an archive or a layout.
//!
//! *Not here:* the policy (`trust`).

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use url::Url;

use super::origins::{Origins, registry_options};
use super::{Request, Settings};
use crate::error::Result;
use crate::image::Wanted;
use crate::image::place::Location;
use crate::store::registry::connection::Documents;
use crate::trust::{Lookaside, Transport};

/// Marks what the policy refuses.
pub(super) async fn judged(wanted: Vec<Wanted>, request: &Request, origins: &Origins, settings: &Settings) -> Vec<Wanted> {
    if settings.trust.key().is_none() {
        return wanted;
    }
    let network = Network(Documents::new(registry_options(settings, &settings.src)));
    let one = |wanted: Wanted| {
        let (network, from) = (&network, request.from.get(origins.place_of(&wanted.source)));
        async move {
            let (transport, network) = match from {
                Some(Location::Registry { .. }) => (Transport::Docker, Some(network as &dyn Lookaside)),
                Some(Location::Layout { path, .. }) => (Transport::Oci(real(path)), None),
                Some(Location::Archive { .. }) | None => (Transport::Docker, None),
            };
            if wanted.failed.is_some() {
                return wanted;
            }
            match settings.trust.judge(&wanted, &transport, network, settings.now).await {
                Ok(()) => wanted,
                Err(error) => wanted.fail(error),
            }
        }
        .boxed()
    };
    stream::iter(wanted).map(one).buffered(settings.jobs.max(1)).collect().await
}

/// A directory without symlinks, as scopes write it.
fn real(path: &Path) -> std::path::PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Where signatures lie that are on a network.
struct Network(Documents);

#[async_trait]
impl Lookaside for Network {
    async fn get(&self, url: &Url, limit_bytes: u64) -> Result<Option<Bytes>> {
        self.0.get(url, limit_bytes).await
    }
}
