//! What room a set needs, and whether it is there.
//!
//! *Not here:* what a file system can hold (`store::archive`).

use std::path::Path;

use super::{ArchiveOptions, Depth, Space};
use crate::error::{Error, Result};
use crate::plan::Summary;
use crate::store::archive::Room;

/// What waits in memory or behind the volume while a set is written.
const BEHIND_BYTES: u64 = 64 << 20;

/// The space that a plan needs, from above: content that does not shrink, with frames, records and index; and what it takes in
/// all likelihood, by what real images took (docs/benchmarks.md).
pub(super) fn needed(summary: &Summary, jobs: usize, archive: &ArchiveOptions, depth: Option<Depth>) -> Space {
    let cap = archive.volume_bytes;
    let overhead = summary.bytes_to_fetch / 256 + 16 * 1024 * (summary.manifests + 64);
    let in_flight = summary.largest_blob_bytes.saturating_mul(jobs as u64).min(summary.bytes_to_fetch);
    let data_bytes = summary.bytes_to_fetch + overhead;
    let parity = archive.parity.map_or(0, |amount| amount.of(u32::try_from(data_bytes.div_ceil(cap.max(1))).unwrap_or(u32::MAX)));
    let set_bytes = data_bytes.saturating_add(data_bytes.min(cap).saturating_mul(parity.into()));
    let running_bytes = in_flight + BEHIND_BYTES.min(summary.bytes_to_fetch);
    let about_bytes = summary.bytes_to_fetch / 1000 * per_mille(archive.packing.replays, depth) + overhead;
    Space { set_bytes, running_bytes, about_bytes, volumes: about_bytes.div_ceil(cap.max(1)), cap_bytes: cap }
}

/// What a thousand bytes of gzip become.
fn per_mille(replays: bool, depth: Option<Depth>) -> u64 {
    match (replays, depth) {
        (false, _) => 1000,
        (true, None | Some(Depth::Blob)) => 730,
        (true, Some(Depth::Chunk)) => 150,
        (true, Some(Depth::Patch)) => 45,
    }
}

/// Fails where `folder` has not the room, or cannot hold files of `cap` bytes. With `one_volume`, files are let go as
/// they are finished.
pub(super) fn check(folder: &Path, space: &Space, cap: u64, one_volume: bool) -> Result<()> {
    let room = Room::of(folder)?;
    room.check_cap(folder, cap)?;
    let free = room.free_bytes();
    let set = if one_volume { space.set_bytes.min(cap) } else { space.set_bytes };
    let needed = set.saturating_add(space.running_bytes);
    if free < needed {
        return Err(Error::failed(format!("{}: the set needs up to {needed} bytes and {free} are free", folder.display()))
            .hint("free some space, name another directory, or hand volumes on with --on-volume and --release"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_does_not_fit_is_refused_before_it_is_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let space = |set_bytes| Space { set_bytes, running_bytes: 0, about_bytes: 0, volumes: 1, cap_bytes: 1 << 20 };
        let small = space(1);
        check(folder.path(), &small, 1 << 20, false).expect("room for a byte");
        let large = space(u64::MAX >> 1);
        let error = check(folder.path(), &large, 1 << 20, false).expect_err("no room");
        assert!(error.to_string().contains("are free"), "{error}");
        check(folder.path(), &large, 1 << 20, true).expect("room for one volume at a time");
    }
}
