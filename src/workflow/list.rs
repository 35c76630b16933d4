//! [`list`]: what an archive holds: sets, volumes, images.

pub use crate::store::archive::listing::{FileNote, ImageLine, Listing, SetLine, SetParent, list};
