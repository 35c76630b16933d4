//! [`Message`]: content with one signature in one piece, as `gpg --sign` writes it.
//!
//! **Invariants.** A message has exactly one content and one signature. It is compressed at most once, and becomes at most
//! [`MAX_PLAIN_BYTES`] large.
//!
//! *Not here:* whether the signature holds (`keyring`).

use std::io::Read;

use flate2::bufread::{DeflateDecoder, ZlibDecoder};

use super::super::json::Why;
use super::packet::{Bytes, COMPRESSED, LITERAL, ONE_PASS, Packet, SIGNATURE, packets};
use super::signature::Signature;

/// How large a message may be when it is decompressed.
const MAX_PLAIN_BYTES: u64 = 1 << 20;
/// How many packets a message may have.
const MAX_PACKETS: usize = 8;

/// What was signed, and the signature.
pub(super) struct Message {
    pub(super) content: Vec<u8>,
    pub(super) signature: Signature,
}

impl Message {
    /// Reads a whole message.
    pub(super) fn read(bytes: &[u8]) -> Why<Self> {
        let outer = packets(bytes, MAX_PACKETS)?;
        match outer.as_slice() {
            [packet] if packet.tag == COMPRESSED => Self::of(&packets(&decompressed(&packet.body)?, MAX_PACKETS)?),
            _ => Self::of(&outer),
        }
    }

    fn of(parts: &[Packet<'_>]) -> Why<Self> {
        let tags: Vec<u8> = parts.iter().map(|packet| packet.tag).collect();
        let (literal, signature) = match (tags.as_slice(), parts) {
            ([ONE_PASS, LITERAL, SIGNATURE], [_, literal, signature]) | ([SIGNATURE, LITERAL], [signature, literal]) => {
                (literal, signature)
            }
            _ => return Err(format!("it is not one signed message: its packets are {tags:?}")),
        };
        Ok(Self { content: content(&literal.body)?, signature: Signature::read(&signature.body)? })
    }
}

/// What a literal packet holds: after its form, its name, and its time.
fn content(literal: &[u8]) -> Why<Vec<u8>> {
    let mut bytes = Bytes(literal);
    bytes.byte()?;
    let name = usize::from(bytes.byte()?);
    bytes.take(name)?;
    bytes.u32()?;
    Ok(bytes.0.to_vec())
}

fn decompressed(body: &[u8]) -> Why<Vec<u8>> {
    match body.split_first() {
        Some((0, rest)) => Ok(rest.to_vec()),
        Some((1, rest)) => {
            let mut reader = DeflateDecoder::new(rest);
            bounded(&mut reader).and_then(|plain| whole(plain, reader.into_inner()))
        }
        Some((2, rest)) => {
            let mut reader = ZlibDecoder::new(rest);
            bounded(&mut reader).and_then(|plain| whole(plain, reader.into_inner()))
        }
        Some((other, _)) => Err(format!("it is compressed by algorithm {other}, which is not supported")),
        None => Err("it is cut off".to_owned()),
    }
}

/// Refuses what stands after the end of compressed bytes.
fn whole(plain: Vec<u8>, rest: &[u8]) -> Why<Vec<u8>> {
    if rest.is_empty() { Ok(plain) } else { Err("something stands after its end".to_owned()) }
}

fn bounded(reader: impl Read) -> Why<Vec<u8>> {
    let mut plain = Vec::new();
    let read = reader.take(MAX_PLAIN_BYTES + 1).read_to_end(&mut plain).map_err(|error| format!("it cannot be decompressed: {error}"))?;
    if read as u64 > MAX_PLAIN_BYTES {
        return Err(format!("it becomes larger than {MAX_PLAIN_BYTES} bytes"));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn compressed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(vec![0xa3, 1], flate2::Compression::best());
        encoder.write_all(plain).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn bombs_and_nests_are_refused() {
        for (bytes, why) in [
            (compressed(&vec![0; 2 << 20]), "larger than 1048576 bytes"),
            (compressed(&compressed(&compressed(b"x"))), "not one signed message: its packets are [8]"),
            (vec![0xa3, 3, 1], "algorithm 3"),
            ([compressed(b"x"), vec![0]].concat(), "after its end"),
            (vec![0xa3], "cut off"),
            (vec![0xa3, 1, 0xff, 0xff], "cannot be decompressed"),
            (vec![0xac, 0], "packets are [11]"),
            (vec![0xac, 0, 0xac, 0, 0x88, 0], "packets are [11, 11, 2]"),
        ] {
            let error = Message::read(&bytes).err().unwrap_or_default();
            assert!(error.contains(why), "{error}");
        }
    }
}
