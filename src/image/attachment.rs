//! [`Attachment`]: what signs or describes an image, by how it is told: the tags of cosign, and the types of referrers.
//!
//! **Invariants.** A tag is made of a digest and nothing else: no text of a name takes part in it, so no name can lead to a wrong one.
//!
//! *Not here:* whether a signature is good; looking for attachments (`plan`).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::is_tag;
use super::{Descriptor, Digest};
use crate::error::{Error, Result};

/// The annotation by which a bundle of sigstore says what it states (cosign, "Bundle Spec").
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
/// What the statement of a signature is called there; all others are attestations.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// A kind of what is attached to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attachment {
    /// A signature.
    Signature,
    /// A signed statement about the image.
    Attestation,
    /// A bill of materials.
    Sbom,
}

/// An image that is attached to another one by its tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    /// The tag, in the repository of the other one.
    pub tag: String,
    /// What it stands for.
    pub root: Descriptor,
}

/// What a person says of attachments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachments {
    /// None travel, and nobody is asked for them.
    pub removed: bool,
    /// An image whose root has none of one of these kinds is not brought.
    pub required: BTreeSet<Attachment>,
}

impl Attachment {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Signature, Self::Attestation, Self::Sbom];

    /// How cosign calls it at the end of a tag.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Signature => "sig",
            Self::Attestation => "att",
            Self::Sbom => "sbom",
        }
    }

    /// The tag that cosign gives to this of a manifest: `sha256-<hex>.sig`; `None` where a tag cannot be that long.
    #[must_use]
    pub fn tag(self, subject: &Digest) -> Option<String> {
        Some(format!("{}-{}.{}", subject.algorithm(), subject.hex(), self.word())).filter(|tag| is_tag(tag))
    }

    /// Whether a referrer is this, by what it says of itself.
    #[must_use]
    pub fn is(self, referrer: &Descriptor) -> bool {
        let kind = referrer.artifact_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        let is_bundle = kind.starts_with("application/vnd.dev.sigstore.bundle");
        let states = referrer.annotation(PREDICATE).filter(|_| is_bundle);
        let has = |words: &[&str]| words.iter().any(|word| kind.contains(word) || states.is_some_and(|states| states.contains(word)));
        match self {
            Self::Signature if is_bundle => states.is_none_or(|states| states == SIGNED),
            Self::Signature => has(&["vnd.dev.cosign.artifact.sig.", "vnd.cncf.notary.signature"]),
            Self::Attestation if is_bundle => states.is_some_and(|states| states != SIGNED),
            Self::Attestation => has(&["vnd.dev.cosign.artifact.att.", "in-toto"]),
            Self::Sbom => has(&["vnd.dev.cosign.artifact.sbom.", "spdx", "cyclonedx"]),
        }
    }
}

/// The manifest that an image under this tag is attached to, and as what; `None` for a tag that means nothing of the kind.
#[must_use]
pub fn subject_of(tag: &str) -> Option<(Digest, Attachment)> {
    let (named, word) = tag.rsplit_once('.')?;
    let kind = Attachment::ALL.into_iter().find(|kind| kind.word() == word)?;
    let (algorithm, hex) = named.split_once('-')?;
    let subject = format!("{algorithm}:{hex}").parse().ok()?;
    Some((subject, kind))
}

impl FromStr for Attachment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::usage(format!("{text:?} is nothing that images have attached")).hint("say sig, att or sbom");
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(unknown)
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::Sbom => "SBOM",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tag_leads_back_to_what_it_is_of(content: Vec<u8>, at in 0usize..3) {
            let (subject, kind) = (Digest::of(&content), Attachment::ALL[at]);
            let tag = kind.tag(&subject).expect("a tag");
            prop_assert_eq!(subject_of(&tag), Some((subject, kind)));
        }

        #[test]
        fn no_text_makes_a_tag_that_is_not_made_of_its_digest(text in "[a-z0-9:._-]{0,90}") {
            if let Some((subject, kind)) = subject_of(&text) {
                prop_assert_eq!(kind.tag(&subject), Some(text));
            }
        }
    }

    #[test]
    fn other_tags_are_of_nothing() {
        let hex = Digest::of(b"x").hex();
        for tag in
            ["sig", "1.sig", "", "sha256-.sig", &format!("sha256-{hex}"), &format!("sha256-{hex}.txt"), &format!("v1-sha256-{hex}.sig")]
        {
            assert_eq!(subject_of(tag), None, "{tag}");
        }
        let long: Digest = format!("sha512:{}", "0".repeat(128)).parse().expect("a digest");
        assert_eq!(Attachment::Signature.tag(&long), None, "no tag is that long");
    }

    #[test]
    fn referrers_say_what_they_are() {
        use Attachment::{Attestation, Sbom, Signature};
        let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
        for (kind, states, expected) in [
            (bundle, None, &[Signature][..]),
            (bundle, Some(SIGNED), &[Signature]),
            (bundle, Some("https://slsa.dev/provenance/v1"), &[Attestation]),
            (bundle, Some("https://spdx.dev/Document"), &[Attestation, Sbom]),
            ("application/vnd.dev.cosign.artifact.sig.v1+json", None, &[Signature]),
            ("application/vnd.cncf.notary.signature", None, &[Signature]),
            ("application/vnd.in-toto+json", None, &[Attestation]),
            ("application/spdx+json", None, &[Sbom]),
            ("application/vnd.cyclonedx+json", None, &[Sbom]),
            ("application/vnd.example.note", None, &[]),
        ] {
            let mut referrer = Descriptor { artifact_type: Some(kind.to_owned()), ..Descriptor::new("", Digest::of(b""), 0) };
            referrer.annotations = states.map(|states| [(PREDICATE.to_owned(), states.to_owned())].into());
            let found: Vec<Attachment> = Attachment::ALL.into_iter().filter(|one| one.is(&referrer)).collect();
            assert_eq!(found, expected, "{kind} {states:?}");
        }
    }
}
