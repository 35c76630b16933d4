//! The reading side: what was written comes back, and what is wrong is said.

mod apart;
mod built;
mod damage;
mod elsewhere;
mod forged;
mod future;
mod hostile;
mod made;
mod members;
mod replay;
mod restarts;
mod round_trip;
mod salvage;
mod scan;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod vast;
