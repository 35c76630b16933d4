//! [`Asked`]: turns an answer that nobody wanted into an error that a person can act on.
//!
//! **Invariants.** Text of a registry is quoted in one line, bounded, without control characters.
//!
//! *Not here:* reading the answer (`response`).

use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::retry::{is_transient, tried};
use crate::error::Error;

/// How much of an error's content is read, in bytes.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// The longest text of a registry that is quoted, in characters.
const MAX_QUOTE: usize = 300;

/// What was asked, and of whom.
pub(super) struct Asked {
    pub(super) host: String,
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) tries: u32,
    pub(super) credentials: Option<String>,
}

/// The shape of errors in the OCI distribution-spec, "Error Codes".
#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Asked {
    /// The error for `what`, with what the registry says itself at the start of its answer.
    pub(super) fn explain(&self, what: &str, answer: &[u8]) -> Error {
        let (code, message) = told(answer);
        let reason = || self.status.canonical_reason().unwrap_or("refused").to_lowercase();
        let message = message.unwrap_or_else(reason);
        let way_out = self.way_out(code.as_deref().unwrap_or_default(), &message);
        let code = code.map(|code| format!(" {code}")).unwrap_or_default();
        let text = format!("{what}: {message} ({}{code} from {}, {})", self.status.as_u16(), self.place(), self.tried());
        match way_out {
            Some(hint) => Error::failed(text).hint(hint),
            None => Error::failed(text),
        }
    }

    /// The host that answered, and for whom where that is another.
    fn place(&self) -> String {
        let answered = self.url.host_str().unwrap_or_default();
        let is_hub = self.host == "docker.io" && answered == "registry-1.docker.io";
        let is_host = self.host.strip_prefix(answered).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        if is_hub || is_host { self.host.clone() } else { format!("{answered} for {}", self.host) }
    }

    fn tried(&self) -> String {
        let end = if is_transient(self.status) { "" } else { ": the answer is final" };
        format!("{}{end}", tried(self.tries))
    }

    fn way_out(&self, code: &str, message: &str) -> Option<String> {
        let host = &self.host;
        let is_upload = self.url.path().ends_with("/blobs/uploads/");
        match (self.status, &self.credentials) {
            // A quota of requests is none of space.
            (status, _)
                if status == StatusCode::INSUFFICIENT_STORAGE || (is_about_space(message) && status != StatusCode::TOO_MANY_REQUESTS) =>
            {
                Some(format!("free space or raise the quota at {host}, and run the same command again: it goes on where it stopped"))
            }
            _ if code.eq_ignore_ascii_case("NAME_INVALID") => Some(SHORTER.to_owned()),
            (StatusCode::NOT_FOUND, _) if is_upload => Some(format!("make the repository at {host} first, or {SHORTER}")),
            (StatusCode::UNAUTHORIZED, Some(place)) => Some(format!("check the credentials for {host} in {place}")),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
                Some(format!("log in with `podman login {host}`, or name a file that has credentials with --authfile"))
            }
            (StatusCode::FORBIDDEN, Some(place)) => Some(format!("check what the account for {host} in {place} may do")),
            // Who pushed it knows more of that.
            (StatusCode::NOT_FOUND, _) if code.eq_ignore_ascii_case("MANIFEST_BLOB_UNKNOWN") => None,
            (StatusCode::NOT_FOUND, _) => Some("check the name; what an account may not see is often told as absent".to_owned()),
            (StatusCode::TOO_MANY_REQUESTS, Some(_)) => Some("try again later, or use fewer --jobs".to_owned()),
            (StatusCode::TOO_MANY_REQUESTS, None) => Some(format!("log in with `podman login {host}`: known accounts may ask more often")),
            _ => None,
        }
    }
}

/// The way out where a registry does not take a path.
const SHORTER: &str = "say --max-nested-paths 2 if it takes only short paths, or choose a shorter destination path";

/// Whether a registry says that it has no room; there is no code for that, so all have words of their own.
fn is_about_space(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["quota", "no space left", "insufficient storage", "storage limit", "disk full"].iter().any(|words| message.contains(words))
}

/// All codes of an answer.
pub(super) fn codes(answer: &[u8]) -> Vec<String> {
    let envelope: Option<Envelope> = serde_json::from_slice(answer).ok();
    envelope.into_iter().flat_map(|envelope| envelope.errors).map(|told| told.code).collect()
}

/// The first code and message of an answer, as far as it has them.
fn told(answer: &[u8]) -> (Option<String>, Option<String>) {
    let envelope: Option<Envelope> = serde_json::from_slice(answer).ok();
    let Some(told) = envelope.and_then(|envelope| envelope.errors.into_iter().next()) else {
        return (None, plain(answer));
    };
    let some = |text: &str| Some(quote(text)).filter(|text| !text.is_empty());
    (some(&told.code), some(&told.message))
}

/// A short answer in plain text, as proxies and object stores give it.
fn plain(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?.trim();
    let is_plain = !text.is_empty() && text.len() <= MAX_QUOTE && !text.starts_with(['<', '{', '[']);
    is_plain.then(|| quote(text))
}

/// A text of somebody else in one bounded line.
pub(super) fn quote(text: &str) -> String {
    let line: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    let line = line.join(" ");
    match line.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(status: u16, tries: u32, credentials: Option<&str>, answer: &str) -> Error {
        let asked = Asked {
            host: "quay.io".into(),
            url: "https://quay.io/v2/org/gone/manifests/1.2".parse().expect("a URL"),
            status: StatusCode::from_u16(status).expect("a status"),
            tries,
            credentials: credentials.map(str::to_owned),
        };
        asked.explain("quay.io/org/gone:1.2", answer.as_bytes())
    }

    #[test]
    fn a_refusal_quotes_the_registry_and_names_the_way_out() {
        let told = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\nunknown","detail":{"x":1}}]}"#;
        for (status, tries, credentials, answer, text, hint) in [
            (
                404,
                1,
                None,
                told,
                "quay.io/org/gone:1.2: manifest unknown (404 MANIFEST_UNKNOWN from quay.io, tried 1 time: the answer is final)",
                "check the name",
            ),
            (503, 4, None, "", "quay.io/org/gone:1.2: service unavailable (503 from quay.io, tried 4 times)", ""),
            (502, 1, None, "no upstream", "quay.io/org/gone:1.2: no upstream (502 from quay.io, tried 1 time)", ""),
            (
                401,
                1,
                None,
                "<html>",
                "quay.io/org/gone:1.2: unauthorized (401 from quay.io, tried 1 time: the answer is final)",
                "podman login quay.io",
            ),
            (
                401,
                1,
                Some("/a.json"),
                "{",
                "quay.io/org/gone:1.2: unauthorized (401 from quay.io, tried 1 time: the answer is final)",
                "in /a.json",
            ),
            (
                403,
                1,
                Some("/a.json"),
                r#"{"errors":[]}"#,
                "quay.io/org/gone:1.2: forbidden (403 from quay.io, tried 1 time: the answer is final)",
                "may do",
            ),
            (429, 4, None, "", "quay.io/org/gone:1.2: too many requests (429 from quay.io, tried 4 times)", "log in"),
            (
                403,
                1,
                None,
                r#"{"errors":[{"code":"DENIED","message":"storage quota exceeded"}]}"#,
                "quay.io/org/gone:1.2: storage quota exceeded (403 DENIED from quay.io, tried 1 time: the answer is final)",
                "raise the quota at quay.io",
            ),
        ] {
            let error = explain(status, tries, credentials, answer);
            assert_eq!(error.to_string(), text);
            assert!(error.way_out().unwrap_or_default().contains(hint), "{:?}", error.way_out());
        }
    }

    #[test]
    fn a_registry_cannot_flood_or_garble_the_message() {
        let long = explain(400, 1, None, &format!(r#"{{"errors":[{{"code":"X","message":"\u001b[31m{}"}}]}}"#, "é".repeat(5000)));
        let text = long.to_string();
        assert!(text.len() < 1000 && !text.contains('\u{1b}'), "{text}");
    }
}
