//! Archives: directories of volumes, as a source and as a sink.
//!
//! **Invariants.** All knowledge of the format crate is below this module. What is read was verified there; what is
//! written enters the format only after its digest was checked here.
//!
//! *Not here:* which set a run builds on, receipts and the ledger (`workflow`).

mod ahead;
pub mod asked;
mod base;
mod basis;
mod chain;
pub mod check;
mod complete;
mod copy;
mod document;
pub mod foreign;
pub mod gather;
mod ground;
mod gzip;
mod holding;
mod inside;
pub mod listing;
mod lock;
mod mirror_names;
mod needs;
mod order;
mod packing;
mod parent;
pub mod parity;
pub mod parts;
mod recalled;
mod records;
pub mod repair;
mod room;
mod salvaged;
mod shelf;
mod signed;
mod sink;
mod source;
mod stage;
mod standing;
mod unfinished;
pub mod view;
pub mod why;

pub use base::{Base, Lack, Old};
pub use basis::{Basis, Delta, Depth, ParentData};
pub use chain::Chain;
pub use complete::complete;
pub use ground::Ground;
pub use gzip::{Count, GzipShare};
pub use holding::Holding;
pub use inside::{Meant, OpenSets};
pub use lock::Lock;
pub use mirror_names::{Settled as MirrorTars, settle as settle_as};
pub use packing::Packing;
pub use parent::{BuildsOn, LONG_CHAIN, LONGEST_CHAIN};
pub use recalled::{OldBlob, Recalled};
pub use room::Room;
pub use salvaged::Salvage;
pub use shelf::{KnownSet, LetGo, Selection, Shelf};
pub use signed::{Admit, Seal, Sign, SignatureFile, Signed, ToSign, admit};
pub use sink::{ArchiveSink, HandOver, NewSet, Written, WrittenVolume};
pub use source::{ArchiveSource, ParentId, SetFacts};
pub use unfinished::{Pinned, Unfinished};

use crate::error::Error;

/// The folder beside the volumes where a run keeps what it has not finished.
pub const SCRATCH: &str = ".ocm";

/// The error of this crate that an error of the format means.
pub(crate) fn told(error: &ocm_format::error::Error) -> Error {
    use ocm_format::error::Kind;
    let text = error.to_string();
    match error.kind() {
        Kind::Io(kind) => Error::failed(text).hint_for(kind),
        Kind::Damaged | Kind::Incomplete | Kind::NotAVolume => Error::damaged(text),
        Kind::Missing => Error::needed(text),
        Kind::Version | Kind::Unsupported => Error::failed(text).hint("use a version of ocm that reads this format"),
        Kind::Limit | Kind::Usage => Error::usage(text),
    }
}

#[cfg(test)]
mod tests {
    use ocm_format::error::{Error as FormatError, Kind as FormatKind};

    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_the_format_says_is_told_as_what_a_person_can_do_about_it() {
        for (of, is, hint) in [
            (FormatKind::Damaged, Kind::Damaged, None),
            (FormatKind::Missing, Kind::Needed, None),
            (FormatKind::Limit, Kind::Usage, None),
            // An encoder of the future, a feature that is not known, another version.
            (FormatKind::Unsupported, Kind::Failed, Some("use a version of ocm that reads this format")),
            (FormatKind::Version, Kind::Failed, Some("use a version of ocm that reads this format")),
        ] {
            let error = told(&FormatError::new(of, "blob sha256:00: encoder 9 is not known"));
            assert_eq!((error.kind(), error.way_out()), (is, hint), "{of:?}");
            assert_eq!(error.to_string(), "blob sha256:00: encoder 9 is not known");
        }
    }
}
