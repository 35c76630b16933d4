//! Where a blob is cut into chunks, the unit of deduplication, and which of them are file contents.
//!
//! A layer is a tar. The contents of its files come back in the next build of an image; its headers do not, because
//! times and owners change. So contents are cut on their own, and what stands between them is kept apart.
//!
//! **Invariants.** The chunks of a blob, in order, are the blob. They depend on its bytes and its shape alone, never on
//! how it was split into pushes. No chunk holds bytes of two files, and none is empty or longer than [`MAX`]. Memory is
//! bounded whatever the blob says: at most 2 × [`MAX`] of contents, [`MAX_SKELETON`] of skeleton, [`MAX_METADATA`] of pax records.
//! The cut points of a released version never change; golden tests hold them.
//!
//! *Not here:* what becomes of a chunk (the dedup index, frames, recipes); what a tar means (links, whiteouts);
//! compression. Nothing here is an error: bytes that do not follow a rule are cut plainly.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod chunker;
mod content;
mod files;
pub(crate) mod header;
pub(crate) mod pax;
mod skeleton;

pub use chunker::Chunker;
pub use files::{File, Files};

/// No content chunk is shorter, in bytes, except the last one of a file and a file that is itself shorter.
pub const MIN: usize = 16 << 10;
/// What content chunks are on average, in bytes. A file up to this size is one chunk.
pub const AVG: usize = 64 << 10;
/// No chunk is longer, in bytes.
pub const MAX: usize = 256 << 10;
/// No skeleton chunk is longer, in bytes.
pub const MAX_SKELETON: usize = 64 << 10;
/// How many bytes of pax records and long names may precede one tar entry; with more, the blob is cut plainly from there on.
pub const MAX_METADATA: u64 = 1 << 20;

/// What a chunk holds, which decides the frames that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Bytes of one file, or of a blob that is no tar.
    Content,
    /// What stands between file contents in a tar: headers, pax records, long names, padding, zero blocks.
    Skeleton,
}

/// What the caller takes a blob for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// An uncompressed tar. From the first header on that cannot be followed, the rest is cut like [`Shape::Plain`].
    Tar,
    /// Anything else: content from the first byte to the last.
    Plain,
}

/// What takes the chunks, as [`Chunker::push`] spells it out.
trait Emit<E>: FnMut(Class, &[u8]) -> Result<(), E> {}

impl<E, F: FnMut(Class, &[u8]) -> Result<(), E>> Emit<E> for F {}
