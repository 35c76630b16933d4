//! [`AuthFile`]: one file of credentials, as podman and docker write them (containers-auth.json(5)).
//!
//! **Invariants.** No error quotes anything from inside the file but its keys. The keys of one file are compared in one
//! form, however they were written.
//!
//! *Not here:* which files count (`credentials`), asking a helper (`helper`).

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::error::{Error, Result};

/// The largest file of credentials that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// How somebody proves who they are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// By a password.
    Password {
        /// Who.
        user: String,
        /// The secret.
        password: String,
    },
    /// By a token that the token service takes in place of a password.
    IdentityToken(String),
    /// By a token that the registry itself takes.
    RegistryToken(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(hidden)")
    }
}

/// The two shapes of such files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `auth.json` and `config.json`.
    Auths,
    /// `.dockercfg`: the entries alone.
    Entries,
}

/// One file of credentials.
pub(super) struct AuthFile {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
    helpers: BTreeMap<String, Helper>,
    store: Option<String>,
}

/// A helper for one key, and the key as it was written.
pub(super) struct Helper {
    pub(super) name: String,
    pub(super) server: String,
}

/// What a file says for one key.
pub(super) enum Said<'a> {
    /// The credentials themselves.
    Login(Login),
    /// Whom to ask.
    Helper(&'a Helper),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl AuthFile {
    /// Reads a file; `None` where there is none, or an empty one.
    pub(super) fn read(path: &Path, shape: Shape) -> Result<Option<Self>> {
        let told = |error: &io::Error| Error::io(format!("auth file {}", path.display()), error);
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(told(&error)),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| told(&error))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(Error::usage(format!("auth file {}: it is longer than {MAX_BYTES} bytes", path.display())));
        }
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        Self::parse(path, shape, &text).map(Some)
    }

    fn parse(path: &Path, shape: Shape, text: &[u8]) -> Result<Self> {
        let document = match shape {
            Shape::Auths => serde_json::from_slice(text),
            Shape::Entries => serde_json::from_slice(text).map(|auths| Document { auths: Some(auths), ..Document::default() }),
        };
        let document = document.map_err(|error| malformed(path, &error))?;
        let auths = document.auths.unwrap_or_default();
        let helpers = document.cred_helpers.unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            entries: auths.into_iter().filter_map(|(key, entry)| Some((normal(&key), entry?))).collect(),
            helpers: helpers.into_iter().map(|(key, name)| (normal(&key), Helper { name, server: key })).collect(),
            store: document.creds_store.filter(|store| !store.is_empty()),
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The helper that is asked when no key of the file fits.
    pub(super) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// What the file says for a key in its normal form.
    pub(super) fn said(&self, key: &str) -> Result<Option<Said<'_>>> {
        if let Some(helper) = self.helpers.get(key).filter(|helper| !helper.name.is_empty()) {
            return Ok(Some(Said::Helper(helper)));
        }
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let login =
            entry.login().map_err(|why| Error::usage(format!("auth file {}: the entry for {key:?}: {why}", self.path.display())))?;
        Ok(login.map(Said::Login))
    }
}

impl Entry {
    fn login(&self) -> Result<Option<Login>, &'static str> {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = some(&self.identitytoken) {
            return Ok(Some(Login::IdentityToken(token)));
        }
        if let (Some(user), Some(password)) = (some(&self.username), some(&self.password)) {
            return Ok(Some(Login::Password { user, password }));
        }
        some(&self.auth).map(|auth| decoded(&auth)).transpose()
    }
}

/// `auth` is base64 of `user:password`, by some tools without its padding, by some with zero bytes after it.
fn decoded(auth: &str) -> Result<Login, &'static str> {
    const WHY: &str = "auth is not the base64 of user:password";
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(auth.trim()).map_err(|_| WHY)?;
    let text = String::from_utf8(bytes).map_err(|_| WHY)?;
    let (user, password) = text.split_once(':').ok_or(WHY)?;
    Ok(Login::Password { user: user.to_owned(), password: password.trim_matches('\0').to_owned() })
}

/// The parser's own words would quote what it met, and that may be a secret.
fn malformed(path: &Path, error: &serde_json::Error) -> Error {
    let why = if error.is_data() { "this is not the shape of an auth file" } else { "this is not JSON" };
    let text = format!("auth file {}: line {}, column {}: {why}", path.display(), error.line(), error.column());
    Error::usage(text).hint("mend the file, or make it anew with `podman login`")
}

/// A key in the form that keys are compared in: `host[:port][/path]`.
///
/// Docker writes `https://host/v1/` for a host, and the hub under a name of its own.
pub(super) fn normal(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let text = bare.unwrap_or(key).trim_end_matches('/');
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let host = host.to_ascii_lowercase();
    let host = if matches!(host.as_str(), "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { &host };
    let is_api = matches!(path, "" | "v1" | "v2");
    if is_api { host.to_owned() } else { format!("{host}/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AuthFile> {
        AuthFile::parse(Path::new("/home/x/auth.json"), Shape::Auths, text.as_bytes())
    }

    fn password(user: &str, password: &str) -> Login {
        Login::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn keys_are_compared_in_one_form() {
        for (key, form) in [
            ("quay.io", "quay.io"),
            ("Quay.io/", "quay.io"),
            ("https://quay.io/v1/", "quay.io"),
            ("http://localhost:5000/v2", "localhost:5000"),
            ("quay.io/org/app", "quay.io/org/app"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io/library/nginx", "docker.io/library/nginx"),
            ("", ""),
        ] {
            assert_eq!(normal(key), form, "{key}");
        }
    }

    #[test]
    fn logins_are_read_in_all_their_forms() {
        let file = parse(
            r#"{"auths": {
                "a": {"auth": "dXNlcjpwYTpzcw=="}, "b": {"auth": "dXNlcjpwYTpzcw"}, "c": {"username": "u", "password": "p"},
                "d": {"auth": "MDA6", "identitytoken": "id"}, "e": {}, "f": null, "g": {"auth": "dXNlcjpwAAA=", "email": "x"}
            }, "HttpHeaders": {}, "credsStore": ""}"#,
        )
        .expect("a file");
        for (key, login) in [
            ("a", Some(password("user", "pa:ss"))),
            ("b", Some(password("user", "pa:ss"))),
            ("c", Some(password("u", "p"))),
            ("d", Some(Login::IdentityToken("id".into()))),
            ("e", None),
            ("f", None),
            ("g", Some(password("user", "p"))),
            ("h", None),
        ] {
            let said = file.said(key).expect(key).map(|said| match said {
                Said::Login(login) => login,
                Said::Helper(_) => panic!("{key} has no helper"),
            });
            assert!(said == login, "{key}");
        }
        assert_eq!(file.store(), None);
    }

    #[test]
    fn a_malformed_file_is_told_with_its_place_and_without_its_secrets() {
        for (text, place) in [
            ("{\n  \"auths\": {,}\n}", "line 2, column 13: this is not JSON"),
            ("{\"auths\": {\"a\": \"hunter2\"}}", "line 1, column 25: this is not the shape"),
            ("{\"auths\": \"hunter2\"}", "line 1, column 19: this is not the shape"),
            ("hunter2", "line 1, column 1: this is not JSON"),
        ] {
            let error = parse(text).err().expect(text).to_string();
            assert!(error.starts_with(&format!("auth file /home/x/auth.json: {place}")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for auth in ["hunter2!", "aHVudGVyMg==", "/w=="] {
            let file = parse(&format!(r#"{{"auths": {{"quay.io": {{"auth": "{auth}"}}}}}}"#)).expect("a file");
            let error = file.said("quay.io").err().expect(auth).to_string();
            assert_eq!(error, "auth file /home/x/auth.json: the entry for \"quay.io\": auth is not the base64 of user:password");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let shown = format!("{:?} {:?}", password("user", "hunter2"), Login::IdentityToken("hunter2".into()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
