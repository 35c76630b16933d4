//! [`verify`]: is everything here, and sound, and signed as it must be?
//!
//! **Invariants.** It never writes. What it came to is a function of what was found (semantics D.2).
//!
//! *Not here:* how bytes are checked (`store::archive`), whose signatures count (`trust`).

mod receipts;

use std::path::PathBuf;

use serde::Serialize;

pub use self::receipts::ReceiptVerdict;
use super::signing::{Authority, Checked, Judgement, NamedSet, judge, name_signers};
use super::{Settings, blocking, shelf};
use crate::error::{Error, Result};
pub use crate::store::archive::check::{DamageLine, Fault, FileKind, FileVerdict, Hurt, Repairable, SetVerdict, Verdict};
use crate::store::archive::{Signed, check};
use crate::transfer::Class;
use crate::workspace::Workspace;

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Archive directories, with the generation that alone is checked; and single files: volumes, catalogues, receipts. At least one.
    pub places: Vec<(PathBuf, Option<u32>)>,
    /// Only headers, footers, indexes, set manifests and sizes of files.
    pub quick: bool,
    /// Parents and released volumes that are elsewhere count as missing.
    pub complete: bool,
    /// Everything is read from the medium, past what memory holds of it.
    pub after_write: bool,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// Of bytes and files.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Of signatures: one entry for each set whose manifest is here.
    pub signatures: Vec<SetSignatures>,
    /// Of receipts.
    pub receipts: Vec<ReceiptVerdict>,
}

/// What the signatures of a set came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetSignatures {
    /// Its set id.
    pub id: String,
    /// The set.
    #[serde(flatten)]
    pub set: NamedSet,
    /// Its signatures and approvals.
    pub signatures: Vec<Checked>,
    /// What lacks of what was asked for.
    pub lacking: Vec<String>,
    /// The generation of a set that has all that was asked for, and lists this one by its root: then nothing lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vouched_for_by: Option<u32>,
    /// What that comes to.
    pub class: Class,
}

/// Checks what `request` names.
pub async fn verify(request: Request, settings: &Settings) -> Result<Outcome> {
    let (monitor, threads, workspace) = (settings.monitor.clone(), settings.threads, Workspace::new(settings.workspace()));
    let authority = settings.authority.clone();
    blocking(move || {
        let (request, receipts) = open(request, threads, &workspace)?;
        let (receipts, strangers) = receipts::look(&receipts, &authority)?;
        let signatures = signatures(&check::signed(&request)?, &authority);
        let mut verdict = check::check(&request, &monitor)?;
        verdict.sets.iter_mut().for_each(|set| name_signers(&mut set.set));
        verdict.strangers.extend(strangers);
        Ok(Outcome { verdict, signatures, receipts })
    })
    .await
}

/// Directories, files of sets, and receipts apart.
fn open(request: Request, threads: usize, workspace: &Workspace) -> Result<(check::Request, Vec<PathBuf>)> {
    let (mut shelves, mut files, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
    for (path, generation) in request.places {
        let metadata = std::fs::metadata(&path).map_err(|error| Error::io(path.display(), &error))?;
        match (metadata.is_dir(), generation) {
            (true, _) => shelves.push((shelf(&path, workspace)?, generation)),
            (false, None) if receipts::is_meant(&path) => receipts.push(path),
            (false, None) => files.push(path),
            (false, Some(generation)) => {
                return Err(Error::usage(format!("{}: set {generation} cannot be chosen of a single file", path.display()))
                    .hint("name the directory, or the file without @"));
            }
        }
    }
    let Request { quick, complete, after_write, .. } = request;
    Ok((check::Request { shelves, files, quick, complete, after_write, threads }, receipts))
}

/// What the signatures of these sets come to. A set that lacks some is vouched for by one that has them and builds on it.
fn signatures(sets: &[Signed], authority: &Authority) -> Vec<SetSignatures> {
    let judged: Vec<_> = sets.iter().map(|set| (set, judge(set, authority))).collect();
    let vouches = |other: &Signed, set: &Signed| other.ancestors.iter().any(|(id, root)| (id, root) == (&set.id, &set.root));
    let voucher =
        |set: &Signed| judged.iter().find(|(other, found)| found.lacking.is_empty() && !found.is_damaged() && vouches(other, set));
    let told = |(set, found): &(&Signed, Judgement)| {
        let Judgement { signatures, lacking } = found;
        let vouched_for_by = if lacking.is_empty() { None } else { voucher(set).map(|(other, _)| other.generation) };
        let lacking = if vouched_for_by.is_some() { Vec::new() } else { lacking.clone() };
        let class = weight(found.is_damaged(), &lacking);
        let named = NamedSet { lineage: set.lineage.clone(), generation: set.generation, root: set.root };
        SetSignatures { id: set.id.clone(), set: named, signatures: signatures.clone(), lacking, vouched_for_by, class }
    };
    judged.iter().map(told).collect()
}

/// What signatures come to, of which one may be damage, given what lacks.
fn weight(is_damaged: bool, lacking: &[String]) -> Class {
    match (is_damaged, lacking.is_empty()) {
        (true, _) => Class::Damaged,
        (false, false) => Class::Needed,
        (false, true) => Class::Done,
    }
}

/// What the findings come to.
#[must_use]
pub fn class(outcome: &Outcome) -> Class {
    let strangers = if outcome.verdict.strangers.is_empty() { Class::Done } else { Class::Damaged };
    let signatures = outcome.signatures.iter().map(|set| set.class).chain(outcome.receipts.iter().map(|receipt| receipt.class));
    outcome.verdict.sets.iter().map(class_of).chain(signatures).chain([strangers]).max().unwrap_or(Class::Done)
}

/// What the findings of one set come to, its signatures aside.
#[must_use]
pub fn class_of(set: &SetVerdict) -> Class {
    let damage = set.damage.iter().map(|damage| match damage.fault {
        Fault::Damaged => Class::Damaged,
        Fault::Unsupported => Class::Failed,
    });
    let lacks = !set.missing_volumes.is_empty() || set.last_unknown || (set.parents_wanted && !set.parents_elsewhere.is_empty());
    damage.chain([if lacks { Class::Needed } else { Class::Done }]).max().unwrap_or(Class::Done)
}
