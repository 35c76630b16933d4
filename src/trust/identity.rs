//! [`Identity`]: which name a signature must be for, so that it counts for an image.
//!
//! **Invariants.** The rules are those of containers-policy.json(5) and of the library behind podman and skopeo: a name without tag and
//! digest never counts as exact. Nothing is completed by `latest`.
//!
//! *Not here:* reading a name out of a signature (`claims`).

use std::fmt;

use crate::image::{Reference, Repository};

/// What the name in a signature is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// It is the name of the image, letter by letter.
    Exact,
    /// It is the name of the image; of an image that is named by digest, its repository.
    RepoDigestOrExact,
    /// It is in the repository of the image.
    Repository,
    /// It is this name, whatever the image is called.
    ExactReference(Reference),
    /// It is in this repository, whatever the image is called.
    ExactRepository(Repository),
    /// Like [`Identity::RepoDigestOrExact`], with another beginning of the image's name.
    Remap {
        /// `HOST[:PORT][/PATH]`.
        prefix: String,
        /// What stands for it in signatures.
        signed_prefix: String,
    },
}

impl Identity {
    /// Whether a signature for `signed` counts for the image that is called `image`.
    pub(super) fn accepts(&self, image: &Reference, signed: &Reference) -> bool {
        match self {
            Self::Exact => is_whole(image) && is_whole(signed) && image == signed,
            Self::RepoDigestOrExact => repo_digest_or_exact(image, signed),
            Self::Repository => image.repository() == signed.repository(),
            Self::ExactReference(name) => is_whole(name) && is_whole(signed) && name == signed,
            Self::ExactRepository(repository) => repository == signed.repository(),
            Self::Remap { prefix, signed_prefix } => match remapped(image, prefix, signed_prefix) {
                Some(image) => repo_digest_or_exact(&image, signed),
                None => false,
            },
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("matchExact"),
            Self::RepoDigestOrExact => f.write_str("matchRepoDigestOrExact"),
            Self::Repository => f.write_str("matchRepository"),
            Self::ExactReference(name) => write!(f, "exactReference {name}"),
            Self::ExactRepository(repository) => write!(f, "exactRepository {repository}"),
            Self::Remap { prefix, signed_prefix } => write!(f, "remapIdentity {prefix} to {signed_prefix}"),
        }
    }
}

fn is_whole(name: &Reference) -> bool {
    name.tag().is_some() || name.digest().is_some()
}

fn repo_digest_or_exact(image: &Reference, signed: &Reference) -> bool {
    match (image.tag(), image.digest()) {
        _ if !is_whole(signed) => false,
        (Some(_), _) => image == signed,
        (None, Some(_)) => image.repository() == signed.repository(),
        (None, None) => false,
    }
}

/// The name with another beginning, where the prefix covers whole parts of it; `None` where that makes no name.
fn remapped(image: &Reference, prefix: &str, signed_prefix: &str) -> Option<Reference> {
    let name = image.repository().to_string();
    let Some(rest) = name.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Some(image.clone());
    };
    let (registry, path) = signed_prefix.split_once('/').unwrap_or((signed_prefix, ""));
    let path = format!("{path}{rest}");
    Some(image.clone().moved(Repository::new(registry, path.trim_start_matches('/')).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name(text: &str) -> Reference {
        text.replace("@D", &format!("@{DIGEST}")).parse().expect("a name")
    }

    #[test]
    fn each_rule_accepts_what_containers_image_accepts() {
        let exact_reference = |text| Identity::ExactReference(name(text));
        let exact_repository = |text| Identity::ExactRepository(name(text).repository().clone());
        for (rule, image, signed, accepted) in [
            (Identity::Exact, "q.io/a/b:1", "q.io/a/b:1", true),
            (Identity::Exact, "q.io/a/b:1", "q.io/a/b:2", false),
            (Identity::Exact, "q.io/a/b", "q.io/a/b", false),
            (Identity::Exact, "q.io/a/b@D", "q.io/a/b:1", false),
            (Identity::Exact, "q.io/a/b@D", "q.io/a/b@D", true),
            (Identity::Exact, "nginx:1", "docker.io/library/nginx:1", true),
            (Identity::RepoDigestOrExact, "q.io/a/b:1", "q.io/a/b:1", true),
            (Identity::RepoDigestOrExact, "q.io/a/b:1", "q.io/a/b:2", false),
            (Identity::RepoDigestOrExact, "q.io/a/b:1", "q.io/a/b@D", false),
            (Identity::RepoDigestOrExact, "q.io/a/b:1@D", "q.io/a/b:1", false),
            (Identity::RepoDigestOrExact, "q.io/a/b@D", "q.io/a/b:2", true),
            (Identity::RepoDigestOrExact, "q.io/a/b@D", "q.io/a/b", false),
            (Identity::RepoDigestOrExact, "q.io/a/b@D", "q.io/a/c:2", false),
            (Identity::RepoDigestOrExact, "q.io/a/b", "q.io/a/b:latest", false),
            (Identity::Repository, "q.io/a/b:1", "q.io/a/b:2", true),
            (Identity::Repository, "q.io/a/b:1", "q.io/a/b", true),
            (Identity::Repository, "q.io/a/b:1", "q.io/a/bb:1", false),
            (exact_reference("q.io/x:1"), "q.io/a/b:9", "q.io/x:1", true),
            (exact_reference("q.io/x:1"), "q.io/a/b:9", "q.io/x:2", false),
            (exact_repository("q.io/x"), "q.io/a/b:9", "q.io/x:2", true),
            (exact_repository("q.io/x"), "q.io/a/b:9", "q.io/xx:2", false),
        ] {
            assert_eq!(rule.accepts(&name(image), &name(signed)), accepted, "{rule}: {image} {signed}");
        }
    }

    #[test]
    fn a_prefix_is_remapped_where_it_covers_whole_parts() {
        for (prefix, signed_prefix, image, signed, accepted) in [
            ("m.lab:5000/v", "vendor.test", "m.lab:5000/v/a/b:1", "vendor.test/a/b:1", true),
            ("m.lab:5000/v", "vendor.test/x", "m.lab:5000/v/a/b:1", "vendor.test/x/a/b:1", true),
            ("m.lab:5000/v/a/b", "vendor.test/c", "m.lab:5000/v/a/b:1", "vendor.test/c:1", true),
            ("m.lab:5000/v", "vendor.test", "m.lab:5000/vendor/a:1", "vendor.testendor/a:1", false),
            ("m.lab:5000/v", "vendor.test", "other.lab/a:1", "other.lab/a:1", true),
            ("m.lab:5000/v", "vendor.test", "m.lab:5000/v/a:1", "m.lab:5000/v/a:1", false),
            ("m.lab", "vendor.test", "m.lab:5000/a:1", "vendor.test:5000/a:1", false),
            ("m.lab", "vendor.test", "m.lab/a@D", "vendor.test/a:7", true),
        ] {
            let rule = Identity::Remap { prefix: prefix.into(), signed_prefix: signed_prefix.into() };
            assert_eq!(rule.accepts(&name(image), &name(signed)), accepted, "{rule}: {image} {signed}");
        }
    }
}
