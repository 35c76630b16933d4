//! [`Medium`]: what of a volume fits on a disc, beside the file system, the sums and the catalogue.
//!
//! **Invariants.** A file smaller than [`Medium::cap_bytes`], with its sums and the catalogue of a set that fills the
//! medium, fits on it under ISO 9660 with UDF and under UDF alone. `tests/suite/cli/media.rs` asks real makers of
//! such file systems.
//!
//! *Not here:* sizes in figures (`sizes`).

use std::str::FromStr;

/// The size of a sector of every optical disc.
const SECTOR_BYTES: u64 = 2048;

/// A medium that people carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A CD-R of 80 minutes.
    Cd,
    /// A DVD of one layer.
    Dvd,
    /// A DVD of two layers.
    DvdDl,
    /// A Blu-ray disc of one layer.
    Bd25,
    /// A Blu-ray disc of two layers.
    Bd50,
    /// Any medium with the file system FAT32.
    Fat32,
}

impl Medium {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Cd, Self::Dvd, Self::DvdDl, Self::Bd25, Self::Bd50, Self::Fat32];

    /// How a person calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cd => "cd",
            Self::Dvd => "dvd",
            Self::DvdDl => "dvd-dl",
            Self::Bd25 => "bd25",
            Self::Bd50 => "bd50",
            Self::Fat32 => "fat32",
        }
    }

    /// The sectors that data can be written to; none for a file system alone. Where blank discs of one name differ, the
    /// smaller one counts, so that a volume fits on both:
    ///
    /// - CD-R: 80 minutes of 75 sectors a second.
    /// - DVD: DVD+R has 2,295,104 sectors, DVD-R 2,298,496.
    /// - DVD of two layers: DVD-R DL has 4,171,712 sectors, DVD+R DL 4,173,824.
    /// - BD-R and BD-RE: as burning programs format them, with the default spare area: 11,826,176 and 23,652,352
    ///   sectors. Without it they have 12,219,392 and 24,438,784.
    #[must_use]
    pub fn sectors(self) -> Option<u64> {
        match self {
            Self::Cd => Some(80 * 60 * 75),
            Self::Dvd => Some(2_295_104),
            Self::DvdDl => Some(4_171_712),
            Self::Bd25 => Some(11_826_176),
            Self::Bd50 => Some(23_652_352),
            Self::Fat32 => None,
        }
    }

    /// The cap of volumes for it; a volume is at least one byte smaller.
    ///
    /// A disc holds sectors × 2,048 bytes. Of these are taken off what [`Medium::file_system_bytes`],
    /// [`Medium::sums_bytes`] and [`Medium::catalogue_bytes`] say. FAT32 has no size of its own, but no file of it may
    /// have more than 4 GiB − 1 bytes.
    #[must_use]
    pub fn cap_bytes(self) -> u64 {
        let Some(sectors) = self.sectors() else { return (4 << 30) - 1 };
        let taken = self.file_system_bytes() + self.sums_bytes() + self.catalogue_bytes();
        (sectors * SECTOR_BYTES - taken) / SECTOR_BYTES * SECTOR_BYTES
    }

    /// What a file system takes: descriptors, directories and the 300 KiB that writers pad an image with are below 2 MiB
    /// whatever the size of the disc; UDF's map of free space is a bit for each sector, a 16,384th of the disc, and
    /// twice that is kept.
    #[must_use]
    pub fn file_system_bytes(self) -> u64 {
        self.sectors().map_or(0, |sectors| (2 << 20) + sectors * SECTOR_BYTES / 8192)
    }

    /// What the file of sums takes: a line has about 110 bytes, so 1 MiB is enough for 9,500 volumes.
    #[must_use]
    pub fn sums_bytes(self) -> u64 {
        self.sectors().map_or(0, |_| 1 << 20)
    }

    /// What the catalogue takes: all that is not packs is at most 0.4 % of a set, manifests that are stored verbatim
    /// aside; a 128th of the disc (0.78 %) leaves as much for these. That is the catalogue of a set that fills one disc:
    /// the catalogue of a hundred discs wants a disc of its own.
    #[must_use]
    pub fn catalogue_bytes(self) -> u64 {
        self.sectors().map_or(0, |sectors| sectors * SECTOR_BYTES / 128)
    }
}

impl FromStr for Medium {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|medium| medium.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_a_disc_is_left_for_the_volume() {
        for medium in Medium::ALL {
            assert_eq!(medium.name().parse(), Ok(medium));
            let Some(sectors) = medium.sectors() else { continue };
            let share = medium.cap_bytes() as f64 / (sectors * SECTOR_BYTES) as f64;
            assert!((0.985..0.995).contains(&share), "{}: {share}", medium.name());
        }
        assert_eq!(Medium::Fat32.cap_bytes(), 4_294_967_295);
    }
}
