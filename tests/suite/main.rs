//! All integration tests of ocm, in one binary so that they are linked once.
//!
//! **Invariants.** A test makes its own places and leaves nothing behind; one that needs a program which is not
//! installed says so and returns, and fails under `CI=true`.
//!
//! *Not here:* tests that read the source tree (`layering`, `tidy`), and unit tests (beside their code).

#[allow(dead_code, unreachable_pub, reason = "a tool box: not every area uses every tool")]
#[path = "../support/mod.rs"]
mod support;

// One line for each area, in alphabetic order.
mod again;
mod chains;
mod cli;
mod configured;
mod conformance;
mod deltas;
mod differential;
mod explain;
mod far_side;
mod faults;
mod golden;
mod hazards;
mod inside;
mod layouts;
mod load;
mod mount;
mod policy;
mod publish;
mod receipts;
mod recover;
mod redirects;
mod removable;
mod repairs;
mod replay;
mod resume;
mod serve;
mod sets;
mod signatures;
mod signed_sets;
mod support_works;
mod workflows;
