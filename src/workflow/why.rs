//! [`why()`]: which images need a piece of an archive.

use std::path::Path;

use super::shelf;
use crate::error::Result;
pub use crate::store::archive::asked::Asked;
pub use crate::store::archive::parts::{Part, What};
use crate::store::archive::why;
pub use crate::store::archive::why::{NeededPart, Needing, Unknown, Why};
use crate::workspace::Workspace;

/// Looks into the archive at `path`, of which `workspace` knows what was let go, for the images that need what is `asked` about.
/// They are those of `generation`, or of the newest usable set of each lineage.
pub fn why(path: &Path, generation: Option<u32>, asked: &Asked, workspace: &Workspace) -> Result<Why> {
    why::why(&shelf(path, workspace)?, generation, asked)
}
