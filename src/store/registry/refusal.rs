//! [`Refusal`]: what a registry answers in place of what it was asked for.
//!
//! **Invariants.** A refusal becomes absence only by what the registry itself says.
//!
//! *Not here:* the text of a refusal, and refusals that are tried again (`connection`).

use super::connection::Response;
use crate::error::Error;

/// The codes that mean that something does not exist (OCI distribution-spec, "Error Codes").
const ABSENT: [&str; 3] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"];

/// An answer that is not success.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    codes: Vec<String>,
    error: Error,
}

impl Refusal {
    /// Reads the refusal of `what` out of an answer.
    pub(super) async fn read(response: Response, what: &str) -> Self {
        let status = response.status().as_u16();
        let (error, codes) = response.refused(what).await;
        Self { status, codes, error }
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Whether one of the codes is `code`.
    pub(super) fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|there| there.eq_ignore_ascii_case(code))
    }

    /// Whether this says that what was asked for does not exist.
    pub(super) fn is_absence(&self) -> bool {
        self.status == 404 || ABSENT.iter().any(|code| self.has(code))
    }

    /// This refusal as an error.
    pub(super) fn into_error(self) -> Error {
        match self.status {
            401 | 403 => self.error.note("some registries answer so for what does not exist"),
            413 => self.error.hint("raise the limit of request bodies at the registry or the proxy before it"),
            _ => self.error,
        }
    }
}
