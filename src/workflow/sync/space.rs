//! Is there room for a set, and can the file system hold its volumes?

use std::path::Path;

use super::Space;
use crate::error::{Error, Result};
use crate::plan::Summary;

/// What FAT can hold in one file, in bytes, and one more.
const FAT_CAP: u64 = 1 << 32;
const FAT_MAGIC: i64 = 0x4d44;
/// What waits in memory or behind the volume while a set is written.
const BEHIND_BYTES: u64 = 64 << 20;

/// The space that a plan needs, estimated from above: content that does not shrink, with frames, records and index.
pub(super) fn needed(summary: &Summary, jobs: usize) -> Space {
    let overhead = summary.bytes_to_fetch / 256 + 16 * 1024 * (summary.manifests + 64);
    let in_flight = summary.largest_blob_bytes.saturating_mul(jobs as u64).min(summary.bytes_to_fetch);
    Space { set_bytes: summary.bytes_to_fetch + overhead, running_bytes: in_flight + BEHIND_BYTES.min(summary.bytes_to_fetch) }
}

/// Fails where `folder` has not the room, or cannot hold files of `cap` bytes. With `one_volume`, files are let go as
/// they are finished.
pub(super) fn check(folder: &Path, space: &Space, cap: u64, one_volume: bool) -> Result<()> {
    let failed = |error: rustix::io::Errno| Error::io(folder.display(), &error.into());
    let system = rustix::fs::statfs(folder).map_err(failed)?;
    check_cap(folder, system.f_type, cap)?;
    let there = rustix::fs::statvfs(folder).map_err(failed)?;
    let free = there.f_bavail.saturating_mul(there.f_frsize);
    let set = if one_volume { space.set_bytes.min(cap) } else { space.set_bytes };
    let needed = set.saturating_add(space.running_bytes);
    if free < needed {
        return Err(Error::failed(format!("{}: the set needs up to {needed} bytes and {free} are free", folder.display()))
            .hint("free some space, name another directory, or hand volumes on with --on-volume and --release"));
    }
    Ok(())
}

/// Fails where a file system of this kind cannot hold a volume of just below `cap` bytes.
fn check_cap(folder: &Path, kind: i64, cap: u64) -> Result<()> {
    if kind != FAT_MAGIC || cap <= FAT_CAP {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: its file system (FAT) holds no files of 4 GiB or more, and volumes may have up to {cap} bytes",
        folder.display()
    ))
    .hint("say --volume-size fat32"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_that_a_fat_file_system_cannot_hold_is_refused_with_the_size_that_it_can() {
        const EXT_MAGIC: i64 = 0xef53;
        let folder = Path::new("/mnt/usb");
        for (kind, cap, is_refused) in [(FAT_MAGIC, FAT_CAP, false), (FAT_MAGIC, FAT_CAP + 1, true), (EXT_MAGIC, u64::MAX, false)] {
            assert_eq!(check_cap(folder, kind, cap).is_err(), is_refused, "{kind:x} {cap}");
        }
        let error = check_cap(folder, FAT_MAGIC, 500 << 30).expect_err("refused");
        assert_eq!(error.kind(), crate::error::Kind::Usage);
        assert!(error.to_string().starts_with("/mnt/usb: its file system (FAT)"), "{error}");
        assert_eq!(error.way_out(), Some("say --volume-size fat32"));
    }

    #[test]
    fn a_set_that_does_not_fit_is_refused_before_it_is_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let small = Space { set_bytes: 1, running_bytes: 0 };
        check(folder.path(), &small, 1 << 20, false).expect("room for a byte");
        let large = Space { set_bytes: u64::MAX >> 1, running_bytes: 0 };
        let error = check(folder.path(), &large, 1 << 20, false).expect_err("no room");
        assert!(error.to_string().contains("are free"), "{error}");
        check(folder.path(), &large, 1 << 20, true).expect("room for one volume at a time");
    }
}
