//! OCI image layouts as places: `oci:PATH` and `oci:PATH:REF` (OCI image-spec 1.1, "Image Layout").
//!
//! **Invariants.** Only a [`Digest`] becomes a path below `blobs`, so that nothing read from a document leads out of
//! the directory. Every document has a largest size. `index.json` is written last and whole: whenever a run is
//! killed, the layout is what it was before.
//!
//! *Not here:* what an image in a layout is called (`image::place::layout_name`); turning images of docker media types
//! into OCI ones, which would be other images (skopeo does so when it writes a layout, and finds no others in one).

mod files;
mod index;
mod sink;
mod source;

pub use sink::LayoutSink;
pub use source::LayoutSource;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::image::manifest::MAX_MANIFEST_BYTES;
use crate::image::{Descriptor, Digest, Manifest, Verified};
use index::Index;

/// The largest `index.json` that is read or written, in bytes.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// The largest `oci-layout` that is read, in bytes.
const MAX_MARKER_BYTES: u64 = 4 << 10;

/// What `oci-layout` says in every layout of version 1.
const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The directory of a layout: where its files are, and what the small ones say.
#[derive(Debug, Clone)]
struct Folder {
    path: PathBuf,
}

/// The file `oci-layout`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Folder {
    fn marker_path(&self) -> PathBuf {
        self.path.join("oci-layout")
    }

    fn index_path(&self) -> PathBuf {
        self.path.join("index.json")
    }

    fn blobs_path(&self, algorithm: &str) -> PathBuf {
        self.path.join("blobs").join(algorithm)
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs_path(digest.algorithm()).join(digest.hex())
    }

    /// What the directory is called, for images whose annotations say a tag alone.
    fn name(&self) -> String {
        let whole = self.path.canonicalize();
        let path: &Path = whole.as_deref().unwrap_or(&self.path);
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Whether this is a layout; an error if it is one of a version that nobody knows yet.
    fn is_layout(&self) -> Result<bool> {
        let path = self.marker_path();
        let Some(bytes) = files::read_small(&path, MAX_MARKER_BYTES)? else { return Ok(false) };
        let marker: Marker = serde_json::from_slice(&bytes).map_err(|error| Error::damaged(format!("{}: {error}", path.display())))?;
        if marker.image_layout_version.starts_with("1.") {
            return Ok(true);
        }
        Err(Error::usage(format!("{}: layout version {:?} is not supported", path.display(), marker.image_layout_version))
            .hint("write the layout again in version 1.0.0"))
    }

    /// The index as it is now; an empty one where there is none yet.
    fn index(&self) -> Result<Index> {
        match files::read_small(&self.index_path(), MAX_INDEX_BYTES)? {
            Some(bytes) => Index::parse(&bytes, &self.name()).map_err(|error| error.context(self.index_path().display())),
            None => Ok(Index::default()),
        }
    }

    /// A manifest, checked; `None` where its file is not there.
    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>> {
        let path = self.blob_path(&wanted.digest);
        let Some(bytes) = files::read_small(&path, MAX_MANIFEST_BYTES)? else { return Ok(None) };
        let checked = self.check(bytes, wanted, &path.display().to_string())?;
        Manifest::parse(checked, &wanted.media_type).map(Some).map_err(|error| error.context(path.display()))
    }

    fn check(&self, bytes: Bytes, wanted: &Descriptor, place: &str) -> Result<Verified<Bytes>> {
        match wanted.size {
            0 => Verified::check_digest(bytes, &wanted.digest, place),
            _ => Verified::check(bytes, wanted, place),
        }
    }

    /// Whether there is a file for `content`, of the right size.
    fn has_blob(&self, content: &Descriptor) -> Result<bool> {
        let there = files::size_of(&self.blob_path(&content.digest))?;
        Ok(there == Some(content.size))
    }
}
