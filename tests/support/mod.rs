//! What integration tests stand on: real registries, generated images, a network that fails, programs of others.
//!
//! **Invariants.** Everything that is started here is stopped when its value is dropped, and when the test process
//! dies. Fixtures are the same bytes every time.
//!
//! *Not here:* assertions on ocm itself (`tests/suite`).

pub mod certificates;
pub mod deliver;
pub mod disks;
pub mod fault;
pub mod images;
pub mod layers;
pub mod namespace;
pub mod process;
pub mod proxy;
pub mod registry;
mod relay;
pub mod sectors;
pub mod tools;
