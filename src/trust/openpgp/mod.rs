//! [`Keyring`]: the keys of a policy, and whether one of them signed a message (RFC 4880).
//!
//! **Invariants.** Only a key of the ring counts, by its own signature. What is said of a message that is not accepted is no secret and
//! no proof: it helps a person to find out why.
//!
//! *Not here:* what the message says (`claims`), where it comes from (`lookaside`). Encryption, secret keys, subkeys, the web of trust,
//! detached and clear text signatures: nothing that decides over images needs them.

mod armor;
mod key;
mod message;
mod packet;
mod signature;

use self::key::{Key, key_id};
use self::message::Message;
use self::packet::{KEY, SECRET_KEY, SUBKEY, packets};
use self::signature::{KeyId, OF_BINARY, Of};
use super::json::Why;

/// How many packets a file of keys may have.
const MAX_PACKETS: usize = 10_000;

/// Public keys that are trusted.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: Vec<Key>,
    /// Subkeys, and the key that each belongs to.
    subkeys: Vec<(KeyId, Option<KeyId>)>,
}

impl Keyring {
    /// Adds the keys of a file, armored or not.
    pub fn add(&mut self, file: &[u8]) -> Result<(), String> {
        let before = self.keys.len();
        for block in armor::dearmored(file)? {
            self.add_block(&block)?;
        }
        match self.keys.len() == before {
            true => Err("there is no OpenPGP key in it".to_owned()),
            false => Ok(()),
        }
    }

    fn add_block(&mut self, block: &[u8]) -> Why<()> {
        let all = packets(block, MAX_PACKETS)?;
        if all.iter().any(|packet| packet.tag == SECRET_KEY) {
            return Err("it holds a secret key; export the public one".to_owned());
        }
        let starts: Vec<usize> = (0..all.len()).filter(|at| all[*at].tag == KEY).collect();
        for (nth, start) in starts.iter().enumerate() {
            let end = starts.get(nth + 1).copied().unwrap_or(all.len());
            let about = &all[start + 1..end];
            let own = about.iter().take_while(|packet| packet.tag != SUBKEY).count();
            let key = Key::read(&all[*start].body, &about[..own]);
            let subkeys = about.iter().filter(|packet| packet.tag == SUBKEY).filter_map(|packet| key_id(&packet.body));
            self.subkeys.extend(subkeys.map(|subkey| (subkey, key.id)));
            self.keys.push(key);
        }
        Ok(())
    }

    /// Refuses a ring of which no key can ever sign anything.
    pub fn check(&self) -> Result<(), String> {
        if self.keys.iter().any(|key| key.rsa.is_ok()) {
            return Ok(());
        }
        let why = self.keys.iter().filter_map(|key| Some(format!("key {}: {}", shown(key.id), key.rsa.as_ref().err()?)));
        Err(format!("none of its keys can be used: {}", why.collect::<Vec<_>>().join("; ")))
    }

    /// The content of a message that one of the keys signed, which counts `now`; else why not.
    pub fn open(&self, message: &[u8], now: u64) -> Result<Vec<u8>, String> {
        let Message { content, signature } = Message::read(message)?;
        if signature.kind != OF_BINARY {
            return Err(format!("it is a signature of kind {:#04x}, which is not one of content", signature.kind));
        }
        let maker = |key: &&Key| signature.issuer.is_none() || key.id == signature.issuer;
        let mut why = self.unknown(signature.issuer);
        for key in self.keys.iter().filter(maker) {
            let checked = key.rsa.clone().and_then(|rsa| signature.check(&rsa, &content, Of::Content));
            match checked.and_then(|()| in_time(key, &signature, now)) {
                Ok(()) => return Ok(content),
                Err(reason) => why = format!("key {}: {reason}", shown(key.id)),
            }
        }
        Err(why)
    }

    /// Why a key that is not in the ring does not count.
    fn unknown(&self, id: Option<KeyId>) -> String {
        let is_it = |(subkey, _): &&(KeyId, _)| Some(*subkey) == id;
        if let Some((_, primary)) = self.subkeys.iter().find(is_it) {
            return format!("it is by subkey {} of key {}, and subkeys are not supported", shown(id), shown(*primary));
        }
        let known: Vec<String> = self.keys.iter().map(|key| shown(key.id)).collect();
        format!("it is by key {}, and keys of {} are trusted", shown(id), known.join(", "))
    }
}

fn in_time(key: &Key, signature: &signature::Signature, now: u64) -> Why<()> {
    let (made, lasts) = (u64::from(signature.created), signature.lasts.map(u64::from));
    if key.ends.is_some_and(|end| end <= now) {
        return Err("the key has expired".to_owned());
    }
    if lasts.is_some_and(|seconds| made + seconds <= now) {
        return Err("the signature has expired".to_owned());
    }
    match u64::from(key.created) > made.min(now) {
        true => Err("the key is younger than what it signed".to_owned()),
        false => Ok(()),
    }
}

fn shown(id: Option<KeyId>) -> String {
    id.map_or_else(|| "of unknown name".to_owned(), |id| id.iter().map(|byte| format!("{byte:02X}")).collect())
}
