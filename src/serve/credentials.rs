//! [`Credentials`]: who is let in, from a file of `htpasswd` (bcrypt alone).
//!
//! **Invariants.** A password is checked by bcrypt once; that it was right is remembered by its hash. A user who is not known costs as much
//! time as a wrong password. Only so many checks run at once, so that guessing keeps nobody else from being served.
//!
//! *Not here:* what is answered to those who are not let in (`refusal`).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::image::Digest;

/// How many passwords are checked at once.
const CHECKS: usize = 2;
/// How many right ones are remembered.
const MAX_KNOWN: usize = 1024;
/// The longest `Authorization` that is looked at, in bytes.
const MAX_HEADER_BYTES: usize = 4096;

/// Who is let in.
pub struct Credentials {
    hashes: BTreeMap<String, String>,
    known: Mutex<HashSet<Digest>>,
    turns: Semaphore,
}

impl Credentials {
    /// The users of a file of `htpasswd`, which `place` names in errors.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let mut hashes = BTreeMap::new();
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
            let wrong = |why: &str| {
                Error::usage(format!("{place}:{}: {why}", n + 1)).hint("make it with `htpasswd -B`: only bcrypt hashes are taken")
            };
            let (user, hash) = line.trim_end().split_once(':').ok_or_else(|| wrong("it is not USER:HASH"))?;
            if !is_bcrypt(hash) {
                return Err(wrong(&format!("the hash of {user:?} is not bcrypt")));
            }
            hashes.insert(user.to_owned(), hash.to_owned());
        }
        match hashes.is_empty() {
            true => Err(Error::usage(format!("{place}: it has no users")).hint("make it with `htpasswd -B`")),
            false => Ok(Self { hashes, known: Mutex::default(), turns: Semaphore::new(CHECKS) }),
        }
    }

    /// The user that this value of `Authorization` is of; `None` where it is missing or wrong.
    pub(super) async fn admit(&self, header: Option<&HeaderValue>) -> Option<String> {
        let (user, password) = read(header?)?;
        let key = Digest::of(format!("{}:{user}:{password}", user.len()).as_bytes());
        if self.is_known(&key) {
            return Some(user);
        }
        let _turn = self.turns.acquire().await.ok()?;
        // Another request with the same password may have had its turn meanwhile.
        if self.is_known(&key) {
            return Some(user);
        }
        let there = self.hashes.get(&user);
        let hash = there.or_else(|| self.hashes.values().next())?.clone();
        let matches = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false)).await.unwrap_or(false);
        (matches && there.is_some()).then(|| {
            self.remember(key);
            user
        })
    }

    fn is_known(&self, key: &Digest) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn remember(&self, key: Digest) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key);
    }
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|start| hash.starts_with(start)) && hash.parse::<bcrypt::HashParts>().is_ok()
}

/// User and password of `Basic …`.
fn read(header: &HeaderValue) -> Option<(String, String)> {
    let text = header.to_str().ok().filter(|text| text.len() <= MAX_HEADER_BYTES)?;
    let (scheme, encoded) = text.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `open-sesame`, with the least cost that bcrypt has.
    const HTPASSWD: &str = "# users\ntester:$2y$05$D8jIOossE21Z80pMU/VZdeBCp.wFy.rcJJJPYnSwbC8tHV/3qv3A6\n\n";

    async fn admit(credentials: &Credentials, user_and_password: &str) -> Option<String> {
        let header = format!("Basic {}", STANDARD.encode(user_and_password));
        credentials.admit(Some(&HeaderValue::from_str(&header).expect("a header"))).await
    }

    #[tokio::test]
    async fn the_right_password_is_let_in_and_nothing_else() {
        let credentials = Credentials::parse(HTPASSWD, "f").expect("users");
        for _ in 0..2 {
            assert_eq!(admit(&credentials, "tester:open-sesame").await.as_deref(), Some("tester"));
        }
        for wrong in ["tester:open", "other:open-sesame", "tester:", "", ":", "tester", "tester:open-sesame\0"] {
            assert_eq!(admit(&credentials, wrong).await, None, "{wrong:?}");
        }
        for header in ["Bearer x", "Basic", "Basic !", "Basic dGVzdGVy"] {
            assert_eq!(credentials.admit(Some(&HeaderValue::from_static(header))).await, None, "{header}");
        }
        assert_eq!(credentials.admit(None).await, None);
    }

    #[test]
    fn other_hashes_are_refused_with_their_line() {
        for (text, reason) in [
            ("a:$apr1$x$y", "f:1: the hash of \"a\" is not bcrypt"),
            ("\nb:{SHA}abc=", "f:2: the hash of \"b\" is not bcrypt"),
            ("c:$2y$05$short", "not bcrypt"),
            ("nobody", "f:1: it is not USER:HASH"),
            ("# none\n", "f: it has no users"),
        ] {
            let error = Credentials::parse(text, "f").err().expect(text);
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.way_out().is_some_and(|way| way.contains("htpasswd -B")));
        }
    }
}
