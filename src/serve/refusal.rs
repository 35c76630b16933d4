//! [`Refusal`]: why a request gets no content, as the specification has it: status, code, message (OCI distribution-spec, "Error Codes").
//!
//! **Invariants.** A refusal never tells where things lie on this machine: what went wrong inside goes to the log, by [`Refusal::inside`].
//!
//! *Not here:* connections that are cut because content does not check (`body`).

use hyper::StatusCode;
use serde_json::json;

use crate::error::{Error, Kind};

/// Why a request gets no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// The code in its body.
    pub(super) code: &'static str,
    /// What a person reads.
    pub(super) message: String,
    /// What it is about: a key and a value.
    pub(super) detail: Option<(&'static str, String)>,
}

/// The longest detail that is sent back, in characters.
const MAX_DETAIL: usize = 200;

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    fn about(self, key: &'static str, value: &str) -> Self {
        Self { detail: Some((key, value.chars().take(MAX_DETAIL).collect())), ..self }
    }

    /// The path is none of this server's.
    pub(super) fn no_page() -> Self {
        Self::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is nothing at this path")
    }

    /// The name is none that a repository can have.
    pub(super) fn name_invalid(name: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", "invalid repository name").about("name", name)
    }

    /// There is no such repository.
    pub(super) fn name_unknown(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry").about("name", name)
    }

    /// The text is no digest.
    pub(super) fn digest_invalid(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "invalid digest").about("digest", text)
    }

    /// There is no such manifest in the repository.
    pub(super) fn manifest_unknown(reference: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown to registry").about("reference", reference)
    }

    /// There is no such blob in the repository.
    pub(super) fn blob_unknown(digest: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry").about("digest", digest)
    }

    /// `n` is no number of entries.
    pub(super) fn number_invalid(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", "invalid number of results requested").about("n", text)
    }

    /// The header asks for ranges that are not given.
    pub(super) fn range_refused(why: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "RANGE_INVALID", format!("the range is refused: {why}"))
    }

    /// No byte is in the range.
    pub(super) fn range_beyond() -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", "the range is beyond the end")
    }

    /// It would write.
    pub(super) fn read_only() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is read-only")
    }

    /// A request to look at something came with a body.
    pub(super) fn with_body() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", "a request to read has no body")
    }

    /// The caller has to say who they are.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
    }

    /// It could not be read here; `error` is for the log.
    pub(super) fn inside(error: &Error) -> Self {
        match error.kind() {
            Kind::Needed => Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "a volume that it lies in is not here"),
            Kind::Damaged => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the content is damaged here"),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the content could not be read"),
        }
    }

    /// The body of the answer.
    pub(super) fn document(&self) -> String {
        let detail = self.detail.as_ref().map(|(key, value)| json!({ *key: value }));
        json!({ "errors": [{ "code": self.code, "message": self.message, "detail": detail }] }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_document_of_the_specification() {
        let refusal = Refusal::name_unknown(&"x".repeat(1000));
        let document: serde_json::Value = serde_json::from_str(&refusal.document()).expect("json");
        assert_eq!(document["errors"][0]["code"], "NAME_UNKNOWN");
        assert_eq!(document["errors"][0]["detail"]["name"].as_str().map(str::len), Some(MAX_DETAIL));
        let inside = Refusal::inside(&Error::damaged("volume /mnt/secret: wrong"));
        assert!(!inside.document().contains("secret"), "{inside:?}");
        assert_eq!(inside.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
