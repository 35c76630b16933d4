//! [`image`] and [`sets`]: one image of an archive in full; or the set itself.

use std::path::Path;

use super::signing;
use crate::error::Result;
use crate::store::archive::view;
pub use crate::store::archive::view::{
    BlobView, ConfigView, Execution, Highlights, ImageView, Lies, ManifestView, SetView, VolumeLine, image, raw,
};

/// What the manifests of sets say: of that of `generation`, or of all.
pub fn sets(path: &Path, generation: Option<u32>) -> Result<Vec<SetView>> {
    let mut sets = view::sets(path, generation)?;
    sets.iter_mut().for_each(|set| signing::name_signers(&mut set.line));
    Ok(sets)
}
