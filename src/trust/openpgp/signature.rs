//! [`Signature`]: one OpenPGP signature of version 3 or 4 (RFC 4880, section 5.2), and whether a key made it.
//!
//! **Invariants.** A signature counts with SHA-256, SHA-384 or SHA-512 by RSA of 2048 to 8192 bits; what a key says of itself may be
//! signed with SHA-1 too, because old keys do and their file is trusted. What is critical in it and not known makes it count for nothing.
//! Of what its maker did not sign, nothing is believed but the hint whose it is.
//!
//! *Not here:* which keys are trusted (`key`), what is signed (`message`).

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaParameters,
};

use super::super::json::Why;
use super::packet::{Bytes, long};

/// A signature of content.
pub(super) const OF_BINARY: u8 = 0x00;
/// Signatures of a key and one of its user ids.
pub(super) const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
/// A signature of a key alone.
pub(super) const OF_KEY: u8 = 0x1f;
/// A key is revoked.
pub(super) const REVOKES_KEY: u8 = 0x20;
/// A user id is revoked.
pub(super) const REVOKES_USER_ID: u8 = 0x30;

/// The subpackets that may be critical: they are heeded, or only tell of wishes.
const UNDERSTOOD: [u8; 16] = [2, 3, 4, 7, 9, 11, 16, 21, 22, 23, 24, 25, 27, 28, 30, 33];

/// What a key is called by its last eight bytes.
pub(super) type KeyId = [u8; 8];

/// The two numbers of an RSA key.
#[derive(Debug, Clone)]
pub(super) struct Rsa {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
}

/// Whose word is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Anybody's.
    Content,
    /// That of a key on itself.
    Itself,
}

/// One signature.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) kind: u8,
    pub(super) created: u32,
    /// How long it counts, in seconds.
    pub(super) lasts: Option<u32>,
    /// Which key made it, as it says.
    pub(super) issuer: Option<KeyId>,
    /// How long the key counts that it is on, in seconds after that was made.
    pub(super) key_lasts: Option<u32>,
    /// What the key may be used for that it is on.
    pub(super) flags: Option<u8>,
    pub(super) version: u8,
    algorithm: u8,
    hash: u8,
    /// What is hashed after the content.
    trailer: Vec<u8>,
    /// A subpacket that must be understood, and is not.
    unknown: Option<u8>,
    /// For RSA.
    value: Vec<u8>,
}

impl Signature {
    /// Reads the body of a packet.
    pub(super) fn read(body: &[u8]) -> Why<Self> {
        let mut bytes = Bytes(body);
        match bytes.byte()? {
            3 => Self::third(bytes),
            4 => Self::fourth(body, bytes),
            version => Err(format!("it is a signature of version {version}, and 3 and 4 are supported")),
        }
    }

    fn third(mut bytes: Bytes<'_>) -> Why<Self> {
        if bytes.byte()? != 5 {
            return Err("it is malformed: a signature of version 3 signs 5 bytes of itself".to_owned());
        }
        let trailer = bytes.take(5)?.to_vec();
        let mut signed = Bytes(&trailer);
        let (kind, created) = (signed.byte()?, signed.u32()?);
        let (issuer, algorithm, hash) = (Some(bytes.array()?), bytes.byte()?, bytes.byte()?);
        let mut read = Self { trailer, ..Self::empty(3, kind, created, algorithm, hash) };
        read.issuer = issuer;
        read.take_value(bytes)
    }

    fn fourth(body: &[u8], mut bytes: Bytes<'_>) -> Why<Self> {
        let (kind, algorithm, hash) = (bytes.byte()?, bytes.byte()?, bytes.byte()?);
        let length = usize::from(bytes.u16()?);
        let hashed = bytes.take(length)?;
        let signed = &body[..6 + length];
        let unhashed = usize::from(bytes.u16()?);
        let unhashed = bytes.take(unhashed)?;
        let mut read = Self::empty(4, kind, 0, algorithm, hash);
        let mut is_dated = false;
        for (kind, content) in subpackets(hashed)? {
            is_dated |= kind & 0x7f == 2;
            read.take_subpacket(kind, content)?;
        }
        if !is_dated {
            return Err("it is malformed: it does not say when it was made".to_owned());
        }
        if read.issuer.is_none() {
            read.issuer = subpackets(unhashed)?.into_iter().find_map(|(kind, content)| issuer_of(kind & 0x7f, content));
        }
        let length = u32::try_from(signed.len()).map_err(|_| "it is too long".to_owned())?;
        read.trailer = [signed, &[4, 0xff], &length.to_be_bytes()].concat();
        read.take_value(bytes)
    }

    fn empty(version: u8, kind: u8, created: u32, algorithm: u8, hash: u8) -> Self {
        let (trailer, value) = (Vec::new(), Vec::new());
        let (lasts, issuer, key_lasts, flags, unknown) = (None, None, None, None, None);
        Self { kind, created, lasts, issuer, key_lasts, flags, version, algorithm, hash, trailer, unknown, value }
    }

    fn take_subpacket(&mut self, kind: u8, content: &[u8]) -> Why<()> {
        let mut bytes = Bytes(content);
        match kind & 0x7f {
            2 => self.created = bytes.u32()?,
            3 => self.lasts = Some(bytes.u32()?).filter(|seconds| *seconds > 0),
            9 => self.key_lasts = Some(bytes.u32()?).filter(|seconds| *seconds > 0),
            27 => self.flags = Some(content.first().copied().unwrap_or_default()),
            id => self.issuer = self.issuer.or(issuer_of(id, content)),
        }
        if kind & 0x80 != 0 && !UNDERSTOOD.contains(&(kind & 0x7f)) {
            self.unknown = Some(kind & 0x7f);
        }
        Ok(())
    }

    /// Reads what is left: two bytes of the hash, and the number that is the signature.
    fn take_value(mut self, mut bytes: Bytes<'_>) -> Why<Self> {
        bytes.take(2)?;
        if is_rsa(self.algorithm) {
            self.value = bytes.number()?.to_vec();
            if !bytes.is_empty() {
                return Err("it is malformed: something stands after the signature".to_owned());
            }
        }
        Ok(self)
    }

    /// Whether `key` made this signature of `content`.
    pub(super) fn check(&self, key: &Rsa, content: &[u8], of: Of) -> Why<()> {
        if let Some(kind) = self.unknown {
            return Err(format!("it demands that subpacket {kind} is understood, which is not supported"));
        }
        if !is_rsa(self.algorithm) {
            return Err(format!("it is made by {}, which is not supported", algorithm(self.algorithm)));
        }
        let padding = key.n.len().checked_sub(self.value.len()).ok_or_else(|| "it is not by that key".to_owned())?;
        let value = [vec![0; padding], self.value.clone()].concat();
        let key = PublicKeyComponents { n: &key.n, e: &key.e };
        let content = [content, &self.trailer].concat();
        key.verify(self.parameters(of)?, &content, &value).map_err(|_| "the signature does not match".to_owned())
    }

    fn parameters(&self, of: Of) -> Why<&'static RsaParameters> {
        match (self.hash, of) {
            (8, _) => Ok(&RSA_PKCS1_2048_8192_SHA256),
            (9, _) => Ok(&RSA_PKCS1_2048_8192_SHA384),
            (10, _) => Ok(&RSA_PKCS1_2048_8192_SHA512),
            (2, Of::Itself) => Ok(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
            (2, Of::Content) => Err("it is made with SHA-1, which proves nothing any more".to_owned()),
            (other, _) => Err(format!("it is made with hash algorithm {other}, which is not supported")),
        }
    }
}

/// Whether an algorithm is RSA that signs.
pub(super) fn is_rsa(algorithm: u8) -> bool {
    matches!(algorithm, 1 | 3)
}

/// What an algorithm is called.
pub(super) fn algorithm(number: u8) -> String {
    let name = match number {
        1..=3 => "RSA",
        16 | 20 => "ElGamal",
        17 => "DSA",
        18 => "ECDH",
        19 => "ECDSA",
        22 => "EdDSA (ed25519)",
        27 => "Ed25519",
        28 => "Ed448",
        _ => return format!("public key algorithm {number}"),
    };
    name.to_owned()
}

fn issuer_of(kind: u8, content: &[u8]) -> Option<KeyId> {
    match (kind, content.split_first()) {
        (16, _) => content.try_into().ok(),
        (33, Some((4, fingerprint))) if fingerprint.len() == 20 => fingerprint.last_chunk().copied(),
        _ => None,
    }
}

/// The subpackets in an area: their type with the critical bit, and their content.
fn subpackets(area: &[u8]) -> Why<Vec<(u8, &[u8])>> {
    let (mut bytes, mut found) = (Bytes(area), Vec::new());
    while !bytes.is_empty() {
        let first = bytes.byte()?;
        let length = match first {
            0..=191 => usize::from(first),
            192..=254 => ((usize::from(first) - 192) << 8) + usize::from(bytes.byte()?) + 192,
            255 => long(bytes.u32()?),
        };
        let (kind, content) = bytes.take(length)?.split_first().ok_or_else(|| "it is malformed: a subpacket of no bytes".to_owned())?;
        found.push((*kind, content));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signature of version 4 with these hashed subpackets.
    fn fourth(hashed: &[u8]) -> Vec<u8> {
        let length = u16::try_from(hashed.len()).expect("short").to_be_bytes();
        [&[4, 0, 1, 8][..], &length, hashed, &[0, 0, 1, 2, 0, 1, 1]].concat()
    }

    #[test]
    fn what_a_signature_says_of_itself_is_read() {
        let third = [&[3, 5, 0, 0, 0, 0, 9][..], &[7; 8], &[1, 8, 1, 2, 0, 1, 1]].concat();
        let read = Signature::read(&third).expect("version 3");
        assert_eq!((read.created, read.issuer, read.trailer), (9, Some([7; 8]), vec![0, 0, 0, 0, 9]));
        let read = Signature::read(&fourth(&[5, 2, 0, 0, 0, 9, 5, 3, 0, 0, 0, 8, 2, 27, 3, 2, 0x94, 1])).expect("version 4");
        assert_eq!((read.created, read.lasts, read.flags, read.unknown), (9, Some(8), Some(3), Some(0x14)));
        assert_eq!(read.trailer.len(), 6 + 18 + 6);
    }

    #[test]
    fn malformed_signatures_are_refused() {
        for (body, why) in [
            (vec![6, 0], "version 6"),
            (vec![3, 4], "malformed"),
            (fourth(&[]), "when it was made"),
            (fourth(&[5, 2, 0, 0, 0, 9, 0]), "no bytes"),
            (fourth(&[255, 255, 255, 255, 255, 2]), "cut off"),
            ([fourth(&[5, 2, 0, 0, 0, 9]), vec![1]].concat(), "after the signature"),
        ] {
            let error = Signature::read(&body).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
