//! Anything that can be entered, as a registry that only answers: the distribution API of OCI 1.1, read-only.
//!
//! **Invariants.** Nothing here can write to what is served. What is sent is what is stored: manifests byte for byte, blobs with their digest
//! checked before the last byte leaves. Clients are hostile: what they send is bounded in size, number and time, and memory is
//! bounded whatever they ask for.
//!
//! *Not here:* which archive is served and when it changes (`workflow::serve`); what the options are called (`cli`).

#[cfg(test)]
mod abuse;
mod access;
mod blobs;
mod body;
mod content;
mod credentials;
mod flow;
mod guarded;
mod holdings;
#[cfg(test)]
mod lab;
mod limits;
mod lists;
mod manifests;
mod metrics;
mod mirror_config;
mod names;
mod pace;
mod paging;
mod proof;
mod range;
mod referrers;
mod refusal;
mod route;
mod server;
mod service;
mod snapshot;
mod source;
mod spool;
mod tally;
#[cfg(test)]
mod tests;
mod tls;
mod understood;

pub use access::AccessLog;
pub use credentials::Credentials;
pub use limits::Limits;
pub use mirror_config::{Dialect, mirror_config};
pub use server::{Options, Server};
pub use snapshot::Current;
pub use spool::Spool;
pub use tls::Identity;
pub use understood::understood;
