//! [`configs`]: the configurations that the newest set of an archive was made from.

use std::path::Path;

use super::{Settings, blocking, shelf};
use crate::collect::Document;
use crate::config::MAX_BYTES;
use crate::error::{Error, Result};
use crate::image::artifact::TITLE;
use crate::image::{Blob, Role, Source};
use crate::store::archive::listing;
use crate::workspace::Workspace;

/// The configurations of a set, in the order in which they were named.
pub async fn configs(path: &Path, generation: Option<u32>, settings: &Settings) -> Result<Vec<Document>> {
    let (folder, workspace) = (path.to_owned(), Workspace::new(settings.workspace()));
    let source = std::sync::Arc::new(blocking(move || listing::source(&shelf(&folder, &workspace)?, generation)).await?);
    let mut configs = Vec::new();
    for item in source.contents().await?.unwrap_or_default().items().iter().filter(|item| item.role == Role::Config) {
        let (repository, what) = (item.origin.repository(), format!("{} in {}", item.origin, path.display()));
        let gone = || Error::needed(format!("{what}: it is not here"));
        let manifest = source.manifest(repository, item.root.as_ref().ok_or_else(gone)?).await?.ok_or_else(gone)?;
        let layer = manifest.blobs().last().ok_or_else(|| Error::damaged(format!("{what}: it has no layer")))?.clone();
        let name = layer.annotation(TITLE).unwrap_or("configuration").to_owned();
        let body = Blob::new(source.clone(), repository.clone(), layer).whole().await?;
        let bytes = body.collect(MAX_BYTES as u64, &what).await?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Error::damaged(format!("{what}: it is no text")))?;
        configs.push(Document { name, text });
    }
    Ok(configs)
}
