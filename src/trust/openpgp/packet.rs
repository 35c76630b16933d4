//! [`packets`]: OpenPGP bytes cut into packets (RFC 4880, section 4; RFC 9580 keeps it).
//!
//! **Invariants.** No length is believed: a packet lies within the bytes that are there, and there are at most so many of them as the caller
//! allows. Nothing is decompressed here.
//!
//! *Not here:* what is in a packet (`key`, `signature`, `message`).

use std::borrow::Cow;

use super::super::json::Why;

/// What a packet is, by its tag.
pub(super) const SIGNATURE: u8 = 2;
pub(super) const ONE_PASS: u8 = 4;
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const KEY: u8 = 6;
pub(super) const COMPRESSED: u8 = 8;
pub(super) const LITERAL: u8 = 11;
pub(super) const USER_ID: u8 = 13;
pub(super) const SUBKEY: u8 = 14;
pub(super) const USER_ATTRIBUTE: u8 = 17;

/// One packet.
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: Cow<'a, [u8]>,
}

/// All packets in `bytes`, at most `limit`.
pub(super) fn packets(bytes: &[u8], limit: usize) -> Why<Vec<Packet<'_>>> {
    let (mut rest, mut found) = (Bytes(bytes), Vec::new());
    while !rest.is_empty() {
        if found.len() == limit {
            return Err(format!("it has more than {limit} packets"));
        }
        found.push(packet(&mut rest)?);
    }
    Ok(found)
}

fn packet<'a>(rest: &mut Bytes<'a>) -> Why<Packet<'a>> {
    let head = rest.byte()?;
    if head & 0x80 == 0 {
        return Err("it is no OpenPGP packet".to_owned());
    }
    if head & 0x40 != 0 {
        return Ok(Packet { tag: head & 0x3f, body: new_body(rest)? });
    }
    let length = match head & 3 {
        0 => usize::from(rest.byte()?),
        1 => usize::from(rest.u16()?),
        2 => long(rest.u32()?),
        _ => rest.len(),
    };
    Ok(Packet { tag: (head >> 2) & 0xf, body: Cow::Borrowed(rest.take(length)?) })
}

/// The body of a packet in the new form, which may come in parts.
fn new_body<'a>(rest: &mut Bytes<'a>) -> Why<Cow<'a, [u8]>> {
    let mut parts: Option<Vec<u8>> = None;
    loop {
        let first = rest.byte()?;
        let (length, is_last) = match first {
            0..=191 => (usize::from(first), true),
            192..=223 => (((usize::from(first) - 192) << 8) + usize::from(rest.byte()?) + 192, true),
            224..=254 => (1 << (first & 0x1f), false),
            255 => (long(rest.u32()?), true),
        };
        let part = rest.take(length)?;
        match (&mut parts, is_last) {
            (None, true) => return Ok(Cow::Borrowed(part)),
            (None, false) => parts = Some(part.to_vec()),
            (Some(all), _) => all.extend_from_slice(part),
        }
        if let Some(all) = parts.take_if(|_| is_last) {
            return Ok(Cow::Owned(all));
        }
    }
}

/// A length that was written in 32 bits.
pub(super) fn long(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Bytes that are taken from the front.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Why<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| "it is cut off, or a length in it is wrong".to_owned())?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Why<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Why<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Why<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Why<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of many digits, without leading zeros.
    pub(super) fn number(&mut self) -> Why<&'a [u8]> {
        let bits = usize::from(self.u16()?);
        let digits = self.take(bits.div_ceil(8))?;
        Ok(&digits[digits.iter().take_while(|digit| **digit == 0).count()..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_form_are_read() {
        let long = vec![7; 300];
        for (head, body) in [
            (&[0xcb, 3][..], &[7; 3][..]),
            (&[0xcb, 192, 108], &long),
            (&[0xcb, 255, 0, 0, 1, 44], &long),
            (&[0xac, 3], &[7; 3]),
            (&[0xad, 1, 44], &long),
            (&[0xae, 0, 0, 1, 44], &long),
            (&[0xaf], &long),
        ] {
            let bytes = [head, body].concat();
            let found = packets(&bytes, 1).expect("a packet");
            assert_eq!((found[0].tag, &*found[0].body), (LITERAL, body), "{head:?}");
        }
        let parts = [0xcb, 0xe1, 1, 2, 0xe0, 3, 2, 4, 5];
        assert_eq!(&*packets(&parts, 1).expect("a packet")[0].body, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_cut_off_lies_or_never_ends_is_refused() {
        for bytes in
            [&[0xcb][..], &[0xcb, 3, 1], &[0xcb, 255, 255, 255, 255, 255, 1], &[0xae, 255, 255, 255, 255], &[0xcb, 0xfe, 1], &[1, 2]]
        {
            assert!(packets(bytes, 9).is_err(), "{bytes:?}");
        }
        assert_eq!(packets(&[0xcb, 0, 0xcb, 0], 1).err(), Some("it has more than 1 packets".to_owned()));
        assert!(Bytes(&[255, 255, 1]).number().is_err());
        assert_eq!(Bytes(&[0, 9, 0, 5]).number(), Ok(&[5][..]));
    }
}
