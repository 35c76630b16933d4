//! [`Authority`]: which signatures a set or a receipt must have, and whether it has them.
//!
//! **Invariants.** Only signatures that verify over the bytes of SET.json, or of the receipt, by a key of the trust file count, each key once for
//! a demand. What cannot be met by the keys that are trusted is refused before anything is looked at. An unknown key says nothing; a known one
//! whose signature does not verify is damage.
//!
//! *Not here:* where signatures lie and which sets are looked at (`store::archive`, `workflow`).

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::files;
use super::minisign::{PublicKey, Signature};
use super::signers::{Signer, Signers, is_role};
pub use super::subject::{Found, Signable, Subject, comment_of, comment_of_receipt};
use crate::error::{Error, Result};

/// So many signatures of a role, or of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The role; any counts where there is none.
    pub role: Option<String>,
    /// How many different keys must have signed.
    pub count: usize,
}

/// What a person says of signatures of sets and receipts.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Trust files, files of public keys, and keys themselves.
    pub trust: Vec<String>,
    /// What must be there; one signature of any role where nothing is said.
    pub demands: Vec<Demand>,
    /// Files with approvals.
    pub approvals: Vec<PathBuf>,
}

/// Which signatures a set or a receipt must have; the default asks for none.
#[derive(Clone, Default)]
pub struct Authority(Option<Arc<Inner>>);

struct Inner {
    signers: Signers,
    demands: Vec<Demand>,
    approvals: Vec<Found>,
}

/// What one signature came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The file that it stands in.
    pub place: String,
    /// Whether it stands in the set itself, or in the file that belongs to a receipt; otherwise it is an approval.
    pub inside: bool,
    /// The id of the key that it says to be by; absent where it cannot be read.
    pub key: Option<String>,
    /// What the key counts as, for this lineage or destination.
    pub roles: Vec<String>,
    /// What it is worth.
    pub standing: Standing,
    /// Why it is worth nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(skip)]
    by: Option<PublicKey>,
}

/// What a signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It verifies, by a trusted key.
    Trusted,
    /// It verifies, by a key that is trusted for other lineages or destinations.
    OtherLineage,
    /// It is by a key that is not known.
    NotTrusted,
    /// Nobody said whose signatures count.
    NotChecked,
    /// It is of something else.
    OfAnother,
    /// It does not verify, or cannot be read.
    Wrong,
}

/// What the signatures of a set or a receipt came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Each signature.
    pub signatures: Vec<Checked>,
    /// What lacks, for people; empty where all demands are met.
    pub lacking: Vec<String>,
}

impl Authority {
    /// Reads what a person named.
    pub fn load(wish: Wish) -> Result<Self> {
        if wish.trust.is_empty() {
            return match (wish.demands.is_empty(), wish.approvals.is_empty()) {
                (true, true) => Ok(Self::default()),
                (false, _) => {
                    Err(Error::usage("--require-signature: whose signatures count is not said")
                        .hint("name a trust file or a key with --trust"))
                }
                (true, false) => {
                    Err(Error::usage("--approval: whose approvals count is not said").hint("name a trust file or a key with --trust"))
                }
            };
        }
        let mut signers = Signers::default();
        wish.trust.iter().try_for_each(|named| trusted(named).map(|found| signers.add(found)))?;
        let demands = if wish.demands.is_empty() { vec![Demand { role: None, count: 1 }] } else { wish.demands };
        demands.iter().try_for_each(|demand| can_be_met(demand, &signers))?;
        let approvals = wish.approvals.iter().map(|path| approval(path)).collect::<Result<_>>()?;
        Ok(Self(Some(Arc::new(Inner { signers, demands, approvals }))))
    }

    /// Whether signatures are asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Looks at every signature of a set or a receipt.
    #[must_use]
    pub fn judge(&self, subject: &Subject<'_>) -> Judgement {
        let none = (Signers::default(), Vec::new());
        let (signers, approvals) = self.0.as_ref().map_or((&none.0, &none.1), |inner| (&inner.signers, &inner.approvals));
        let inside = subject.inside.iter().map(|found| look(found, true, signers, subject));
        let beside = subject.beside.iter().chain(approvals).map(|found| look(found, false, signers, subject));
        let mut signatures: Vec<Checked> = inside.chain(beside).collect();
        let mut seen = BTreeSet::new();
        signatures.retain(|checked| seen.insert(checked.place.clone()));
        if self.0.is_none() {
            // Without keys nothing can be told of what lies beside a set and does not say that it is of it.
            signatures.retain(|checked| checked.inside || checked.standing == Standing::NotTrusted);
            let unchecked = signatures.iter_mut().filter(|checked| checked.standing == Standing::NotTrusted);
            unchecked.for_each(|checked| checked.standing = Standing::NotChecked);
        }
        let demands = self.0.as_ref().map(|inner| inner.demands.as_slice()).unwrap_or_default();
        let lacking = demands.iter().filter_map(|demand| demand.lacks(&signatures, signers, subject.scope)).collect();
        Judgement { signatures, lacking }
    }

    /// Refuses a set or a receipt that lacks signatures, or has a wrong one.
    pub fn check(&self, subject: &Subject<'_>) -> Result<()> {
        if self.is_asked() { self.judge(subject).verdict(subject) } else { Ok(()) }
    }
}

impl Judgement {
    /// Whether one of the signatures is damage.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.signatures.iter().any(|checked| checked.standing == Standing::Wrong)
    }

    fn verdict(&self, subject: &Subject<'_>) -> Result<()> {
        let name = &subject.name;
        if let Some(wrong) = self.signatures.iter().find(|checked| checked.standing == Standing::Wrong) {
            let why = wrong.why.as_deref().unwrap_or("it does not verify");
            return Err(Error::damaged(format!("{name}: signature in {}: {why}", wrong.place))
                .note(subject.digest_note())
                .hint(subject.way_out_of_damage()));
        }
        if self.lacking.is_empty() {
            return Ok(());
        }
        let mut error = Error::needed(format!("{name}: it is not signed as it must be: it lacks {}", self.lacking.join(", and ")));
        error = error.note(subject.digest_note());
        for checked in &self.signatures {
            error = error.note(format!("there: {checked}"));
        }
        if self.signatures.is_empty() {
            error = error.note("there: no signature and no approval");
        }
        let elsewhere = self.signatures.iter().any(|checked| checked.standing == Standing::OtherLineage);
        Err(error.hint(subject.way_out_of_lack(elsewhere)))
    }
}

impl Demand {
    /// What lacks of it.
    fn lacks(&self, signatures: &[Checked], signers: &Signers, scope: &str) -> Option<String> {
        let counts = |key: &PublicKey| {
            let mut lines = signers.with_id(key.id()).filter(|signer| signer.key == *key);
            lines.any(|signer| signer.is(self.role.as_deref()) && signer.is_for(scope))
        };
        let trusted = signatures.iter().filter(|checked| checked.standing == Standing::Trusted);
        let keys: BTreeSet<PublicKey> = trusted.filter_map(|checked| checked.by).filter(counts).collect();
        let there = keys.len();
        (there < self.count).then(|| format!("{} of {self} (there: {there})", self.count - there))
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = if self.count == 1 { "1 key".to_owned() } else { format!("{} keys", self.count) };
        match &self.role {
            Some(role) => write!(f, "{keys} of role {role}"),
            None => write!(f, "{keys}"),
        }
    }
}

impl FromStr for Demand {
    type Err = Error;

    /// `ROLE=N`, `ROLE`, or `N`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::usage(format!("{text:?} is no demand for signatures")).hint("write ROLE=N, ROLE, or N, with N from 1 to 99");
        let (role, count) = match text.split_once('=') {
            Some((role, count)) => (Some(role), count),
            None if is_role(text) => (Some(text), "1"),
            None => (None, text),
        };
        let count = count.parse().ok().filter(|count| (1..=99).contains(count)).ok_or_else(wrong)?;
        match role.is_none_or(is_role) {
            true => Ok(Self { role: role.map(str::to_owned), count }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.inside { "signature" } else { "approval" };
        let key = self.key.as_deref().unwrap_or("(not readable)");
        let roles = if self.roles.is_empty() { String::new() } else { format!(" ({})", self.roles.join(", ")) };
        let worth = match self.standing {
            Standing::Trusted => "trusted",
            Standing::OtherLineage => "trusted for other lineages",
            Standing::NotTrusted => "not trusted",
            Standing::NotChecked => "not checked",
            Standing::OfAnother => "of something else",
            Standing::Wrong => "WRONG",
        };
        write!(f, "{what} by {key}{roles}: {worth}")?;
        self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))?;
        if self.inside { Ok(()) } else { write!(f, ", in {}", self.place) }
    }
}

/// What a word after `--trust` stands for.
fn trusted(named: &str) -> Result<Signers> {
    if let Ok(key) = PublicKey::read(named.trim().as_bytes()) {
        return Ok(Signers::one(key));
    }
    let path = Path::new(named);
    let absent = || {
        Error::usage(format!("--trust {named}: it is neither a key nor a file that is there"))
            .hint("name a trust file, a .pub file, or the key itself")
    };
    let text = files::read(path)?.ok_or_else(absent)?;
    if text.starts_with(b"untrusted comment:") {
        let wrong = |why| Error::usage(format!("{named}: it is no public key of minisign: {why}"));
        return PublicKey::read(&text).map(Signers::one).map_err(wrong);
    }
    Signers::read(named, &text)
}

fn can_be_met(demand: &Demand, signers: &Signers) -> Result<()> {
    let there = signers.keys_of(demand.role.as_deref());
    match there >= demand.count {
        true => Ok(()),
        false => Err(Error::usage(format!("--require-signature: {demand} must sign, and there are {there} in what --trust names"))
            .hint("add lines to the trust file, or ask for less")),
    }
}

fn approval(path: &Path) -> Result<Found> {
    Found::read(path)?.ok_or_else(|| Error::usage(format!("--approval {}: it is not there", path.display())))
}

/// Looks at one signature.
fn look(found: &Found, inside: bool, signers: &Signers, subject: &Subject<'_>) -> Checked {
    let place = found.place.clone();
    let mut checked = Checked { place, inside, key: None, roles: Vec::new(), standing: Standing::Wrong, why: None, by: None };
    let signature = match Signature::read(&found.bytes) {
        Ok(signature) => signature,
        Err(why) => return Checked { why: Some(why), ..checked },
    };
    checked.key = Some(signature.key().to_string());
    let known: Vec<&Signer> = signers.with_id(signature.key()).collect();
    // Two keys may have one id; the one that fits is meant.
    let mut wrong = None;
    for signer in &known {
        match signer.key.verify(&signature, subject.bytes) {
            Ok(()) => {
                let lines = || known.iter().filter(|other| other.key == signer.key && other.is_for(subject.scope));
                checked.roles = lines().filter_map(|line| line.role.clone()).collect();
                checked.standing = if lines().next().is_some() { Standing::Trusted } else { Standing::OtherLineage };
                return Checked { by: Some(signer.key), ..checked };
            }
            Err(why) => wrong = Some(why),
        }
    }
    let is_of = subject.is_named_by(signature.comment());
    match wrong {
        // A file beside a set may be of another set, or of anything; one that says to be of this set is not.
        Some(_) if !inside && is_of != Some(true) => Checked { standing: Standing::OfAnother, ..checked },
        Some(why) => Checked { why: Some(why), ..checked },
        None if !inside && is_of == Some(false) => Checked { standing: Standing::OfAnother, ..checked },
        None => Checked { standing: Standing::NotTrusted, ..checked },
    }
}

#[cfg(test)]
mod tests;
