//! [`Key`]: one public key of OpenPGP, and until when its word counts.
//!
//! **Invariants.** Only a primary RSA key of version 4 that vouches for itself can sign: its newest valid signature on itself says how
//! long it lasts and what it is for. Whatever looks like a revocation of it counts as one.
//!
//! *Not here:* how keys come out of a file, and which of them made a signature (`keyring`).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::super::json::Why;
use super::packet::{Bytes, Packet, SIGNATURE, USER_ATTRIBUTE, USER_ID};
use super::signature::{CERTIFICATIONS, KeyId, OF_KEY, Of, REVOKES_KEY, REVOKES_USER_ID, Rsa, Signature, algorithm, is_rsa};

/// A key may be used to sign content.
const MAY_SIGN: u8 = 0x02;

/// One public key.
#[derive(Debug)]
pub(super) struct Key {
    /// What it is called; `None` of a version that is not supported.
    pub(super) id: Option<KeyId>,
    pub(super) created: u32,
    /// When its word stops to count, in seconds since 1970.
    pub(super) ends: Option<u64>,
    /// Its numbers, or why it cannot be used.
    pub(super) rsa: Why<Rsa>,
}

/// The parts of a key's packet.
struct Body {
    created: u32,
    algorithm: u8,
    rsa: Option<Rsa>,
}

impl Key {
    /// Reads a primary key, and what follows it up to the next one.
    pub(super) fn read(key: &[u8], about: &[Packet<'_>]) -> Self {
        let Ok(body) = read(key) else {
            let version = key.first().copied().unwrap_or_default();
            let why = format!("it is a key of version {version}, and 4 is supported");
            return Self { id: None, created: 0, ends: None, rsa: Err(why) };
        };
        let mut read = Self { id: key_id(key), created: body.created, ends: None, rsa: Err(String::new()) };
        read.rsa = match body.rsa {
            None => Err(format!("it is a key for {}, and RSA is supported", algorithm(body.algorithm))),
            Some(rsa) if rsa.n.len() < 256 => Err(format!("it has {} bits, and 2048 are the least", rsa.n.len() * 8)),
            Some(rsa) => read.heed(&rsa, &prefixed(0x99, key), about).map(|()| rsa),
        };
        read
    }

    /// Takes over what the key says of itself.
    fn heed(&mut self, rsa: &Rsa, key: &[u8], about: &[Packet<'_>]) -> Why<()> {
        let mut user: Option<Vec<u8>> = None;
        let mut words: Vec<(usize, Signature)> = Vec::new();
        let mut users = 0;
        for packet in about {
            match packet.tag {
                USER_ID | USER_ATTRIBUTE => {
                    users += 1;
                    user = Some(named(packet));
                }
                SIGNATURE => {
                    let Ok(signature) = Signature::read(&packet.body) else { continue };
                    let signed = [key, user.as_deref().unwrap_or_default()].concat();
                    match (signature.kind, &user) {
                        (REVOKES_KEY, _) => return Err("it is revoked".to_owned()),
                        (OF_KEY, None) | (REVOKES_USER_ID, Some(_)) => {}
                        (kind, Some(_)) if CERTIFICATIONS.contains(&kind) => {}
                        _ => continue,
                    }
                    if signature.version == 4 && signature.check(rsa, &signed, Of::Itself).is_ok() {
                        words.push((users, signature));
                    }
                }
                _ => {}
            }
        }
        let revoked: Vec<usize> = words.iter().filter(|(_, word)| word.kind == REVOKES_USER_ID).map(|(user, _)| *user).collect();
        words.retain(|(user, word)| word.kind != REVOKES_USER_ID && !revoked.contains(user));
        let (_, newest) = words.iter().max_by_key(|(_, word)| word.created).ok_or_else(|| "it does not vouch for itself".to_owned())?;
        let after = |begin: u32, seconds: Option<u32>| seconds.map(|seconds| u64::from(begin) + u64::from(seconds));
        let ends = [after(self.created, newest.key_lasts), after(newest.created, newest.lasts)];
        self.ends = ends.into_iter().flatten().min();
        match newest.flags {
            Some(flags) if flags & MAY_SIGN == 0 => Err("it is not made for signing".to_owned()),
            _ => Ok(()),
        }
    }
}

/// What a key of version 4 is called by: the end of its fingerprint.
pub(super) fn key_id(key: &[u8]) -> Option<KeyId> {
    let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &prefixed(0x99, key));
    fingerprint.as_ref().last_chunk().copied().filter(|_| key.first() == Some(&4))
}

/// A key as it is hashed: with a mark and its length.
fn prefixed(mark: u8, key: &[u8]) -> Vec<u8> {
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[mark], &length[..], key].concat()
}

/// A user id as it is hashed.
fn named(packet: &Packet<'_>) -> Vec<u8> {
    let mark = if packet.tag == USER_ID { 0xb4 } else { 0xd1 };
    let length = u32::try_from(packet.body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[mark], &length[..], &packet.body].concat()
}

fn read(key: &[u8]) -> Why<Body> {
    let mut bytes = Bytes(key);
    if bytes.byte()? != 4 {
        return Err("another version".to_owned());
    }
    let (created, algorithm) = (bytes.u32()?, bytes.byte()?);
    let rsa = if is_rsa(algorithm) { Some(Rsa { n: bytes.number()?.to_vec(), e: bytes.number()?.to_vec() }) } else { None };
    Ok(Body { created, algorithm, rsa })
}
