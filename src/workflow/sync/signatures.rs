//! [`Signatures`]: how many images of a run are signed.
//!
//! **Invariants.** Every image that is brought or there already counts once; one that cannot be brought counts nowhere.
//!
//! *Not here:* whether a signature is good; where signatures are looked for (`plan`).

use serde::Serialize;

use crate::plan::{Plan, Signed};

/// How many images are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Signatures {
    /// Their root has a signature.
    pub signed: u64,
    /// It has none.
    pub unsigned: u64,
    /// It could not be told.
    pub unknown: u64,
}

impl Signatures {
    /// Those of a plan; `None` where nothing was looked at.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let mut all = Self::default();
        for signed in plan.items().iter().filter(|planned| planned.item.role.is_content()).filter_map(|planned| planned.signed) {
            *match signed {
                Signed::Yes => &mut all.signed,
                Signed::No => &mut all.unsigned,
                Signed::Unknown => &mut all.unknown,
            } += 1;
        }
        Some(all).filter(|all| *all != Self::default())
    }
}
