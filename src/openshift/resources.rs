//! [`MirrorSet`]: the objects that tell a cluster where images are, as `oc apply` takes them.
//!
//! **Invariants.** Keys stand in alphabetic order, as the Kubernetes tools write them; entries stand as they were given. The
//! same set makes the same bytes.
//!
//! *Not here:* which images a set speaks of (`publish`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::image::Repository;

/// The version of the API that both kinds are of; OpenShift has them from 4.13 on.
const API_VERSION: &str = "config.openshift.io/v1";
/// The longest name of an object (Kubernetes, "DNS Subdomain Names").
const MAX_NAME_BYTES: usize = 253;

/// By what an image is asked for, and so which kind of set speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// By digest: `ImageDigestMirrorSet`.
    Digest,
    /// By tag: `ImageTagMirrorSet`.
    Tag,
}

/// An `ImageDigestMirrorSet` or `ImageTagMirrorSet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorSet {
    /// Which of the two.
    pub by: By,
    /// Its name in the cluster.
    pub name: String,
    /// Where to look instead of where.
    pub mirrors: Vec<Mirrors>,
}

/// What lies below one source, and where it lies too. A source that several sets speak of is one to the cluster, and of the
/// sources that an image lies below only the longest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mirrors {
    /// Where to look, in this order: each stands for the source, what follows stays.
    pub mirrors: Vec<String>,
    /// A host, a namespace or a repository.
    pub source: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    spec: BTreeMap<&'a str, &'a [Mirrors]>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    annotations: BTreeMap<&'a str, &'a str>,
    name: &'a str,
}

impl By {
    fn kind(self) -> &'static str {
        match self {
            Self::Digest => "ImageDigestMirrorSet",
            Self::Tag => "ImageTagMirrorSet",
        }
    }

    fn list(self) -> &'static str {
        match self {
            Self::Digest => "imageDigestMirrors",
            Self::Tag => "imageTagMirrors",
        }
    }
}

impl MirrorSet {
    /// The set as a YAML document with `---` before it. It says neither when nor by which version it was made: what
    /// is said to the cluster changes only with the mirrors.
    pub fn to_yaml(&self) -> Result<String> {
        let document = Document {
            api_version: API_VERSION,
            kind: self.by.kind(),
            metadata: Metadata { annotations: BTreeMap::from([("createdBy", "ocm")]), name: &self.name },
            spec: BTreeMap::from([(self.by.list(), self.mirrors.as_slice())]),
        };
        let text = serde_yaml::to_string(&document).map_err(|error| Error::failed(format!("{}: {error}", self.name)))?;
        Ok(format!("---\n{text}"))
    }
}

/// Whether the cluster takes this as a source or a mirror. The pattern in the definition of both kinds knows neither IPv6
/// addresses nor hosts with an underscore, and one such entry makes it refuse the whole object.
#[must_use]
pub fn takes(repository: &Repository) -> bool {
    let host = repository.registry();
    !host.starts_with('[') && !host.contains('_')
}

/// Whether the cluster takes this as the name of an object: words of lower-case letters, digits and hyphens, with dots between.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |word: &str| word.bytes().next().is_some_and(alphanumeric) && word.bytes().last().is_some_and(alphanumeric);
    let word = |word: &str| ends(word) && word.bytes().all(|b| alphanumeric(b) || b == b'-');
    text.len() <= MAX_NAME_BYTES && text.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_the_cluster_reads_it() {
        let mirrors = vec![Mirrors { mirrors: vec!["reg:5000/a".into(), "reg:5000/b".into()], source: "quay.io/a".into() }];
        let set = MirrorSet { by: By::Tag, name: "itms-generic-0".into(), mirrors };
        let expected = "---\n\
            apiVersion: config.openshift.io/v1\n\
            kind: ImageTagMirrorSet\n\
            metadata:\n\
            \x20 annotations:\n\
            \x20   createdBy: ocm\n\
            \x20 name: itms-generic-0\n\
            spec:\n\
            \x20 imageTagMirrors:\n\
            \x20 - mirrors:\n\
            \x20   - reg:5000/a\n\
            \x20   - reg:5000/b\n\
            \x20   source: quay.io/a\n";
        assert_eq!(set.to_yaml().expect("yaml"), expected);
        let digests = MirrorSet { by: By::Digest, ..set }.to_yaml().expect("yaml");
        assert!(digests.contains("kind: ImageDigestMirrorSet\n") && digests.contains("  imageDigestMirrors:\n"), "{digests}");
    }

    #[test]
    fn hosts_that_the_definition_does_not_know_are_not_taken() {
        for (text, taken) in [
            ("quay.io/a", true),
            ("localhost:5000/a/b__c", true),
            ("10.0.0.1:8443/a", true),
            ("[::1]:5000/a", false),
            ("my_host:5000/a", false),
        ] {
            assert_eq!(takes(&text.parse().expect(text)), taken, "{text}");
        }
    }

    #[test]
    fn names_of_objects_are_words_with_dots_between() {
        for (text, is) in [("idms-release-0", true), ("a.b-c.4", true), ("", false), ("a-", false), ("a..b", false), ("A", false)] {
            assert_eq!(is_name(text), is, "{text}");
        }
        assert!(is_name(&"a".repeat(253)) && !is_name(&"a".repeat(254)));
    }
}
