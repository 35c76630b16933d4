//! How sets are signed, and which are let in: keys on one side, archives on the other. `receipt`: the same of receipts.
//!
//! **Invariants.** The same set and key make the same signature. Where signatures are asked for, each set that is shown or brought was judged
//! by the very bytes that it is then read by.
//!
//! *Not here:* what a signature is (`trust`), where it lies (`store::archive`).

pub(super) mod receipt;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::Settings;
use crate::image::Digest;
use crate::store::archive::listing::SetLine;
use crate::store::archive::{Admit, Seal, SetFacts, SignatureFile, Signed};
pub use crate::trust::authority::{Authority, Checked, Demand, Judgement, Standing, Wish};
use crate::trust::authority::{Found, Signable, Subject, comment_of};
use crate::trust::minisign::Signature;
pub use crate::trust::secret::SecretKey;

/// A set, by what people compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedSet {
    /// The name of its lineage.
    pub lineage: String,
    /// Its number there.
    pub generation: u32,
    /// Its root.
    pub root: Digest,
}

impl NamedSet {
    /// The set that these facts are of.
    #[must_use]
    pub fn of(set: &SetFacts) -> Self {
        Self { lineage: set.lineage_name().to_owned(), generation: set.generation(), root: set.root }
    }
}

impl fmt::Display for NamedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {} of {:?}", self.generation, self.lineage)
    }
}

/// How a new set gets its signature.
pub(super) fn seal(settings: &Settings) -> Seal {
    let Some(key) = settings.signer.clone() else { return Seal::None };
    Seal::Made(Arc::new(move |set| {
        let comment = comment_of(&set.id, set.generation, &set.root, set.lineage);
        key.sign(set.bytes, &comment).file().into_bytes()
    }))
}

/// The id of the key that signs what a run makes.
pub(super) fn signer_id(settings: &Settings) -> Option<String> {
    settings.signer.as_ref().map(|key| key.public().id().to_string())
}

/// The id of the key that a signature says to be by; `None` where it cannot be read.
pub(super) fn key_of(signature: &[u8]) -> Option<String> {
    Signature::read(signature).ok().map(|signature| signature.key().to_string())
}

/// Says which keys the signatures of a set say to be by.
pub(super) fn name_signers(set: &mut SetLine) {
    set.signed_by = set.signatures.iter().map(|signature| key_of(signature).unwrap_or_else(|| "not readable".to_owned())).collect();
}

/// What refuses sets that lack signatures; `None` where none are asked for.
pub(super) fn admit(settings: &Settings) -> Option<Admit> {
    let authority = settings.authority.clone();
    authority.is_asked().then(|| Arc::new(move |signed: &Signed| with_subject(signed, |subject| authority.check(subject))) as Admit)
}

/// What the signatures of a set come to.
pub(super) fn judge(signed: &Signed, authority: &Authority) -> Judgement {
    with_subject(signed, |subject| authority.judge(subject))
}

fn with_subject<T>(signed: &Signed, work: impl FnOnce(&Subject<'_>) -> T) -> T {
    let found = |file: &SignatureFile| Found { place: file.path.display().to_string(), bytes: file.bytes.clone() };
    let (inside, beside): (Vec<Found>, Vec<Found>) = (signed.inside.iter().map(found).collect(), signed.beside.iter().map(found).collect());
    let name = format!("set {} of {:?}", signed.generation, signed.lineage);
    let (kind, scope, root, bytes) = (Signable::Set(&signed.id), signed.lineage.as_str(), signed.root, signed.bytes.as_slice());
    work(&Subject { name, kind, scope, root, bytes, inside: &inside, beside: &beside })
}
