//! [`Holding`]: what a destination holds, as a new set builds on it: its receipt, and the digest that stands for that.
//!
//! **Invariants.** The digest is the SHA-256 of the document in canonical form (RFC 8785), whatever it looks like in its file. A
//! receipt that contradicts itself, or says nothing of content, is refused.
//!
//! *Not here:* making receipts (`workflow`).

use std::collections::BTreeMap;
use std::path::Path;

use ocm_format::set::{Canonical, json, looks_like_a_volume};

use crate::error::{Error, Result};
use crate::image::{Digest, Receipt, Repository};

/// The largest receipt that is read, in bytes: one of about two million blobs.
const MAX_BYTES: u64 = 512 << 20;
/// The key of the options of a set under which the far side finds what is needed of a destination.
const HELD: &str = "held";

/// What a destination holds, by its receipt.
#[derive(Debug, Clone)]
pub struct Holding {
    receipt: Receipt,
    root: Digest,
}

impl Holding {
    /// Whether a path is that of a file which is no volume, and so can only be a receipt.
    #[must_use]
    pub fn is_meant(path: &Path) -> bool {
        path.is_file() && !looks_like_a_volume(path)
    }

    /// Reads the receipt in a file.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&Self::bytes_of(path)?).map_err(|error| error.context(path.display()))
    }

    /// What is in the file of a receipt, which may not be longer than one can be.
    pub fn bytes_of(path: &Path) -> Result<Vec<u8>> {
        let failed = |error: std::io::Error| Error::io(path.display(), &error);
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > MAX_BYTES {
            return Err(Error::usage(format!("{}: {bytes} bytes are more than the {MAX_BYTES} of a receipt that is read", path.display())));
        }
        std::fs::read(path).map_err(failed)
    }

    /// Reads a receipt.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let unreadable = |error: serde_json::Error| {
            Error::usage(format!("it is neither a volume of a set nor a receipt: {error}"))
                .hint("name an archive, a catalogue, a date like 2026-11-01, or a receipt as `ocm receipt` writes it")
        };
        let document: serde_json::Value = serde_json::from_slice(bytes).map_err(unreadable)?;
        // Read from the bytes, not the value: then an error says where.
        let receipt: Receipt = serde_json::from_slice(bytes).map_err(unreadable)?;
        receipt.check().map_err(|error| error.hint("make a new one with `ocm receipt docker://…`"))?;
        if !receipt.knows_content() {
            return Err(Error::usage("the receipt says what is visible at the destination, not what is held there")
                .hint("make a new one with `ocm receipt docker://…`"));
        }
        let canonical = json::to_bytes(&document).map_err(|error| Error::usage(format!("the receipt: {}", error.message())))?;
        Ok(Self { receipt, root: Digest::of(&canonical) })
    }

    /// The receipt.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The digest that stands for the receipt.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }
}

/// `options` of a set that needs this content of a destination: with the repositories that hold it, so that nobody must search.
pub(super) fn with_held<'a>(
    options: &serde_json::Value,
    repositories: &BTreeMap<Digest, Repository>,
    needed: impl Iterator<Item = &'a Digest>,
) -> serde_json::Value {
    let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for digest in needed {
        if let Some(repository) = repositories.get(digest) {
            held.entry(repository.to_string()).or_default().push(digest.to_string());
        }
    }
    let mut options = options.clone();
    if let Some(options) = options.as_object_mut().filter(|_| !held.is_empty()) {
        options.insert(HELD.to_owned(), serde_json::json!(held));
    }
    options
}

/// What the options of a set say of content at a destination; what cannot be read is passed over, since it only saves a search.
pub(super) fn held(options: &Canonical) -> BTreeMap<Digest, Repository> {
    let lists: BTreeMap<String, Vec<String>> = options.member(HELD).unwrap_or_default();
    let pairs = lists.iter().filter_map(|(repository, digests)| Some((repository.parse::<Repository>().ok()?, digests)));
    let each = pairs.flat_map(|(repository, digests)| {
        let digests = digests.iter().filter_map(|digest| digest.parse().ok());
        digests.map(move |digest| (digest, repository.clone()))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const STORED: &str =
        r#"{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"repository":"lab:5000/a"}"#;

    #[test]
    fn one_receipt_has_one_digest_whatever_its_file_looks_like() {
        let text = format!(r#"{{"time":"x","destination":"docker://lab:5000","items":[],"future":[1],"manifests":[{STORED}]}}"#);
        let canonical = format!(
            r#"{{"destination":"docker://lab:5000","future":[1],"items":[],"manifests":[{}],"time":"x"}}"#,
            r#"{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","repository":"lab:5000/a","size":0}"#
        );
        let root = Digest::of(canonical.as_bytes());
        for text in [text.clone(), text.replace(',', ",\n  "), canonical] {
            assert_eq!(Holding::parse(text.as_bytes()).expect("a receipt").root(), root, "{text}");
        }
        let other = text.replace("[1]", "[2]");
        assert_ne!(Holding::parse(other.as_bytes()).expect("a receipt").root(), root, "also what is not understood counts");
    }

    #[test]
    fn where_needed_content_lies_is_told_by_repository_and_read_again() {
        let repository = |name: &str| name.parse::<Repository>().expect("a repository");
        let digests: Vec<Digest> = (0..4u8).map(|n| Digest::of(&[n])).collect();
        let repositories = BTreeMap::from([
            (digests[0], repository("lab:5000/a")),
            (digests[1], repository("lab:5000/b")),
            (digests[2], repository("lab:5000/a")),
        ]);
        let options = with_held(&serde_json::json!({"level": 3}), &repositories, digests[1..].iter());
        assert_eq!(options["level"], 3);
        assert_eq!(options["held"]["lab:5000/a"], serde_json::json!([digests[2]]));
        let expected = BTreeMap::from([(digests[1], repository("lab:5000/b")), (digests[2], repository("lab:5000/a"))]);
        assert_eq!(held(&Canonical::of(&options).expect("canonical")), expected);
        let bare = serde_json::json!({"level": 3});
        assert_eq!(with_held(&bare, &repositories, [].iter()), bare);
        for strange in [r#"{"held":3}"#, r#"{"held":{"A B":["x"],"lab:5000/a":[3,"x"]}}"#, "[]"] {
            assert!(held(&strange.parse().expect("canonical")).is_empty());
        }
    }

    #[test]
    fn what_is_no_receipt_of_content_is_refused_with_its_reason() {
        let item = r#"{"origin":"a.io/b:1","name":"lab:5000/b:1","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","role":"image"}"#;
        for (text, why) in [
            ("not json".to_owned(), "neither a volume of a set nor a receipt: expected ident at line 1 column 2"),
            ("{\n\"time\": 3}".to_owned(), "line 2 column 9"),
            (format!(r#"{{"time":"x","destination":"docker://lab:5000","items":[{item}]}}"#), "not what is held there"),
            (format!(r#"{{"time":"x","destination":"/mnt/disk","items":[],"blobs":[{STORED}]}}"#), "no registry"),
            (format!(r#"{{"time":"x","destination":"docker://other.lab","items":[],"blobs":[{STORED}]}}"#), "elsewhere"),
            (r#"{"time":"x","destination":"docker://lab:5000","items":[],"f":0.5}"#.to_owned(), "no integer"),
        ] {
            let error = Holding::parse(text.as_bytes()).expect_err(why);
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
