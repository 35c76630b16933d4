//! The content of a `.rec`: records of blobs, compressed, behind a hash (SPEC section 6).
//!
//! **Invariants.** Nothing is decompressed before its hash matched, and nothing that says that it is longer than
//! `MAX_DOCUMENT_BYTES`. What [`close`] makes is at most `bound` long.
//!
//! *Not here:* reading them some bytes at a time (`feed`), and what a record says (`recipe`).

mod feed;

pub(crate) use self::feed::Feed;

use crate::codec::length;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::frame;
use crate::recipe::Record;

/// How hard records are compressed; they are few bytes.
const LEVEL: i32 = 9;
const HASH_BYTES: u64 = 32;

/// What records of so many bytes in all take at the most.
#[must_use]
pub(crate) fn bound(record_bytes: u64) -> u64 {
    frame::bound(record_bytes).saturating_add(HASH_BYTES)
}

/// The content of a `.rec` with these records.
pub fn close<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    records.into_iter().for_each(|record| record.encode(&mut body));
    let packed = if body.is_empty() { body } else { frame::compress(&body, LEVEL)? };
    Ok([Digest::of(&packed).bytes(), &packed].concat())
}

/// The records, one after the other, of the content of a `.rec`.
pub fn open(content: &[u8]) -> Result<Vec<u8>> {
    let read = |at: u64, buffer: &mut [u8]| {
        let from = usize::try_from(at).ok().and_then(|at| content.get(at..)?.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or_else(|| Error::damaged("records: it ends too early"))?);
        Ok(())
    };
    Feed::open(&read, 0, length(content))?.rest()
}

/// A block of zstd takes at least four bytes for 128 KiB.
const MOST_SHRUNK: u64 = 1 << 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Cursor;
    use crate::recipe::{Plain, Recipe};

    fn record(n: u32) -> Record {
        let digest = Digest::of(&n.to_le_bytes());
        Record { digest, bytes: 7, note: format!("note {n}"), recipe: Recipe::Verbatim, plain: Plain::Own }
    }

    #[test]
    fn records_come_back_and_stay_within_their_bound() {
        for count in [0, 1, 3, 5_000] {
            let records: Vec<Record> = (0..count).map(record).collect();
            let content = close(&records).expect("closed");
            let body = open(&content).expect("opened");
            assert!(length(&content) <= bound(length(&body)));
            let mut cursor = Cursor::new(&body, "records");
            for wanted in &records {
                assert_eq!(Record::decode(&mut cursor).expect("a record"), *wanted);
            }
            assert!(cursor.is_empty());
        }
    }

    #[test]
    fn what_is_damaged_or_lies_about_its_length_is_refused() {
        let content = close(&[record(1)]).expect("closed");
        for at in 0..content.len() {
            let mut hurt = content.clone();
            hurt[at] ^= 1;
            assert!(open(&hurt).is_err(), "{at}");
        }
        assert!(open(&content[..31]).is_err());
        // A frame that says that it has 64 MiB, and one that says nothing.
        for packed in [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 4, 1, 0, 0][..], &[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 1, 0, 0][..]] {
            assert!(open(&[Digest::of(packed).bytes(), packed].concat()).is_err());
        }
    }
}
