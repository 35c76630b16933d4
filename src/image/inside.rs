//! [`Inside`]: content that can be entered anywhere, from any thread: what a file system and a registry stand on.
//!
//! **Invariants.** Whoever has one can only look: nothing here writes. Absence is `Ok(None)`; an error means that we do not know,
//! and hurts what was asked for alone: the next call may succeed. No byte comes out that failed its check. Calls block.
//!
//! *Not here:* bringing content from place to place ([`Source`](super::Source)).

use bytes::Bytes;
use serde::Serialize;

use super::{Contents, Descriptor, Digest, Manifest};
use crate::error::Result;

/// Content at hand, to look into.
pub trait Inside: Send + Sync {
    /// What a person calls this place.
    fn place(&self) -> String;

    /// What its names stand for: a full snapshot. Names do not change while it is open.
    fn contents(&self) -> &Contents;

    /// When the newest of it was made, in seconds since 1970.
    fn time(&self) -> u64;

    /// The documents that tell what it is made of (the manifests of sets), by a name that is a file name, such as
    /// `disk.g0002-c41b7e02.json`.
    fn documents(&self) -> Result<Vec<(String, Bytes)>>;

    /// The manifest or index with this digest, checked. The size and media type of `wanted` may be unknown (0, empty).
    fn manifest(&self, wanted: &Descriptor) -> Result<Option<Manifest>>;

    /// What is known of a blob; a manifest is one too.
    fn blob(&self, digest: &Digest) -> Result<Option<Facts>>;

    /// Every blob that is at hand, sorted by digest, each once, with its size in bytes.
    fn blobs(&self) -> Result<Vec<(Digest, u64)>>;

    /// Bytes of a blob in this form from `offset`, as many as lie together: at least one and at most `most`. None at its end or beyond
    /// it. Parts were checked as parts; whoever reads a whole blob compares its digest.
    fn read(&self, blob: &Digest, form: Form, offset: u64, most: u64) -> Result<Bytes>;

    /// Where the bytes of a blob lie.
    fn lies(&self, blob: &Digest) -> Result<Vec<Lies>>;

    /// What is known to be damaged or missing, now.
    fn health(&self) -> Vec<Ailment>;

    /// The bytes that are stored of it here, and how large all of its blobs are by their plain forms, as far as these are listed.
    fn sizes(&self) -> Result<Sizes>;
}

/// In which form a blob is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Its own bytes.
    Stored,
    /// Decompressed.
    Plain,
}

/// What is known of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Its size, in bytes.
    pub bytes: u64,
    /// How its own bytes are had.
    pub made: Made,
    /// The size of its plain form in bytes, where [`Form::Plain`] can be read; it has to be decompressed otherwise.
    pub plain_bytes: Option<u64>,
}

/// How the bytes of a blob are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Made {
    /// A file of its own in the archive.
    Verbatim,
    /// Put together from stored pieces.
    Stored,
    /// An encoder makes them again from the plain form.
    Replayed,
}

/// A volume that content lies in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lies {
    /// The generation of its set.
    pub set: u32,
    /// Its number.
    pub volume: u32,
    /// Whether it is here.
    pub here: bool,
}

/// Something that is wrong, and what of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ailment {
    /// The file or volume.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
    /// Whether bytes are wrong; otherwise they are not here.
    pub damaged: bool,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// The files that it lies in, in bytes.
    pub stored_bytes: u64,
    /// Its blobs by their plain forms, in bytes.
    pub plain_bytes: u64,
    /// How many blobs.
    pub blobs: u64,
}
