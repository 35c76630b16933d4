//! Parity: volumes that rebuild lost and damaged ones (SPEC section 10).
//!
//! **Invariants.** What a hash of a column says decides where to read; what was rebuilt counts only for its volume root and a check of all
//! of its bytes, which are the caller's matter. Nothing is written in place.
//!
//! *Not here:* which sets are repaired, names of files, and renaming them (the caller); tickets and patches (`mend`).

pub mod code;
mod group;
mod holder;
mod make;
mod rebuild;
mod shape;
mod survey;

pub use self::group::Group;
pub use self::holder::{Holder, Overlay};
pub(crate) use self::make::{HASHES, shard_name};
pub use self::make::{Made, Plan, make};
pub use self::rebuild::rebuild;
pub use self::shape::{Shape, reserve_bytes};
pub use self::survey::{Lacking, Survey};

/// The size of a member that shards are in; the last is shorter.
pub const MEMBER_BYTES: u64 = 1 << 30;

/// Hears of bytes that were read; `Break` ends the work.
pub type OnBytes<'a> = dyn FnMut(u64) -> std::ops::ControlFlow<()> + 'a;

/// The hash of a column.
pub(crate) type Hash = [u8; 16];

/// The error of work that its caller ended.
pub(crate) fn stopped() -> crate::error::Error {
    crate::error::Error::new(crate::error::Kind::Io(std::io::ErrorKind::Interrupted), "the work was stopped")
}
