//! [`verify`]: is everything here, and sound?
//!
//! **Invariants.** It never writes. What it came to is a function of what was found (semantics D.2).

use super::{Settings, blocking};
use crate::error::Result;
use crate::store::archive::check;
pub use crate::store::archive::check::{DamageLine, Fault, FileKind, FileVerdict, Hurt, Request, SetVerdict, Verdict};
use crate::transfer::Class;

/// Checks what `request` names.
pub async fn verify(request: Request, settings: &Settings) -> Result<Verdict> {
    let monitor = settings.monitor.clone();
    blocking(move || check::check(&request, &monitor)).await
}

/// What the findings come to.
#[must_use]
pub fn class(verdict: &Verdict) -> Class {
    let strangers = if verdict.strangers.is_empty() { Class::Done } else { Class::Damaged };
    verdict.sets.iter().map(class_of).chain([strangers]).max().unwrap_or(Class::Done)
}

/// What the findings of one set come to.
#[must_use]
pub fn class_of(set: &SetVerdict) -> Class {
    let damage = set.damage.iter().map(|damage| match damage.fault {
        Fault::Damaged => Class::Damaged,
        Fault::Unsupported => Class::Failed,
    });
    let lacks = !set.missing_volumes.is_empty() || set.last_unknown || (set.parents_wanted && !set.parents_elsewhere.is_empty());
    damage.chain([if lacks { Class::Needed } else { Class::Done }]).max().unwrap_or(Class::Done)
}
