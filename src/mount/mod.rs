//! Content as a file system: an OCI layout of all of it, each image by its name with its root file system, and what is wrong with it.
//!
//! ```text
//! oci-layout  index.json  blobs/sha256/<hex>
//! images/<registry>/<repository>/<tag>/    manifest.json  config.json  layers/  rootfs/
//!                                          or index.json and such a directory for each platform
//! .ocm/                                    status  status.json  the documents of the place
//! ```
//!
//! **Invariants.** Nothing is ever written through it. What cannot be read is an error for that alone, and is tried again the next time.
//! Memory is bounded whatever is mounted, but for one table of digests and one of names.
//!
//! *Not here:* where content comes from (`image::Inside`).

mod ahead;
mod attributes;
mod cache;
mod directory;
mod fs;
#[cfg(test)]
mod lab;
mod layout;
mod names;
mod numbers;
mod pictures;
mod plains;
mod point;
mod rootfs;
mod session;
mod spool;
mod status;
#[cfg(test)]
mod tests;
mod view;
mod whole;

pub use plains::Trust;
pub use session::{Leave, Mounted, Options, mount, unmount};
pub use view::Showing;
