//! [`Digest`]: the only hash type of the project.
//!
//! **Invariants.** A digest in memory always has a known algorithm and the right length. Text becomes a digest only
//! through [`FromStr`], which takes the canonical form alone (lower-case hex, OCI image-spec "Digests").
//!
//! *Not here:* what a digest is of. A blob digest is of the stored bytes, a diff id of the uncompressed layer.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// The digest of a run of bytes: `sha256:…` or `sha512:…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// SHA-256, the algorithm of everything that ocm writes itself.
    Sha256([u8; 32]),
    /// SHA-512, met in registries.
    Sha512([u8; 64]),
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon between algorithm and hex.
    #[error("{0:?} is not a digest: expected sha256:<hex> or sha512:<hex>")]
    Shape(String),
    /// The algorithm is neither sha256 nor sha512.
    #[error("digest algorithm {0:?} is not supported (sha256 and sha512 are)")]
    Algorithm(String),
    /// The hex part has the wrong length or characters.
    #[error("{algorithm} digest {hex:?} needs {needs} lower-case hex digits")]
    Hex {
        /// The algorithm's name.
        algorithm: &'static str,
        /// What stands after the colon.
        hex: String,
        /// How many digits belong there.
        needs: usize,
    },
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }

    /// The name of the algorithm, as it stands before the colon.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The raw bytes of the hash: 32 or 64.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// The hash as lower-case hex, as it stands after the colon.
    #[must_use]
    pub fn hex(&self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first twelve hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex().chars().take(12).collect()
    }

    /// A hasher of the algorithm of this digest, to check content against it.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Sha512(_) => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }

    /// Whether `bytes` have this digest.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish() == *self
    }
}

/// A digest in the making, fed piece by piece.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// A SHA-256 hasher.
    #[must_use]
    pub fn sha256() -> Self {
        Self::Sha256(Sha256::new())
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Self::Sha512(hasher) => Digest::Sha512(hasher.finalize().into()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or_else(|| DigestError::Shape(text.into()))?;
        match algorithm {
            "sha256" => Ok(Self::Sha256(unhex("sha256", hex)?)),
            "sha512" => Ok(Self::Sha512(unhex("sha512", hex)?)),
            other => Err(DigestError::Algorithm(other.into())),
        }
    }
}

fn unhex<const N: usize>(algorithm: &'static str, hex: &str) -> Result<[u8; N], DigestError> {
    let wrong = || DigestError::Hex { algorithm, hex: hex.into(), needs: N.saturating_mul(2) };
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Ok(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(wrong()),
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(wrong());
    }
    let mut bytes = [0u8; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Ok(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_and_back_is_the_same() {
        let digest: Digest = EMPTY.parse().expect("a digest");
        assert_eq!(digest, Digest::of(b""));
        assert_eq!(digest.to_string(), EMPTY);
        let long = format!("sha512:{}", "0a".repeat(64));
        assert_eq!(long.parse::<Digest>().expect("a digest").to_string(), long);
    }

    #[test]
    fn what_is_no_digest_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "expected sha256"),
            ("e3b0", "expected sha256"),
            ("md5:00", "\"md5\" is not supported"),
            ("sha256:00", "64 lower-case hex digits"),
            (&EMPTY.to_uppercase().replace("SHA", "sha"), "64 lower-case hex digits"),
            (&format!("sha256:{}", "é".repeat(32)), "64 lower-case hex digits"),
        ] {
            let error = text.parse::<Digest>().expect_err(text).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
