//! The vocabulary: names, descriptors, manifests, contents, and the two ends that content moves between.
//!
//! **Invariants.** Nothing here performs I/O. Only [`name`] parses references, only [`place`] invents destination
//! names, and documents are parsed from [`Verified`] bytes alone.
//!
//! *Not here:* any store (`store`), any order of work (`plan`, `transfer`).

pub mod artifact;
pub mod attachment;
pub mod contents;
pub mod descriptor;
pub mod ends;
pub mod inside;
pub mod manifest;
pub mod name;
pub mod place;
pub mod platform;
pub mod receipt;
mod rename;
pub mod tree;
pub mod verify;
pub mod wanted;

pub use attachment::{Attachment, Attachments, Tagged};
pub use contents::{Contents, Item, Role, State};
pub use descriptor::Descriptor;
pub use ends::{Blob, Body, Sink, Source};
pub use inside::Inside;
pub use manifest::Manifest;
pub use name::{Reference, Repository};
pub use ocm_format::digest::{Digest, Hasher};
pub use platform::Platform;
pub use receipt::Receipt;
pub use rename::Rename;
pub use tree::Tree;
pub use verify::Verified;
pub use wanted::Wanted;
