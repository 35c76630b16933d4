//! [`list`]: what an archive holds: sets, volumes, images.

use std::path::Path;

use super::{shelf, signing};
use crate::error::Result;
use crate::store::archive::listing;
pub use crate::store::archive::listing::{FileNote, ImageLine, Listing, SetLine, SetParent};
use crate::workspace::Workspace;

/// Looks into the archive at `path`, of which `workspace` knows what was let go. Images are those of `generation`, or of the
/// newest usable set of each lineage.
pub fn list(path: &Path, generation: Option<u32>, workspace: &Workspace) -> Result<Listing> {
    let mut listing = listing::list(&shelf(path, workspace)?, generation)?;
    listing.sets.iter_mut().for_each(signing::name_signers);
    Ok(listing)
}
