//! [`diff`]: what one place has and another has not.
//!
//! **Invariants.** Nothing is written, and no content is read but manifests.

use std::sync::Arc;

use serde::Serialize;

use super::{Settings, blocking, shelf};
use crate::error::{Error, Result};
use crate::image::Source;
use crate::image::place::Location;
use crate::plan::difference::Held;
pub use crate::plan::difference::{Amount, Difference, Moved, Named, Unknown};
use crate::store::archive::listing;
use crate::store::layout::LayoutSource;
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

/// Compares two archives or layouts. Of an archive the images are those of the generation named, or of the newest usable set of
/// each lineage.
pub async fn diff(a: &Location, b: &Location, settings: &Settings) -> Result<Compared> {
    let (first, second) = (open(a, settings).await?, open(b, settings).await?);
    let difference = Difference::between(held(first.as_ref()).await?, held(second.as_ref()).await?);
    Ok(Compared { a: a.to_string(), b: b.to_string(), difference })
}

async fn open(place: &Location, settings: &Settings) -> Result<Arc<dyn Source>> {
    match place {
        Location::Archive { path, generation } => {
            let (path, generation, workspace) = (path.clone(), *generation, Workspace::new(settings.workspace()));
            let source = blocking(move || listing::source(&shelf(&path, &workspace)?, generation)).await?;
            Ok(Arc::new(source))
        }
        Location::Layout { path, reference } => Ok(Arc::new(LayoutSource::open(path, reference.as_deref()).await?)),
        Location::Registry { .. } => Err(cannot_list(&place.to_string())),
    }
}

async fn held(source: &dyn Source) -> Result<Held> {
    let contents = source.contents().await?.ok_or_else(|| cannot_list(&source.place()))?;
    Ok(Held::of(source, &contents).await)
}

fn cannot_list(place: &str) -> Error {
    Error::usage(format!("{place}: a registry cannot list what it holds, so it cannot be compared"))
        .hint("name archives or OCI layouts; `ocm plan ARCHIVE docker://…` tells what a registry lacks")
}
