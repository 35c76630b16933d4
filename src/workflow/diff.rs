//! [`diff`]: what one place has and another has not.
//!
//! **Invariants.** Nothing is written, and no content is read but manifests.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use super::sync::registry_options;
use super::{Settings, blocking, shelf};
use crate::error::{Error, Result};
use crate::image::place::{Location, Target};
use crate::image::{Descriptor, Digest, Item, Receipt, Reference, Source};
use crate::plan::difference::Held;
pub use crate::plan::difference::{Amount, Difference, Moved, Named, Unknown};
use crate::store::archive::{Holding, listing};
use crate::store::layout::LayoutSource;
use crate::store::registry::Registry;
use crate::workspace::Workspace;

/// How two places differ.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The first place, as a person writes it.
    pub a: String,
    /// The second one.
    pub b: String,
    /// How the second differs from the first.
    #[serde(flatten)]
    pub difference: Difference,
}

/// Compares two places. Of an archive the images are those of the generation named, or of the newest usable set of each lineage.
/// A registry cannot list what it holds, so it is asked for what the other place has; a receipt says what it held.
pub async fn diff(a: &Location, b: &Location, keep_host: bool, settings: &Settings) -> Result<Compared> {
    let (first, second) = match (a, b) {
        (Location::Registry { .. }, Location::Registry { .. }) => return Err(cannot_list(a, b)),
        (Location::Registry { host, name }, _) => {
            let listed = Listed::open(b, settings).await?;
            let target = Target::of(host, name.as_ref(), keep_host);
            (asked(&listed, host, &target, settings.src_tls_verify, settings).await?, listed.held().await)
        }
        (_, Location::Registry { host, name }) => {
            let listed = Listed::open(a, settings).await?;
            let target = Target::of(host, name.as_ref(), keep_host);
            (listed.held().await, asked(&listed, host, &target, settings.dest_tls_verify, settings).await?)
        }
        _ => (Listed::open(a, settings).await?.held().await, Listed::open(b, settings).await?.held().await),
    };
    Ok(Compared { a: a.to_string(), b: b.to_string(), difference: Difference::between(first, second) })
}

/// A place that lists what it holds.
struct Listed {
    place: String,
    content: Content,
    items: Vec<(Reference, Item)>,
}

/// Where it is known from what belongs to an item.
enum Content {
    Source(Arc<dyn Source>),
    Receipt(Box<Receipt>),
}

impl Listed {
    async fn open(place: &Location, settings: &Settings) -> Result<Self> {
        let source: Arc<dyn Source> = match place {
            Location::Archive { path, generation: None } if Holding::is_meant(path) => return Ok(Self::by(Holding::read(path)?.receipt())),
            Location::Archive { path, generation } => {
                let (path, generation, workspace) = (path.clone(), *generation, Workspace::new(settings.workspace()));
                Arc::new(blocking(move || listing::source(&shelf(&path, &workspace)?, generation)).await?)
            }
            Location::Layout { path, reference } => Arc::new(LayoutSource::open(path, reference.as_deref()).await?),
            Location::Registry { .. } => return Err(cannot_list(place, place)),
        };
        let contents = source.contents().await?.unwrap_or_default();
        let items = contents.items().iter().map(|item| (item.origin.clone(), item.clone())).collect();
        Ok(Self { place: source.place(), content: Content::Source(source), items })
    }

    /// What a receipt says.
    fn by(receipt: &Receipt) -> Self {
        let root = |digest| Some(Descriptor::new("", digest, 0));
        let item = |item: &crate::image::receipt::Received| {
            let listed = Item { role: item.role, root: root(item.digest), ..Item::image(item.origin.clone()) };
            (item.origin.clone(), listed)
        };
        let items = receipt.items.iter().map(item).collect();
        Self { place: format!("the receipt of {}", receipt.destination), content: Content::Receipt(Box::new(receipt.clone())), items }
    }

    async fn held(&self) -> Held {
        match &self.content {
            Content::Source(source) => Held::of(source.as_ref(), &self.items).await,
            Content::Receipt(receipt) => Held::by(receipt),
        }
    }
}

/// What a registry holds of that which the other place lists, by the names that images get there.
async fn asked(listed: &Listed, host: &str, target: &Target, tls_verify: Option<bool>, settings: &Settings) -> Result<Held> {
    let registry = Registry::new(registry_options(settings, tls_verify)).called(host);
    let complete: Vec<(&Reference, &Item, Digest)> =
        listed.items.iter().filter_map(|(name, item)| Some((name, item, item.digest().filter(|_| item.is_complete())?))).collect();
    if let Target::Exact(one) = target
        && complete.len() > 1
    {
        return Err(Error::usage(format!("docker://{one} is one image, and {} has {}", listed.place, complete.len()))
            .hint("name the registry, or the prefix that images have there"));
    }
    let there = stream::iter(complete).map(|(name, item, root)| {
        let registry = &registry;
        async move {
            let at = target.name(&item.origin, &root)?;
            let Some(root) = registry.resolve(&at).await? else { return Ok(None) };
            let attached = registry.referrers(at.repository(), &root.digest).await?;
            Ok(Some((name.clone(), Item { role: item.role, root: Some(root), attached, ..Item::image(at) })))
        }
    });
    let found: Vec<Result<Option<(Reference, Item)>>> = there.buffered(settings.jobs.max(1)).collect().await;
    let items: Vec<(Reference, Item)> = found.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Held::of(&registry, &items).await)
}

fn cannot_list(a: &Location, b: &Location) -> Error {
    Error::usage(format!("{a} and {b}: a registry cannot list what it holds"))
        .hint("name an archive or an OCI layout beside the registry; `ocm plan` compares two registries image by image")
}
