//! Tickets and patches: what is asked for where parity is not enough, and what answers (SPEC section 11).
//!
//! **Invariants.** Both are foreign bytes: they are read strictly, within stated limits, and whatever they say, a volume counts only for its
//! root and a check of all of its bytes, which are the caller's matter.
//!
//! *Not here:* what is to be asked for (`parity::Survey`, or what a check has found), and final names of files.

mod answer;
mod patch;
mod ticket;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

pub use self::answer::answer;
pub use self::patch::{Patch, PatchEntry};
pub use self::ticket::{MAX_TICKET_BYTES, Ticket, Wanted};
use crate::error::{Error, Kind, Result};
use crate::parity::{Holder, Overlay};

/// How much is copied at once.
const PIECE_BYTES: u64 = 1 << 20;

/// What patches put over each volume, by its number, in order; where two have the same bytes, the first counts.
#[must_use]
pub fn overlays(patches: &[Patch]) -> BTreeMap<u32, Vec<Overlay>> {
    let mut all: BTreeMap<u32, Vec<Overlay>> = BTreeMap::new();
    for patch in patches {
        for entry in patch.entries() {
            let overlay = Overlay { range: entry.range.clone(), path: patch.path().to_owned(), offset: entry.offset };
            all.entry(entry.volume).or_default().push(overlay);
        }
    }
    for overlays in all.values_mut() {
        overlays.sort_by_key(|overlay| overlay.range.start);
        let mut end = 0;
        for overlay in overlays.iter_mut() {
            let cut = end.max(overlay.range.start).min(overlay.range.end);
            overlay.offset = overlay.offset.saturating_add(cut.saturating_sub(overlay.range.start));
            overlay.range.start = cut;
            end = end.max(overlay.range.end);
        }
        overlays.retain(|overlay| !overlay.range.is_empty());
    }
    all
}

/// Writes a volume of `bytes` bytes into `file`, as this holder has it.
pub fn lay_over(holder: &Holder, bytes: u64, file: &File) -> Result<()> {
    let failed = |error: std::io::Error| Error::new(Kind::Io(error.kind()), error.to_string());
    file.set_len(bytes).map_err(failed)?;
    let mut files = Default::default();
    let mut buffer = vec![0u8; usize::try_from(PIECE_BYTES.min(bytes)).unwrap_or_default()];
    let mut at = 0u64;
    while at < bytes {
        let most = usize::try_from(bytes.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..most).unwrap_or_default();
        holder.read(&mut files, at, piece)?;
        file.write_all_at(piece, at).map_err(failed)?;
        at = at.saturating_add(crate::codec::length(piece));
    }
    Ok(())
}
