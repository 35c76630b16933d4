//! [`SecretKey`]: what sets are signed with, in the form of minisign.
//!
//! **Invariants.** A secret key is never printed and is wiped from memory when it is let go. Signing takes no clock and no randomness: the same
//! key, bytes and comment make the same signature. What a file asks of memory and work is bounded before a password is tried.
//!
//! *Not here:* files, passwords and where randomness comes from (`keys`, `cli`).

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest as _};
use scrypt::Params;
use zeroize::Zeroizing;

use super::json::Why;
use super::minisign::{ED25519_KEY, KeyId, PublicKey, Signature, second_line, two_lines};

/// Checksums are BLAKE2b.
const CHECKSUM: [u8; 2] = *b"B2";
/// Keys are encrypted by what scrypt makes of a password.
const SCRYPT: [u8; 2] = *b"Sc";
/// The bytes of a key file: 54 that say how it is kept, and 104 that may be encrypted.
const FILE_BYTES: usize = 158;
const KEPT_BYTES: usize = 104;
/// The most memory that opening a key may take, in bytes: what minisign takes.
const MAX_MEMORY: u64 = 1 << 30;
/// The most work for it, in the measure of libsodium.
const MAX_WORK: u64 = 1 << 26;
/// Memory and work for keys that are made here.
const OWN_MEMORY: u64 = 128 << 20;
const OWN_WORK: u64 = 1 << 22;
/// The most letters of a comment.
const MAX_COMMENT: usize = 1000;

/// A key that signs.
pub struct SecretKey {
    id: KeyId,
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

/// Randomness for a new key: its id, and its seed.
pub struct NewKey<'a> {
    /// What tells it from others.
    pub id: [u8; 8],
    /// What it is made of.
    pub seed: &'a [u8; 32],
}

impl SecretKey {
    /// Makes a key of randomness.
    pub fn new(new: &NewKey<'_>) -> Why<Self> {
        Self::of(KeyId(new.id), Zeroizing::new(*new.seed))
    }

    fn of(id: KeyId, seed: Zeroizing<[u8; 32]>) -> Why<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| "it is no seed of Ed25519".to_owned())?;
        Ok(Self { id, seed, pair })
    }

    /// Whether a key file is protected by a password.
    pub fn is_protected(file: &[u8]) -> Why<bool> {
        Ok(Kept::read(file)?.scrypt)
    }

    /// Reads a key file. `password` counts for those that are protected alone.
    pub fn read(file: &[u8], password: Option<&[u8]>) -> Why<Self> {
        let mut kept = Kept::read(file)?;
        if kept.scrypt {
            let password = password.ok_or("it is protected by a password")?;
            kept.crypt(password)?;
        }
        let (id, rest) = kept.content.split_at(8);
        let (secret, checksum) = rest.split_at(64);
        let (seed, public) = secret.split_at(32);
        // minisign leaves the checksum of a key without password out.
        let is_left_out = !kept.scrypt && checksum.iter().all(|byte| *byte == 0);
        if !is_left_out && checksum != checksum_of(id, secret) {
            let why = if kept.scrypt { "the password is wrong, or the key was changed" } else { "its checksum is wrong" };
            return Err(why.to_owned());
        }
        let mut key = (KeyId([0; 8]), Zeroizing::new([0; 32]));
        key.0.0.copy_from_slice(id);
        key.1.copy_from_slice(seed);
        let key = Self::of(key.0, key.1)?;
        if key.pair.public_key().as_ref() != public {
            return Err("its public half is not that of its secret half".to_owned());
        }
        Ok(key)
    }

    /// The key file; `protection` is a password and a random salt.
    pub fn file(&self, protection: Option<(&[u8], [u8; 32])>) -> Why<Zeroizing<String>> {
        let public = self.public().key;
        let secret = Zeroizing::new([&self.seed[..], &public].concat());
        let checksum = match protection {
            Some(_) => checksum_of(&self.id.0, &secret),
            None => [0; 32],
        };
        let mut content = Zeroizing::new([0; KEPT_BYTES]);
        content.copy_from_slice(&Zeroizing::new([&self.id.0, &secret[..], &checksum].concat()));
        let mut kept = Kept { scrypt: false, salt: [0; 32], work: 0, memory: 0, content };
        if let Some((password, salt)) = protection {
            kept = Kept { scrypt: true, salt, work: OWN_WORK, memory: OWN_MEMORY, content: kept.content };
            kept.crypt(password)?;
        }
        Ok(Zeroizing::new(kept.file()))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey { id: self.id, key }
    }

    /// Signs `bytes`, with a comment of one line that is signed too.
    #[must_use]
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Signature {
        let comment: String = comment.chars().flat_map(one_line).take(MAX_COMMENT).collect();
        let signature = self.raw(&Blake2b512::digest(bytes));
        let of_comment = self.raw(&[&signature[..], comment.as_bytes()].concat());
        Signature { key: self.id, signature, comment, of_comment }
    }

    fn raw(&self, bytes: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(bytes).as_ref());
        signature
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id)
    }
}

/// A key file, taken apart.
struct Kept {
    scrypt: bool,
    salt: [u8; 32],
    work: u64,
    memory: u64,
    /// Id, secret and public half, checksum; perhaps encrypted.
    content: Zeroizing<[u8; KEPT_BYTES]>,
}

impl Kept {
    fn read(file: &[u8]) -> Why<Self> {
        let bytes = Zeroizing::new(second_line::<FILE_BYTES>(file, "secret key")?);
        let (algorithms, rest) = bytes.split_at(6);
        let (salt, rest) = rest.split_at(32);
        let (limits, content) = rest.split_at(16);
        if algorithms[..2] != ED25519_KEY || algorithms[4..] != CHECKSUM {
            return Err("it is no secret key of Ed25519".to_owned());
        }
        let scrypt = match &algorithms[2..4] {
            kdf if kdf == SCRYPT => true,
            [0, 0] => false,
            _ => return Err("how its password is used is not known".to_owned()),
        };
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        let mut kept = Self {
            scrypt,
            salt: [0; 32],
            work: number(&limits[..8]),
            memory: number(&limits[8..]),
            content: Zeroizing::new([0; KEPT_BYTES]),
        };
        kept.salt.copy_from_slice(salt);
        kept.content.copy_from_slice(content);
        Ok(kept)
    }

    fn file(&self) -> String {
        let kdf = if self.scrypt { SCRYPT } else { [0, 0] };
        let algorithms = [ED25519_KEY, kdf, CHECKSUM].concat();
        let limits = [self.work.to_le_bytes(), self.memory.to_le_bytes()].concat();
        let bytes = Zeroizing::new([&algorithms, &self.salt[..], &limits, &self.content[..]].concat());
        // The word is that of minisign, which says so of keys without a password too.
        two_lines("minisign encrypted secret key", &bytes)
    }

    /// Encrypts, or decrypts.
    fn crypt(&mut self, password: &[u8]) -> Why<()> {
        let params = params(self.work, self.memory)?;
        let mut stream = Zeroizing::new([0; KEPT_BYTES]);
        scrypt::scrypt(password, &self.salt, &params, stream.as_mut()).map_err(|error| error.to_string())?;
        self.content.iter_mut().zip(stream.iter()).for_each(|(byte, other)| *byte ^= other);
        Ok(())
    }
}

/// What libsodium makes of its two limits (`crypto_pwhash_scryptsalsa208sha256`): N, r and p of scrypt.
fn params(work: u64, memory: u64) -> Why<Params> {
    if memory > MAX_MEMORY || work > MAX_WORK {
        return Err(format!("its password takes {memory} bytes of memory and {work} steps to use, more than is borne"));
    }
    let (work, r) = (work.max(32768), 8u64);
    let log_of = |most: u64| (1..63u8).find(|log| 1u64 << log > most / 2).unwrap_or(63);
    let (log, p) = if work < memory / 32 {
        (log_of(work / (r * 4)), 1)
    } else {
        let log = log_of(memory / (r * 128));
        (log, ((work / 4) >> log) / r)
    };
    let p = u32::try_from(p).ok().filter(|p| *p > 0).ok_or("how its password is used makes no sense")?;
    Params::new(log, 8, p).map_err(|_| "how its password is used makes no sense".to_owned())
}

fn checksum_of(id: &[u8], secret: &[u8]) -> [u8; 32] {
    let hasher = Blake2b::<U32>::new().chain_update(ED25519_KEY).chain_update(id).chain_update(secret);
    hasher.finalize().into()
}

/// A letter, so that it starts no line.
fn one_line(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::new(&NewKey { id: [seed; 8], seed: &[seed; 32] }).expect("a key")
    }

    #[test]
    fn a_key_comes_back_from_its_file() {
        let plain = key(1).file(None).expect("a file");
        assert!(!SecretKey::is_protected(plain.as_bytes()).expect("a key"));
        assert_eq!(SecretKey::read(plain.as_bytes(), None).expect("a key").public(), key(1).public());
        let kept = key(1).file(Some((b"secret", [7; 32]))).expect("a file");
        assert!(SecretKey::is_protected(kept.as_bytes()).expect("a key"));
        assert_eq!(SecretKey::read(kept.as_bytes(), Some(b"secret")).expect("a key").public(), key(1).public());
        for (password, why) in [(None, "protected by a password"), (Some(&b"Secret"[..]), "password is wrong")] {
            let error = SecretKey::read(kept.as_bytes(), password).expect_err("refused");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_key_says_nothing_of_itself() {
        assert_eq!(format!("{:?}", key(2)), "SecretKey(0202020202020202)");
    }

    #[test]
    fn limits_mean_what_they_mean_to_libsodium() {
        // Those of minisign, and those of its keys where memory is short.
        for (work, memory, n, p) in [(33_554_432, 1 << 30, 20, 1), (OWN_WORK, OWN_MEMORY, 17, 1), (524_288, 16 << 20, 14, 1)] {
            let params = params(work, memory).expect("parameters");
            assert_eq!((params.log_n(), params.r(), params.p()), (n, 8, p));
        }
        for (work, memory) in [(33_554_432, (1 << 30) + 1), (u64::MAX, 1 << 20), (32768, 0), (0, 1 << 30)] {
            let refused = params(work, memory);
            assert!(refused.is_err() || refused.is_ok_and(|params| params.log_n() < 21), "{work} {memory}");
        }
    }

    #[test]
    fn the_same_key_bytes_and_comment_make_the_same_signature() {
        let signature = key(3).sign(b"bytes", "a\nb");
        assert_eq!(signature, key(3).sign(b"bytes", "a\nb"));
        assert_eq!(signature.comment(), "a\\nb");
        key(3).public().verify(&signature, b"bytes").expect("it is of these bytes");
        assert_eq!(Signature::read(signature.file().as_bytes()).expect("a signature"), signature);
    }

    #[test]
    fn no_bit_of_a_signature_can_be_flipped() {
        let file = key(3).sign(b"bytes", "set 1").file().into_bytes();
        let first = file.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        for at in first..file.len() {
            for bit in 0..8 {
                let mut flipped = file.clone();
                flipped[at] ^= 1 << bit;
                let verdict = Signature::read(&flipped).and_then(|signature| key(3).public().verify(&signature, b"bytes"));
                assert!(verdict.is_err(), "byte {at} bit {bit}: {:?}", String::from_utf8_lossy(&flipped));
            }
        }
        for at in 0..first {
            let mut flipped = file.clone();
            flipped[at] ^= 1;
            // The first line is nobody's word; it must stay one.
            let _ = Signature::read(&flipped);
        }
        let signature = Signature::read(&file).expect("a signature");
        for (key, bytes, why) in [(key(4), &b"bytes"[..], "it is by key"), (key(3), b"other", "not of these bytes")] {
            let error = key.public().verify(&signature, bytes).expect_err("refused");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn foreign_files_are_refused_with_the_reason() {
        let signature = key(3).sign(b"bytes", "c").file();
        let old = signature.replace("\nRU", "\nRW");
        for (text, why) in [
            ("", "does not begin with"),
            ("untrusted comment: x", "it has no signature"),
            (&*format!("{signature}more\n"), "something stands behind"),
            (&*format!("{signature}\n"), "something stands behind"),
            (&*signature.replace("trusted comment: c", "comment: c"), "no trusted comment"),
            (&*signature.replacen("\nRU", "\n", 1), "base64"),
            (&*old, "base64"),
        ] {
            let error = Signature::read(text.as_bytes()).expect_err("refused");
            assert!(error.contains(why) || (text == old && error.contains("old kind")), "{text}: {error}");
        }
        assert!(Signature::read(&vec![b'x'; 70_000]).expect_err("long").contains("longer"));
        let public = key(3).public();
        assert_eq!(PublicKey::read(public.file().as_bytes()), Ok(public));
        assert_eq!(PublicKey::read(public.to_string().as_bytes()), Ok(public));
        assert!(PublicKey::read(b"RWQ").is_err() && PublicKey::read(signature.as_bytes()).is_err());
    }
}
