//! [`Receipt`]: what a destination shows and holds after a run.
//!
//! **Invariants.** Lists are sorted, and each piece of content stands in them once: the same destination gives the same lists. A
//! receipt of an earlier version, which says nothing of content, is read as one that knows of none.
//!
//! *Not here:* how a destination is walked (`plan::holdings`), where receipts are kept (`workspace`).

use serde::{Deserialize, Serialize};

use super::place::Location;
use super::{Digest, Reference, Repository, Role};
use crate::error::{Error, Result};

/// What a destination shows and holds; written only after [`Sink::finish`](super::Sink::finish), or when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The destination, as a location.
    pub destination: String,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// What is visible there now.
    pub items: Vec<Received>,
    /// The manifests and indexes that it holds of these items, by digest.
    #[serde(default)]
    pub manifests: Vec<Stored>,
    /// The configurations and layers that it holds of these items, by digest.
    #[serde(default)]
    pub blobs: Vec<Stored>,
}

/// One item of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// Where it came from, by its full name.
    pub origin: Reference,
    /// Its name at the destination.
    pub name: Reference,
    /// The digest of its root.
    pub digest: Digest,
    /// What it is for.
    pub role: Role,
    /// The id of the archive set that it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
}

/// A piece of content at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
    /// A repository that holds it; others may too.
    pub repository: Repository,
}

impl Receipt {
    /// Fails where the receipt contradicts itself: its destination is no registry, or it speaks of content elsewhere.
    pub fn check(&self) -> Result<()> {
        let Ok(Location::Registry { host, .. }) = self.destination.parse() else {
            return Err(Error::usage(format!("a receipt of {:?}: that is no registry", self.destination)));
        };
        let stranger = self.manifests.iter().chain(&self.blobs).find(|stored| stored.repository.registry() != host);
        match stranger {
            Some(stored) => {
                let (digest, repository) = (stored.digest, &stored.repository);
                Err(Error::usage(format!(
                    "a receipt of {}: it says that {digest} is in {repository}, which is elsewhere",
                    self.destination
                )))
            }
            None => Ok(()),
        }
    }

    /// Whether it says what the destination holds, not only what it shows.
    #[must_use]
    pub fn knows_content(&self) -> bool {
        self.items.is_empty() || !self.manifests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(destination: &str, repository: &str) -> Receipt {
        let stored = Stored { digest: Digest::of(b"x"), size: 1, repository: repository.parse().expect("a repository") };
        Receipt { destination: destination.into(), time: String::new(), items: vec![], manifests: vec![], blobs: vec![stored] }
    }

    #[test]
    fn a_receipt_that_speaks_of_content_elsewhere_is_refused() {
        receipt("docker://reg:5000/mirror", "reg:5000/other/a").check().expect("its own content");
        for (destination, repository, why) in [
            ("docker://reg:5000", "reg:5001/a", "elsewhere"),
            ("/mnt/disk", "reg:5000/a", "no registry"),
            ("", "reg:5000/a", "no registry"),
        ] {
            let error = receipt(destination, repository).check().expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_receipt_of_an_earlier_version_is_read_and_knows_of_no_content() {
        let item = r#"{"origin":"a.io/b:1","name":"reg:5000/b:1","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","role":"image"}"#;
        let text = format!(r#"{{"destination":"docker://reg:5000","time":"2026-11-21T10:00:00Z","items":[{item}]}}"#);
        let receipt: Receipt = serde_json::from_str(&text).expect("a receipt");
        assert!(!receipt.knows_content() && receipt.blobs.is_empty());
        let empty = Receipt { items: vec![], ..receipt };
        assert!(empty.knows_content(), "an empty registry holds nothing");
    }
}
