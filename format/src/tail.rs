//! [`Tail`]: the documents at the end of a set: `oci-layout`, `index.json`, `SET.json` and its signature.
//!
//! **Invariants.** A tail in memory matches the SHA-256 of the footer, its tar headers regenerate, its padding is zero,
//! and its members stand in the order of SPEC section 3.
//!
//! *Not here:* what the documents say (`set` reads SET.json; the rest is opaque).

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::codec::length;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{FLAG_SET, FOOTER_FROM_END, Footer, MAX_DOCUMENT_BYTES};
use crate::tar;
use crate::volume::Volume;

/// The members of a tail, in order, and the most bytes of each; the signature may be absent.
const MEMBERS: [(&str, u64); 4] =
    [("oci-layout", 4 << 10), ("index.json", MAX_DOCUMENT_BYTES), ("SET.json", MAX_DOCUMENT_BYTES), (SIGNATURE, MAX_SIGNATURE_BYTES)];
/// The member with the signature of SET.json.
pub const SIGNATURE: &str = "SET.json.minisig";
/// The most bytes of a signature.
pub const MAX_SIGNATURE_BYTES: u64 = 64 << 10;

/// The documents at the end of a set.
#[derive(Debug, Clone)]
pub struct Tail {
    bytes: Vec<u8>,
    members: Vec<(&'static str, Range<usize>)>,
}

impl Tail {
    /// The content of a member, if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, range) = self.members.iter().find(|(member, _)| *member == name)?;
        self.bytes.get(range.clone())
    }

    /// The names of the members, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        self.members.iter().map(|(name, _)| *name)
    }
}

impl Volume {
    /// Whether this volume holds SET.json and what stands beside it.
    #[must_use]
    pub fn has_set(&self) -> bool {
        self.footer().flags & FLAG_SET != 0
    }

    /// SET.json of this volume, verified by the footer; `None` where it holds none.
    pub fn read_set_json(&self) -> Result<Option<Vec<u8>>> {
        if !self.has_set() {
            return Ok(None);
        }
        let footer = self.footer();
        let bytes = crate::error::cap(footer.set_json_bytes, MAX_DOCUMENT_BYTES, "SET.json")?;
        let content = self.read_vec(footer.set_json_offset, bytes)?;
        if footer.set_json.matches(&content) {
            return Ok(Some(content));
        }
        let error = Error::damaged("SET.json: its SHA-256 is not that of the footer").at(footer.set_json_offset);
        Err(self.placed(error))
    }

    /// The tail, verified by the footer.
    pub fn read_tail(&self) -> Result<Tail> {
        let begin = self.tail_offset();
        let limit = MEMBERS.iter().fold(tar::BLOCK, |sum, (_, most)| sum.saturating_add(tar::member_bytes(*most)));
        let placed = |error: Error| self.placed(error.at(begin));
        let bytes = crate::error::cap(self.end_offset().saturating_sub(begin), limit, "tail").map_err(placed)?;
        let bytes = self.read_vec(begin, bytes)?;
        if Digest::of(&bytes) != self.footer().tail {
            return Err(placed(Error::damaged("tail: its SHA-256 is not that of the footer")));
        }
        let members = self.walk_tail(&bytes).map_err(placed)?;
        Ok(Tail { bytes, members })
    }

    fn walk_tail(&self, bytes: &[u8]) -> Result<Vec<(&'static str, Range<usize>)>> {
        let mut walk = Walk { bytes, at: 0 };
        walk.zeros(tar::padded(self.tail_offset()).saturating_sub(self.tail_offset()))?;
        let mut members = Vec::new();
        if self.has_set() {
            for (name, most) in MEMBERS {
                if name == SIGNATURE && walk.at == bytes.len() {
                    break;
                }
                members.push((name, walk.member(name, most, self.header().time)?));
            }
            self.agree_on_set(bytes, &members)?;
        }
        if walk.at == bytes.len() { Ok(members) } else { Err(Error::damaged("tail: something is left over")) }
    }

    /// Footer and tail must mean the same SET.json.
    fn agree_on_set(&self, bytes: &[u8], members: &[(&'static str, Range<usize>)]) -> Result<()> {
        let footer = self.footer();
        let range = members.iter().find(|(name, _)| *name == "SET.json").map(|(_, range)| range.clone()).unwrap_or_default();
        let offset = u64::try_from(range.start).unwrap_or(u64::MAX).saturating_add(self.tail_offset());
        let content = bytes.get(range).unwrap_or_default();
        let same = (offset, length(content)) == (footer.set_json_offset, footer.set_json_bytes);
        if same && footer.set_json.matches(content) {
            return Ok(());
        }
        Err(Error::damaged("tail: its SET.json is not the one of the footer"))
    }
}

/// The signature that stands behind SET.json in the volume at `path`, which has this footer; `None` where there is none. Where nothing
/// stands behind SET.json, nothing is read. It is taken as it is: neither the SHA-256 of the tail nor what it says is looked at.
pub fn read_signature(path: &Path, footer: &Footer, time: u64) -> Result<Option<Vec<u8>>> {
    if footer.flags & FLAG_SET == 0 || footer.set_json_bytes == 0 {
        return Ok(None);
    }
    let begin = tar::padded(footer.set_json_bytes).saturating_add(footer.set_json_offset);
    let end = footer.file_bytes.saturating_sub(FOOTER_FROM_END).saturating_sub(tar::BLOCK);
    if begin == end {
        return Ok(None);
    }
    let placed = |error: Error| error.at(begin).in_file(path);
    let most = tar::member_bytes(MAX_SIGNATURE_BYTES);
    let bytes = crate::error::cap(end.saturating_sub(begin), most, SIGNATURE).map_err(placed)?;
    let mut content = vec![0; bytes];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut content, begin));
    read.map_err(|error| Error::io(path, &error).at(begin))?;
    let mut walk = Walk { bytes: &content, at: 0 };
    let range = walk.member(SIGNATURE, MAX_SIGNATURE_BYTES, time).map_err(placed)?;
    match walk.at == content.len() {
        true => Ok(content.get(range).map(<[u8]>::to_vec)),
        false => Err(placed(Error::damaged("tail: something is left over"))),
    }
}

/// Goes through a tail from front to back.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn take(&mut self, bytes: u64) -> Result<Range<usize>> {
        let end = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes));
        let end = end.filter(|end| *end <= self.bytes.len()).ok_or_else(|| Error::damaged("tail: it ends too early"))?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn zeros(&mut self, bytes: u64) -> Result<()> {
        let range = self.take(bytes)?;
        let zero = self.bytes.get(range).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        if zero { Ok(()) } else { Err(Error::damaged("tail: a padding is not zero")) }
    }

    fn member(&mut self, name: &str, most: u64, time: u64) -> Result<Range<usize>> {
        let wrong = || Error::damaged(format!("tail: {name} does not stand where it must"));
        let range = self.take(tar::BLOCK)?;
        let header: &tar::Header = self.bytes.get(range).and_then(<[u8]>::first_chunk).ok_or_else(wrong)?;
        let (found, bytes) = tar::scanned_size(header, time).ok_or_else(wrong)?;
        if found != name {
            return Err(wrong());
        }
        crate::error::cap(bytes, most, name)?;
        let content = self.take(bytes)?;
        self.zeros(tar::padded(bytes).saturating_sub(bytes))?;
        Ok(content)
    }
}
