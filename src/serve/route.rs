//! [`Route`]: what the path of a request asks for, taken apart once.
//!
//! **Invariants.** Escapes are undone once, before anything is looked at, and what remains must follow the grammar of names, so that no
//! path leads anywhere but to an entry of a table.
//!
//! *Not here:* whether it exists (`names`, `holdings`).

use crate::image::name::is_tag;
use crate::image::{Digest, Repository};

use super::refusal::Refusal;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`: whether this is a registry.
    Ping,
    /// `/v2/_catalog`: the repositories.
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags(String),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(String, Wanted),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(String, Digest),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(String, Digest),
    /// `/healthz`: whether all is well.
    Health,
    /// `/metrics`: figures of this server.
    Metrics,
}

/// How a manifest is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// By tag.
    Tag(String),
    /// By digest.
    Digest(Digest),
}

impl Route {
    /// What `path` asks for.
    pub(super) fn of(path: &str) -> Result<Self, Refusal> {
        let path = unescaped(path).ok_or_else(Refusal::no_page)?;
        match path.as_str() {
            "/healthz" => return Ok(Self::Health),
            "/metrics" => return Ok(Self::Metrics),
            "/v2" | "/v2/" => return Ok(Self::Ping),
            "/v2/_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or_else(Refusal::no_page)?;
        let (rest, last) = rest.rsplit_once('/').ok_or_else(Refusal::no_page)?;
        let (name, kind) = rest.rsplit_once('/').ok_or_else(Refusal::no_page)?;
        let name = || named(name);
        match (kind, last) {
            ("tags", "list") => Ok(Self::Tags(name()?)),
            ("manifests", wanted) => Ok(Self::Manifest(name()?, Wanted::of(wanted)?)),
            ("blobs", digest) => Ok(Self::Blob(name()?, digested(digest)?)),
            ("referrers", digest) => Ok(Self::Referrers(name()?, digested(digest)?)),
            _ => Err(Refusal::no_page()),
        }
    }
}

impl Wanted {
    fn of(text: &str) -> Result<Self, Refusal> {
        match text.contains(':') {
            true => digested(text).map(Self::Digest),
            false if is_tag(text) => Ok(Self::Tag(text.to_owned())),
            false => Err(Refusal::manifest_unknown(text)),
        }
    }
}

fn named(name: &str) -> Result<String, Refusal> {
    // The host only completes the name: the grammar of paths is in one place.
    Repository::new("localhost", name).map_err(|_| Refusal::name_invalid(name))?;
    Ok(name.to_owned())
}

fn digested(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|_| Refusal::digest_invalid(text))
}

/// `text` with its percent escapes undone; `None` if that is no text.
fn unescaped(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (hex(*high)? << 4 | hex(*low)?, after),
            (b'%', _) => return None,
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_specification_has_them() {
        let digest = Digest::of(b"x");
        for (path, expected) in [
            ("/v2/".to_owned(), Route::Ping),
            ("/v2".to_owned(), Route::Ping),
            ("/v2/_catalog".to_owned(), Route::Catalog),
            ("/v2/a/tags/list".to_owned(), Route::Tags("a".into())),
            ("/v2/a/manifests/manifests/manifests".to_owned(), Route::Manifest("a/manifests".into(), Wanted::Tag("manifests".into()))),
            (format!("/v2/quay.io/a/b/manifests/{digest}"), Route::Manifest("quay.io/a/b".into(), Wanted::Digest(digest))),
            (format!("/v2/a/blobs/{digest}").replace(':', "%3a"), Route::Blob("a".into(), digest)),
            (format!("/v2/tags/list/referrers/{digest}"), Route::Referrers("tags/list".into(), digest)),
        ] {
            assert_eq!(Route::of(&path).expect(&path), expected);
        }
    }

    #[test]
    fn tricks_with_paths_lead_nowhere() {
        let digest = Digest::of(b"x");
        let long = format!("/v2/{}/tags/list", "a/".repeat(30_000));
        for (path, status) in [
            ("", 404),
            ("/", 404),
            ("*", 404),
            ("/v3/", 404),
            ("/v2/a", 404),
            ("/v2/tags/list", 404),
            ("/v2//tags/list", 400),
            ("/v2/a//b/tags/list", 400),
            ("/v2/../../etc/passwd/tags/list", 400),
            ("/v2/%2e%2e/%2e%2e/tags/list", 400),
            ("/v2/a%00b/tags/list", 400),
            ("/v2/A/tags/list", 400),
            ("/v2/a%zz/tags/list", 404),
            ("/v2/a%2/tags/list", 404),
            ("/v2/a%ff/tags/list", 404),
            ("/v2/a/manifests/", 404),
            ("/v2/a/manifests/-x", 404),
            ("/v2/a/manifests/..", 404),
            ("/v2/a/manifests/sha256:zz", 400),
            ("/v2/a/blobs/latest", 400),
            ("/v2/a/blobs/uploads/", 404),
            ("/v2/a/blobs/md5:00", 400),
            (&format!("/v2/a/blobs/{digest}/"), 404),
            (&long, 400),
        ] {
            let refusal = Route::of(path).expect_err(path);
            let blobs_need_digests = path.ends_with("uploads/") && refusal.status.as_u16() == 400;
            assert!(refusal.status.as_u16() == status || blobs_need_digests, "{path:.80}: {}", refusal.status);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_at_all_is_trouble(path in ".{0,80}", tail in "/v2/[a-z%./0-9]{0,30}/(blobs|manifests|tags)/[a-z%./0-9:]{0,30}") {
            for path in [path, tail] {
                if let Ok(Route::Tags(name) | Route::Manifest(name, _) | Route::Blob(name, _)) = Route::of(&path) {
                    assert!(!name.contains("..") && !name.starts_with('/'), "{path}");
                }
            }
        }
    }
}
