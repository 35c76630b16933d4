//! [`diff`]: what one place has and another has not.
//!
//! **Invariants.** Nothing is written. No content is read but manifests, unless files are asked for.

mod files;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use super::sync::registry_options;
use super::{Reach, Settings, blocking, shelf, signing};
use crate::error::{Error, Result};
use crate::image::place::{Location, Target};
use crate::image::{Descriptor, Digest, Item, Receipt, Reference, Repository, Source, Tagged};
use crate::plan::difference::Held;
pub use crate::plan::difference::{Amount, Difference, Moved, Named, Unknown};
use crate::store::archive::{Holding, listing};
use crate::store::layout::LayoutSource;
use crate::store::registry::Registry;
use crate::workspace::Workspace;
pub use files::{Found, Inside, Side};

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
    /// What changed inside images that moved; none where nobody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<Inside>>,
}

/// How places are compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether a registry is asked for names that keep the source's host.
    pub keep_host: bool,
    /// Whether the file systems of images that moved are compared.
    pub files: bool,
}

/// Compares two places. Of an archive the images are those of the generation named, or of the newest usable set of each lineage.
/// A registry cannot list what it holds, so it is asked for what the other place has; a receipt says what it held.
pub async fn diff(a: &Location, b: &Location, options: Options, settings: &Settings) -> Result<Compared> {
    if settings.authority.is_asked() && ![a, b].iter().any(|place| matches!(place, Location::Archive { .. })) {
        return Err(Error::usage(format!("{a} and {b}: --trust asks for signatures of sets and receipts, and neither is one"))
            .hint("leave --trust out"));
    }
    let (first, second) = match (a, b) {
        (Location::Registry { .. }, Location::Registry { .. }) => return Err(cannot_list(a, b)),
        (Location::Registry { host, name }, _) => {
            let listed = Listed::open(b, settings).await?;
            let target = Target::of(host, name.as_ref(), options.keep_host);
            (asked(&listed, host, &target, &settings.src, settings).await?, listed)
        }
        (_, Location::Registry { host, name }) => {
            let listed = Listed::open(a, settings).await?;
            let target = Target::of(host, name.as_ref(), options.keep_host);
            let there = asked(&listed, host, &target, &settings.dest, settings).await?;
            (listed, there)
        }
        _ => (Listed::open(a, settings).await?, Listed::open(b, settings).await?),
    };
    let ends = if options.files { Some((first.images()?, second.images()?)) } else { None };
    let difference = Difference::between(first.held().await, second.held().await);
    let files = match ends {
        Some((first, second)) => Some(files::inside(&difference.moved, &first, &second, settings).await),
        None => None,
    };
    Ok(Compared { a: a.to_string(), b: b.to_string(), difference, files })
}

/// A place, and what is compared of it: images, each with the name that it is compared by.
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
            Location::Archive { path, generation: None } if Holding::is_meant(path) => {
                return Ok(Self::by(signing::receipt::admitted(path, &settings.authority)?.receipt()));
            }
            Location::Archive { path, generation } => {
                let (path, generation, workspace) = (path.clone(), *generation, Workspace::new(settings.workspace()));
                let admit = signing::admit(settings);
                let open = move || {
                    let mut shelf = shelf(&path, &workspace)?;
                    admit.map_or(Ok(()), |admit| listing::admit(&admit, &mut shelf, generation))?;
                    listing::source(&shelf, generation)
                };
                Arc::new(blocking(open).await?)
            }
            Location::Layout { path, reference } => Arc::new(LayoutSource::open(path, reference.as_deref()).await?),
            Location::Registry { .. } => return Err(cannot_list(place, place)),
        };
        let contents = source.contents().await?.unwrap_or_default();
        let items = contents.content().map(|item| (item.origin.clone(), item.clone())).collect();
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

    /// The place as one that content is read from.
    fn images(&self) -> Result<files::Images> {
        match &self.content {
            Content::Source(source) => Ok(files::Images { source: Arc::clone(source), items: self.items.clone() }),
            Content::Receipt(receipt) => Err(Error::usage(format!("{}: a receipt has no files of images to compare", self.place))
                .hint(format!("name the place itself: {}", receipt.destination))),
        }
    }

    async fn held(&self) -> Held {
        match &self.content {
            Content::Source(source) => Held::of(source.as_ref(), &self.items).await,
            Content::Receipt(receipt) => Held::by(receipt),
        }
    }
}

/// What a registry holds of that which the other place lists, by the names that images get there.
async fn asked(listed: &Listed, host: &str, target: &Target, side: &Reach, settings: &Settings) -> Result<Listed> {
    let registry = Arc::new(Registry::new(registry_options(settings, side)).called(host));
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
            let at = target.name(&item.origin, &item.rename, &root)?;
            let Some(root) = registry.resolve(&at).await? else { return Ok(None) };
            let attached = registry.referrers(at.repository(), &root.digest).await?;
            let tagged = beside(registry, at.repository(), &item.tagged).await?;
            Ok(Some((name.clone(), Item { role: item.role, root: Some(root), attached, tagged, ..Item::image(at) })))
        }
    });
    let found: Vec<Result<Option<(Reference, Item)>>> = there.buffered(settings.jobs.max(1)).collect().await;
    let items: Vec<(Reference, Item)> = found.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Listed { place: registry.place(), content: Content::Source(registry), items })
}

/// What these tags stand for in a repository, as far as they are there.
async fn beside(registry: &Registry, repository: &Repository, tagged: &[Tagged]) -> Result<Vec<Tagged>> {
    let mut found = Vec::new();
    for Tagged { tag, .. } in tagged {
        found.extend(registry.resolve(&repository.tagged(tag)?).await?.map(|root| Tagged { tag: tag.clone(), root }));
    }
    Ok(found)
}

fn cannot_list(a: &Location, b: &Location) -> Error {
    Error::usage(format!("{a} and {b}: a registry cannot list what it holds"))
        .hint("name an archive or an OCI layout beside the registry; `ocm plan` compares two registries image by image")
}
