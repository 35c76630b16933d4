//! [`answer`]: makes a patch of what a ticket asks for, from the sound set.
//!
//! **Invariants.** Only a set with the id, and where the ticket knows it the root, is an answer. The patch is durable when it returns.
//!
//! *Not here:* whether the volumes are sound (the caller has checked them).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::PIECE_BYTES;
use super::patch::{MAX_ENTRIES, PatchEntry, content_offset, encode};
use super::ticket::{Ticket, Wanted};
use crate::codec::length;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::set::{SetFiles, VolumeEntry};
use crate::volume::read_exact;

/// Writes the answer to `ticket` from a set into `path`; says what it holds.
pub fn answer(ticket: &Ticket, set: &SetFiles, path: &Path) -> Result<Vec<PatchEntry>> {
    let root = root_of(ticket, set)?;
    let mut entries = asked(ticket, set)?;
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    if count > MAX_ENTRIES {
        return Err(Error::limit(format!("ticket: its answer has {count} entries, and {MAX_ENTRIES} are allowed")));
    }
    let failed = |error: std::io::Error| Error::io(path, &error);
    let out = File::create(path).map_err(failed)?;
    let mut at = content_offset(count);
    for entry in &mut entries {
        let volume = set.volumes.get(&entry.volume).ok_or_else(|| gone(set, entry.volume))?;
        let file = File::open(&volume.path).map_err(|error| Error::io(&volume.path, &error))?;
        entry.offset = at;
        let mut hasher = Hasher::sha256();
        let mut from = entry.range.start;
        let mut buffer = vec![0u8; usize::try_from(PIECE_BYTES).unwrap_or_default()];
        while from < entry.range.end {
            let most = usize::try_from(entry.range.end.saturating_sub(from)).unwrap_or(usize::MAX).min(buffer.len());
            let piece = buffer.get_mut(..most).unwrap_or_default();
            read_exact(&file, from, piece).map_err(|error| error.in_file(&volume.path))?;
            hasher.update(piece);
            out.write_all_at(piece, at).map_err(failed)?;
            (from, at) = (from.saturating_add(length(piece)), at.saturating_add(length(piece)));
        }
        entry.sum = hasher.finish();
    }
    out.write_all_at(&encode(ticket.set, &root, &entries), 0).and_then(|()| out.sync_all()).map_err(failed)?;
    Ok(entries)
}

fn root_of(ticket: &Ticket, set: &SetFiles) -> Result<Digest> {
    let unknown = || Error::new(Kind::Missing, format!("set {}: its last volume is not here", set.id()));
    let root = set.root.ok_or_else(unknown)?;
    if ticket.set != set.id() || ticket.root.is_some_and(|asked| asked != root) {
        let text = format!("ticket: it is of set {}, and this is set {} with root {root}", ticket.set, set.id());
        return Err(Error::new(Kind::Usage, text));
    }
    Ok(root)
}

/// The entries that a ticket asks for; sums and offsets are open.
fn asked(ticket: &Ticket, set: &SetFiles) -> Result<Vec<PatchEntry>> {
    let volumes = set.manifest.as_ref().map(|manifest| manifest.volumes.as_slice()).unwrap_or_default();
    let entry = |volume: &VolumeEntry, range: std::ops::Range<u64>| PatchEntry {
        volume: volume.number,
        range,
        volume_bytes: volume.bytes,
        root: volume.root,
        sum: volume.root,
        offset: 0,
    };
    let mut entries = Vec::new();
    for wanted in &ticket.wanted {
        let of = |number: u32| volumes.iter().find(|volume| volume.number == number).ok_or_else(|| gone(set, number));
        match wanted {
            Wanted::Whole { volume } => of(*volume).map(|volume| entries.push(entry(volume, 0..volume.bytes)))?,
            Wanted::From { volume } => {
                let rest = volumes.iter().filter(|known| known.number >= *volume);
                entries.extend(rest.map(|volume| entry(volume, 0..volume.bytes)));
            }
            Wanted::Range { volume, range } => {
                let volume = of(*volume)?;
                if range.end > volume.bytes {
                    let text = format!("ticket: it asks for bytes beyond the end of volume {}, which has {}", volume.number, volume.bytes);
                    return Err(Error::new(Kind::Usage, text));
                }
                entries.push(entry(volume, range.clone()));
            }
        }
    }
    if entries.is_empty() { Err(Error::new(Kind::Usage, "ticket: the set has nothing of what it asks for")) } else { Ok(entries) }
}

fn gone(set: &SetFiles, number: u32) -> Error {
    Error::new(Kind::Missing, format!("volume {number} of set {} is not here", set.id()))
}
