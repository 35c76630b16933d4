//! [`PublicKey`] and [`Signature`]: keys and signatures in the form of minisign.
//!
//! **Invariants.** Only pre-hashed signatures of Ed25519 are read. Base64 is canonical and nothing stands behind the last line, so no bit of a
//! signature file but those of its first line can change and still verify.
//!
//! *Not here:* secret keys (`secret`), which keys count for what (`signers`).

use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};

use super::json::Why;

/// The algorithm of keys.
pub(super) const ED25519_KEY: [u8; 2] = *b"Ed";
/// The algorithm of signatures of a hash.
pub(super) const PREHASHED: [u8; 2] = *b"ED";
/// What the first line of every file begins with.
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";
/// The longest file that is looked at, in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// What tells a key from others: eight random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    pub(super) id: KeyId,
    pub(super) key: [u8; 32],
}

/// A signature with its comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub(super) key: KeyId,
    pub(super) signature: [u8; 64],
    pub(super) comment: String,
    pub(super) of_comment: [u8; 64],
}

impl PublicKey {
    /// Reads a key: its one line of base64, or a whole file with a comment before that.
    pub fn read(text: &[u8]) -> Why<Self> {
        let text = text_of(text)?;
        let mut lines = lines(text);
        let first = lines.next().unwrap_or_default();
        let line = if first.starts_with(UNTRUSTED) { lines.next().ok_or("it ends after its comment")? } else { first };
        end(lines)?;
        let bytes: [u8; 42] = decode(line, "a public key")?;
        let [algorithm, id, key] = split(&bytes)?;
        if algorithm != ED25519_KEY.as_slice() {
            return Err("it is no key of Ed25519".to_owned());
        }
        Ok(Self { id: KeyId(array(id)?), key: array(key)? })
    }

    /// What tells it from others.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The file that minisign reads.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{UNTRUSTED}minisign public key {}\n{self}\n", self.id)
    }

    /// Whether `signature` is of these bytes, by this key.
    pub fn verify(&self, signature: &Signature, bytes: &[u8]) -> Why<()> {
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        if signature.key != self.id {
            return Err(format!("it is by key {}, not by {}", signature.key, self.id));
        }
        let hash = Blake2b512::digest(bytes);
        key.verify(&hash, &signature.signature).map_err(|_| "it is not of these bytes, or was changed".to_owned())?;
        let signed = [&signature.signature[..], signature.comment.as_bytes()].concat();
        key.verify(&signed, &signature.of_comment).map_err(|_| "its trusted comment was changed".to_owned())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode([&ED25519_KEY[..], &self.id.0, &self.key].concat()))
    }
}

impl fmt::Display for KeyId {
    /// As minisign shows it: a number of which the first byte is the least. Here it has all of its 16 digits, so that signatures are of one length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl Signature {
    /// Reads a signature file.
    pub fn read(bytes: &[u8]) -> Why<Self> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("it is longer than the {MAX_BYTES} bytes that a signature may have"));
        }
        let mut lines = lines(text_of(bytes)?);
        let mut next = |what: &str| lines.next().ok_or_else(|| format!("it has no {what}"));
        if !next("comment")?.starts_with(UNTRUSTED) {
            return Err("it is no signature of minisign: it does not begin with \"untrusted comment: \"".to_owned());
        }
        let signed: [u8; 74] = decode(next("signature")?, "a signature")?;
        let comment = next("trusted comment")?.strip_prefix(TRUSTED).ok_or("its third line is no trusted comment")?.to_owned();
        let of_comment = decode(next("signature of its trusted comment")?, "a signature of a comment")?;
        end(lines)?;
        let [algorithm, key, signature] = split(&signed)?;
        match algorithm {
            algorithm if algorithm == PREHASHED => {}
            algorithm if algorithm == ED25519_KEY => return Err("it is of the old kind, without a hash: sign again without -l".to_owned()),
            _ => return Err("its algorithm is not known".to_owned()),
        }
        Ok(Self { key: KeyId(array(key)?), signature: array(signature)?, comment, of_comment })
    }

    /// The key that it says to be by.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What was signed with it, for people.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The signature file. What it says is the same for the same key, content and comment.
    #[must_use]
    pub fn file(&self) -> String {
        let signed = STANDARD.encode([&PREHASHED[..], &self.key.0, &self.signature].concat());
        let (key, comment, of_comment) = (self.key, &self.comment, STANDARD.encode(self.of_comment));
        format!("{UNTRUSTED}signature by key {key}\n{signed}\n{TRUSTED}{comment}\n{of_comment}\n")
    }
}

/// A comment line and a line of base64, as secret keys are kept.
pub(super) fn second_line<const N: usize>(bytes: &[u8], what: &str) -> Why<[u8; N]> {
    let mut lines = lines(text_of(bytes)?);
    if !lines.next().is_some_and(|line| line.starts_with(UNTRUSTED)) {
        return Err(format!("it is no {what} of minisign: it does not begin with \"untrusted comment: \""));
    }
    let line = lines.next().ok_or("it ends after its comment")?;
    end(lines)?;
    decode(line, what)
}

/// Such a file.
pub(super) fn two_lines(comment: &str, bytes: &[u8]) -> String {
    format!("{UNTRUSTED}{comment}\n{}\n", STANDARD.encode(bytes))
}

fn text_of(bytes: &[u8]) -> Why<&str> {
    std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

fn end<'a>(mut lines: impl Iterator<Item = &'a str>) -> Why<()> {
    match lines.next() {
        None => Ok(()),
        Some(_) => Err("something stands behind its last line".to_owned()),
    }
}

fn decode<const N: usize>(line: &str, what: &str) -> Why<[u8; N]> {
    // Checked before anything is decoded; base64 of N bytes is at most this long.
    if line.len() > N.div_ceil(3) * 4 {
        return Err(format!("a line of it is longer than {what}"));
    }
    let bytes = STANDARD.decode(line).map_err(|error| format!("a line of it is no base64: {error}"))?;
    bytes.try_into().map_err(|bytes: Vec<u8>| format!("a line of it has {} bytes, where {what} has {N}", bytes.len()))
}

/// Algorithm, key id, and the rest.
fn split(bytes: &[u8]) -> Why<[&[u8]; 3]> {
    let parts = bytes.split_at_checked(2).and_then(|(algorithm, rest)| Some((algorithm, rest.split_at_checked(8)?)));
    parts.map(|(algorithm, (id, rest))| [algorithm, id, rest]).ok_or_else(|| "it is too short".to_owned())
}

fn array<const N: usize>(bytes: &[u8]) -> Why<[u8; N]> {
    bytes.try_into().map_err(|_| "it is too short".to_owned())
}
