//! [`Asked`]: a piece of an archive as a person names it: content by its digest, or a volume.
//!
//! **Invariants.** Read without looking at the disk. A text has one meaning: digits alone are a volume's number up to six of
//! them, and from [`LEAST_DIGITS`] on the beginning of a digest.
//!
//! *Not here:* what needs it (`why`).

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::image::Digest;

/// The fewest hex digits that name content.
pub const LEAST_DIGITS: usize = 7;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Content, by its digest or the beginning of it.
    Content(Beginning),
    /// A volume of the set that is looked at.
    Number(u32),
    /// A volume of any set, by the name of its file.
    File(String),
}

/// The beginning of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    algorithm: Option<String>,
    hex: String,
}

impl Beginning {
    /// Whether a digest begins so.
    #[must_use]
    pub fn is_of(&self, digest: &Digest) -> bool {
        self.algorithm.as_deref().is_none_or(|algorithm| algorithm == digest.algorithm()) && digest.hex().starts_with(&self.hex)
    }

    /// The digest, where all of it was named.
    #[must_use]
    pub fn whole(&self) -> Option<Digest> {
        format!("{}:{}", self.algorithm.as_deref().unwrap_or("sha256"), self.hex).parse().ok()
    }
}

impl FromStr for Asked {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            Error::usage(format!("{text:?} is neither content nor a volume")).hint(format!(
                "write a digest, or {LEAST_DIGITS} or more hex digits of it; or the number of a volume, or the name of its file"
            ))
        };
        let (algorithm, hex) = match text.split_once(':') {
            Some((algorithm @ ("sha256" | "sha512"), hex)) => (Some(algorithm.to_owned()), hex),
            _ => (None, text),
        };
        let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && hex.len() >= LEAST_DIGITS {
            return Ok(Self::Content(Beginning { algorithm, hex: hex.to_ascii_lowercase() }));
        }
        if algorithm.is_none() && text.ends_with(".ocm.tar") {
            let name = Path::new(text).file_name().ok_or_else(refused)?;
            return Ok(Self::File(name.to_string_lossy().into_owned()));
        }
        match text.parse() {
            Ok(number @ 1..) => Ok(Self::Number(number)),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm.iter().try_for_each(|algorithm| write!(f, "{algorithm}:"))?;
        f.write_str(&self.hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_volumes_are_told_apart() {
        let begins =
            |algorithm: Option<&str>, hex: &str| Asked::Content(Beginning { algorithm: algorithm.map(str::to_owned), hex: hex.into() });
        for (text, meant) in [
            ("sha256:0123abc", begins(Some("sha256"), "0123abc")),
            ("0123ABC", begins(None, "0123abc")),
            ("1234567", begins(None, "1234567")),
            ("123456", Asked::Number(123_456)),
            ("/mnt/disk/disk.g0001-c41b7e02.v002.ocm.tar", Asked::File("disk.g0001-c41b7e02.v002.ocm.tar".into())),
        ] {
            assert_eq!(text.parse::<Asked>().expect(text), meant);
        }
        for text in ["", "0", "sha256:", "sha256:123456", "md5:0123456789", "abcdef", "nginx:1.27", "disk.tar"] {
            assert!(text.parse::<Asked>().expect_err(text).way_out().is_some());
        }
    }

    #[test]
    fn a_digest_goes_by_its_beginning() {
        let digest = Digest::of(b"x");
        let Ok(Asked::Content(begins)) = digest.hex()[..LEAST_DIGITS].parse() else { panic!("not content") };
        assert!(begins.is_of(&digest) && !begins.is_of(&Digest::of(b"y")) && begins.whole().is_none());
        let Ok(Asked::Content(whole)) = digest.to_string().parse() else { panic!("not content") };
        assert_eq!((whole.whole(), whole.to_string()), (Some(digest), digest.to_string()));
    }
}
