//! [`Subject`]: what a signature can be of, a set or a receipt, and how the comments of signatures name it.
//!
//! **Invariants.** What a comment says decides only what is told of a signature that does not verify, or whose key is not known; it lets nothing in.
//!
//! *Not here:* whose signatures count (`authority`), where they lie (`store::archive`, `workflow`).

use std::path::Path;

use super::files;
use super::minisign::MAX_BYTES;
use crate::error::Result;
use crate::image::Digest;

/// What comments of signatures of sets begin with.
const SET: &str = "ocm set ";
/// The same of receipts.
const RECEIPT: &str = "ocm receipt ";

/// A signature file, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub place: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Found {
    /// Reads the signature file at `path`; `None` where there is none.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = files::read_bounded(path, MAX_BYTES as u64)?;
        Ok(bytes.map(|bytes| Self { place: path.display().to_string(), bytes }))
    }
}

/// A set or a receipt, as far as signatures are about it.
pub struct Subject<'a> {
    /// What a person calls it.
    pub name: String,
    /// Which of them it is.
    pub kind: Signable<'a>,
    /// What patterns of the trust file must fit: the name of its lineage, or the destination of a receipt.
    pub scope: &'a str,
    /// Its root, or the digest of a receipt: the SHA-256 of what is signed.
    pub root: Digest,
    /// What is signed: SET.json, or the file of the receipt.
    pub bytes: &'a [u8],
    /// The signatures inside of it, or the one that belongs to the file of a receipt.
    pub inside: &'a [Found],
    /// The files beside it.
    pub beside: &'a [Found],
}

/// What can be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signable<'a> {
    /// A set, by its id of 32 hex digits.
    Set(&'a str),
    /// A receipt.
    Receipt,
}

impl Subject<'_> {
    /// Whether a comment says that its signature is of this; `None` where it says nothing of that.
    pub(super) fn is_named_by(&self, comment: &str) -> Option<bool> {
        let root = self.root.to_string();
        match (self.kind, comment.strip_prefix(SET), comment.strip_prefix(RECEIPT)) {
            (_, None, None) => None,
            (Signable::Set(id), Some(rest), _) => {
                let mut words = rest.split(' ');
                let same_set = words.next() == Some(id);
                Some(same_set || words.nth(3) == Some(root.as_str()))
            }
            (Signable::Receipt, _, Some(rest)) => Some(rest.split(' ').next() == Some(root.as_str())),
            (Signable::Set(_), None, Some(_)) | (Signable::Receipt, Some(_), None) => Some(false),
        }
    }

    /// Its digest, as errors note it.
    pub(super) fn digest_note(&self) -> String {
        match self.kind {
            Signable::Set(_) => format!("root: {}", self.root),
            Signable::Receipt => format!("digest: {}", self.root),
        }
    }

    /// What there is to do about a signature that does not verify.
    pub(super) fn way_out_of_damage(&self) -> String {
        match self.kind {
            Signable::Set(_) => "bring another copy of that file, or remove it if it is no signature of this set".to_owned(),
            Signable::Receipt => "bring the receipt and its signature again, both of one run".to_owned(),
        }
    }

    /// What there is to do where signatures lack; `elsewhere` if some are by keys that count for others.
    pub(super) fn way_out_of_lack(&self, elsewhere: bool) -> String {
        match self.kind {
            Signable::Set(_) => {
                "have it approved with `ocm key approve`, and put the file beside the set or name it with --approval".to_owned()
            }
            Signable::Receipt if elsewhere => {
                format!("write a pattern for {} into the line of the key, if it is to count for that", self.scope)
            }
            Signable::Receipt => {
                "have it made with `ocm receipt … --to FILE --sign KEY`, and bring FILE.minisig with it; --approval names other signatures"
                    .to_owned()
            }
        }
    }
}

/// The comment that goes with a signature of a set.
#[must_use]
pub fn comment_of(set: &str, generation: u32, root: &Digest, lineage: &str) -> String {
    format!("{SET}{set} generation {generation} root {root} lineage {lineage}")
}

/// The comment that goes with a signature of a receipt.
#[must_use]
pub fn comment_of_receipt(digest: &Digest, destination: &str) -> String {
    format!("{RECEIPT}{digest} destination {destination}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(kind: Signable<'_>) -> Subject<'_> {
        Subject { name: "it".into(), kind, scope: "disk", root: Digest::of(b"it"), bytes: b"it", inside: &[], beside: &[] }
    }

    #[test]
    fn comments_name_one_set_or_one_receipt() {
        let (this, other) = (Digest::of(b"it"), Digest::of(b"other"));
        for (comment, of_set, of_receipt) in [
            (comment_of("01", 1, &other, "disk"), Some(true), Some(false)),
            (comment_of("02", 1, &this, "disk"), Some(true), Some(false)),
            (comment_of("02", 1, &other, "disk"), Some(false), Some(false)),
            (comment_of_receipt(&this, "docker://lab"), Some(false), Some(true)),
            (comment_of_receipt(&other, "docker://lab"), Some(false), Some(false)),
            ("timestamp:1".to_owned(), None, None),
        ] {
            assert_eq!(subject(Signable::Set("01")).is_named_by(&comment), of_set, "{comment}");
            assert_eq!(subject(Signable::Receipt).is_named_by(&comment), of_receipt, "{comment}");
        }
    }
}
