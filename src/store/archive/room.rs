//! [`Room`]: what the file system of a folder can take.
//!
//! *Not here:* what a run needs (`workflow`).

use std::path::Path;

use crate::error::{Error, Result};

/// What FAT can hold in one file, in bytes, and one more.
const FAT_CAP: u64 = 1 << 32;
const FAT_MAGIC: i64 = 0x4d44;
const EXFAT_MAGIC: i64 = 0x2011_bab0;

/// What the file system of a folder can take.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    free_bytes: u64,
    kind: i64,
}

impl Room {
    /// Asks the file system that `folder` is on; it must be there.
    pub fn of(folder: &Path) -> Result<Self> {
        let failed = |error: rustix::io::Errno| Error::io(folder.display(), &error.into());
        let system = rustix::fs::statvfs(folder).map_err(failed)?;
        let kind = rustix::fs::statfs(folder).map_err(failed)?.f_type;
        Ok(Self { free_bytes: system.f_bavail.saturating_mul(system.f_frsize), kind })
    }

    /// How many bytes are free.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    /// Fails where the file system cannot hold a volume of just below `cap` bytes.
    pub fn check_cap(&self, folder: &Path, cap: u64) -> Result<()> {
        if self.kind != FAT_MAGIC || cap <= FAT_CAP {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{}: its file system (FAT) holds no files of 4 GiB or more, and volumes may have up to {cap} bytes",
            folder.display()
        ))
        .hint("say --volume-size fat32"))
    }

    /// Fails where files of these sizes do not fit, of which `there_bytes` are there already.
    pub(super) fn check(&self, folder: &Path, files: &[u64], there_bytes: u64) -> Result<()> {
        let folder = folder.display();
        if let Some(bytes) = files.iter().find(|bytes| self.kind == FAT_MAGIC && **bytes >= FAT_CAP) {
            return Err(Error::usage(format!("{folder}: its file system (FAT) holds no file of {bytes} bytes"))
                .hint("name a directory on another file system, or write the set anew with --volume-size fat32"));
        }
        let needed = files.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes)).saturating_sub(there_bytes);
        if needed > self.free_bytes {
            return Err(Error::failed(format!("{folder}: {needed} bytes are needed and {} are free", self.free_bytes))
                .hint("free some space, or name another directory"));
        }
        Ok(())
    }

    /// Whether a crash may tear a rename here.
    pub(super) fn renames_can_tear(&self) -> bool {
        matches!(self.kind, FAT_MAGIC | EXFAT_MAGIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_that_a_fat_file_system_cannot_hold_is_refused_with_the_size_that_it_can() {
        const EXT_MAGIC: i64 = 0xef53;
        let folder = Path::new("/mnt/usb");
        let check = |kind, cap| Room { free_bytes: 0, kind }.check_cap(folder, cap);
        for (kind, cap, is_refused) in [(FAT_MAGIC, FAT_CAP, false), (FAT_MAGIC, FAT_CAP + 1, true), (EXT_MAGIC, u64::MAX, false)] {
            assert_eq!(check(kind, cap).is_err(), is_refused, "{kind:x} {cap}");
        }
        let error = check(FAT_MAGIC, 500 << 30).expect_err("refused");
        assert_eq!(error.kind(), crate::error::Kind::Usage);
        assert!(error.to_string().starts_with("/mnt/usb: its file system (FAT)"), "{error}");
        assert_eq!(error.way_out(), Some("say --volume-size fat32"));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        let folder = Path::new("/mnt");
        let room = |kind| Room { free_bytes: 10 << 30, kind };
        room(FAT_MAGIC).check(folder, &[FAT_CAP - 1, 5 << 30], 0).expect_err("a file too large for FAT");
        room(FAT_MAGIC).check(folder, &[FAT_CAP - 1, FAT_CAP - 1], 0).expect("room");
        room(0).check(folder, &[5 << 30, 6 << 30], 1 << 30).expect("room with what is there");
        let error = room(0).check(folder, &[5 << 30, 6 << 30], 0).expect_err("no room");
        assert_eq!(error.to_string(), "/mnt: 11811160064 bytes are needed and 10737418240 are free");
    }
}
