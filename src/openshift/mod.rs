//! What OpenShift has that other clusters have not, in types.
//!
//! **Invariants.** Nothing here reads or writes a file, or asks anybody.
//!
//! *Not here:* what is written for a cluster, and where (`publish`).

pub mod resources;
