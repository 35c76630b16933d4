//! [`image`] and [`sets`]: one image of an archive in full; or the set itself.

pub use crate::store::archive::view::{
    BlobView, ConfigView, Execution, Highlights, ImageView, Lies, ManifestView, SetView, VolumeLine, image, raw, sets,
};
