//! [`Reference`]: the name of an image in a registry, parsed once, at the edge.
//!
//! **Invariants.** Only this file turns text into names. A name always has a registry and a repository; a short name
//! means `docker.io/library/…` here and nowhere else. Grammar: OCI distribution-spec, "Pulling manifests", and the
//! reference grammar that docker made common.
//!
//! *Not here:* the names that images get at a destination (`place`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::error::{Error, Result};

/// The longest reference that is taken, in bytes.
pub const MAX_REFERENCE_BYTES: usize = 1024;

/// A repository: where in the world, and which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

/// An image by name: a repository, and in it a tag, a digest, both or neither.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Repository {
    /// A repository from its two parts, both checked.
    pub fn new(registry: &str, path: &str) -> Result<Self> {
        let whole = format!("{registry}/{path}");
        if !is_host(registry) {
            return Err(refused(&whole, format!("{registry:?} is no registry host")));
        }
        if let Some(part) = path.split('/').find(|part| !is_path_component(part)) {
            let why = if part.chars().any(char::is_uppercase) { "repository names are lower case" } else { "is no repository name" };
            return Err(refused(&whole, format!("{part:?}: {why}")));
        }
        Ok(Self { registry: registry.to_owned(), path: path.to_owned() })
    }

    /// Host and port, such as `quay.io` or `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path below the host, such as `library/nginx`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The image with this tag.
    pub fn tagged(&self, tag: &str) -> Result<Reference> {
        if !is_tag(tag) {
            return Err(refused(&format!("{self}:{tag}"), format!("{tag:?} is no tag")));
        }
        Ok(Reference { repository: self.clone(), tag: Some(tag.to_owned()), digest: None })
    }

    /// The image with this digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: Some(digest) }
    }
}

impl Reference {
    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag that was written, if one was.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that was written, if one was.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// This name with `latest`, where neither tag nor digest was written.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// This name with the digest that its tag was resolved to.
    #[must_use]
    pub fn pinned(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// The same tag and digest in another repository.
    #[must_use]
    pub fn moved(self, repository: Repository) -> Self {
        Self { repository, ..self }
    }

    /// What stands in a manifest URL: the digest where there is one, else the tag, else `latest`.
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl From<Repository> for Reference {
    /// The repository alone, without tag and digest.
    fn from(repository: Repository) -> Self {
        Self { repository, tag: None, digest: None }
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// Reads `[host[:port]/]path[:tag][@digest]`.
    fn from_str(text: &str) -> Result<Self> {
        let too_long = || {
            let start: String = text.chars().take(40).collect();
            Err(refused(&format!("{start}…"), format!("it is longer than {MAX_REFERENCE_BYTES} bytes")))
        };
        if text.len() > MAX_REFERENCE_BYTES {
            return too_long();
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|error| refused(text, format!("{error}")))?)),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if let Some(tag) = tag.as_deref().filter(|tag| !is_tag(tag)) {
            return Err(refused(text, format!("{tag:?} is no tag")));
        }
        let (registry, path) = split_short(rest);
        let whole = Self { repository: Repository::new(&registry, &path)?, tag, digest };
        // A short name is longer when it is written out, and must be read again as it stands in a set.
        if whole.to_string().len() > MAX_REFERENCE_BYTES { too_long() } else { Ok(whole) }
    }
}

/// Host and path of a name that may be short: the first component is a host when it has a dot or a port, or is
/// `localhost`.
fn split_short(name: &str) -> (String, String) {
    const HUB: &str = "docker.io";
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
        _ => (HUB, name),
    };
    let registry = if registry == "index.docker.io" { HUB } else { registry };
    match registry == HUB && !path.contains('/') {
        true => (registry.to_owned(), format!("library/{path}")),
        false => (registry.to_owned(), path.to_owned()),
    }
}

/// Whether `text` is a host with an optional port: a name, an IPv4 address, or an IPv6 address in brackets.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, rest)) => {
            let port = if rest.is_empty() { None } else { rest.strip_prefix(':').or(Some("?")) };
            return address.parse::<std::net::Ipv6Addr>().is_ok() && port.is_none_or(is_port);
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Whether `text` is a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128 && text.bytes().next().is_some_and(word) && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(text: &str) -> bool {
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let separators = bytes.split(word).filter(|run| !run.is_empty());
    let mut separators_hold = separators.map(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-'));
    bytes.first().is_some_and(word) && bytes.last().is_some_and(word) && separators_hold.all(|holds| holds)
}

fn refused(text: &str, why: String) -> Error {
    Error::usage(format!("image name {text:?}: {why}")).hint("write it like registry.example.com:5000/team/app:1.2")
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl FromStr for Repository {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name: Reference = text.parse()?;
        match (&name.tag, &name.digest) {
            (None, None) => Ok(name.repository),
            _ => Err(refused(text, "a repository has no tag and no digest".into())),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Repository {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Repository {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_read_in_all_their_forms() {
        for (text, whole) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("team/app", "docker.io/team/app"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/team/app:x", "docker.io/team/app:x"),
            ("localhost/app", "localhost/app"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
            ("quay.io/a/b__c/d--e.f:V_1", "quay.io/a/b__c/d--e.f:V_1"),
            ("[::1]:5000/app", "[::1]:5000/app"),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1"),
        ] {
            assert_eq!(text.parse::<Reference>().expect(text).to_string(), whole);
        }
        let both: Reference = format!("quay.io/a:1@{DIGEST}").parse().expect("a name");
        assert_eq!((both.tag(), both.key()), (Some("1"), DIGEST.to_owned()));
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "no repository name"),
            ("quay.io/Team/app", "lower case"),
            ("quay.io/a//b", "no repository name"),
            ("quay.io/a..b", "no repository name"),
            ("quay.io/a___b", "no repository name"),
            ("quay.io/a:", "no tag"),
            ("quay.io/a:-x", "no tag"),
            ("quay.io/a@sha256:00", "64 lower-case"),
            ("quay.io:99999/a", "no registry host"),
            ("-quay.io/a", "no registry host"),
            ("quay.io/../a", "no repository name"),
            ("quay.io/a\n", "no repository name"),
        ] {
            let error = text.parse::<Reference>().expect_err(text).to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!("x".repeat(1025).parse::<Reference>().is_err());
        // With its registry it is too long to be read again.
        assert!("x".repeat(1010).parse::<Reference>().is_err());
        let longest = "x".repeat(1024 - "docker.io/library/".len()).parse::<Reference>().expect("a name");
        assert_eq!(longest.to_string().parse::<Reference>().expect("the same"), longest);
    }
}
